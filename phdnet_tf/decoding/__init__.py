"""Turns a network's heads into points, with confidence and evidence."""
