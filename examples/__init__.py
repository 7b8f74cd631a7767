"""Worked examples, one task a file."""
