"""The tiny checkpoints: the peer loads them, scores differ, hub ids resolve offline."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from sentence_transformers import CrossEncoder

from tests import checkpoints
from tests.checkpoints.encoders import StoredActivation
from tests.recipes import qwen3_reranker, qwen3_vl_reranker

# transformers 5.23 reads additional_chat_templates/*.jinja without closing the files.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file .*additional_chat_templates:ResourceWarning"
)

QUERY = "How many people live in the city near the river?"
DOCUMENTS = [
    "The city has a population of three million people.",
    "The ferry leaves the harbour at noon.",
    "Rain fell on the garden all night, and the roses are in flower. " * 8,
    "Bread.",
    "",
    "Zürich hat 400 000 Einwohner; 東京 has more.",
]
PAIRS = [(QUERY, document) for document in DOCUMENTS]

PEER_LOADS: dict[str, Callable[..., Path]] = {
    "bert": checkpoints.build_bert,
    "bert-legacy": partial(checkpoints.build_bert, stored_activation="legacy"),
    "bert-no-activation": partial(checkpoints.build_bert, stored_activation="none"),
    "bert-st": partial(checkpoints.build_bert, with_st_files=True),
    "bert-nli": checkpoints.build_bert_nli,
    "electra": checkpoints.build_electra,
    "roberta": checkpoints.build_roberta,
    "xlm-roberta": checkpoints.build_xlm_roberta,
    "modernbert-mean": checkpoints.build_modernbert,
    "modernbert-cls": partial(checkpoints.build_modernbert, classifier_pooling="cls"),
    "deberta-v2": checkpoints.build_deberta_v2,
    "deberta-v2-nli": checkpoints.build_deberta_v2_nli,
    "qwen3": checkpoints.build_qwen3,
    "qwen3-plain": checkpoints.build_qwen3_plain,
    "qwen3-seq-cls": checkpoints.build_qwen3_seq_cls,
    "qwen3-vl": checkpoints.build_qwen3_vl,
    "qwen3-vl-legacy-json": partial(checkpoints.build_qwen3_vl, template_layout="legacy-json"),
    "qwen3-vl-one-template": checkpoints.build_qwen3_vl_one_template,
    "llama": checkpoints.build_llama,
    "qwen2-chatml": checkpoints.build_qwen2_chatml,
}
PEER_REFUSES: dict[str, tuple[Callable[..., Path], str]] = {
    "qwen3-vl-plain": (checkpoints.build_qwen3_vl_plain, "Unrecognized configuration class"),
    "no-yes-no": (checkpoints.build_llama_without_yes_no, "does not have 'yes' and/or 'no'"),
    "qwen3-chat-roles": (
        partial(checkpoints.build_qwen3_plain, chat_template="chat-roles"),
        "cannot carry a 'query'/'document' pair",
    ),
    "no-roles": (checkpoints.build_qwen2_known_roles, "cannot carry a 'query'/'document' pair"),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """On models this small more threads only wait for each other (2.4 s for 0.1 s of work)."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", PEER_LOADS)
def test_peer_scores_of_different_pairs_differ(name: str, tmp_path: Path) -> None:
    model = CrossEncoder(str(PEER_LOADS[name](tmp_path / name)), device="cpu")
    logits = model.predict(PAIRS, activation_fn=torch.nn.Identity())
    assert np.isfinite(logits).all()
    assert logits.std(axis=0).min() > 0.05
    assert np.abs(logits).max() < 50
    # Well conditioned: padding alone moves nothing beyond what parity tests allow.
    alone = model.predict(PAIRS, activation_fn=torch.nn.Identity(), batch_size=1)
    np.testing.assert_allclose(alone, logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", PEER_REFUSES)
def test_peer_refuses_what_it_has_no_rule_for(name: str, tmp_path: Path) -> None:
    build, message = PEER_REFUSES[name]
    folder = build(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        CrossEncoder(str(folder), device="cpu").predict(PAIRS)


@pytest.mark.parametrize("name", PEER_LOADS)
def test_same_seed_gives_the_same_small_files(name: str, tmp_path: Path) -> None:
    first, again, other = (
        _contents(PEER_LOADS[name](tmp_path / sub / name, seed=seed))
        for sub, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert first["model.safetensors"] != other["model.safetensors"]
    assert sum(map(len, first.values())) < 3_000_000


@pytest.mark.parametrize(
    ("stored", "expected"), [("st", "Identity"), ("legacy", "Identity"), ("none", "Sigmoid")]
)
def test_bert_activation_is_read_from_the_stored_name(
    stored: StoredActivation, expected: str, tmp_path: Path
) -> None:
    folder = checkpoints.build_bert(tmp_path / "bert", stored_activation=stored)
    assert type(CrossEncoder(str(folder), device="cpu").activation_fn).__name__ == expected


def test_nli_labels_are_named_in_the_config(tmp_path: Path) -> None:
    model = CrossEncoder(str(checkpoints.build_deberta_v2_nli(tmp_path / "nli")), device="cpu")
    assert model.config.id2label == {0: "contradiction", 1: "entailment", 2: "neutral"}
    assert model.predict(PAIRS).shape == (len(PAIRS), 3)


def test_qwen3_prompt_is_the_published_one(tmp_path: Path) -> None:
    model = CrossEncoder(str(checkpoints.build_qwen3(tmp_path / "qwen3")), device="cpu")
    assert _prompt_of(model, ("a b", "c d"), prompt=None) == (
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query "
        'and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
        "<|im_start|>user\n<Instruct>: Given a web search query, retrieve relevant passages that "
        "answer the query\n<Query>: a b\n<Document>: c d<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


@pytest.mark.parametrize(
    "build", [checkpoints.build_qwen3_vl, checkpoints.build_qwen3_vl_one_template]
)
def test_qwen3_vl_prompt_is_the_published_one(build: Callable[..., Path], tmp_path: Path) -> None:
    model = CrossEncoder(str(build(tmp_path / "vl")), device="cpu")
    pair = ("a b", {"text": "c", "image": _picture(128, 64)})
    assert _prompt_of(model, pair, prompt="Find d.") == (
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query "
        'and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
        "<|im_start|>user\n<Instruct>: Find d.<Query>:a b\n<Document>:c<|vision_start|>"
        + "<|image_pad|>" * 8
        + "<|vision_end|><|im_end|>\n<|im_start|>assistant\n"
    )


def test_qwen3_vl_peer_takes_images_and_videos_on_either_side(tmp_path: Path) -> None:
    model = CrossEncoder(str(checkpoints.build_qwen3_vl(tmp_path / "vl")), device="cpu")
    red, blue = _picture(64, 96, "red"), _picture(96, 64, "blue")
    clip = np.stack([np.asarray(_picture(64, 64, colour)) for colour in ("red", "blue") * 2])
    scores = model.predict(
        [
            ("a red square", red),
            ("a red square", blue),
            ("a red square", {"text": "red", "image": red}),
            ("a red square", {"image": red, "text": "red"}),
            (red, "a red square"),
            ({"image": blue, "text": "blue"}, {"text": "red", "image": red}),
            ("a red square", clip),
            (clip, "a red square"),
        ]
    )
    assert np.isfinite(scores).all()
    assert len(set(scores.round(3).tolist())) == len(scores)


def test_qwen3_recipe_agrees_with_the_peer(tmp_path: Path) -> None:
    folder = checkpoints.build_qwen3(tmp_path / "qwen3")
    model = CrossEncoder(str(folder), device="cpu")
    recipe = [qwen3_reranker.score(folder, *pair) for pair in PAIRS]
    assert model.predict(PAIRS).tolist() == pytest.approx(recipe, abs=1e-5)
    assert model.predict(PAIRS[0], prompt="Find d.") == pytest.approx(
        qwen3_reranker.score(folder, *PAIRS[0], instruction="Find d."), abs=1e-5
    )


def test_qwen3_vl_recipe_agrees_with_the_peer(tmp_path: Path) -> None:
    folder = checkpoints.build_qwen3_vl(tmp_path / "vl")
    model = CrossEncoder(str(folder), device="cpu")
    red, blue = _picture(70, 90, "red"), _picture(200, 40, "blue")
    pairs = [
        PAIRS[0],
        ("a red square", red),
        (blue, "a red square"),
        ({"text": "x", "image": blue}, {"image": [red, blue], "text": "y"}),
    ]
    recipe = [qwen3_vl_reranker.score(folder, *pair) for pair in pairs]
    assert model.predict(pairs).tolist() == pytest.approx(recipe, abs=1e-5)


def test_qwen3_vl_vendor_variant_puts_images_before_text(tmp_path: Path) -> None:
    folder = checkpoints.build_qwen3_vl(tmp_path / "vl")
    red = _picture(64, 96, "red")
    vendor = qwen3_vl_reranker.score(folder, "a", {"text": "b", "image": red}, variant="vendor")
    in_order = qwen3_vl_reranker.score(folder, "a", {"image": red, "text": "b"})
    assert vendor == pytest.approx(in_order, abs=1e-5)
    empty = qwen3_vl_reranker.score(folder, "a", {}, variant="vendor")
    assert empty == pytest.approx(qwen3_vl_reranker.score(folder, "a", "NULL"), abs=1e-5)


def test_qwen3_seq_cls_head_is_the_difference_of_two_rows(tmp_path: Path) -> None:
    causal = CrossEncoder(str(checkpoints.build_qwen3_plain(tmp_path / "lm")), device="cpu")
    classifier = CrossEncoder(str(checkpoints.build_qwen3_seq_cls(tmp_path / "cls")), device="cpu")
    assert classifier.predict(PAIRS).tolist() == pytest.approx(
        causal.predict(PAIRS).tolist(), abs=1e-5
    )


_HUB_SCRIPT = """
import sys
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError
from sentence_transformers import CrossEncoder
from transformers import AutoConfig
for repo_id in sys.argv[1:]:
    assert AutoConfig.from_pretrained(repo_id).model_type
    assert hf_hub_download(repo_id, "config.json").startswith(snapshot_download(repo_id))
    try:
        hf_hub_download(repo_id, "not-there.json")
    except EntryNotFoundError:
        pass
    else:
        raise AssertionError("a missing file was found")
    scores = CrossEncoder(repo_id, device="cpu").predict([("a b", "c d"), ("a b", "red planet")])
    assert scores[0] != scores[1]
    print(repo_id)
"""


def test_hub_ids_resolve_offline_in_another_process(tmp_path: Path) -> None:
    repositories = {
        "cross-encoder/ms-marco-MiniLM-L6-v2": checkpoints.build_bert(tmp_path / "bert"),
        "Qwen/Qwen3-Reranker-0.6B": checkpoints.build_qwen3(tmp_path / "qwen3"),
        "Qwen/Qwen3-VL-Reranker-2B": checkpoints.build_qwen3_vl(tmp_path / "vl"),
    }
    cache_dir = tmp_path / "home" / "hub"
    checkpoints.lay_out_hub_cache(cache_dir, repositories)
    done = subprocess.run(
        [sys.executable, "-c", _HUB_SCRIPT, *repositories],
        env=checkpoints.hub_environment(cache_dir),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(repositories)


def _contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _prompt_of(model: CrossEncoder, pair: tuple[Any, Any], *, prompt: str | None) -> str:
    features = model.preprocess([pair], prompt=prompt)
    return model.tokenizer.decode(features["input_ids"][0])


def _picture(width_px: int, height_px: int, colour: str = "green") -> Image.Image:
    picture = Image.new("RGB", (width_px, height_px), "white")
    ImageDraw.Draw(picture).rectangle((8, 8, width_px // 2, height_px // 2), fill=colour)
    return picture
