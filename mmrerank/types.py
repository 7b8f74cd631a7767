"""The values that cross a border between two stages of the walk (docs/architecture.md).

Nothing here opens a file or imports torch. What only one stage uses stays with that stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from mmrerank.errors import InputError, SpecError

__all__ = [
    "MODALITIES",
    "Audio",
    "DecodeBudget",
    "DecodedAudio",
    "DecodedImage",
    "DecodedMedia",
    "DecodedVideo",
    "Document",
    "DocumentError",
    "EncodedGroup",
    "Image",
    "LoadedDocument",
    "LoadedMedia",
    "LoadedPair",
    "MediaKey",
    "MediaSpan",
    "Modality",
    "Pair",
    "Part",
    "Score",
    "Text",
    "Usage",
    "Video",
]

Modality: TypeAlias = Literal["text", "image", "audio", "video"]
MODALITIES: tuple[Modality, ...] = ("text", "image", "audio", "video")


# ---------------------------------------------------------------- 1 · what users hand in


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A piece of text, taken as it is, even when it looks like a path or a URL."""

    modality: ClassVar[Modality] = "text"
    text: str

    @property
    def value(self) -> Any:
        """The piece as `Document.to_dict` writes it."""
        return self.text


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A picture: path, URL, data URI, bytes, file object, PIL image or array (HWC or CHW, uint8 or
    float).

    page: a page of the PDF in `source`, counted from 1; None for a picture.
    """

    modality: ClassVar[Modality] = "image"
    source: Any
    page: int | None = None

    @property
    def value(self) -> Any:
        """The picture as `Document.to_dict` writes it."""
        return self.source if self.page is None else {"pdf": self.source, "page": self.page}


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """A sound: path, URL, data URI, bytes, file object, decoder or array (samples,) or (channels,
    samples).

    sampling_rate: in Hz, needed to resample an array; None = the model's own rate.
    """

    modality: ClassVar[Modality] = "audio"
    source: Any
    sampling_rate: int | None = None

    @property
    def value(self) -> Any:
        """The sound as `Document.to_dict` writes it."""
        if self.sampling_rate is None:
            return self.source
        return {"array": self.source, "sampling_rate": self.sampling_rate}


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A clip: path, URL, data URI, bytes, file object, decoder, list of frames or 4-D array of
    frames.

    metadata: for arrays; `fps`, `frames_indices`, `total_num_frames`, `duration`, as transformers
    names them.
    """

    modality: ClassVar[Modality] = "video"
    source: Any
    metadata: Mapping[str, Any] | None = None

    @property
    def value(self) -> Any:
        """The clip as `Document.to_dict` writes it."""
        if self.metadata is None:
            return self.source
        return {"array": self.source, "video_metadata": dict(self.metadata)}


Part: TypeAlias = Text | Image | Audio | Video
_PART_TYPES: dict[str, type[Part]] = {"text": Text, "image": Image, "audio": Audio, "video": Video}


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One query or document: its parts in the user's order. Reading it opens nothing."""

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.parts, tuple):
            object.__setattr__(self, "parts", tuple(self.parts))
        for part in self.parts:
            if not isinstance(part, (Text, Image, Audio, Video)):
                raise InputError(
                    f"Document parts are Text, Image, Audio or Video, got {type(part).__name__}. "
                    "To read any other object use mmrerank.inputs.parse_document."
                )

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Each kind of part once, in the order of MODALITIES."""
        present = {part.modality for part in self.parts}
        return tuple(modality for modality in MODALITIES if modality in present)

    def to_dict(self) -> dict[str, Any]:
        """The unified input dict: one key a modality, a list where there are several parts of it.

        Parts that alternate (text, image, text) do not fit one key each: they are written as
        {"content": [{"type": "text", "text": …}, {"type": "image", "image": …}, …]}, so no order is
        lost.
        """
        grouped: dict[str, list[Any]] = {}
        for part in self.parts:
            grouped.setdefault(part.modality, []).append(part.value)
        order = [part.modality for part in self.parts]
        if order != [modality for modality, values in grouped.items() for _ in values]:
            return {"content": [{"type": p.modality, p.modality: p.value} for p in self.parts]}
        return {
            # A clip may be a list of frames: alone it is written as a list of one clip.
            modality: values if len(values) > 1 or isinstance(values[0], list) else values[0]
            for modality, values in grouped.items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Document:
        """Read back what `to_dict` wrote. For anything looser use `mmrerank.inputs.parse_document`.

        Raises InputError for a key that is no modality.
        """
        if set(data) == {"content"}:
            items = [(item["type"], item[item["type"]]) for item in data["content"]]
        else:
            items = [
                (modality, value)
                for modality, values in data.items()
                for value in (values if isinstance(values, list) else [values])
            ]
        return cls(tuple(_part_of(modality, value) for modality, value in items))


def _part_of(modality: str, value: Any) -> Part:
    if modality not in _PART_TYPES:
        raise InputError(
            f"unknown key {modality!r} in a document dict; known keys: {', '.join(_PART_TYPES)}"
        )
    if modality == "text":
        return Text(value)
    if isinstance(value, Mapping):
        if modality == "image" and "pdf" in value:
            return Image(value["pdf"], page=value["page"])
        if modality == "audio" and "array" in value:
            return Audio(value["array"], sampling_rate=value["sampling_rate"])
        if modality == "video" and "array" in value:
            return Video(value["array"], metadata=value["video_metadata"])
    return _PART_TYPES[modality](value)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A query and a document to be scored together, and where they stood in the call."""

    index: int
    query: Document
    document: Document
    instruction: str | None = None


# ---------------------------------------------------------------- 2 · decoded media


@dataclass(frozen=True, slots=True)
class DecodeBudget:
    """What of a sound or clip is worth decoding for the model at hand; part of every MediaKey.

    Number of frames = seconds of the clip · fps, within [min_frames, max_frames], at most the
    clip's own, floored to `frame_multiple`; they lie evenly from the first to the last.
    """

    sampling_rate_hz: int = 16_000
    max_audio_s: float = 30.0
    fps: float = 1.0
    min_frames: int = 2
    max_frames: int = 64
    frame_multiple: int = 2
    pdf_page_px: int = 1_024  # longer side of a rendered PDF page

    def __post_init__(self) -> None:
        positive = ("sampling_rate_hz", "max_audio_s", "fps", "max_frames", "frame_multiple")
        for name in (*positive, "pdf_page_px"):
            if not getattr(self, name) > 0:
                raise SpecError(f"{name}={getattr(self, name)}: needs a number above 0")
        if not 0 <= self.min_frames <= self.max_frames:
            raise SpecError(
                f"min_frames={self.min_frames} and max_frames={self.max_frames}: "
                "need 0 <= min_frames <= max_frames"
            )


@dataclass(frozen=True, slots=True)
class MediaKey:
    """Names one decoded medium everywhere downstream: kind, hash of its content, decode budget."""

    modality: Modality
    digest: str
    budget: DecodeBudget


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """pixels: (height, width, 3) uint8 RGB, upright."""

    pixels: np.ndarray

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the decoded picture holds."""
        return int(self.pixels.nbytes)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedAudio:
    """samples: (num_samples,) float32 in about [-1, 1], one channel, at `sampling_rate_hz`."""

    samples: np.ndarray
    sampling_rate_hz: int

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the decoded sound holds."""
        return int(self.samples.nbytes)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedVideo:
    """frames: (num_frames, height, width, 3) uint8 RGB, the sampled ones only.

    fps and total_num_frames are those of the clip as stored; frame_indices (num_frames,) say which
    were taken.
    """

    frames: np.ndarray
    fps: float
    frame_indices: tuple[int, ...]
    total_num_frames: int

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the decoded frames hold."""
        return int(self.frames.nbytes)


DecodedMedia: TypeAlias = DecodedImage | DecodedAudio | DecodedVideo


@dataclass(frozen=True, slots=True, eq=False)
class LoadedMedia:
    """A decoded medium and its name; two documents with the same picture share one object."""

    key: MediaKey
    media: DecodedMedia

    @property
    def modality(self) -> Modality:
        """Kind of medium."""
        return self.key.modality


@dataclass(frozen=True, slots=True, eq=False)
class LoadedDocument:
    """A document whose media are decoded; the parts keep the user's order."""

    parts: tuple[Text | LoadedMedia, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPair:
    """A pair whose media are decoded; index as in `Pair`."""

    index: int
    query: LoadedDocument
    document: LoadedDocument
    instruction: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DocumentError:
    """Takes a pair's place in the results when one of its parts could not be had."""

    index: int
    error: Exception

    @property
    def message(self) -> str:
        """The error in one line."""
        return f"{type(self.error).__name__}: {self.error}"


# ---------------------------------------------------------------- 4 · encoded prompts


@dataclass(frozen=True, slots=True)
class MediaSpan:
    """Tokens [start, start + length) of a prompt stand for the medium named by `key`."""

    start: int
    length: int
    key: MediaKey


@dataclass(frozen=True, slots=True, eq=False)
class EncodedGroup:
    """One prompt, ready for the model. A pair scorer has one document in it, a listwise model
    several.

    token_ids: (num_tokens,) int64. token_type_ids: the same shape, or None where the tokenizer
    makes none.
    media:     spans in the order of the prompt.
    score_at:  for each document the position that its score is read from.
    indices:   for each document the index of its pair in the call; as long as score_at.
    """

    token_ids: np.ndarray
    score_at: tuple[int, ...]
    indices: tuple[int, ...]
    media: tuple[MediaSpan, ...] = ()
    token_type_ids: np.ndarray | None = None
    num_truncated: int = 0  # tokens of the document that were cut off

    @property
    def num_tokens(self) -> int:
        """Length of the prompt in tokens."""
        return int(self.token_ids.shape[0])


# ---------------------------------------------------------------- 9 · results


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost. num_truncated counts documents, the others tokens and pairs."""

    num_pairs: int = 0
    num_tokens: int = 0
    num_truncated: int = 0
    num_errors: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.num_pairs + other.num_pairs,
            self.num_tokens + other.num_tokens,
            self.num_truncated + other.num_truncated,
            self.num_errors + other.num_errors,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """The result for one pair.

    logits: (num_labels,) float32 before the activation. value: after it, a float or (num_labels,)
    float32.
    """

    index: int
    logits: np.ndarray
    value: np.ndarray
    num_tokens: int
    num_truncated: int = 0
    timings_s: Mapping[str, float] = field(default_factory=dict)
