"""The line of listwise models: documents of one query are scored together, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmrerank.engine import Engine
from mmrerank.errors import MMRerankError
from mmrerank.heads import Head
from mmrerank.media import SourceMemo
from mmrerank.pipeline.ahead import in_order
from mmrerank.pipeline.loading import PairLoader, handfuls, weight_of
from mmrerank.pipeline.options import CallOptions
from mmrerank.pipeline.scoring import ReadDocument
from mmrerank.prompting import Block, ListEncoder, ListItem, MediaFeature, Member, blocks_of
from mmrerank.types import (
    Document,
    DocumentError,
    EncodedGroup,
    LoadedPair,
    MediaKey,
    Pair,
    Text,
)

__all__ = ["ListLine", "ScoredList", "chunks_of_lists"]

_NUM_THREADS = 4
_PAIRS_AHEAD, _BLOCKS_AHEAD = 1_024, 4


@dataclass(frozen=True, slots=True)
class ScoredList:
    """A list, whole. indices: of all its pairs, in order. documents: those that were scored.

    logits: (num_documents, num_labels) float32; None where no document was scored.
    """

    indices: list[int]
    failed: dict[int, DocumentError]
    documents: list[ReadDocument]
    logits: Tensor | None


@dataclass(frozen=True, slots=True)
class _Read:
    """A block, its prompt and what the model made of it: (num_documents + 1, vector_size)."""

    block: Block
    group: EncodedGroup | None
    vectors: Tensor | None = None


class ListLine:
    """Pairs to whole lists: pairs in a row with equal query and instruction are one list.

    How a list is cut into blocks depends on its own documents alone (`blocks_of`), neither on
    windows nor on what else is in the call. model: asked where it is.
    """

    def __init__(
        self, loader: PairLoader, encoder: ListEncoder, engine: Engine, head: Head, model: Any
    ) -> None:
        self._loader = loader
        self._encoder = encoder
        self._engine = engine
        self._head = head
        self._model = model

    def lists(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions
    ) -> Iterator[ScoredList]:
        """Lists in order, each when its last block was read; their vectors are held until then."""
        held: list[_Read] = []
        for read in self._read(pairs, options):
            if held and held[-1].block.list_number != read.block.list_number:
                yield self._scored(held)
                held = []
            held.append(read)
        if held:
            yield self._scored(held)

    def encode(
        self, pairs: Sequence[Pair]
    ) -> tuple[list[EncodedGroup], dict[MediaKey, MediaFeature]]:
        """The prompts of these pairs, one a block; of text alone."""
        encoded = self._encoded(pairs, CallOptions())
        return [read.group for read in encoded if read.group is not None], {}

    # ------------------------------------------------------------ stages

    def _encoded(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions
    ) -> Iterator[_Read]:
        """Stages 2 to 4, in threads, while the model is busy."""
        memo = SourceMemo()
        members = in_order(
            lambda handful: self._members(handful, memo, options),
            handfuls(pairs, options.window.max_pairs),
            num_threads=_NUM_THREADS,
            max_ahead=_PAIRS_AHEAD,
            weigh=weight_of,
        )
        blocks = blocks_of(chain.from_iterable(members), self._encoder.limits)
        return in_order(self._prompt, blocks, num_threads=2, max_ahead=_BLOCKS_AHEAD)

    def _members(
        self, handful: Sequence[Pair | DocumentError], memo: SourceMemo, options: CallOptions
    ) -> list[Member]:
        loaded = self._loader.load(handful, options, memo)
        try:
            items = iter(self._encoder.items([p for p in loaded if isinstance(p, LoadedPair)]))
        except MMRerankError:  # pair by pair, to find and name it
            return [self._member(pair, options) for pair in loaded]
        return [pair if isinstance(pair, DocumentError) else next(items) for pair in loaded]

    def _member(self, pair: LoadedPair | DocumentError, options: CallOptions) -> Member:
        """One pair's member of a list; what fails here lies with its query or instruction."""
        if isinstance(pair, DocumentError):
            return pair
        try:
            return self._encoder.items([pair])[0]
        except MMRerankError as error:
            query, _ = options.names(Pair(pair.index, Document(()), Document(())))
            named = type(error)(f"{query}: {error}")
            if options.on_error == "raise" or options.query_must_load:
                raise named from error
            return DocumentError(pair.index, named)

    def _prompt(self, block: Block) -> _Read:
        return _Read(block, self._encoder.group(block) if block.items else None)

    def _read(self, pairs: Iterable[Pair | DocumentError], options: CallOptions) -> Iterator[_Read]:
        """Blocks with their vectors; a window of whole blocks goes to the engine at once."""
        for window in _windows(self._encoded(pairs, options), options.window.max_pairs):
            groups = [read.group for read in window if read.group is not None]
            vectors = iter(self._vectors(groups, options))
            for read in window:
                own = None if read.group is None else next(vectors)
                yield _Read(read.block, read.group, own)

    def _vectors(self, groups: Sequence[EncodedGroup], options: CallOptions) -> list[Tensor]:
        device = next(self._model.parameters()).device
        batches = self._engine.run(
            groups, {}, budget=options.budget, device=device, should_stop=options.should_stop
        )
        found: dict[int, Tensor] = {}
        for rows, states in batches:
            with torch.inference_mode():
                vectors = self._head.to_logits(states)
            parts = torch.split(vectors, [len(groups[row].read_at) for row in rows])
            found.update(zip(rows, parts, strict=True))
        return [found[row] for row in range(len(groups))]

    def _scored(self, held: Sequence[_Read]) -> ScoredList:
        members = [member for read in held for member in read.block.members]
        vectors = [read.vectors for read in held if read.vectors is not None]
        assert self._head.list_logits is not None, "asked for when the line was built"
        with torch.inference_mode():
            logits = self._head.list_logits(vectors) if vectors else None
        return ScoredList(
            indices=[_index(member) for member in members],
            failed={m.index: m for m in members if isinstance(m, DocumentError)},
            documents=[document for read in held for document in _documents(read)],
            logits=logits,
        )


def _windows(reads: Iterable[_Read], max_pairs: int) -> Iterator[list[_Read]]:
    """Whole blocks until there are so many pairs."""
    window: list[_Read] = []
    for read in reads:
        window.append(read)
        if sum(len(held.block.members) for held in window) >= max_pairs:
            yield window
            window = []
    if window:
        yield window


def _index(member: Member) -> int:
    return member.pair.index if isinstance(member, ListItem) else member.index


def _documents(read: _Read) -> list[ReadDocument]:
    """Each owns the tokens up to its mark, the last one those behind it too; so they add up."""
    if read.group is None:
        return []
    ends = [*read.group.score_at[:-1], read.group.num_tokens - 1]
    lengths = np.diff([-1, *ends])
    return [
        ReadDocument(item.pair.index, int(length), item.num_truncated)
        for item, length in zip(read.block.items, lengths, strict=True)
    ]


def chunks_of_lists(
    pairs: Sequence[Pair | DocumentError], size: int
) -> list[list[Pair | DocumentError]]:
    """Pairs in chunks of at least `size`, the last one aside; no list is cut in two."""
    chunks: list[list[Pair | DocumentError]] = []
    key: tuple[str, str | None] | None = None
    for pair in pairs:
        own = _key(pair) if isinstance(pair, Pair) else key
        if not chunks or (len(chunks[-1]) >= size and own != key):
            chunks.append([])
        chunks[-1].append(pair)
        key = own
    return chunks


def _key(pair: Pair) -> tuple[str, str | None]:
    texts = (part.text for part in pair.query.parts if isinstance(part, Text))
    return "\n".join(texts), pair.instruction
