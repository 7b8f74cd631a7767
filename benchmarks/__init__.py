"""Measurements against other libraries, one subject a file: `python -m benchmarks.<subject>`."""
