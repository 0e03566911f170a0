"""Reads DICOM files into images, and groups the images into cines."""
