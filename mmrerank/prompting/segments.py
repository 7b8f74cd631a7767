"""Pairs as two segments, the tokenizer's own form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmrerank.errors import InputError, SpecError
from mmrerank.locks import CopyableLock
from mmrerank.prompting.clean import without_words
from mmrerank.prompting.expand import Features
from mmrerank.prompting.features import MediaFeature
from mmrerank.prompting.template import plain_text
from mmrerank.prompting.truncate import Limits, Tokens, tokens_to_keep
from mmrerank.types import EncodedGroup, LoadedPair, MediaKey

__all__ = ["SegmentEncoder"]

_FIELDS = ("input_ids", "token_type_ids")


class SegmentEncoder:
    """Two segments as the tokenizer joins them, as BERT-like models want it.

    scores_last: score at the last token (causal models) instead of the first. remove: words taken
    out of the users' texts.
    """

    def __init__(
        self, tokenizer: Any, limits: Limits, *, scores_last: bool, remove: Sequence[str] = ()
    ) -> None:
        if limits.has_sides and not tokenizer.is_fast:
            raise SpecError(
                f"{type(tokenizer).__name__} does not tell which token is whose, so a limit of the "
                "query or the document alone cannot be kept. Take max_query_share, "
                "max_query_tokens and max_document_tokens out of [truncation], or give the "
                "checkpoint a tokenizer.json."
            )
        self._tokenizer = tokenizer
        self._limits = limits
        self._scores_last = scores_last
        self._remove = remove
        self._lock = CopyableLock()
        self.token_types: dict[int, int] = {}

    def features_of(self, pairs: Sequence[LoadedPair]) -> dict[MediaKey, MediaFeature]:
        """Nothing: two segments of text carry no media."""
        return {}

    def encode(self, pairs: Sequence[LoadedPair], features: Features) -> list[EncodedGroup]:
        """One group a pair. Over-long ones are cut by the tokenizer's longest-first rule; where the
        sides have limits of their own, by those, then from the document's end.
        """
        if not pairs:
            return []
        queries, documents = self._segments(pairs)
        # The tokenizer keeps the rule of cutting on itself: another thread would cut by it, or not.
        with self._lock:
            full = self._tokenizer(
                queries, documents, padding=False, truncation=False, verbose=False
            )
            rows = [
                {name: full[name][row] for name in _FIELDS if name in full}
                for row in range(len(pairs))
            ]
            lengths = [len(fields["input_ids"]) for fields in rows]
            for row, length in enumerate(lengths):
                if self._limits.may_pass(length):
                    rows[row] = (
                        self._cut_sides(rows[row], full.sequence_ids(row))
                        if self._limits.has_sides
                        else self._cut(queries[row], documents[row])
                    )
        return [
            self._group(pair, fields, length)
            for pair, fields, length in zip(pairs, rows, lengths, strict=True)
        ]

    def prompt(self, pair: LoadedPair) -> str:
        """The two segments with the tokenizer's special tokens."""
        queries, documents = self._segments([pair])
        ids = self._tokenizer(queries[0], documents[0], verbose=False)["input_ids"]
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    def _cut(self, query: str, document: str) -> Any:
        return self._tokenizer(
            query,
            document,
            padding=False,
            truncation="longest_first",
            max_length=self._limits.prompt,
        )

    def _cut_sides(self, fields: dict[str, Any], owners: Sequence[int | None]) -> dict[str, Any]:
        """owners: for each token its segment, None for special ones."""
        query, document = (np.array([owner == side for owner in owners]) for side in (0, 1))
        keep = tokens_to_keep(Tokens(query, document, free=query | document), self._limits)
        return {name: np.asarray(values)[keep] for name, values in fields.items()}

    def _segments(self, pairs: Sequence[LoadedPair]) -> tuple[list[str], list[str]]:
        """Query and document texts; an instruction stands in front of the query, as in the peer."""
        pairs = [without_words(pair, self._remove) for pair in pairs]
        queries = [(pair.instruction or "") + plain_text(pair.query) for pair in pairs]
        return queries, [plain_text(pair.document) for pair in pairs]

    def _group(self, pair: LoadedPair, fields: Any, num_full: int) -> EncodedGroup:
        ids = np.asarray(fields["input_ids"], dtype=np.int64)
        if len(ids) == 0:
            raise InputError("query and document are both empty: there is nothing to score")
        types = fields.get("token_type_ids")
        return EncodedGroup(
            token_ids=ids,
            score_at=(len(ids) - 1 if self._scores_last else 0,),
            indices=(pair.index,),
            token_type_ids=None if types is None else np.asarray(types, dtype=np.int64),
            num_truncated=num_full - len(ids),
        )
