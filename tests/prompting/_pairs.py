"""Pairs for the tests of this folder, parsed and decoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmrerank.inputs import parse_document
from mmrerank.media import MediaPolicy, load_documents
from mmrerank.types import DecodeBudget, LoadedDocument, LoadedPair

UNCLOSED_TEMPLATES = pytest.mark.filterwarnings(
    "ignore:unclosed file .*additional_chat_templates:ResourceWarning"
)
RED = Image.new("RGB", (64, 64), "red")
BLUE = Image.new("RGB", (96, 64), "blue")
CLIP = np.zeros((4, 64, 64, 3), dtype=np.uint8)


def pair(query: Any, document: Any, instruction: str | None = None) -> LoadedPair:
    """A pair with its media decoded for a model that takes what it is given."""
    loaded = load_documents(
        [parse_document(query), parse_document(document)],
        DecodeBudget(),
        MediaPolicy.local(),
        names=["query", "document"],
    )
    sides = [side for side in loaded if isinstance(side, LoadedDocument)]
    assert len(sides) == 2, loaded
    return LoadedPair(0, sides[0], sides[1], instruction)
