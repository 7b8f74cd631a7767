"""Stage 2: media that are decoded, and the name that each goes by from there on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from mmrerank.errors import SpecError
from mmrerank.types.documents import Modality, Text

__all__ = [
    "DecodeBudget",
    "DecodedAudio",
    "DecodedImage",
    "DecodedMedia",
    "DecodedVideo",
    "DocumentError",
    "LoadedDocument",
    "LoadedMedia",
    "LoadedPair",
    "MediaKey",
]


@dataclass(frozen=True, slots=True)
class DecodeBudget:
    """What of a sound or clip is worth decoding for the model at hand; part of every MediaKey.

    Number of frames = seconds of the clip · fps, within [min_frames, max_frames], at most the
    clip's own, floored to `frame_multiple`; they lie evenly from the first to the last.

    transparency: what a see-through picture is laid over; "drop" keeps the colours below it, as
    pillow's convert("RGB") does. sound_of_video: the sound track of a clip follows it as a part of
    its own. fast: pictures and frames may be shrunk while they are decoded, down to no less than
    `max_image_pixels` or `max_frame_pixels` (None = not shrunk): quicker, and not exactly equal.
    """

    sampling_rate_hz: int = 16_000
    max_audio_s: float = 30.0
    fps: float = 1.0
    min_frames: int = 2
    max_frames: int = 64
    frame_multiple: int = 2
    pdf_page_px: int = 1_024  # longer side of a rendered PDF page
    transparency: Literal["white", "black", "drop"] = "white"
    sound_of_video: bool = False
    fast: bool = False
    max_image_pixels: int | None = None
    max_frame_pixels: int | None = None

    def __post_init__(self) -> None:
        positive = ("sampling_rate_hz", "max_audio_s", "fps", "max_frames", "frame_multiple")
        for name in (*positive, "pdf_page_px"):
            if not getattr(self, name) > 0:
                raise SpecError(f"{name}={getattr(self, name)}: needs a number above 0")
        if self.transparency not in ("white", "black", "drop"):
            raise SpecError(f"transparency={self.transparency!r}: allowed are white, black, drop")
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
    """pixels: (height, width, 3) uint8 RGB, upright.

    full_size: (height, width) of a picture that was shrunk while it was decoded.
    """

    pixels: np.ndarray
    full_size: tuple[int, int] | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the decoded picture holds."""
        return int(self.pixels.nbytes)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedAudio:
    """samples: (num_samples,) float32 in about [-1, 1], one channel, at `sampling_rate_hz`.

    cut_s: seconds of the sound behind the budget's `max_audio_s`, which the model does not hear.
    """

    samples: np.ndarray
    sampling_rate_hz: int
    cut_s: float = 0.0

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
