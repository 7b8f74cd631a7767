"""The drop-in face: what scripts for sentence-transformers' CrossEncoder import, with the package
name changed.
"""

from mmrerank.cross_encoder.model import CrossEncoder
from mmrerank.cross_encoder.modules import Dense, LayerNorm, LogitScore, Pooling, Transformer

__all__ = ["CrossEncoder", "Dense", "LayerNorm", "LogitScore", "Pooling", "Transformer"]
