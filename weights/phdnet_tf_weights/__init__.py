"""Weights for phdnet-tf, a folder for each; there is no code."""
