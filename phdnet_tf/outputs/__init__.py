"""Writes predictions as files: tables, pictures, DICOM reports, markups."""
