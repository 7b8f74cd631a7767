"""Files made by hand to hurt: each with what must come of it."""

from __future__ import annotations

from tests.fuzzing.crafted._kind import Crafted
from tests.fuzzing.crafted.documents import DOCUMENTS
from tests.fuzzing.crafted.impostors import IMPOSTORS
from tests.fuzzing.crafted.pictures import PICTURES
from tests.fuzzing.crafted.streams import CLIPS, SOUNDS

__all__ = ["CRAFTED", "Crafted"]

CRAFTED: dict[str, Crafted] = {**PICTURES, **DOCUMENTS, **SOUNDS, **CLIPS, **IMPOSTORS}
