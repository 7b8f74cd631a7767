"""A part and its source → the decoder that fits: from modality and kind to function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from mmrerank.errors import MediaError, MediaUnreadable
from mmrerank.inputs.recognise import decoder_modality
from mmrerank.inputs.sniff import HEAD_BYTES, sniff_bytes, sniff_format
from mmrerank.media.arrays import digest_of
from mmrerank.media.audio import (
    audio_from_array,
    audio_from_decoder,
    decode_audio,
    decode_sound_track,
)
from mmrerank.media.encoded import Encoded, head_of
from mmrerank.media.image import decode_image, image_from_array, image_from_pil
from mmrerank.media.limits import check_clip
from mmrerank.media.mp4 import check_sample_counts
from mmrerank.media.pdf import decode_pdf_page
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.sampling import GivenFrames
from mmrerank.media.source import Source, read_source, source_of
from mmrerank.media.video import (
    decode_video,
    video_from_array,
    video_from_decoder,
    video_from_frames,
)
from mmrerank.types import (
    Audio,
    DecodeBudget,
    DecodedAudio,
    DecodedImage,
    DecodedMedia,
    DecodedVideo,
    Image,
    Video,
)

__all__ = [
    "decode_array",
    "decode_bytes",
    "decode_object",
    "decode_sound_track",
    "digest_decoded",
    "options_of",
]

Medium: TypeAlias = Image | Audio | Video


def options_of(part: Medium) -> str:
    """What besides the content decides how a part decodes; it goes into the content's hash."""
    if isinstance(part, Image):
        return f"page {part.page}"
    if isinstance(part, Audio):
        return f"rate {part.sampling_rate}"
    return repr(GivenFrames.read(part.metadata))


def decode_bytes(
    part: Medium, data: Encoded, budget: DecodeBudget, policy: MediaPolicy
) -> DecodedMedia:
    """Decode a file's bytes as the modality of its part. Raises MediaError."""
    if isinstance(part, Image):
        assert isinstance(data, bytes)
        return _decode_picture(part, data, budget, policy)
    _check_stream(part, data)
    if isinstance(part, Audio):
        return decode_audio(data, budget, policy)
    return decode_video(data, budget, policy)


def _decode_picture(
    part: Image, data: bytes, budget: DecodeBudget, policy: MediaPolicy
) -> DecodedImage:
    kind = sniff_bytes(data[:HEAD_BYTES])
    if kind == "pdf":
        return decode_pdf_page(data, part.page, budget, policy)
    if part.page is not None:
        raise MediaUnreadable(f"page={part.page} is given, but it is no PDF.")
    if kind in ("audio", "video"):
        raise MediaUnreadable(
            f"it is no picture but {'a sound' if kind == 'audio' else 'a clip'}; wrap it in "
            f"mmrerank.{kind.capitalize()}(...)."
        )
    return decode_image(data, budget, policy)


def _check_stream(part: Audio | Video, data: Encoded) -> None:
    """What FFmpeg must not get: pictures, which it decodes while it looks, and lying indices."""
    head = head_of(data)
    name, kind = sniff_format(head), sniff_bytes(head)
    is_moving = isinstance(part, Video) and name in ("gif", "avif")
    if kind in ("image", "pdf") and not is_moving:
        what = "a PDF" if kind == "pdf" else f"a picture ({name})"
        raise MediaUnreadable(f"it is {what}, no {_WORDS[part.modality]}; wrap it in Image(...).")
    if name in ("mp4", "m4a"):
        check_sample_counts(data)


_WORDS = {"audio": "sound", "video": "clip"}


def decode_array(
    part: Medium, array: np.ndarray, budget: DecodeBudget, policy: MediaPolicy
) -> DecodedMedia:
    """Read an array as the modality of its part. Raises MediaError."""
    if isinstance(part, Image):
        return image_from_array(array, budget, policy)
    if isinstance(part, Audio):
        return audio_from_array(array, part.sampling_rate, budget, policy)
    return video_from_array(array, part.metadata, budget, policy)


def decode_object(
    part: Medium, source: Source, budget: DecodeBudget, policy: MediaPolicy
) -> DecodedMedia:
    """Read a PIL image, decoder or list of frames as its part's modality. Raises MediaError."""
    if isinstance(part, Image) and source.kind == "pil":
        return image_from_pil(source.value, budget, policy)
    if isinstance(part, Video) and source.kind == "frames":
        return _clip_of_frames(source.value, part, policy, budget)
    if source.kind == "decoder" and decoder_modality(source.value) == part.modality:
        if isinstance(part, Audio):
            return audio_from_decoder(source.value, budget, policy)
        return video_from_decoder(source.value, budget, policy)
    raise MediaUnreadable(f"it is no source of {part.modality}.")


def _clip_of_frames(
    frames: Sequence[Any], part: Video, policy: MediaPolicy, budget: DecodeBudget
) -> DecodedVideo:
    """Only the frames that are kept are opened."""
    given = GivenFrames.read(part.metadata)
    positions = given.positions(len(frames), budget)
    budget = replace(budget, max_image_pixels=budget.max_frame_pixels)
    decoded: dict[int, DecodedImage] = {}
    for position in sorted(set(positions)):
        decoded[position] = _frame(frames[position], position, budget, policy)
        height, width = decoded[position].pixels.shape[:2]
        check_clip((width, height), given.duration_s, len(positions), policy)
    return video_from_frames([decoded[p] for p in positions], positions, given, len(frames))


def _frame(value: Any, position: int, budget: DecodeBudget, policy: MediaPolicy) -> DecodedImage:
    try:
        source = source_of(value)
        if source.kind == "pil":
            return image_from_pil(value, budget, policy)
        if source.kind == "array":
            return image_from_array(value, budget, policy)
        if source.has_bytes:
            return decode_image(read_source(source, policy), budget, policy)
        raise MediaUnreadable(f"{source.shown} is no picture.")
    except MediaError as error:
        raise type(error)(f"frame {position}: {error}") from error


def digest_decoded(media: DecodedMedia) -> str:
    """A hash over decoded content, for sources that have no bytes of their own."""
    if isinstance(media, DecodedImage):
        return digest_of("pixels", media.pixels, media.full_size)
    if isinstance(media, DecodedAudio):
        return digest_of("samples", media.samples, media.sampling_rate_hz)
    return digest_of("frames", media.frames, media.fps, media.frame_indices, media.total_num_frames)
