"""Words that a family takes out of what users hand in, before any prompt is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmrerank.types import LoadedDocument, LoadedPair, Text

__all__ = ["without_words"]


def without_words(pair: LoadedPair, words: Sequence[str]) -> LoadedPair:
    """The pair without these words, in both sides and the instruction."""
    if not words:
        return pair
    instruction = pair.instruction
    return replace(
        pair,
        query=_cleaned(pair.query, words),
        document=_cleaned(pair.document, words),
        instruction=None if instruction is None else _without(instruction, words),
    )


def _cleaned(document: LoadedDocument, words: Sequence[str]) -> LoadedDocument:
    parts = tuple(
        Text(_without(part.text, words)) if isinstance(part, Text) else part
        for part in document.parts
    )
    return replace(document, parts=parts)


def _without(text: str, words: Sequence[str]) -> str:
    # Taking one word out may join the halves of another; a blank in its place cannot. So two passes
    # are enough, whatever is nested in the text.
    for gap in ("", " "):
        for word in words:
            text = text.replace(word, gap)
    return text
