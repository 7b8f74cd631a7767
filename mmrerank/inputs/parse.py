"""Any object that stands for a query or a document → `Document`. Nothing is opened or fetched.

One exception to "nothing is read": of a file object that the caller has opened, the first bytes
are looked at (and the position is put back), because nothing else tells a picture from a sound.
"""

from __future__ import annotations

from typing import Any

from mmrerank.inputs._containers import parts_of
from mmrerank.inputs._scalars import Place, part_of_string
from mmrerank.types import Document

__all__ = ["parse_document"]


def parse_document(value: Any, *, where: str = "document", takes_media: bool = True) -> Document:
    """Read one query or document in any accepted form.

    where:       its name in error messages, e.g. "documents[3]".
    takes_media: whether the model takes more than text; when it does not, a bare URL without a
                 known
                 extension is text and no question.
    Raises InputError (or a subclass) that says where, what was found and what to do.

    >>> [part.modality for part in parse_document({"text": "Q3 revenue", "image": "chart.png"})]
    ['text', 'image']
    """
    if isinstance(value, Document):
        return value
    place = Place(where, takes_media)
    if type(value) is str:  # the common case first: a call may hold 100,000 of these
        return Document((part_of_string(value, place),))
    return Document(tuple(parts_of(value, place)))
