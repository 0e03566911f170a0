"""The command line, `phdnet-tf`."""
