"""scale="native" | "logit" | "probability", and the arithmetic that some vendors do on a logit."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import InputError
from mmrerank.heads import Dense
from tests.checkpoints import build_bert_nli, llm_rerankers
from tests.cross_encoder._samples import PAIRS, assert_same_scores

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "zerank-1": llm_rerankers.build_zerank,
    "zerank-2": partial(llm_rerankers.build_zerank, with_st_files=True),
    "mxbai-rerank-base-v2": llm_rerankers.build_mxbai,
}
FolderOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    root = tmp_path_factory.mktemp("scales")
    return cache(lambda name: BUILDERS[name](root / name))


def _scores(folder: Path, **options: Any) -> np.ndarray:
    scores: np.ndarray = CrossEncoder(str(folder), device="cpu", **options).predict(PAIRS)
    return scores


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def test_st_form_scores_raw_logits_as_in_the_peer(folder_of: FolderOf) -> None:
    theirs = Peer(str(folder_of("zerank-2")), device="cpu").predict(PAIRS)
    for scale in ("native", "logit"):
        assert_same_scores(_scores(folder_of("zerank-2"), scale=scale), theirs)


def test_probability_of_the_st_form_has_the_vendors_divisor(folder_of: FolderOf) -> None:
    logits = _scores(folder_of("zerank-2"))
    probabilities = _scores(folder_of("zerank-2"), scale="probability")
    assert_same_scores(probabilities, _sigmoid(logits / 5))


def test_plain_form_scores_the_same_probabilities_as_the_st_form(folder_of: FolderOf) -> None:
    """The weights are the same; only the ST files leave divisor and sigmoid out."""
    pairs = [(query, document.strip()) for query, document in PAIRS]  # the plain form does so
    plain = CrossEncoder(str(folder_of("zerank-1")), device="cpu")
    st_form = CrossEncoder(str(folder_of("zerank-2")), device="cpu", scale="probability")
    assert_same_scores(plain.predict(pairs), st_form.predict(pairs))


def test_logit_of_the_plain_form_is_what_the_sigmoid_is_taken_of(folder_of: FolderOf) -> None:
    logits = _scores(folder_of("zerank-1"), scale="logit")
    assert_same_scores(_sigmoid(logits), _scores(folder_of("zerank-1")))


def test_probability_without_a_divisor_is_the_sigmoid_of_the_native_score(
    folder_of: FolderOf,
) -> None:
    name = "mxbai-rerank-base-v2"
    logits = _scores(folder_of(name))
    assert_same_scores(_scores(folder_of(name), scale="probability"), _sigmoid(logits))


def test_probabilities_of_several_labels_add_up_to_one(tmp_path: Path) -> None:
    scores = _scores(build_bert_nli(tmp_path / "nli"), scale="probability")
    assert scores.shape == (len(PAIRS), 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "scale"),
    [
        ("zerank-1", {}, "probability"),
        ("zerank-1", {"scale": "logit"}, "logit"),
        ("zerank-2", {}, "logit"),
        ("zerank-2", {"scale": "probability"}, "probability"),
    ],
)
def test_scale_in_force_is_described(
    name: str, options: dict[str, Any], scale: str, folder_of: FolderOf
) -> None:
    facts = CrossEncoder(str(folder_of(name)), device="cpu", **options).describe()
    assert facts["scale"] == scale
    if options:
        assert facts["sources"]["activation"] == f"user: scale={scale!r}"


def test_activation_that_the_caller_gives_wins_over_the_scale(folder_of: FolderOf) -> None:
    model = CrossEncoder(
        str(folder_of("zerank-2")), device="cpu", scale="probability", activation_fn=torch.nn.Tanh()
    )
    assert type(model.activation_fn) is torch.nn.Tanh


def test_scale_that_the_family_does_not_define_is_refused(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    (tmp_path / "t.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    (tmp_path / "processor.toml").write_text(
        'title = "T"\nlink = "https://example.org"\n[template]\nkind = "chat"\n'
        'file = "t.jinja"\ncontent = "flat"\n'
        '[head]\nkind = "logit-score"\ntrue_token = "Yes"\nscales = ["logit"]\n'
    )
    with pytest.raises(InputError, match=r"scale='probability': .* defined as logit only"):
        _scores(folder_of("zerank-1"), processor=tmp_path, scale="probability")


@pytest.mark.parametrize("scale", ["native", "logit", "probability"])
@pytest.mark.parametrize("name", ["zerank-1", "zerank-2"])
def test_saved_scale_is_the_native_one_of_the_copy_in_both_libraries(
    name: str, scale: Any, folder_of: FolderOf, tmp_path: Path
) -> None:
    model = CrossEncoder(str(folder_of(name)), device="cpu", scale=scale)
    model.save_pretrained(tmp_path / "saved")
    for library in (Peer, CrossEncoder):
        again = library(str(tmp_path / "saved"), device="cpu")
        assert_same_scores(again.predict(PAIRS), model.predict(PAIRS))


def test_divisor_in_saved_files_is_not_applied_twice(folder_of: FolderOf, tmp_path: Path) -> None:
    """The copy's name is known to the family, which has a divisor of its own."""
    model = CrossEncoder(str(folder_of("zerank-1")), device="cpu")
    model.save_pretrained(tmp_path / "zerank-1")
    again = _scores(tmp_path / "zerank-1", scale="probability")
    assert_same_scores(again, model.predict(PAIRS))


def test_divisor_is_a_module_of_the_saved_folder(folder_of: FolderOf, tmp_path: Path) -> None:
    CrossEncoder(str(folder_of("zerank-1")), device="cpu").save_pretrained(tmp_path)
    kinds = [entry["path"] for entry in json.loads((tmp_path / "modules.json").read_text())]
    assert kinds == ["", "1_LogitScore", "2_Dense"]


def test_changed_divisor_survives_a_round_trip(folder_of: FolderOf, tmp_path: Path) -> None:
    model = CrossEncoder(str(folder_of("zerank-1")), device="cpu")
    before = model.predict(PAIRS)
    scaling = model[2]
    assert isinstance(scaling, Dense)
    with torch.no_grad():
        scaling.linear.weight.fill_(2.0)
    model.save_pretrained(tmp_path / "saved")
    again = _scores(tmp_path / "saved")
    assert_same_scores(again, model.predict(PAIRS))
    assert np.abs(again - before).max() > 0.05
