"""Encoder-decoders whose encoder reads the document, and whose decoder reads the query."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from mmrerank.errors import SpecError

__all__ = ["ChunkSize", "EncoderDecoderSpec"]

# What a caller may ask for: a number, None for no pooling, "native" for what the files say.
ChunkSize: TypeAlias = int | Literal["native"] | None


@dataclass(frozen=True, slots=True)
class EncoderDecoderSpec:
    """How the two sides of a prompt are read, which the template parts by {{ decoder }}.

    chunk_size: the encoder's states become means of so many of them in a row before the decoder
    looks at them; None = they stay as they are. max_query_tokens: of the query's text by itself,
    cut before the prompt is written; None = any number. `max_length` counts the encoder's tokens.
    """

    chunk_size: int | None = None
    max_query_tokens: int | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value <= 0:
                raise SpecError(f"{name}={value}: needs a number above 0")
