"""Modules to put a CrossEncoder together from, under the peer's import path."""

from mmrerank.cross_encoder.transformer import Transformer
from mmrerank.heads import Dense, LayerNorm, LogitScore, Pooling

__all__ = ["Dense", "LayerNorm", "LogitScore", "Pooling", "Transformer"]
