"""The walk as code: load, encode, run, score, in the order of docs/architecture.md."""

from mmrerank.pipeline.line import Pipeline
from mmrerank.pipeline.lists import chunks_of_lists
from mmrerank.pipeline.options import CallOptions, OnError, Window, rank_names

__all__ = ["CallOptions", "OnError", "Pipeline", "Window", "chunks_of_lists", "rank_names"]
