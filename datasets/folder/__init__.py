"""ASPIRE-style folders: a table of landmarks beside the DICOM files it names."""
