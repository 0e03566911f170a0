"""What validation errors teach of the trust that a point deserves."""
