"""docs/families.md is what the processor folders say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmrerank.models.rows import rows_of
from mmrerank.specs import HeadSpec, find_processor, list_processors
from mmrerank.specs.page import families_page, head_in_words, scale_of

PAGE = Path(__file__).parents[1] / "docs" / "families.md"


def test_committed_page_is_the_generated_one():
    said = PAGE.read_text(encoding="utf-8")
    assert said == families_page(list_processors(), rows_of), "run `make docs`"


def test_every_folder_has_a_row_and_a_section():
    page = families_page(list_processors(), rows_of)
    for spec in list_processors():
        assert f"\n| [{spec.name}](#" in page
        assert f"\n### {spec.name}\n" in page
        assert all(f"`{model}`" in page for model in spec.models)


def test_every_row_has_as_many_cells_as_its_table():
    tables = families_page(list_processors(), rows_of).split("## ")[1:]
    rows = [[line.count(" | ") for line in t.splitlines() if line.startswith("|")] for t in tables]
    assert sum(map(len, rows)) > len(list_processors())
    assert all(len(set(counts)) <= 1 for counts in rows)


def test_guesses_stand_by_themselves():
    page = families_page(list_processors(), rows_of)
    families, _, guesses = page.partition("## Guesses")
    assert "### causal-lm\n" in guesses
    assert "### causal-lm\n" not in families
    assert "### qwen3-reranker\n" in families


def test_column_of_what_it_takes_is_left_out_where_all_take_text():
    spec = find_processor("qwen3-reranker")
    assert "| Takes |" not in families_page([spec], rows_of)
    other = replace(spec, modalities=("text", "image"), document_modalities=("image",))
    page = families_page([replace(other, query_modalities=("text",))], rows_of)
    assert "| query: text; document: image |" in page


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("qwen3-reranker", "packed"),
        ("qwen3-vl-reranker", "packed"),
        ("qwen2.5-omni", "packed"),
        ("sequence-classification", "by architecture"),
    ],
)
def test_rows_are_those_of_the_architecture(name: str, rows: str):
    assert rows_of(find_processor(name)) == rows


def test_rows_of_an_architecture_that_is_not_listed_are_found_out_later():
    spec = find_processor("qwen3-reranker")
    unlisted = replace(spec, match=replace(spec.match, model_types=("brand_new",)))
    assert rows_of(unlisted) == "tried"
    assert rows_of(replace(unlisted, modalities=("text", "image"))) == "padded"
    never = replace(spec, match=replace(spec.match, model_types=("deberta-v2",)))
    assert rows_of(never) == "padded"


@pytest.mark.parametrize(
    ("head", "words", "scale"),
    [
        (HeadSpec("logit-score", "yes", "no"), "`yes` − `no`", "probability"),
        (HeadSpec("logit-score", "Yes", divide=5.0), "`Yes`, / 5", "probability"),
        (HeadSpec("logit-score", 0, activation="identity"), "token 0", "logit"),
        (HeadSpec("builtin"), "the checkpoint's classifier", "as the checkpoint says"),
        (
            HeadSpec("mlp", weights=("a", "b"), bias=-2.65, activation="sigmoid"),
            "2 linear layers on the last state, − 2.65",
            "probability",
        ),
        (
            HeadSpec("cosine", weights=("a",), scales=("similarity",)),
            "cosine of query and document",
            "similarity",
        ),
        (HeadSpec("permutation", scales=("rank",)), "the order that it writes", "rank"),
    ],
)
def test_head_and_scale_in_words(head: HeadSpec, words: str, scale: str):
    assert (head_in_words(head), scale_of(head)) == (words, scale)
