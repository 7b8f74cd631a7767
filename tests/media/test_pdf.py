"""Pages of a PDF as pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mmrerank.errors import MediaNotFound, MediaUnreadable
from mmrerank.media.pdf import decode_pdf_page
from mmrerank.types import DecodeBudget
from tests.media.making import pdf_bytes

BUDGET = DecodeBudget(pdf_page_px=200)


def test_page_is_rendered_with_its_longer_side_as_asked():
    two_pages = pdf_bytes((100, 50), (30, 60))
    assert decode_pdf_page(two_pages, 1, BUDGET).pixels.shape == (100, 200, 3)
    assert decode_pdf_page(two_pages, 2, BUDGET).pixels.shape == (200, 100, 3)
    assert decode_pdf_page(two_pages, 1, BUDGET).pixels[50, 100].tolist() == pytest.approx(
        [200, 30, 30], abs=3
    )


def test_only_page_needs_no_number():
    assert decode_pdf_page(pdf_bytes((10, 10)), None, BUDGET).pixels.shape == (200, 200, 3)


def test_several_pages_need_a_number():
    with pytest.raises(MediaUnreadable, match=r"has 2 pages; name the one.*page=1"):
        decode_pdf_page(pdf_bytes((10, 10), (10, 10)), None, BUDGET)


def test_page_out_of_range_names_the_number_of_pages():
    with pytest.raises(MediaNotFound, match="page 3 of a PDF with 2 pages"):
        decode_pdf_page(pdf_bytes((10, 10), (10, 10)), 3, BUDGET)


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.7\ngarbage" * 9, b"no pdf"])
def test_broken_pdf_is_unreadable(data):
    with pytest.raises(MediaUnreadable):
        decode_pdf_page(data, 1, BUDGET)


def test_many_threads_render_the_same_page():
    data = pdf_bytes((100, 50))
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda _: decode_pdf_page(data, 1, BUDGET).pixels, range(32)))
    assert all((page == pages[0]).all() for page in pages)
    assert len(pages) == 32
