"""Stage 2 of the walk: documents with sources → documents with decoded media."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias

from mmrerank.errors import MediaError
from mmrerank.media.arrays import digest_of, to_numpy
from mmrerank.media.cache import MediaCache, OncePerKey
from mmrerank.media.decode import (
    decode_array,
    decode_bytes,
    decode_object,
    digest_decoded,
    options_of,
)
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.source import Source, read_source, source_of
from mmrerank.types import (
    Audio,
    DecodeBudget,
    Document,
    Image,
    LoadedDocument,
    LoadedMedia,
    MediaKey,
    Part,
    Text,
    Video,
)

__all__ = ["load_documents"]

Medium: TypeAlias = Image | Audio | Video

_MAX_THREADS = 8


def load_documents(
    documents: Sequence[Document],
    budget: DecodeBudget,
    policy: MediaPolicy,
    *,
    names: Sequence[str],
    cache: MediaCache | None = None,
) -> list[LoadedDocument | MediaError]:
    """Read and decode the media of documents, in a pool of threads.

    names: what error messages call each document, e.g. "documents[3]"; as long as `documents`.
    Returns one entry a document, in order: the whole document, or the error of its first bad part.
    Two parts with the same source, or with the same content, share one LoadedMedia.
    """
    loader = _Loader(budget, policy, MediaCache(0) if cache is None else cache)
    distinct = {
        identity_of(part): part
        for document in documents
        for part in document
        if not isinstance(part, Text)
    }
    loaded = dict(zip(distinct, loader.load_all(list(distinct.values())), strict=True))
    return [
        _assemble(document, name, loaded) for document, name in zip(documents, names, strict=True)
    ]


def identity_of(part: Medium) -> Hashable:
    """Equal for two parts that are the same thing for the length of one call."""
    source = part.source
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    named: Hashable = source if isinstance(source, str) else id(source)
    if isinstance(part, Image):
        return ("image", named, part.page)
    if isinstance(part, Audio):
        return ("audio", named, part.sampling_rate)
    return ("video", named, id(part.metadata) if part.metadata is not None else None)


def _assemble(
    document: Document, name: str, loaded: dict[Hashable, LoadedMedia | MediaError]
) -> LoadedDocument | MediaError:
    parts: list[Text | LoadedMedia] = []
    for part in document:
        if isinstance(part, Text):
            parts.append(part)
            continue
        found = loaded[identity_of(part)]
        if isinstance(found, MediaError):
            error = type(found)(f"{name}.{_place_of(part, document)}: {found}")
            error.__cause__ = found.__cause__
            return error
        parts.append(found)
    return LoadedDocument(tuple(parts))


def _place_of(part: Medium, document: Document) -> str:
    """ "image", or "image[1]" where the document has several."""
    same: list[Part] = [other for other in document if other.modality == part.modality]
    if len(same) == 1:
        return part.modality
    return f"{part.modality}[{next(i for i, other in enumerate(same) if other is part)}]"


@dataclass(frozen=True, slots=True)
class _Loader:
    """The settings of one call and the media it has in hand."""

    budget: DecodeBudget
    policy: MediaPolicy
    cache: MediaCache
    in_hand: OncePerKey = field(default_factory=OncePerKey)

    def load_all(self, parts: Sequence[Medium]) -> list[LoadedMedia | MediaError]:
        """Each part decoded, or its error; in order."""
        if len(parts) < 2:
            return [self._load(part) for part in parts]
        with ThreadPoolExecutor(min(_MAX_THREADS, len(parts)), "mmrerank-media") as pool:
            return list(pool.map(self._load, parts))

    def _load(self, part: Medium) -> LoadedMedia | MediaError:
        shown = ""
        try:
            source = source_of(part.source)
            shown = f"{source.shown}: "
            return self._load_source(part, source)
        except MediaError as error:
            named = type(error)(f"{shown}{error}")
            named.__cause__ = error.__cause__
            return named

    def _load_source(self, part: Medium, source: Source) -> LoadedMedia:
        budget, policy = self.budget, self.policy
        if source.has_bytes:
            data = read_source(source, policy)
            key = self._key(part, digest_of(data, options_of(part)))
            return self._keep(
                key, lambda: LoadedMedia(key, decode_bytes(part, data, budget, policy))
            )
        if source.kind == "array":
            array = to_numpy(source.value)
            key = self._key(part, digest_of(array, options_of(part)))
            return self._keep(
                key, lambda: LoadedMedia(key, decode_array(part, array, budget, policy))
            )
        # Pictures, decoders and frames have no bytes to hash: what comes out of them is the
        # content.
        media = decode_object(part, source, budget, policy)
        key = self._key(part, digest_decoded(media))
        return self._keep(key, lambda: LoadedMedia(key, media))

    def _key(self, part: Medium, digest: str) -> MediaKey:
        return MediaKey(part.modality, digest, self.budget)

    def _keep(self, key: MediaKey, make: Callable[[], LoadedMedia]) -> LoadedMedia:
        return self.in_hand.get_or_make(key, lambda: self.cache.get_or_make(key, make))
