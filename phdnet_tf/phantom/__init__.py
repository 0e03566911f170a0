"""Drawn cardiac MR with exact landmarks."""
