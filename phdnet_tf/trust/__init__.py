"""Learns from validation errors how reliable a point is."""
