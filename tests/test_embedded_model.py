"""The embedded model tiny-omni: loads with no argument, takes every modality, equals the peer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import mmrerank
from mmrerank import CrossEncoder
from mmrerank.models import fetch_checkpoint

DEMO = Path(__file__).resolve().parent.parent / "fixtures" / "demo"
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder(device="cpu")


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(RATE_HZ * seconds)) / RATE_HZ)).astype(
        np.float32
    )


def disc(colour: tuple[int, int, int]) -> Image.Image:
    rows, columns = np.mgrid[:128, :128]
    inside = (rows - 64) ** 2 + (columns - 64) ** 2 < 40**2
    pixels = np.where(inside[..., None], colour, 128).astype(np.uint8)
    return Image.fromarray(pixels)


def clip(num_frames: int = 4) -> np.ndarray:
    frames = np.full((num_frames, 96, 96, 3), 128, dtype=np.uint8)
    for place, frame in enumerate(frames):
        left = 60 - place * 15
        frame[40:64, left : left + 24] = (50, 80, 220)
    return frames


def pairs() -> list[tuple[object, object]]:
    return [
        ("a red circle", "a picture of a red circle"),
        ("a red circle", disc((220, 40, 40))),
        (disc((50, 80, 220)), "a blue circle"),
        ("a high tone", tone(1_000.0)),
        (tone(200.0), "a low tone"),
        ("a blue square moving left", clip()),
        ("a red circle", {"text": "a red circle", "image": disc((220, 40, 40))}),
    ]


def test_no_argument_and_its_name_load_the_embedded_model(model: CrossEncoder) -> None:
    named = CrossEncoder("tiny-omni", device="cpu")
    assert np.array_equal(named.predict(pairs()[:2]), model.predict(pairs()[:2]))


def test_it_takes_every_modality_and_every_mix_of_them(model: CrossEncoder) -> None:
    assert model.modalities == ["text", "image", "audio", "video", "message"]
    assert model.supports(("text", "image", "audio", "video"))


def test_it_is_stored_in_half_precision_and_computed_in_single() -> None:
    folder = fetch_checkpoint("tiny-omni")
    assert (folder / "model.safetensors").stat().st_size < 16_000_000
    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        stored = {weights.get_tensor(name).dtype for name in weights.keys()}  # noqa: SIM118
    assert stored == {torch.float16}
    assert CrossEncoder("tiny-omni").dtype == torch.float32


def test_its_scores_equal_the_peers_on_every_modality(model: CrossEncoder) -> None:
    from sentence_transformers import CrossEncoder as Peer

    peer = Peer(
        str(fetch_checkpoint("tiny-omni")), device="cpu", model_kwargs={"dtype": torch.float32}
    )
    logits = torch.nn.Identity()
    # One pair a call: the peer pads on the left, which moves nothing for one row.
    theirs = np.array([peer.predict([pair], activation_fn=logits)[0] for pair in pairs()])
    ours = model.predict(pairs(), activation_fn=logits)
    assert np.abs(ours - theirs).max() <= 1e-5 * max(1.0, np.abs(theirs).max())
    assert theirs.std() > 0.5


def test_score_of_a_document_does_not_depend_on_what_else_is_in_the_call(
    model: CrossEncoder,
) -> None:
    documents = [document for _, document in pairs()] + ["a text about nothing in particular"]
    together = {entry["corpus_id"]: entry["score"] for entry in model.rank("a circle", documents)}
    alone = [model.rank("a circle", [document])[0]["score"] for document in documents]
    assert np.abs(np.array([together[i] for i in range(len(documents))]) - alone).max() <= 1e-5


def test_any_english_text_is_tokenised_without_an_unknown_token(model: CrossEncoder) -> None:
    text = "Quarterly revenue rose 3.4 % — naïve façades, “quotes” and 漢字 too."
    ids = model.tokenizer(text)["input_ids"]
    assert model.tokenizer.decode(ids) == text
    assert model.tokenizer.unk_token_id not in ids or model.tokenizer.unk_token_id is None


def test_demo_files_that_match_stand_above_all_others(model: CrossEncoder) -> None:
    rows = [json.loads(line) for line in (DEMO / "documents.jsonl").read_text().splitlines()]
    documents = [
        {
            key: value if key in ("text", "page") else DEMO / value
            for key, value in row.items()
            if key != "id"
        }
        for row in rows
    ]
    kinds = {Path(str(v)).suffix for row in rows for k, v in row.items() if k not in ("id", "text")}
    assert {".jpg", ".png", ".flac", ".mp4", ".pdf"} <= kinds
    queries = [json.loads(line) for line in (DEMO / "queries.jsonl").read_text().splitlines()]
    assert len(queries) == 5
    for row in queries:
        ranking = model.rank(row["query"], documents)
        first = [rows[entry["corpus_id"]]["id"] for entry in ranking[: len(row["relevant"])]]
        assert set(first) == set(row["relevant"]), row["query"]


def test_thinker_without_st_files_runs_as_the_omni_family_when_named(tmp_path: Path) -> None:
    folder = tmp_path / "a-thinker"
    shutil.copytree(fetch_checkpoint("tiny-omni"), folder)
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (folder / name).unlink()
    thinker = CrossEncoder(str(folder), processor="qwen2.5-omni", device="cpu")
    facts = thinker.describe()
    assert facts["family"] == "qwen2.5-omni"
    assert "<Query>:a query\n<Document>:a document" in facts["prompt_example"]
    scores = thinker.predict([("q", disc((1, 2, 3))), ("q", mmrerank.Audio(tone(300.0), RATE_HZ))])
    assert np.isfinite(scores).all()
