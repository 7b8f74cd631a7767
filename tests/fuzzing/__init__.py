"""Damaged, lying and odd inputs, and a harness that survives what they do to a process."""
