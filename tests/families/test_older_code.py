"""Vendors' Python files from the days of transformers 4: names, methods and buffers they need."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError
from tests.checkpoints.nemotron import build_nemotron
from tests.checkpoints.older_code import build_older_encoder
from tests.cross_encoder._samples import PAIRS, assert_same_scores

_NAME = "gte-multilingual-reranker-base"
# The vendor's config has a field that transformers calls otherwise by now.
pytestmark = pytest.mark.filterwarnings("ignore:`rope_scaling` is deprecated:FutureWarning")

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "buffers": build_older_encoder,
    "tensors-in-constructor": partial(build_older_encoder, computes_slopes=True),
}


def _load(folder: Path) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu", trust_remote_code=True)


def _expected(folder: Path, query: str, document: str) -> float:
    """The probability, without any class: one attention that distance weakens, the mean."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    ids = torch.tensor(tokenizer([query], [document])["input_ids"][0])
    weights = load_file(folder / "model.safetensors")
    states = weights["words.weight"][ids]
    query_at, key, value = (states @ weights["mix.weight"].T + weights["mix.bias"]).chunk(3, dim=-1)
    place = torch.arange(len(ids)) * 8.0 / 20.0
    seen = query_at @ key.T / 4 - 0.3 * (place[:, None] - place[None, :]).abs()
    mean = torch.tanh((states + seen.softmax(dim=-1) @ value).mean(dim=0))
    logit = mean @ weights["classifier.weight"][0] + weights["classifier.bias"][0]
    return float(torch.sigmoid(logit))


@pytest.mark.parametrize("kind", BUILDERS)
def test_older_files_score_as_their_arithmetic_says_saved_or_not(kind: str, tmp_path: Path) -> None:
    folder = BUILDERS[kind](tmp_path / _NAME)
    model = _load(folder)
    expected = [_expected(folder, *pair) for pair in PAIRS]
    assert len({round(score, 2) for score in expected}) > 3, "the weights tell nothing apart"
    assert_same_scores(model.predict(PAIRS), expected)
    model.save_pretrained(tmp_path / "saved")
    assert_same_scores(_load(tmp_path / "saved").predict(PAIRS), expected)


def test_a_saved_config_keeps_the_names_that_the_vendors_class_reads(tmp_path: Path) -> None:
    _load(build_older_encoder(tmp_path / _NAME)).save_pretrained(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert saved["rope_scaling"]["factor"] == 8.0
    assert saved["rope_scaling"]["type"] == "ntk"


def test_transformers_has_no_name_more_than_before(tmp_path: Path) -> None:
    _load(build_older_encoder(tmp_path / _NAME, computes_slopes=True))
    assert "transformers.onnx" not in sys.modules
    assert not hasattr(transformers.pytorch_utils, "find_pruneable_heads_and_indices")
    assert not hasattr(PreTrainedModel, "get_extended_attention_mask")
    assert torch.nn.Module.register_parameter.__module__ == "torch.nn.modules.module"


def test_a_mask_that_transformers_no_longer_asks_for_is_an_error(tmp_path: Path) -> None:
    folder = build_nemotron(tmp_path / "llama-nemotron-rerank-1b-v2")
    file = folder / "llama_bidirectional_model.py"
    both_ways = (
        "\n\nclass BothWays(LlamaModel):\n"
        "    def _update_causal_mask(self, attention_mask, *_):\n"
        "        return None\n"
    )
    code = file.read_text().replace("LlamaModel(config)", "BothWays(config)")
    file.write_text(code + both_ways)
    with pytest.raises(CheckpointError, match=r"BothWays changes the attention mask .* newer rev"):
        _load(folder)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("from transformers.models.bert import lost_for_good", "cannot import name"),
        ("import transformers; transformers.lost_for_good", "lost_for_good"),
    ],
)
def test_what_files_ask_for_and_nobody_has_is_an_error_with_a_hint(
    line: str, reason: str, tmp_path: Path
) -> None:
    folder = build_older_encoder(tmp_path / _NAME)
    file = folder / "configuration.py"
    file.write_text(f"{line}\n{file.read_text()}")
    with pytest.raises(CheckpointError, match=rf"{reason}.* newer revision of the repository"):
        _load(folder)
