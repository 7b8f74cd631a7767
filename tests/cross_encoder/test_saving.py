"""What is saved by one library is loaded by the other with equal scores; so is a pickle or copy."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from tests.cross_encoder._samples import PAIRS, UNCLOSED_TEMPLATES, assert_same_scores, picture
from tests.cross_encoder.conftest import FolderOf, ModelOf

pytestmark = UNCLOSED_TEMPLATES

RED = picture(64, 96, "red")
MIXED: list[Any] = [*PAIRS, ("a", RED), (RED, "b"), ("a", {"text": "b", "image": RED})]
SAVED = {
    "bert": PAIRS,
    "bert-no-activation": PAIRS,
    "bert-nli": PAIRS,
    "modernbert-mean": PAIRS,
    "qwen3": PAIRS,
    "qwen3-plain": PAIRS,
    "qwen3-seq-cls": PAIRS,
    "llama": PAIRS,
    "qwen3-vl": MIXED,
    "chain": PAIRS,
}


@pytest.mark.parametrize("name", SAVED)
def test_saved_folder_is_loaded_by_both_with_equal_scores(
    name: str, ours_of: ModelOf, tmp_path: Path
) -> None:
    expected = ours_of(name).predict(SAVED[name])
    ours_of(name).save_pretrained(tmp_path / "saved")
    for library in (Peer, CrossEncoder):
        again = library(str(tmp_path / "saved"), device="cpu")
        assert_same_scores(again.predict(SAVED[name]), expected)
        assert type(again.activation_fn) is type(ours_of(name).activation_fn)


@pytest.mark.parametrize("name", SAVED)
def test_folder_saved_by_the_peer_is_loaded_with_equal_scores(
    name: str, peer_of: ModelOf, tmp_path: Path
) -> None:
    peer_of(name).save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    ours = CrossEncoder(str(tmp_path / "saved"), device="cpu")
    assert_same_scores(ours.predict(SAVED[name]), peer_of(name).predict(SAVED[name]))


@pytest.mark.parametrize("name", ["bert", "qwen3", "qwen3-vl", "chain"])
def test_json_files_say_what_the_peers_say(
    name: str, ours_of: ModelOf, peer_of: ModelOf, tmp_path: Path
) -> None:
    ours_of(name).save_pretrained(tmp_path / "ours")
    peer_of(name).save_pretrained(str(tmp_path / "theirs"), create_model_card=False)
    files = sorted(
        path.relative_to(tmp_path / "theirs").as_posix()
        for path in (tmp_path / "theirs").rglob("*.json")
        if path.name in ("modules.json", "config_sentence_transformers.json")
        or path.parent.name[0].isdigit()
    )
    assert len(files) >= 2
    for file in files:
        ours, theirs = (_read(tmp_path / side / file) for side in ("ours", "theirs"))
        assert ours == theirs, file


def test_prompts_and_setters_are_saved(folder_of: FolderOf, tmp_path: Path) -> None:
    model = CrossEncoder(
        str(folder_of("qwen3")), device="cpu", prompts={"a": "Find bread."}, default_prompt_name="a"
    )
    model.activation_fn = torch.nn.Sigmoid()
    model.max_seq_length = 190
    model.save_pretrained(tmp_path / "saved")
    for library in (Peer, CrossEncoder):
        again = library(str(tmp_path / "saved"), device="cpu")
        assert again.prompts["a"] == "Find bread."
        assert again.default_prompt_name == "a"
        assert isinstance(again.activation_fn, torch.nn.Sigmoid)
        assert again.max_seq_length == 190


def test_card_names_model_and_usage(ours_of: ModelOf, tmp_path: Path) -> None:
    ours_of("bert").save_pretrained(tmp_path / "saved", model_name="someone/bert-reranker")
    card = (tmp_path / "saved" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name:")
    assert 'CrossEncoder("someone/bert-reranker")' in card
    ours_of("bert").save_pretrained(tmp_path / "bare", create_model_card=False)
    assert not (tmp_path / "bare" / "README.md").exists()


@pytest.mark.parametrize("name", ["bert", "qwen3"])
def test_state_dict_has_the_peers_keys(name: str, ours_of: ModelOf, peer_of: ModelOf) -> None:
    theirs = list(peer_of(name).state_dict())
    assert len(theirs) > 20
    assert list(ours_of(name).state_dict()) == theirs


@pytest.mark.parametrize("name", ["bert", "qwen3", "qwen3-vl", "chain"])
def test_copy_and_pickle_give_equal_scores(name: str, ours_of: ModelOf) -> None:
    expected = ours_of(name).predict(SAVED[name])
    for other in (copy.deepcopy(ours_of(name)), pickle.loads(pickle.dumps(ours_of(name)))):
        assert_same_scores(other.predict(SAVED[name]), expected)


def test_copy_does_not_share_weights_with_the_original(ours_of: ModelOf) -> None:
    expected = ours_of("bert").predict(PAIRS)
    other = copy.deepcopy(ours_of("bert"))
    other.predict(PAIRS)
    with torch.no_grad():
        other.model.classifier.bias.add_(1.0)
    assert_same_scores(other.predict(PAIRS), expected + 1.0)
    assert_same_scores(ours_of("bert").predict(PAIRS), expected)


def test_changed_weights_are_seen_by_the_next_call(folder_of: FolderOf) -> None:
    model = CrossEncoder(str(folder_of("qwen3")), device="cpu")
    before = model.predict(PAIRS)
    with torch.no_grad():
        model.model.get_output_embeddings().weight.mul_(2.0)
    assert abs(model.predict(PAIRS) - before).max() > 1e-2


def _read(path: Path) -> Any:
    value = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(value, dict):
        value.pop("__version__", None)
    return value
