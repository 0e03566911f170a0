"""A model's answers on images: points, tracks, and which view an image shows."""
