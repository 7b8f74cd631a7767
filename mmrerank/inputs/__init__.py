"""Stage 1 · what users hand in → `Document` and `Pair`. Pure: no file opened, no torch imported."""

from __future__ import annotations

from mmrerank.inputs.modality import modality_of_string
from mmrerank.inputs.pairs import OnError, ParsedPairs, iter_pairs, parse_pairs
from mmrerank.inputs.parse import parse_document
from mmrerank.inputs.sniff import MediaKind, sniff_bytes

__all__ = [
    "MediaKind",
    "OnError",
    "ParsedPairs",
    "iter_pairs",
    "modality_of_string",
    "parse_document",
    "parse_pairs",
    "sniff_bytes",
]
