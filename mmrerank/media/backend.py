"""Which library decodes sound and video here: torchcodec where it loads, PyAV where not."""

from __future__ import annotations

import functools
import logging
from typing import Literal

__all__ = ["decoder_backend"]

logger = logging.getLogger(__name__)


@functools.cache
def decoder_backend() -> Literal["torchcodec", "pyav"]:
    """The decoder at hand, asked once. torchcodec needs the system's FFmpeg, PyAV has its own."""
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: no FFmpeg library fits
        reason = str(error).strip().splitlines()[:1]
        logger.info(
            "torchcodec does not load (%s); PyAV decodes sound and video", *(reason or [""])
        )
        return "pyav"
    return "torchcodec"
