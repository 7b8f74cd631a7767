"""Stage 2 · sources → decoded media. The only package that opens media files and sockets."""

from __future__ import annotations

from mmrerank.media.backend import decoder_backend
from mmrerank.media.cache import MediaCache
from mmrerank.media.load import load_documents
from mmrerank.media.memo import SourceMemo
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.sampling import sample_frame_indices

__all__ = [
    "MediaCache",
    "MediaPolicy",
    "SourceMemo",
    "decoder_backend",
    "load_documents",
    "sample_frame_indices",
]
