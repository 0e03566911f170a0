"""How good a model is, on annotated images."""
