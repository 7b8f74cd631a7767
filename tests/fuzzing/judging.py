"""What may come of a case, and what is a defect."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmrerank.errors import MediaError, MMRerankError
from mmrerank.media import MediaPolicy, load_documents
from mmrerank.types import (
    DecodedAudio,
    DecodedImage,
    DecodedMedia,
    DecodedVideo,
    LoadedDocument,
    LoadedMedia,
)
from tests.fuzzing.cases import Case, budget_of, document_of
from tests.fuzzing.crafted import CRAFTED

__all__ = ["Found", "judge_load", "judge_score"]

MAX_MESSAGE_CHARS = 2_000
_NAME = "documents[0]"
# What Python says of our own mistakes; it tells a user nothing.
_INSIDES = (
    *(
        "site-packages",
        " object at 0x",
        "object has no attribute",
        "NoneType",
        "unsupported operand",
    ),
    *("keyword argument", "positional argument", "to unpack", "local variable", "out of range"),
    *("out of bounds", "could not be broadcast", "not subscriptable", "Traceback", "KeyError"),
)


@dataclass(slots=True)
class Found:
    """What one case came to. result: "value", or the name of an error's class.

    num_calls: that were made; bounds of time hold for one.
    """

    result: str
    message: str = ""
    defects: list[str] = field(default_factory=list)
    num_calls: int = 1


def judge_load(case: Case, folder: Path, policy: MediaPolicy) -> Callable[[], Found]:
    """The case made ready; calling the result loads it and judges what came."""
    document = document_of(case, folder)

    def run() -> Found:
        try:
            (loaded,) = load_documents([document], budget_of(case), policy, names=[_NAME])
        except Exception as error:
            return Found(type(error).__name__, str(error), [f"raised {error!r}"[:2_000]])
        if isinstance(loaded, LoadedDocument):
            defects = [
                defect
                for part in loaded.parts
                if isinstance(part, LoadedMedia)
                for defect in defects_of_media(part.media)
            ]
            return checked(case, Found("value", defects=defects))
        return checked(case, Found(type(loaded).__name__, str(loaded), defects_of_error(loaded)))

    return run


def judge_score(case: Case, folder: Path, model: Any) -> Callable[[], Found]:
    """As judge_load, through `rank` and `predict` of a whole model."""
    document = document_of(case, folder)
    beside = "a plain text"

    def run() -> Found:
        try:
            ranking = model.rank("a query", [document, beside], on_error="record")
            scores, details = model.predict(
                [("a query", document)], on_error="record", return_details=True
            )
        except Exception as error:
            return Found(type(error).__name__, str(error), [f"raised {error!r}"[:2_000]])
        entries = {entry["corpus_id"]: entry for entry in ranking}
        said = entries[0].get("error")
        found = Found("value") if said is None else Found(said.partition(":")[0], said)
        found.num_calls = 2
        if not math.isfinite(entries[1]["score"]):
            found.defects.append("the healthy document beside it lost its score")
        if (said is None) != math.isfinite(entries[0]["score"]):
            found.defects.append(f"score {entries[0]['score']} beside error {said!r}")
        if (said is None) != math.isfinite(scores[0]) or (said is None) != (
            details[0].error is None
        ):
            found.defects.append(f"rank and predict disagree: {said!r}, {details[0].error!r}")
        if said is not None:
            found.defects += defects_of_message(said)
            if _NAME not in said:
                found.defects.append("the message does not name the document")
        # What loads may still be too thin or too short for the model's own processor.
        return checked(case, found, accepts_refusal=case.mutation == "crafted")

    return run


def checked(case: Case, found: Found, *, accepts_refusal: bool = False) -> Found:
    """With the defect that a healthy or crafted file did not come to what it must."""
    expected = "value" if case.mutation == "none" else "either"
    if case.mutation == "crafted":
        expected = CRAFTED[case.fixture].expected
    if expected == "value" and accepts_refusal:
        return found
    got = "value" if found.result == "value" else "error"
    if expected not in ("either", got):
        found.defects.append(f"expected {expected}, got {found.result}: {found.message}")
    return found


def defects_of_error(error: BaseException) -> list[str]:
    """What is wrong with an error that stands in a document's place."""
    if not isinstance(error, MMRerankError):
        return [f"foreign error {error!r}"[:2_000]]
    defects = defects_of_message(str(error))
    if not isinstance(error, MediaError):
        defects.append(f"no MediaError but {type(error).__name__}")
    if not str(error).startswith(f"{_NAME}."):
        defects.append("the message does not start with document and part")
    return defects


def defects_of_message(message: str) -> list[str]:
    defects = []
    if len(message) > MAX_MESSAGE_CHARS:
        defects.append(f"a message of {len(message):,} characters")
    if "\n" in message or not message.isprintable():
        defects.append("the message has control characters or lines")
    if inside := [words for words in _INSIDES if words in message]:
        defects.append(f"the message shows our insides ({inside[0]}): {message}")
    if re.search(r": \d+\.?$", message):
        defects.append(f"the message gives a number as reason: {message}")
    return defects


def defects_of_media(media: DecodedMedia) -> list[str]:
    """Whether a decoded medium keeps what its class promises."""
    if isinstance(media, DecodedAudio):
        samples = media.samples
        is_right = samples.ndim == 1 and samples.size > 0 and samples.dtype == np.float32
        return [] if is_right and np.isfinite(samples).all() else [f"odd sound {samples!r}"[:500]]
    if isinstance(media, DecodedImage):
        return _defects_of_pixels(media.pixels, 3)
    assert isinstance(media, DecodedVideo)
    defects = _defects_of_pixels(media.frames, 4)
    if len(media.frame_indices) != len(media.frames):
        defects.append(f"{len(media.frame_indices)} indices of {len(media.frames)} frames")
    if not (math.isfinite(media.fps) and media.fps > 0):
        defects.append(f"{media.fps} frames a second")
    if any(not 0 <= index < media.total_num_frames for index in media.frame_indices):
        defects.append(f"indices {media.frame_indices} of {media.total_num_frames} frames")
    return defects


def _defects_of_pixels(pixels: np.ndarray, ndim: int) -> list[str]:
    is_right = pixels.ndim == ndim and pixels.dtype == np.uint8 and pixels.shape[-1] == 3
    return [] if is_right and pixels.size > 0 else [f"odd pixels {pixels.shape} {pixels.dtype}"]
