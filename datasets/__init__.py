"""Data sets of cardiac MR with landmarks."""
