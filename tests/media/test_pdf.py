"""Pages of a PDF as pictures."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmrerank.errors import MediaNotFound, MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy, pdf
from mmrerank.media.pdf import decode_pdf_page
from mmrerank.media.pdf_child import read_answer
from mmrerank.types import DecodeBudget
from tests.media.making import pdf_bytes

BUDGET = DecodeBudget(pdf_page_px=200)
POLICY = MediaPolicy()


def test_page_is_rendered_with_its_longer_side_as_asked():
    two_pages = pdf_bytes((100, 50), (30, 60))
    assert decode_pdf_page(two_pages, 1, BUDGET, POLICY).pixels.shape == (100, 200, 3)
    assert decode_pdf_page(two_pages, 2, BUDGET, POLICY).pixels.shape == (200, 100, 3)
    assert decode_pdf_page(two_pages, 1, BUDGET, POLICY).pixels[50, 100].tolist() == pytest.approx(
        [200, 30, 30], abs=3
    )


def test_only_page_needs_no_number():
    assert decode_pdf_page(pdf_bytes((10, 10)), None, BUDGET, POLICY).pixels.shape == (200, 200, 3)


def test_several_pages_need_a_number():
    with pytest.raises(MediaUnreadable, match=r"has 2 pages; name the one.*page=1"):
        decode_pdf_page(pdf_bytes((10, 10), (10, 10)), None, BUDGET, POLICY)


def test_page_out_of_range_names_the_number_of_pages():
    with pytest.raises(MediaNotFound, match="page 3 of a PDF with 2 pages"):
        decode_pdf_page(pdf_bytes((10, 10), (10, 10)), 3, BUDGET, POLICY)


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.7\ngarbage" * 9, b"no pdf"])
def test_broken_pdf_is_unreadable(data):
    with pytest.raises(MediaUnreadable):
        decode_pdf_page(data, 1, BUDGET, POLICY)


def test_many_threads_render_the_same_page():
    data = pdf_bytes((100, 50))
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda _: decode_pdf_page(data, 1, BUDGET, POLICY).pixels, range(32)))
    assert all((page == pages[0]).all() for page in pages)
    assert len(pages) == 32


def test_page_zero_is_not_there():
    with pytest.raises(MediaNotFound, match="count from 1"):
        decode_pdf_page(pdf_bytes((10, 10)), 0, BUDGET, POLICY)


def test_more_pages_than_the_policy_allows_are_refused():
    with pytest.raises(MediaTooLarge, match="has 2 pages, the policy allows 1"):
        decode_pdf_page(pdf_bytes((10, 10), (10, 10)), 1, BUDGET, MediaPolicy(max_pages=1))


def test_pixels_of_a_page_keep_the_policy():
    with pytest.raises(MediaTooLarge, match="200x200 px is 40,000 pixels"):
        decode_pdf_page(pdf_bytes((10, 10)), 1, BUDGET, MediaPolicy(max_pixels=39_999))


def pdf_that_draws(content, size=(100, 100)):
    """A PDF of one page with these drawing commands."""
    box = f"[0 0 {size[0]} {size[1]}]".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox" + box + b"/Contents 4 0 R/Resources<<>>>>",
        b"<</Length %d>>stream\n" % len(content) + content + b"\nendstream",
    ]
    data, places = b"%PDF-1.7\n", []
    for number, words in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n" % number + words + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    table = b"xref\n0 5\n0000000000 65535 f \n" + table
    return data + table + b"trailer<</Root 1 0 R/Size 5>>\nstartxref\n%d\n%%%%EOF" % len(data)


@pytest.mark.parametrize(
    ("size", "shape"),
    [((14_400, 1), (1, 200, 3)), ((1, 14_400), (200, 1, 3)), ((0.01, 0.01), (200, 200, 3))],
)
def test_absurd_proportions_stay_within_the_longer_side(size, shape):
    assert decode_pdf_page(pdf_that_draws(b"", size), 1, BUDGET, POLICY).pixels.shape == shape


def test_page_that_draws_for_ever_is_stopped_and_the_next_one_is_drawn(monkeypatch):
    monkeypatch.setattr(pdf, "MAX_RENDER_S", 1.0)
    strokes = b"".join(b"0 %d m 100 %d l 90 w 1 J S\n" % (i % 97, i % 89) for i in range(300_000))
    with pytest.raises(MediaTooLarge, match="more than 1 s to draw"):
        decode_pdf_page(pdf_that_draws(strokes), 1, BUDGET, POLICY)
    monkeypatch.undo()
    assert decode_pdf_page(pdf_bytes((10, 10)), 1, BUDGET, POLICY).pixels.shape == (200, 200, 3)


def test_reader_that_crashes_costs_its_page_only(monkeypatch):
    decode_pdf_page(pdf_bytes((10, 10)), 1, BUDGET, POLICY)
    process = pdf._RENDERER._process
    assert process is not None
    process.kill()
    process.wait()
    with monkeypatch.context() as patch:  # it dies between the question and the answer
        patch.setattr(pdf._RENDERER, "_is_running", lambda: True)
        with pytest.raises(MediaUnreadable, match="ended its reader"):
            decode_pdf_page(pdf_bytes((10, 10)), 1, BUDGET, POLICY)
    assert decode_pdf_page(pdf_bytes((10, 10)), 1, BUDGET, POLICY).pixels.shape == (200, 200, 3)


def test_pages_are_rendered_in_this_process_where_no_other_can_be_started(monkeypatch, caplog):
    renderer = pdf._Renderer()
    monkeypatch.setattr(pdf, "_RENDERER", renderer)
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    for _ in range(2):
        pixels = decode_pdf_page(pdf_bytes((10, 10)), 1, BUDGET, POLICY).pixels
        assert pixels.shape == (200, 200, 3)
    assert caplog.text.count("no process can be started") == 1


@pytest.mark.parametrize("kind", [b"E", b"P"])
def test_answer_that_breaks_off_is_the_end_of_the_reader(kind):
    pipe = io.BytesIO(struct.pack("<cqq", kind, 100, 100) + b"some")
    with pytest.raises(EOFError):
        read_answer(pipe)
