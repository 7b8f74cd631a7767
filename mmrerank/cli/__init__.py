"""The command line: rank, score, info, processors and demo. It computes nothing itself."""
