"""Pairs through a chat template: rendered, media expanded, tokenised, shortened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from mmrerank.prompting.clean import without_words
from mmrerank.prompting.expand import Expander, Features, Prompt
from mmrerank.prompting.features import MediaFeature, Preparer
from mmrerank.prompting.template import ChatTemplateProcessor, Role, plain_text
from mmrerank.prompting.tokenise import PromptTokenizer
from mmrerank.prompting.truncate import Limits, Tokens, tokens_to_keep
from mmrerank.types import (
    EncodedGroup,
    LoadedDocument,
    LoadedMedia,
    LoadedPair,
    MediaKey,
    MediaSpan,
    Text,
)

__all__ = ["ChatEncoder"]


@dataclass(frozen=True, slots=True)
class _Marked:
    """A pair with its expanded prompt; `mark` cuts that into pieces, "" where there are none.

    num_cut: tokens that its query has lost already.
    """

    pair: LoadedPair
    prompt: Prompt
    mark: str
    num_cut: int = 0

    def piece(self, start: int, end: int) -> tuple[int, int]:
        """Characters of the pieces in which [start, end) stands; without pieces, just these."""
        if not self.mark:
            return start, end
        text = self.prompt.text
        after = text.find(self.mark, end)
        before = text.rfind(self.mark, 0, start)
        return before + len(self.mark) if before >= 0 else 0, after if after >= 0 else len(text)


class ChatEncoder:
    """Chat template, media expanded, scored at the last token."""

    def __init__(
        self,
        template: ChatTemplateProcessor,
        tokenizer: Any,
        media: Preparer | None,
        limits: Limits,
    ) -> None:
        self._template = template
        self._tokenizer = PromptTokenizer(
            tokenizer, template.template, has_processor=media is not None
        )
        self._media = media
        self._limits = limits
        self._has_decoder = template.template.tokenize == "decoder"
        self.token_types: dict[int, int] = media.token_types if media else {}
        self._expander = Expander(
            media.placeholders if media else {},
            reserved=tokenizer.convert_ids_to_tokens(list(self.token_types)),
        )
        self._placeholder_ids = np.array(sorted(self.token_types), dtype=np.int64)

    def features_of(self, pairs: Sequence[LoadedPair]) -> dict[MediaKey, MediaFeature]:
        """Prepare each distinct medium of these pairs once."""
        found: dict[MediaKey, MediaFeature] = {}
        for pair in pairs:
            for part in (*pair.query.parts, *pair.document.parts):
                if isinstance(part, LoadedMedia) and part.key not in found:
                    assert self._media is not None, "media were refused before"
                    found[part.key] = self._media.prepare(part)
        return found

    def encode(self, pairs: Sequence[LoadedPair], features: Features) -> list[EncodedGroup]:
        """One group a pair. Raises InputError when a text contains a placeholder of the model."""
        if not pairs:
            return []
        shortened = [self._with_short_query(pair) for pair in self._cleaned(pairs)]
        pairs = [pair for pair, _ in shortened]
        self._template.warn_of_lost_instruction(pairs)
        mark = self._template.free_mark(pairs)
        prompts = [
            self._expander.expand(text, self._media_of(pair), features)
            for text, pair in zip(self._template.render(pairs, mark), pairs, strict=True)
        ]
        rows = self._tokenizer.ids([prompt.text for prompt in prompts], mark)
        return [
            self._group(_Marked(pair, prompt, mark, num_cut), row, features)
            for (pair, num_cut), prompt, row in zip(shortened, prompts, rows, strict=True)
        ]

    def prompt(self, pair: LoadedPair) -> str:
        """The rendered prompt; a medium stands as one placeholder."""
        return self._template.render(self._cleaned([pair]))[0] + self._tokenizer.suffix_text()

    def _cleaned(self, pairs: Sequence[LoadedPair]) -> list[LoadedPair]:
        return [without_words(pair, self._template.template.remove) for pair in pairs]

    def _with_short_query(self, pair: LoadedPair) -> tuple[LoadedPair, int]:
        """The pair with as much of its query as may be, and how many tokens that has lost."""
        if self._limits.query_text is None:
            return pair, 0
        text = plain_text(pair.query)
        kept, num_cut = self._tokenizer.beginning(text, self._limits.query_text)
        if num_cut == 0:
            return pair, 0
        return replace(pair, query=LoadedDocument((Text(kept),))), num_cut

    def _media_of(self, pair: LoadedPair) -> list[MediaKey]:
        """Keys of the pair's media, the side that the prompt shows first in front."""
        self._expander.refuse_placeholders(pair)
        sides = (pair.query, pair.document)
        ordered = sides[::-1] if self._template.is_document_first else sides
        return [
            part.key for side in ordered for part in side.parts if isinstance(part, LoadedMedia)
        ]

    def _group(
        self, marked: _Marked, pieces: Sequence[Sequence[int]], features: Features
    ) -> EncodedGroup:
        ids = np.fromiter(chain.from_iterable(pieces), dtype=np.int64)
        num_full = len(ids)
        decoder_at = len(pieces[0]) if self._has_decoder else None
        if self._limits.may_pass(num_full):
            tokens = self._places(marked, ids, features)
            if decoder_at is not None:
                tokens = _only_of_encoder(tokens, decoder_at)
            keep = tokens_to_keep(tokens, self._limits)
            ids = ids[keep]
            decoder_at = None if decoder_at is None else int(keep[:decoder_at].sum())
        return EncodedGroup(
            token_ids=ids,
            score_at=(len(ids) - 1,),
            indices=(marked.pair.index,),
            media=self._spans(ids, marked.prompt.keys, features),
            num_truncated=num_full - len(ids) + marked.num_cut,
            decoder_at=decoder_at,
        )

    def _places(self, marked: _Marked, ids: np.ndarray, features: Features) -> Tokens:
        """Which tokens are whose; special ones and all of a medium's are not free to go."""
        pair, prompt = marked.pair, marked.prompt
        offsets = self._tokenizer.offsets(prompt.text, marked.mark)
        start, end = offsets[:, 0], offsets[:, 1]
        is_free, is_special = np.zeros(len(ids), dtype=bool), self._tokenizer.is_special(ids)
        of_side: dict[Role, np.ndarray] = {}
        last = 0
        sides: dict[Role, LoadedDocument] = {"query": pair.query, "document": pair.document}
        for role, side in sides.items():
            first, behind = self._range(marked, role, features)
            inside = (start >= first) & (end <= behind) & (end > start)
            if any(isinstance(part, LoadedMedia) for part in side.parts):
                # Without media only the user's words stand here, also where they look like
                # special tokens.
                inside &= ~is_special
            is_free |= inside
            first, own_end = marked.piece(first, behind)
            of_side[role] = (start < own_end) & (end > first) & (end > start)
            last = max(last, behind)
        for first, behind in prompt.ranges:
            is_free &= (start >= behind) | (end <= first)
        reached = np.flatnonzero((start < last) & (end > start))
        num_behind = len(ids) - 1 - int(reached[-1]) if len(reached) else 0
        return Tokens(of_side["query"], of_side["document"], is_free, num_behind)

    def _range(self, marked: _Marked, role: Role, features: Features) -> tuple[int, int]:
        """Characters [start, end) of the query or the document in the expanded prompt."""
        pair = marked.pair
        before, after = self._template.around(pair, role, marked.mark)
        side, other = pair.query, pair.document
        if role == "document":
            side, other = other, side
        # The other side's media stand all before or all after this side, and so do its own ones
        # where the template sets them apart.
        parts = (*other.parts, *(side.parts if self._template.sets_media_apart else ()))
        keys = [part.key for part in parts if isinstance(part, LoadedMedia)]
        ends = [self._expander.expand(text, keys, features).text for text in (before, after)]
        return len(ends[0]), len(marked.prompt.text) - len(ends[1])

    def _spans(
        self, ids: np.ndarray, keys: Sequence[MediaKey], features: Features
    ) -> tuple[MediaSpan, ...]:
        """Each medium owns the next num_tokens placeholder tokens, and what is between them."""
        if not keys:
            return ()
        positions = np.flatnonzero(np.isin(ids, self._placeholder_ids))
        spans = []
        taken = 0
        for key in keys:
            length = features[key].num_tokens
            own = positions[taken : taken + length]
            spans.append(MediaSpan(start=int(own[0]), length=int(own[-1] - own[0] + 1), key=key))
            taken += length
        assert taken == len(positions), (
            "the prompt holds other placeholder tokens than its media own"
        )
        return tuple(spans)


def _only_of_encoder(tokens: Tokens, decoder_at: int) -> Tokens:
    """The same where only the encoder's tokens may be cut, and all others stand behind them."""
    is_encoders = np.arange(len(tokens.free)) < decoder_at
    num_behind = len(tokens.free) - decoder_at
    return replace(tokens, free=tokens.free & is_encoders, num_behind=num_behind)
