"""Landmarks from a server: TF Serving, or `phdnet-tf serve`."""
