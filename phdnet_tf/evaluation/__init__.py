"""Measures a model on annotated images."""
