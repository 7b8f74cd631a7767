"""Loaded pairs and their media features become token ids with spans and a scoring position."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mmrerank.errors import InputError, shorten
from mmrerank.locks import CopyableLock
from mmrerank.prompting.features import MediaFeature, MediaPreparer
from mmrerank.prompting.template import ChatTemplateProcessor, Role, plain_text
from mmrerank.prompting.truncate import tokens_to_keep
from mmrerank.specs import ResolvedSpec
from mmrerank.types import (
    EncodedGroup,
    LoadedMedia,
    LoadedPair,
    MediaKey,
    MediaSpan,
    Text,
)

__all__ = ["ChatEncoder", "PairEncoder", "SegmentEncoder", "build_encoder"]

Features = Mapping[MediaKey, MediaFeature]


class PairEncoder(Protocol):
    """Stage 4 of the walk. token_types: placeholder id -> 1 image, 2 video, 3 audio; {} for text
    models.
    """

    token_types: dict[int, int]

    def features_of(self, pairs: Sequence[LoadedPair]) -> dict[MediaKey, MediaFeature]:
        """Prepare each distinct medium of these pairs."""

    def encode(self, pairs: Sequence[LoadedPair], features: Features) -> list[EncodedGroup]:
        """One group a pair, in order."""

    def prompt(self, pair: LoadedPair) -> str:
        """The prompt as text, for people to read."""


def build_encoder(
    spec: ResolvedSpec, tokenizer: Any, processor: Any, *, scores_last: bool
) -> PairEncoder:
    """The encoder for the spec's kind of template; `processor` is the media processor or the
    tokenizer itself. scores_last: of two segments, score at the last token instead of the first.

    Raises SpecError when a chat template does not carry both query and document.
    """
    max_length = _max_length(spec, tokenizer)
    if spec.template.kind == "tokenizer-pair":
        return SegmentEncoder(tokenizer, max_length, scores_last=scores_last)
    template = ChatTemplateProcessor(spec.template, tokenizer.special_tokens_map)
    template.check_roles(spec.name)
    media = None if processor is tokenizer else MediaPreparer(processor, spec.budget)
    return ChatEncoder(template, tokenizer, media, max_length)


def _max_length(spec: ResolvedSpec, tokenizer: Any) -> int | None:
    """The spec's limit, else the tokenizer's, which writes "none" as a huge number."""
    limit = spec.truncation.max_length or int(tokenizer.model_max_length)
    return limit if limit < 10**9 else None


class SegmentEncoder:
    """Two segments as the tokenizer joins them, as BERT-like models want it.

    scores_last: score at the last token (causal models) instead of the first.
    """

    def __init__(self, tokenizer: Any, max_length: int | None, *, scores_last: bool) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._scores_last = scores_last
        self._lock = CopyableLock()
        self.token_types: dict[int, int] = {}

    def features_of(self, pairs: Sequence[LoadedPair]) -> dict[MediaKey, MediaFeature]:
        """Nothing: two segments of text carry no media."""
        return {}

    def encode(self, pairs: Sequence[LoadedPair], features: Features) -> list[EncodedGroup]:
        """One group a pair; over-long ones are cut by the tokenizer's longest-first rule."""
        if not pairs:
            return []
        queries, documents = _segments(pairs)
        # The tokenizer keeps the rule of cutting on itself: another thread would cut by it, or not.
        with self._lock:
            full = self._tokenizer(
                queries, documents, padding=False, truncation=False, verbose=False
            )
            rows = [
                {name: full[name][row] for name in ("input_ids", "token_type_ids") if name in full}
                for row in range(len(pairs))
            ]
            lengths = [len(fields["input_ids"]) for fields in rows]
            for row, length in enumerate(lengths):
                if self._max_length is not None and length > self._max_length:
                    rows[row] = self._cut(queries[row], documents[row])
        return [
            self._group(pair, fields, length)
            for pair, fields, length in zip(pairs, rows, lengths, strict=True)
        ]

    def prompt(self, pair: LoadedPair) -> str:
        """The two segments with the tokenizer's special tokens."""
        queries, documents = _segments([pair])
        ids = self._tokenizer(queries[0], documents[0])["input_ids"]
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    def _cut(self, query: str, document: str) -> Any:
        return self._tokenizer(
            query, document, padding=False, truncation="longest_first", max_length=self._max_length
        )

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


def _segments(pairs: Sequence[LoadedPair]) -> tuple[list[str], list[str]]:
    """Query and document texts; an instruction stands in front of the query, as in the peer."""
    queries = [(pair.instruction or "") + plain_text(pair.query) for pair in pairs]
    return queries, [plain_text(pair.document) for pair in pairs]


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A rendered prompt with its media expanded.

    keys: the media in the order of the prompt; ranges: the characters [start, end) of each.
    """

    text: str
    keys: tuple[MediaKey, ...]
    ranges: tuple[tuple[int, int], ...]


class ChatEncoder:
    """Chat template, media expanded, tokenised as one string, scored at the last token."""

    def __init__(
        self,
        template: ChatTemplateProcessor,
        tokenizer: Any,
        media: MediaPreparer | None,
        max_length: int | None,
    ) -> None:
        self._template = template
        self._tokenizer = tokenizer
        self._media = media
        self._max_length = max_length
        self._modality_of = {
            token: modality for modality, token in (media.placeholders if media else {}).items()
        }
        self._placeholder = re.compile("|".join(map(re.escape, self._modality_of)) or r"(?!)")
        self.token_types: dict[int, int] = media.token_types if media else {}
        self._placeholder_ids = np.array(sorted(self.token_types), dtype=np.int64)
        # A multimodal processor lets the tokenizer add its special tokens, a bare tokenizer never
        # does.
        self._adds_special_tokens = media is not None
        self._lock = CopyableLock()

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
        prompts = [
            self._expand(text, self._media_of(pair), features)
            for text, pair in zip(self._template.render(pairs), pairs, strict=True)
        ]
        rows = self._tokenize([prompt.text for prompt in prompts])
        return [
            self._group(pair, prompt, row, features)
            for pair, prompt, row in zip(pairs, prompts, rows, strict=True)
        ]

    def prompt(self, pair: LoadedPair) -> str:
        """The rendered prompt; a medium stands as one placeholder."""
        return self._template.render([pair])[0]

    def _media_of(self, pair: LoadedPair) -> list[MediaKey]:
        """Keys of the pair's media, the side that the prompt shows first in front."""
        sides = (pair.query, pair.document)
        ordered = sides[::-1] if self._template.is_document_first else sides
        self._refuse_placeholders(pair)
        return [
            part.key for side in ordered for part in side.parts if isinstance(part, LoadedMedia)
        ]

    def _refuse_placeholders(self, pair: LoadedPair) -> None:
        if not self._modality_of:
            return
        sides = {
            "query": pair.query.parts,
            "document": pair.document.parts,
            "instruction": (Text(pair.instruction or ""),),
        }
        for role, parts in sides.items():
            for part in parts:
                if isinstance(part, Text) and (found := self._placeholder.search(part.text)):
                    raise InputError(
                        f"the text {shorten(part.text)} of the {role} contains "
                        f"{found.group()!r}, which stands for a medium in this model's prompts. "
                        "Take it out of the text."
                    )

    def _expand(self, rendered: str, keys: Sequence[MediaKey], features: Features) -> _Prompt:
        """Put each medium's tokens in place of its placeholder.

        A template may put one modality before another; within a modality it keeps the order.
        """
        waiting = {
            modality: [key for key in keys if key.modality == modality]
            for modality in self._modality_of.values()
        }
        pieces: list[str] = []
        order: list[MediaKey] = []
        ranges: list[tuple[int, int]] = []
        position = last = 0
        for match in self._placeholder.finditer(rendered):
            order.append(waiting[self._modality_of[match.group()]].pop(0))
            expansion = features[order[-1]].expansion
            start = position + match.start() - last
            pieces += [rendered[last : match.start()], expansion]
            ranges.append((start, start + len(expansion)))
            position, last = start + len(expansion), match.end()
        return _Prompt("".join([*pieces, rendered[last:]]), tuple(order), tuple(ranges))

    def _tokenize(self, prompts: Sequence[str], **options: Any) -> Any:
        bos = self._tokenizer.bos_token
        adds = self._adds_special_tokens and not (bos and prompts[0].startswith(bos))
        with self._lock:
            output = self._tokenizer(
                list(prompts),
                add_special_tokens=adds,
                padding=False,
                truncation=False,
                verbose=False,
                **options,
            )
        return output if options else output["input_ids"]

    def _group(
        self, pair: LoadedPair, prompt: _Prompt, row: Sequence[int], features: Features
    ) -> EncodedGroup:
        ids = np.asarray(row, dtype=np.int64)
        num_full = len(ids)
        if self._max_length is not None and num_full > self._max_length:
            ids = ids[self._keep(pair, prompt, ids, features)]
        return EncodedGroup(
            token_ids=ids,
            score_at=(len(ids) - 1,),
            indices=(pair.index,),
            media=self._spans(ids, prompt.keys, features),
            num_truncated=num_full - len(ids),
        )

    def _keep(
        self, pair: LoadedPair, prompt: _Prompt, ids: np.ndarray, features: Features
    ) -> np.ndarray:
        """Which tokens of an over-long prompt stay: special ones and all of a medium's always."""
        tokenised = self._tokenize([prompt.text], return_offsets_mapping=True)
        offsets = np.asarray(tokenised["offset_mapping"][0])
        document = self._side(pair, "document", prompt, features)
        query = self._side(pair, "query", prompt, features)
        is_protected = self._is_special(ids)
        for (start, end), side in ((document, pair.document), (query, pair.query)):
            if not any(isinstance(part, LoadedMedia) for part in side.parts):
                # Only the user's words stand here, also where they look like special tokens.
                is_protected &= (offsets[:, 0] < start) | (offsets[:, 1] > end)
        for start, end in prompt.ranges:
            is_protected |= (offsets[:, 0] < end) & (offsets[:, 1] > start)
        assert self._max_length is not None
        return tokens_to_keep(offsets, is_protected, document, query, self._max_length)

    def _is_special(self, ids: np.ndarray) -> np.ndarray:
        special = [*self._tokenizer.all_special_ids, *self._tokenizer.added_tokens_decoder]
        return np.isin(ids, np.asarray(special))

    def _side(
        self, pair: LoadedPair, role: Role, prompt: _Prompt, features: Features
    ) -> tuple[int, int]:
        """Characters [start, end) of the query or the document in the expanded prompt."""
        before, after = self._template.around(pair, role)
        other = pair.document if role == "query" else pair.query
        # The other side's media stand all before or all after this side.
        keys = [part.key for part in other.parts if isinstance(part, LoadedMedia)]
        expanded = [self._expand(text, keys, features).text for text in (before, after)]
        return len(expanded[0]), len(prompt.text) - len(expanded[1])

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
