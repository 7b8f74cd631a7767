"""Every family's prompts, byte for byte, as they were looked at and committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrerank.specs import list_processors
from tests.families.golden_prompts import INPUTS, golden_file, read_golden, rendered
from tests.families.registry import FAMILIES, load_options
from tests.prompting._pairs import UNCLOSED_TEMPLATES

pytestmark = UNCLOSED_TEMPLATES


@pytest.mark.parametrize("name", FAMILIES)
def test_model_reads_what_was_committed(name: str, tmp_path: Path) -> None:
    assert golden_file(name).is_file(), f"run: python -m tests.families.update {name}"
    checkpoint = FAMILIES[name](tmp_path / "model")
    assert rendered(checkpoint, **load_options(name)) == read_golden(name)


@pytest.mark.parametrize("name", FAMILIES)
def test_file_has_every_input_and_one_modality_at_least_is_taken(name: str) -> None:
    golden = read_golden(name)
    assert tuple(golden) == INPUTS
    refused = {case for case, found in golden.items() if "error" in found}
    both = "text and image"
    assert refused in (set(), {both}, {"image document", both}, {"text", both})
    assert golden["over-long"]["num_truncated"] > 0


def test_no_file_is_left_of_a_family_that_is_gone() -> None:
    known = {golden_file(name).name for name in FAMILIES}
    assert {path.name for path in golden_file("any").parent.iterdir()} == known


def test_every_processor_has_a_line() -> None:
    assert {spec.name for spec in list_processors()} == {name.split(":")[0] for name in FAMILIES}
