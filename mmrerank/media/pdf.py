"""A page of a PDF → a picture."""

from __future__ import annotations

import threading

import numpy as np

from mmrerank.errors import MediaNotFound, MediaUnreadable
from mmrerank.media.guard import decoder_errors
from mmrerank.types import DecodeBudget, DecodedImage

__all__ = ["decode_pdf_page"]

# pdfium keeps global state: two threads in it crash the process.
_PDFIUM = threading.Lock()


def decode_pdf_page(data: bytes, page: int | None, budget: DecodeBudget) -> DecodedImage:
    """Render a page, counted from 1; its longer side gets `budget.pdf_page_px` pixels.

    page: None only for a PDF of one page. Raises MediaNotFound for a page that is not there,
    MediaUnreadable for a file that is broken or locked with a password.
    """
    import pypdfium2

    with decoder_errors("no PDF that can be read"), _PDFIUM:
        document = pypdfium2.PdfDocument(data)
        try:
            return DecodedImage(
                _render(document, _index_of(page, len(document)), budget.pdf_page_px)
            )
        finally:
            document.close()


def _index_of(page: int | None, num_pages: int) -> int:
    if num_pages == 0:
        raise MediaUnreadable("the PDF has no pages.")
    if page is None and num_pages > 1:
        raise MediaUnreadable(
            f"the PDF has {num_pages} pages; name the one to score: "
            'mmrerank.Image(source, page=1) or {"pdf": source, "page": 1}.'
        )
    number = page or 1
    if number > num_pages:
        raise MediaNotFound(
            f"page {number} of a PDF with {num_pages} page{'s' if num_pages > 1 else ''}."
        )
    return number - 1


def _render(document: object, index: int, longer_side_px: int) -> np.ndarray:
    page = document[index]  # type: ignore[index]  # pypdfium2 has no types
    width, height = page.get_size()
    if not (width > 0 and height > 0):
        raise MediaUnreadable(f"page {index + 1} has no area.")
    bitmap = page.render(scale=longer_side_px / max(width, height), rev_byteorder=True)
    pixels = bitmap.to_numpy()  # (height, width, 3 or 4 or 1), rounded up to whole pixels
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]
    # A copy: the bitmap's memory goes with the document.
    return np.array(pixels[:longer_side_px, :longer_side_px], dtype=np.uint8)
