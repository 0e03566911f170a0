"""The TFDS data set `aspire_cmr`."""
