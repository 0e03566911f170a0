"""DICOM: files in, images out, and what belongs together."""
