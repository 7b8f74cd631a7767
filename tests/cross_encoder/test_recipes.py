"""Checkpoints without sentence-transformers files score by their vendor's published recipe."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError
from tests import checkpoints
from tests.cross_encoder._samples import PAIRS, UNCLOSED_TEMPLATES, assert_same_scores, picture
from tests.cross_encoder.conftest import FolderOf, ModelOf
from tests.recipes import qwen3_reranker, qwen3_vl_reranker

pytestmark = UNCLOSED_TEMPLATES

RED, BLUE = picture(70, 90, "red"), picture(200, 40, "blue")
VL_PAIRS: list[tuple[Any, Any]] = [
    PAIRS[0],
    ("a red square", RED),
    (BLUE, "a red square"),
    ("a red square", {"text": "red", "image": RED}),
    ({"text": "x", "image": BLUE}, {"image": [RED, BLUE], "text": "y"}),
    ("a red square", ""),
]


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_qwen3_reranker_by_its_name_scores_by_the_card(
    folder_of: FolderOf, ours_of: ModelOf
) -> None:
    folder = folder_of("Qwen3-Reranker-0.6B")
    expected = [_sigmoid(qwen3_reranker.score(folder, *pair)) for pair in PAIRS]
    assert_same_scores(ours_of("Qwen3-Reranker-0.6B").predict(PAIRS), expected)


def test_qwen3_reranker_puts_the_instruction_where_the_card_does(
    folder_of: FolderOf, ours_of: ModelOf
) -> None:
    recipe = qwen3_reranker.score(folder_of("Qwen3-Reranker-0.6B"), *PAIRS[0], "Find bread.")
    ours = ours_of("Qwen3-Reranker-0.6B").predict(PAIRS[0], instruction="Find bread.")
    assert_same_scores(ours, _sigmoid(recipe))


def test_qwen3_reranker_cuts_a_long_document_as_the_card_does(
    folder_of: FolderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qwen3_reranker, "_MAX_TOKENS", 200)
    folder = folder_of("Qwen3-Reranker-0.6B")
    pair = (PAIRS[0][0], "The train to the mountains stops at every village. " * 20)
    model = CrossEncoder(str(folder), device="cpu", max_length=200)
    score, detail = model.predict(pair, return_details=True)
    assert detail.truncated
    assert_same_scores(score, _sigmoid(qwen3_reranker.score(folder, *pair)))


def test_qwen3_vl_reranker_by_its_name_scores_by_the_script(
    folder_of: FolderOf, ours_of: ModelOf
) -> None:
    folder = folder_of("Qwen3-VL-Reranker-2B")
    expected = [
        _sigmoid(qwen3_vl_reranker.score(folder, *pair, variant="vendor")) for pair in VL_PAIRS
    ]
    assert_same_scores(ours_of("Qwen3-VL-Reranker-2B").predict(VL_PAIRS), expected)


def test_qwen3_vl_reranker_keeps_large_pictures_within_the_scripts_budget(
    folder_of: FolderOf, ours_of: ModelOf
) -> None:
    """1408 x 1024 px: within the script's 1800 tokens, above the 1280 of the files."""
    folder = folder_of("Qwen3-VL-Reranker-2B")
    pair = ("a red square", picture(1408, 1024, "red"))
    expected = _sigmoid(qwen3_vl_reranker.score(folder, *pair, variant="vendor"))
    score, detail = ours_of("Qwen3-VL-Reranker-2B").predict(pair, return_details=True)
    assert detail.num_tokens > 44 * 32
    assert_same_scores(score, expected)


def test_processor_argument_makes_a_reranker_of_a_folder_with_any_name(
    folder_of: FolderOf, ours_of: ModelOf
) -> None:
    plain = str(folder_of("qwen3-vl-plain"))
    model = CrossEncoder(plain, device="cpu", processor="qwen3-vl-reranker")
    assert_same_scores(model.predict(VL_PAIRS), ours_of("Qwen3-VL-Reranker-2B").predict(VL_PAIRS))


def test_processor_argument_wins_over_the_files_of_the_checkpoint(
    folder_of: FolderOf, ours_of: ModelOf
) -> None:
    """The ST files say raw log-odds, the vendor's processor says sigmoid."""
    model = CrossEncoder(str(folder_of("qwen3")), device="cpu", processor="qwen3-reranker")
    raw = ours_of("qwen3").predict(PAIRS)
    assert_same_scores(model.predict(PAIRS), [_sigmoid(float(score)) for score in raw])


def test_plain_chat_folder_is_refused_and_processor_is_named(folder_of: FolderOf) -> None:
    with pytest.raises(CheckpointError, match=r"processor=.*qwen3-vl-reranker"):
        CrossEncoder(str(folder_of("qwen3-vl-plain")), device="cpu")


def test_saved_vendor_form_loads_with_equal_scores(folder_of: FolderOf, tmp_path: Path) -> None:
    """Order of parts, NULL, sigmoid and the pixel budget stand in the processor folder only."""
    folder = Path(shutil.copytree(folder_of("qwen3-vl-plain"), tmp_path / "Qwen3-VL-Reranker-2B"))
    settings = folder / "preprocessor_config.json"
    settings.write_text(settings.read_text().replace("1310720", "8192"))
    model = CrossEncoder(str(folder), device="cpu")
    pairs = [*VL_PAIRS, ("a red square", picture(320, 256, "red"))]
    model.save_pretrained(tmp_path / "saved")
    for library in (CrossEncoder, Peer):
        again = library(str(tmp_path / "saved"), device="cpu")
        assert type(again.activation_fn) is torch.nn.Sigmoid
        assert_same_scores(again.predict(pairs), model.predict(pairs))


def test_instruction_of_a_processor_folder_reaches_the_prompt(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    """[template] instruction is a key of processor.toml; a key without effect would be a lie."""
    (tmp_path / "t.jinja").write_text(
        "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
    )
    (tmp_path / "processor.toml").write_text(
        'title = "T"\nlink = "https://example.org"\n[template]\nkind = "chat"\n'
        'file = "t.jinja"\ncontent = "flat"\ninstruction = "Find bread."\n'
        '[head]\nkind = "logit-score"\ntrue_token = "yes"\n'
    )
    model = CrossEncoder(str(folder_of("qwen3-plain")), device="cpu", processor=tmp_path)
    given = model.preprocess([("a", "c")], prompt="Find rain.")["input_ids"][0]
    assert model.tokenizer.decode(given) == "system:Find rain.;query:a;document:c;"
    expected = model.predict([("a", "c")], prompt="Find bread.")
    assert_same_scores(model.predict([("a", "c")]), expected)


def test_pixels_that_the_user_names_win_over_the_folders(tmp_path: Path) -> None:
    folder = checkpoints.build_qwen3_vl_plain(tmp_path / "Qwen3-VL-Reranker-2B")
    small = CrossEncoder(
        str(folder), device="cpu", processor_kwargs={"min_pixels": 1024, "max_pixels": 4096}
    )
    assert (
        small.preprocess([("a query", picture(640, 480, "red"))])["image_grid_thw"].prod()
        <= 4096 // 256
    )
    assert "image: user" in small.describe()["sources"]["budget"]
