"""docs/training.md says of each loss what the loss itself asks for, and names what there is."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from mmrerank.training import losses
from mmrerank.training.labels import LabelRule

GUIDE = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
TABLE = {
    name: (columns.strip(), labels.strip())
    for name, columns, labels in re.findall(
        r"^\| `(\w+Loss)` \|([^|\n]*)\|([^|\n]*)\|$", GUIDE, re.MULTILINE
    )
}
LOSSES = [name for name in losses.__all__ if name.endswith("Loss")]


def columns_of(rule: LabelRule) -> str:
    """The columns of a rule, in words."""
    if rule.kind == "list":
        return "query, documents" + ("" if rule.max_columns == 2 else ", or a column for each")
    if rule.max_columns == 2:
        return "query, document"
    many = "any negatives" if rule.min_columns == 2 else "one or more negatives"
    return f"query, positive, {many}"


def labels_of(rule: LabelRule) -> str:
    """The labels of a rule, in words."""
    low = "" if rule.low is None else f" from {rule.low:g}"
    high = "" if rule.high is None else f" {'to' if low else 'up to'} {rule.high:g}"
    return {
        "number": f"a number{low}{high}",
        "class": "a class, or a probability for each",
        "list": f"a number{low}{high} for each document",
        "margins": "margins, or scores of positive and negatives",
        "none": "none",
    }[rule.kind]


def test_guide_has_a_row_for_each_loss():
    assert list(TABLE) == sorted(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_row_says_what_the_loss_asks_for(name: str):
    rule = getattr(losses, name).label_rule
    assert TABLE[name] == (columns_of(rule), labels_of(rule))


def test_imports_of_the_guide_are_there():
    lines = re.findall(r"^from (mmrerank[\w.]*) import (.+)$", GUIDE, re.MULTILINE)
    assert len(lines) >= 4
    missing = [
        f"{module}.{name}"
        for module, names in lines
        for name in names.split(", ")
        if not hasattr(importlib.import_module(module), name)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("training.data", ["as_pairs", "as_tuples", "as_lists", "read_training_data"]),
        ("training.labels", ["scale_labels"]),
        ("training.presets", ["lora_config", "multimodal_reranker"]),
        ("training.towers", ["freeze_towers"]),
        ("training.distill", ["scored_by_teacher", "train_student"]),
        ("evaluation.jsonl", ["read_jsonl"]),
        ("evaluation.measure", ["measure"]),
        ("evaluation.report", ["write_report"]),
    ],
)
def test_functions_that_the_guide_names_are_there(module: str, names: list[str]):
    found = importlib.import_module(f"mmrerank.{module}")
    assert [name for name in names if name in GUIDE and hasattr(found, name)] == names


def test_files_that_the_guide_names_are_there():
    root = Path(__file__).parents[1]
    paths = set(re.findall(r"`((?:examples|tests|benchmarks)/[\w./]+\.py)`", GUIDE))
    assert paths
    assert [path for path in sorted(paths) if not (root / path).exists()] == []
