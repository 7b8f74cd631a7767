"""Stage 2 of the walk: documents with sources → documents with decoded media."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias

from mmrerank.errors import MediaError, MediaUnreadable
from mmrerank.media.arrays import digest_of, to_numpy
from mmrerank.media.cache import MediaCache, OncePerKey
from mmrerank.media.decode import (
    decode_array,
    decode_bytes,
    decode_object,
    decode_sound_track,
    digest_decoded,
    options_of,
)
from mmrerank.media.encoded import Reading, digest_encoded
from mmrerank.media.guard import decoder_errors
from mmrerank.media.memo import SourceMemo
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.source import source_of
from mmrerank.types import (
    Audio,
    DecodeBudget,
    DecodedMedia,
    Document,
    Image,
    LoadedDocument,
    LoadedMedia,
    MediaKey,
    Modality,
    Part,
    Text,
    Video,
)

__all__ = ["load_documents"]

Medium: TypeAlias = Image | Audio | Video
Found: TypeAlias = tuple[LoadedMedia, ...] | MediaError

_MAX_THREADS = 8


def load_documents(
    documents: Sequence[Document],
    budget: DecodeBudget,
    policy: MediaPolicy,
    *,
    names: Sequence[str],
    cache: MediaCache | None = None,
    memo: SourceMemo | None = None,
) -> list[LoadedDocument | MediaError]:
    """Read and decode the media of documents, in a pool of threads.

    names: what error messages call each document, e.g. "documents[3]"; as long as `documents`.
    memo: shared by the calls of this function that load one user's call.
    Returns one entry a document, in order: the whole document, or the error of its first bad part.
    With `budget.sound_of_video` the sound of a clip that has one follows the clip as a part.
    Two parts with the same source, or with the same content, share one LoadedMedia.
    """
    loader = _Loader(
        budget, policy, MediaCache(0) if cache is None else cache, memo or SourceMemo()
    )
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
    """Equal for two parts that are the same thing while their objects live."""
    source = part.source
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    named: Hashable = source if isinstance(source, str) else id(source)
    if isinstance(source, (list, tuple)):
        named = tuple(frame if isinstance(frame, str) else id(frame) for frame in source)
    if isinstance(part, Video):
        return ("video", named, id(part.metadata) if part.metadata is not None else None)
    return (part.modality, named, options_of(part))


def _objects_of(part: Medium) -> tuple[object, ...]:
    """What `identity_of` names by its address."""
    source = part.source
    frames = source if isinstance(source, (list, tuple)) else [source]
    named = [frame for frame in frames if not isinstance(frame, (str, os.PathLike))]
    metadata = part.metadata if isinstance(part, Video) else None
    return tuple(named) if metadata is None else (*named, metadata)


def _assemble(
    document: Document, name: str, loaded: dict[Hashable, Found]
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
        parts += found
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
    memo: SourceMemo
    in_hand: OncePerKey = field(default_factory=OncePerKey)

    def load_all(self, parts: Sequence[Medium]) -> list[Found]:
        """Each part decoded, or its error; in order."""
        if len(parts) < 2:
            return [self._load(part) for part in parts]
        with ThreadPoolExecutor(min(_MAX_THREADS, len(parts)), "mmrerank-media") as pool:
            return list(pool.map(self._load, parts))

    def _load(self, part: Medium) -> Found:
        """A part's medium; of a clip also its sound, where the budget wants it and it has one."""
        with Reading(part, self.policy) as reading:
            found = self._remember(part, "", lambda: self._load_part(part, reading))
            if isinstance(found, MediaError):
                return found
            if not (isinstance(part, Video) and self.budget.sound_of_video):
                return (found,)
            sound = self._remember(part, "sound", lambda: self._load_sound(reading))
        if isinstance(sound, MediaError):
            return (found,) if isinstance(sound, _NoSound) else sound
        return (found, sound)

    def _remember(
        self, part: Medium, of_it: str, load: Callable[[], LoadedMedia]
    ) -> LoadedMedia | MediaError:
        identity = (of_it, identity_of(part))
        return self.memo.get_or_load(
            identity, _objects_of(part), self.cache, lambda: _named_errors(part, load)
        )

    def _load_part(self, part: Medium, reading: Reading) -> LoadedMedia:
        budget, policy, source = self.budget, self.policy, reading.source
        if source.has_bytes:
            data = reading.data
            key = self._key(part.modality, digest_encoded(data, options_of(part)))
            return self._keep(key, lambda: decode_bytes(part, data, budget, policy))
        if source.kind == "array":
            array = to_numpy(source.value, policy)
            key = self._key(part.modality, digest_of(array, options_of(part)))
            return self._keep(key, lambda: decode_array(part, array, budget, policy))
        # Pictures, decoders and frames have no bytes to hash: what comes out of them is the
        # content.
        media = decode_object(part, source, budget, policy)
        return self._keep(self._key(part.modality, digest_decoded(media)), lambda: media)

    def _load_sound(self, reading: Reading) -> LoadedMedia:
        """The sound of a clip, named as an Audio of the same bytes is."""
        if not reading.source.has_bytes:
            raise _NoSound("frames without a file have no sound.")
        data = reading.data

        def decode() -> DecodedMedia:
            sound = decode_sound_track(data, self.budget, self.policy)
            if sound is None:
                raise _NoSound("the clip has no sound.")
            return sound

        return self._keep(self._key("audio", digest_encoded(data, options_of(Audio(b"")))), decode)

    def _key(self, modality: Modality, digest: str) -> MediaKey:
        return MediaKey(modality, digest, self.budget)

    def _keep(self, key: MediaKey, decode: Callable[[], DecodedMedia]) -> LoadedMedia:
        def make() -> LoadedMedia:
            return LoadedMedia(key, decode())

        return self.in_hand.get_or_make(key, lambda: self.cache.get_or_make(key, make))


class _NoSound(MediaUnreadable):
    """A clip without a sound track, which is no error."""


def _named_errors(part: Medium, load: Callable[[], LoadedMedia]) -> LoadedMedia | MediaError:
    """What `load` gives, or its error with the name of the source before it."""
    shown = ""
    try:
        shown = f"{source_of(part.source).shown}: "
        with decoder_errors("it cannot be read"):  # the caller's objects may raise anything
            return load()
    except MediaError as error:
        named = type(error)(f"{shown}{error}")
        named.__cause__ = error.__cause__
        return named
