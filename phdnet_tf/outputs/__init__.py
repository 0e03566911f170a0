"""Predictions as files: tables, pictures, DICOM reports, markups."""
