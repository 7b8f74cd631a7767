"""Tokens that a family puts behind each prompt, written into a saved tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tokenizers import processors

from mmrerank.errors import CheckpointError

__all__ = ["appending"]

_NAME = "[suffix]"


@contextmanager
def appending(tokenizer: Any, ids: Sequence[int], *, has_processor: bool) -> Iterator[None]:
    """Within it the tokenizer ends each text with these tokens by itself.

    No template could write them: one may be a byte that no text encodes to. A tokenizer saved so
    gives the same ids in every library, through a media processor, which adds special tokens.
    Raises CheckpointError without one, as chat templates then add none.
    """
    if not ids:
        yield
        return
    if not has_processor:
        raise CheckpointError(
            f"this model reads its score behind the tokens {list(ids)}, which other libraries "
            "append only where a media processor is saved with it. Save its adapter, or keep the "
            "folder that it was loaded from."
        )
    backend = tokenizer.backend_tokenizer
    before = backend.post_processor
    token = {"id": _NAME, "ids": list(ids), "tokens": tokenizer.convert_ids_to_tokens(list(ids))}
    behind = processors.TemplateProcessing(
        single=["$A", _NAME], pair=["$A", "$B", _NAME], special_tokens=[token]
    )
    backend.post_processor = processors.Sequence([before, behind] if before else [behind])
    try:
        yield
    finally:
        backend.post_processor = before
