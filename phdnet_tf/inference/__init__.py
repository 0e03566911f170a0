"""Runs models on images: points, tracks, and the view that an image shows."""
