"""Opens picture files with pillow: the formats of `inputs.sniff` and no other, without warnings."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from mmrerank.errors import MediaTooLarge, MediaUnreadable
from mmrerank.inputs.sniff import HEAD_BYTES, sniff_format
from mmrerank.media.guard import decoder_errors

__all__ = ["open_picture", "pillow_at_work"]

logger = logging.getLogger(__name__)

# The classes themselves, not Image.open: that would ask every plugin (EPS starts Ghostscript), and
# hold pictures against a global of pillow instead of the policy.
_CLASSES: dict[str, type[ImageFile.ImageFile]] = {
    "avif": AvifImagePlugin.AvifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "jp2": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}


def open_picture(data: bytes) -> ImageFile.ImageFile:
    """A picture whose header is read and whose pixels are not. Call it within `pillow_at_work`.

    Raises MediaUnreadable for bytes of no known picture format, and pillow's own errors.
    """
    name = sniff_format(data[:HEAD_BYTES])
    if name == "heic":
        raise MediaUnreadable("HEIC pictures are not decoded here; save it as JPEG or PNG.")
    if name not in _CLASSES:
        raise MediaUnreadable("its bytes are no picture of a known format.")
    return _CLASSES[name](io.BytesIO(data))


@contextmanager
def pillow_at_work(trouble: str) -> Iterator[None]:
    """Errors of pillow within it become MediaError, its warnings lines of the log."""
    token = _is_at_work.set(True)
    try:
        with decoder_errors(trouble):
            try:
                yield
            except Image.DecompressionBombError as error:  # of a GIF's frame or a TIFF's tile
                raise MediaTooLarge(
                    f"{error} Shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS, which some formats "
                    "keep besides MediaPolicy(max_pixels=...)."
                ) from error
    finally:
        _is_at_work.reset(token)


_is_at_work: ContextVar[bool] = ContextVar("pillow_is_at_work", default=False)


class _PillowWarnings:
    """What pillow's modules find under the name `warnings`: the module, but silent at our work.

    A damaged tag must not end a decoding where warnings are errors. `warnings.catch_warnings` is no
    way to that: it changes a list that all threads share, and two that leave it in the wrong order
    leave the user's filters changed for good.
    """

    def warn(
        self,
        message: Any,
        category: type[Warning] = UserWarning,
        stacklevel: int = 1,
        **options: Any,
    ) -> None:
        if _is_at_work.get():
            logger.debug("pillow: %s", message)
        else:
            warnings.warn(message, category, stacklevel + 1, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)


for _module in (Image, PngImagePlugin, TiffImagePlugin):
    _module.warnings = _PillowWarnings()  # type: ignore[attr-defined]
