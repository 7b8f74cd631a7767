"""Stage 1: what users hand in, read but not opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from mmrerank.errors import InputError, shorten

__all__ = ["MODALITIES", "Audio", "Document", "Image", "Modality", "Pair", "Part", "Text", "Video"]

Modality: TypeAlias = Literal["text", "image", "audio", "video"]
MODALITIES: tuple[Modality, ...] = ("text", "image", "audio", "video")


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A piece of text, taken as it is, even when it looks like a path or a URL."""

    modality: ClassVar[Modality] = "text"
    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InputError(f"Text(...) takes a string, got {shorten(self.text)}.")

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
