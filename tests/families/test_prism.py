"""Prism-Reranker: Qwen3.5 of text alone, whose own sentence-transformers files say everything."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sentence_transformers import CrossEncoder as PeerCrossEncoder
from transformers import AutoModelForCausalLM, AutoTokenizer

from mmrerank import CrossEncoder
from tests import checkpoints
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.prompting._pairs import UNCLOSED_TEMPLATES

pytestmark = UNCLOSED_TEMPLATES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("prism")
    return checkpoints.build_prism_reranker(root / "Prism-Qwen3.5-Reranker-0.8B")


def by_hand(folder: Path, query: str, document: str) -> float:
    """yes minus no behind the rendered prompt, with transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    messages = [{"role": "query", "content": query}, {"role": "document", "content": document}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False)
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**ids).logits[0, -1]
    yes, no = (tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    return float(logits[yes] - logits[no])


def test_scores_are_those_of_plain_transformers_and_of_the_peer(folder: Path) -> None:
    scores = CrossEncoder(str(folder), device="cpu").predict(PAIRS)
    assert len({round(float(score), 3) for score in scores}) > 3, "the weights tell nothing apart"
    assert_same_scores(scores, [by_hand(folder, *pair) for pair in PAIRS])
    assert_same_scores(scores, PeerCrossEncoder(str(folder), device="cpu").predict(PAIRS))


def test_family_is_known_and_its_layers_run_padded(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu")
    assert model.describe()["family"] == "prism-reranker"
    assert model.explain_plan(PAIRS).runner == "padded"
