"""PDFs: pages of absurd shape, objects that hold themselves, pages without end."""

from __future__ import annotations

from functools import partial

from mmrerank.types import Image
from tests.fuzzing.crafted._kind import Crafted, Expected

__all__ = ["DOCUMENTS"]

_PAGE = "<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R /Resources {resources} >>"
_FORM = "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F 5 0 R >> >>"


def pdf_of(*objects: str) -> bytes:
    """A PDF of these objects, numbered from 1, the first its catalogue."""
    out, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    end += f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + end.encode()


def stream(content: str, entries: str = "<<") -> str:
    return f"{entries} /Length {len(content)} >>\nstream\n{content}\nendstream"


def one_page(
    *,
    box: str = "0 0 100 80",
    content: str = "1 0 0 rg 0 0 50 50 re f",
    resources: str = "<< >>",
    more: tuple[str, ...] = (),
    extra: str = "",
) -> bytes:
    page = _PAGE.format(box=box, resources=resources)[:-2] + extra + " >>"
    pages = "<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    return pdf_of("<< /Type /Catalog /Pages 2 0 R >>", pages, page, stream(content), *more)


def form_in_itself() -> bytes:
    form = stream("/F Do " * 100, _FORM)
    return one_page(content="/F Do", resources="<< /XObject << /F 5 0 R >> >>", more=(form,))


def picture_of(width: int, height: int) -> bytes:
    picture = stream(
        "x",
        f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} "
        "/ColorSpace /DeviceRGB /BitsPerComponent 8",
    )
    resources = "<< /XObject << /I 5 0 R >> >>"
    return one_page(content="100 0 0 80 0 0 cm /I Do", resources=resources, more=(picture,))


def pages_in_a_ring() -> bytes:
    pages = "<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 /Parent 2 0 R >>"
    return pdf_of("<< /Type /Catalog /Pages 2 0 R >>", pages)


def claims_pages(count: int) -> bytes:
    return one_page().replace(b"/Count 1", b"/Count %d" % count)


def nested(depth: int) -> bytes:
    return one_page(extra=f" /Annots {'[' * depth}{']' * depth}")


def _crafted(expected: Expected, make: partial[bytes], page: int = 1) -> Crafted:
    return Crafted(Image, make, expected, page)


DOCUMENTS: dict[str, Crafted] = {
    "pdf_14400x1": _crafted("either", partial(one_page, box="0 0 14400 1")),
    "pdf_1x14400": _crafted("either", partial(one_page, box="0 0 1 14400")),
    "pdf_1e9x1e9": _crafted("either", partial(one_page, box="0 0 1000000000 1000000000")),
    "pdf_0x0": _crafted("either", partial(one_page, box="0 0 0 0")),
    "pdf_box_of_words": _crafted("either", partial(one_page, box="/A (b) null true")),
    "pdf_user_unit": _crafted("either", partial(one_page, extra=" /UserUnit 1000000")),
    "pdf_turned_by_45": _crafted("either", partial(one_page, extra=" /Rotate 45")),
    "pdf_form_in_itself": _crafted("either", partial(form_in_itself)),
    "pdf_picture_of_65000x65000": _crafted("either", partial(picture_of, 65_000, 65_000)),
    "pdf_pages_in_a_ring": _crafted("error", partial(pages_in_a_ring)),
    "pdf_claims_a_billion_pages": _crafted("either", partial(claims_pages, 1_000_000_000)),
    "pdf_nested_5000_deep": _crafted("either", partial(nested, 5_000)),
    "pdf_100000_strokes": _crafted(
        "either", partial(one_page, content="0 0 m 99 79 l S " * 100_000)
    ),
    "pdf_states_never_restored": _crafted("either", partial(one_page, content="q " * 100_000)),
    "pdf_page_2_of_1": _crafted("error", partial(one_page), page=2),
    "pdf_page_0": _crafted("error", partial(one_page), page=0),
}
