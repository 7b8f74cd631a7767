"""Stage 2 of the walk: pairs are refused or opened, a handful at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mmrerank.errors import InputError, UnsupportedModality, shorten
from mmrerank.media import MediaCache, MediaPolicy, SourceMemo, load_documents
from mmrerank.pipeline.options import CallOptions, Names
from mmrerank.specs import ResolvedSpec
from mmrerank.types import (
    Document,
    DocumentError,
    LoadedDocument,
    LoadedPair,
    Modality,
    Pair,
    Text,
)

__all__ = ["MEDIA_WEIGHT", "PairLoader", "handfuls", "weight_of"]


_MAX_TEXT_PAIRS = 32
MEDIA_WEIGHT = 8  # of a pair with media, in pairs of text


def handfuls(
    pairs: Iterable[Pair | DocumentError], max_pairs: int
) -> Iterator[list[Pair | DocumentError]]:
    """What is loaded and encoded at once: some pairs of text, or one pair with media.

    One, because its decoded media are let go as soon as they are prepared for the model.
    """
    texts: list[Pair | DocumentError] = []
    for pair in pairs:
        if isinstance(pair, Pair) and _has_media(pair):
            if texts:
                yield texts
                texts = []
            yield [pair]
            continue
        texts.append(pair)
        if len(texts) >= min(_MAX_TEXT_PAIRS, max_pairs):
            yield texts
            texts = []
    if texts:
        yield texts


def weight_of(handful: Sequence[Pair | DocumentError]) -> int:
    """How much of what may be prepared ahead a handful takes."""
    has_media = any(isinstance(pair, Pair) and _has_media(pair) for pair in handful)
    return MEDIA_WEIGHT if has_media else len(handful)


def _has_media(pair: Pair) -> bool:
    return any(not isinstance(part, Text) for side in (pair.query, pair.document) for part in side)


class PairLoader:
    """Opens the media of pairs under a policy, decoded for one model's budget."""

    def __init__(self, spec: ResolvedSpec, policy: MediaPolicy, *, max_cache_bytes: int) -> None:
        self._spec = spec
        self._policy = policy
        self._cache = MediaCache(max_cache_bytes)

    def load(
        self, pairs: Sequence[Pair | DocumentError], options: CallOptions, memo: SourceMemo
    ) -> list[LoadedPair | DocumentError]:
        """Stage 2 for a handful of pairs: refuse what the model cannot take, then open the rest.

        memo: what the call has seen so far.
        """
        results: dict[int, LoadedPair | DocumentError] = {}
        takeable = []
        for pair in pairs:
            if isinstance(pair, DocumentError):
                results[pair.index] = pair
                continue
            refused = self._refusals(pair, options.names(pair))
            if any(refused):
                results[pair.index] = _record(pair.index, refused, options)
            else:
                takeable.append(pair)
        for pair, sides in zip(
            takeable, self._load_sides(takeable, options.names, memo), strict=True
        ):
            failed = tuple(side if isinstance(side, Exception) else None for side in sides)
            if any(failed):
                results[pair.index] = _record(pair.index, failed, options)
            else:
                results[pair.index] = LoadedPair(pair.index, *sides, pair.instruction)
        return [results[pair.index] for pair in pairs]

    def _load_sides(
        self, pairs: Sequence[Pair], names: Names, memo: SourceMemo
    ) -> list[tuple[Any, Any]]:
        """Query and document of each pair, decoded; an exception in the place of a side that
        failed.
        """
        sides = [side for pair in pairs for side in (pair.query, pair.document)]
        if all(isinstance(part, Text) for side in sides for part in side.parts):
            plain = [LoadedDocument(side.parts) for side in sides]  # type: ignore[arg-type]
            return list(zip(plain[::2], plain[1::2], strict=True))
        labels = [name for pair in pairs for name in names(pair)]
        loaded = load_documents(
            sides,
            self._spec.budget.decoding,
            self._policy,
            names=labels,
            cache=self._cache,
            memo=memo,
        )
        return list(zip(loaded[::2], loaded[1::2], strict=True))

    def _refusals(self, pair: Pair, names: tuple[str, str]) -> tuple[Exception | None, ...]:
        """Why this model cannot take the query, the document; asked before anything is opened."""
        given = Document((*pair.query.parts, Text(pair.instruction or "")))
        spec = self._spec
        takes = (spec.query_modalities, spec.document_modalities)
        return tuple(
            self._refusal(side, name, allowed or spec.modalities)
            for name, side, allowed in zip(names, (given, pair.document), takes, strict=True)
        )

    def _refusal(
        self, side: Document, name: str, allowed: tuple[Modality, ...]
    ) -> InputError | None:
        for part in side.parts:
            if isinstance(part, Text) and not _is_unicode(part.text):
                return InputError(
                    f"{name}: the text {shorten(part.text)} holds half a character (a lone "
                    "surrogate), as bytes that are no UTF-8 leave behind. Decode it anew."
                )
        for modality in side.modalities:
            if modality not in self._spec.modalities:
                return UnsupportedModality(
                    f"{name} holds {modality}, {self._spec.name} takes "
                    f"{', '.join(self._spec.modalities)}. Use a model that takes it, or wrap a "
                    "text that looks like a file in mmrerank.Text(...)."
                )
            if modality not in allowed:
                return UnsupportedModality(
                    f"{name} holds {modality}, {self._spec.name} takes {', '.join(allowed)} in its "
                    "place and nothing else: its prompt asks about that alone. Give that, or use "
                    "a model that takes both."
                )
        return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _record(
    index: int, errors: tuple[Exception | None, ...], options: CallOptions
) -> DocumentError:
    """Raise the first error of (query, document), or put it in the pair's place."""
    error = next(error for error in errors if error is not None)
    if options.on_error == "raise" or (options.query_must_load and error is errors[0]):
        raise error
    return DocumentError(index, error)
