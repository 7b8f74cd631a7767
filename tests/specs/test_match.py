"""Which processor folder claims a checkpoint: names, template words, evidence, ties."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmrerank.errors import AmbiguousProcessor, CheckpointError
from mmrerank.specs import best_match, find_processor, list_processors, resolve
from tests.specs._facts import BERT, JUDGE, QWEN3, QWEN3_VL, facts_of


def _winner(folder: Path, files: dict[str, Any], name: str) -> str | None:
    spec = best_match(facts_of(folder, files, name=name), list_processors())
    return spec.name if spec else None


@pytest.mark.parametrize(
    ("config", "name", "expected"),
    [
        (QWEN3_VL, "Qwen/Qwen3-VL-Reranker-2B", "qwen3-vl-reranker"),
        (QWEN3_VL, "someone/QWEN3_VL_RERANKER_8b-copy", "qwen3-vl-reranker"),
        (QWEN3_VL, "/models/qwen3-vl-reranker-2b", "qwen3-vl-reranker"),
        (QWEN3_VL, "Qwen/Qwen3-VL-2B-Instruct", None),
        (QWEN3, "Qwen/Qwen3-Reranker-0.6B", "qwen3-reranker"),
        (QWEN3, "Qwen/qwen3_reranker-4B", "qwen3-reranker"),
        (QWEN3, "/hub/models--Qwen--Qwen3-Reranker-0.6B/snapshots/0123", "qwen3-reranker"),
        (QWEN3, "/data/qwen3-reranker-trials/a-chat-model", "causal-lm"),
        (QWEN3, "Qwen/Qwen3-0.6B", "causal-lm"),
        (BERT, "cross-encoder/ms-marco-MiniLM-L6-v2", "ms-marco"),
        (BERT, "someone/a-bert-of-our-own", "sequence-classification"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "t5", None),
        ({"model_type": "bert"}, "no-architectures", None),
    ],
)
def test_name_and_config_decide(
    config: dict[str, Any], name: str, expected: str | None, tmp_path: Path
) -> None:
    assert _winner(tmp_path, {"config.json": config}, name) == expected


@pytest.mark.parametrize(
    ("config", "expected"), [(QWEN3, "qwen3-reranker"), (QWEN3_VL, "qwen3-vl-reranker")]
)
def test_words_of_the_template_decide_whatever_the_name(
    config: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    files = {"config.json": config, "chat_template.jinja": JUDGE}
    assert _winner(tmp_path, files, "someone/finetuned") == expected


def test_chat_folder_of_the_same_architecture_is_refused_and_processor_named(
    tmp_path: Path,
) -> None:
    files = {"config.json": QWEN3_VL, "chat_template.jinja": "{{ messages }}"}
    with pytest.raises(CheckpointError, match=r"Qwen3-VL-2B.*processor=.*qwen3-vl-reranker"):
        resolve(facts_of(tmp_path, files, name="Qwen/Qwen3-VL-2B-Instruct"))


def test_two_equal_claims_are_an_error_that_names_both(tmp_path: Path) -> None:
    one = find_processor("qwen3-reranker")
    two = replace(one, name="another")
    facts = facts_of(tmp_path, {"config.json": QWEN3}, name="Qwen3-Reranker-0.6B")
    with pytest.raises(AmbiguousProcessor, match=r"qwen3-reranker, another.*processor="):
        best_match(facts, [one, two])


def test_name_is_a_stronger_claim_than_model_type_and_weaker_than_template(
    tmp_path: Path,
) -> None:
    base = find_processor("qwen3-reranker")
    by_type = replace(base, name="type", match=replace(base.match, evidence=False, names=()))
    by_name = replace(base, name="name", match=replace(base.match, template_contains=""))
    by_words = replace(base, name="words", match=replace(base.match, names=()))
    facts = facts_of(
        tmp_path, {"config.json": QWEN3, "chat_template.jinja": JUDGE}, name="Qwen3-Reranker-1B"
    )
    plain = replace(facts, templates={})
    for first, second in ((by_type, by_name), (by_name, by_type)):
        winner = best_match(plain, [first, second])
        assert winner is not None
        assert winner.name == "name"
    winner = best_match(facts, [by_name, by_words])
    assert winner is not None
    assert winner.name == "words"


def test_name_of_a_model_made_from_another_is_that_of_its_own_family(tmp_path: Path) -> None:
    template = f"{JUDGE} Judge if the document is relevant to the query. Reply"
    files = {"config.json": QWEN3, "chat_template.jinja": template}
    facts = facts_of(tmp_path, files, name="infgrad/Prism-Qwen3-Reranker-4B-exp")
    for winner in (
        best_match(facts, list_processors()),
        best_match(replace(facts, templates={}), list_processors()),
    ):
        assert winner is not None
        assert winner.name == "prism-reranker"


def test_no_folders_give_no_match(tmp_path: Path) -> None:
    assert best_match(facts_of(tmp_path, {"config.json": BERT}), []) is None
