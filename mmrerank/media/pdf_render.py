"""A page of a PDF → pixels, by pdfium in this process; see pdf.py for the process around it."""

from __future__ import annotations

import math

import numpy as np

from mmrerank.errors import MediaNotFound, MediaTooLarge, MediaUnreadable
from mmrerank.media.guard import decoder_errors
from mmrerank.media.limits import check_decoded, check_pixels
from mmrerank.media.policy import MediaPolicy

__all__ = ["render_page"]


def render_page(
    data: bytes, page: int | None, longer_side_px: int, policy: MediaPolicy
) -> np.ndarray:
    """(height, width, 3) uint8 of a page. One call at a time: pdfium keeps global state.

    Raises MediaError.
    """
    import pypdfium2

    with decoder_errors("no PDF that can be read"):
        document = pypdfium2.PdfDocument(data)
        try:
            index = _index_of(page, len(document), policy)
            return _render(document, index, longer_side_px, policy)
        finally:
            document.close()


def _index_of(page: int | None, num_pages: int, policy: MediaPolicy) -> int:
    if num_pages == 0:
        raise MediaUnreadable("the PDF has no pages.")
    if num_pages > policy.max_pages:
        raise MediaTooLarge(
            f"the PDF has {num_pages:,} pages, the policy allows {policy.max_pages:,}. Split it or "
            "pass MediaPolicy(max_pages=...)."
        )
    if page is None and num_pages > 1:
        raise MediaUnreadable(
            f"the PDF has {num_pages} pages; name the one to score: "
            'mmrerank.Image(source, page=1) or {"pdf": source, "page": 1}.'
        )
    number = 1 if page is None else page
    if not 1 <= number <= num_pages:
        raise MediaNotFound(
            f"page {number} of a PDF with {num_pages} page{'s' if num_pages > 1 else ''}; pages "
            "count from 1."
        )
    return number - 1


def _render(document: object, index: int, longer_side_px: int, policy: MediaPolicy) -> np.ndarray:
    page = document[index]  # type: ignore[index]  # pypdfium2 has no types
    sides = page.get_size()  # in points
    if not all(0 < side < math.inf for side in sides):
        raise MediaUnreadable(f"page {index + 1} has no area.")
    scale = longer_side_px / max(sides)
    # As pdfium rounds: whatever the proportions, no side is without a pixel or above the longer.
    width, height = (max(1, math.ceil(side * scale)) for side in sides)
    check_pixels(width, height, policy)
    check_decoded(width * height * 3, policy, f"a page of {width}x{height} px")
    bitmap = page.render(scale=scale, rev_byteorder=True)
    pixels = bitmap.to_numpy()  # (height, width, 3 or 4 or 1), rounded up to whole pixels
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]
    # A copy: the bitmap's memory goes with the document.
    return np.array(pixels[:longer_side_px, :longer_side_px], dtype=np.uint8)
