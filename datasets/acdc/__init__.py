"""The ACDC challenge as an ASPIRE-style folder."""
