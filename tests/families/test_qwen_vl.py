"""Qwen3-VL-Reranker in all its forms, and its layout on models of other families."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import pytest

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError
from tests import checkpoints
from tests.cross_encoder._samples import (
    PAIRS,
    UNCLOSED_TEMPLATES,
    assert_same_scores,
    clip,
    picture,
)
from tests.recipes import qwen3_vl_reranker

pytestmark = UNCLOSED_TEMPLATES
FolderOf = Callable[[str], Path]
ModelOf = Callable[[str], Any]
PLAIN = "Qwen3-VL-Reranker-2B"
BUILDERS: dict[str, Callable[[Path], Path]] = {
    PLAIN: checkpoints.build_qwen3_vl_plain,
    "st": checkpoints.build_qwen3_vl,
    "st-tokenizer-json": partial(checkpoints.build_qwen3_vl, template_layout="tokenizer-json"),
    "qwen2.5-vl-chat": checkpoints.build_lychee_rerank_mm,
}
RED, BLUE = picture(140, 140, "red"), picture(200, 80, "blue")
# Of a size that the vendor's tool leaves as it is: it resizes lists of frames twice.
FRAMES = clip(4, px=384)
VIDEO: dict[str, Any] = {"array": FRAMES, "video_metadata": {"fps": 1.0, "total_num_frames": 4}}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    root = tmp_path_factory.mktemp("qwen3-vl")
    return cache(lambda name: BUILDERS[name](root / name))


@pytest.fixture(scope="module")
def ours_of(folder_of: FolderOf) -> ModelOf:
    return cache(lambda name: CrossEncoder(str(folder_of(name)), device="cpu"))


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def by_script(folder: Path, *pair: Any, **options: Any) -> float:
    return sigmoid(qwen3_vl_reranker.score(folder, *pair, variant="vendor", **options))


@pytest.mark.parametrize("order", list(itertools.permutations(("text", "image", "video"))))
def test_parts_stand_in_the_scripts_order_whatever_the_order_given(
    order: tuple[str, ...], folder_of: FolderOf, ours_of: ModelOf
) -> None:
    given = {"text": "red", "image": [RED, BLUE], "video": VIDEO}
    asked = {"text": "red", "image": [RED, BLUE], "video": FRAMES}
    score = ours_of(PLAIN).predict(("squares", {name: given[name] for name in order}))
    assert_same_scores(score, by_script(folder_of(PLAIN), "squares", asked))


@pytest.mark.parametrize(
    "pair",
    [("", "bread"), ("bread", ""), ("", ""), ("", RED), (RED, {"text": "", "image": BLUE})],
    ids=["query", "document", "both", "query beside a picture", "no text beside a picture"],
)
def test_empty_side_reads_null_and_a_medium_without_text_does_not(
    pair: tuple[Any, Any], folder_of: FolderOf, ours_of: ModelOf
) -> None:
    assert_same_scores(ours_of(PLAIN).predict(pair), by_script(folder_of(PLAIN), *pair))


def test_instruction_takes_the_place_of_the_scripts_own(
    folder_of: FolderOf, ours_of: ModelOf
) -> None:
    pair = ("a red square", RED)
    expected = by_script(folder_of(PLAIN), *pair, "Find the colour.")
    assert_same_scores(ours_of(PLAIN).predict(pair, instruction="Find the colour."), expected)


@pytest.mark.parametrize(("form", "native_is_probability"), [(PLAIN, True), ("st", False)])
def test_each_form_scores_by_the_script_on_each_scale(
    form: str, native_is_probability: bool, folder_of: FolderOf
) -> None:
    pairs: list[tuple[Any, Any]] = [PAIRS[0], ("a red square", RED)]
    logits = [qwen3_vl_reranker.score(folder_of(PLAIN), *pair) for pair in pairs]
    probabilities = [sigmoid(logit) for logit in logits]
    expected: dict[Literal["native", "logit", "probability"], list[float]] = {
        "native": probabilities if native_is_probability else logits,
        "logit": logits,
        "probability": probabilities,
    }
    for scale, scores in expected.items():
        model = CrossEncoder(str(folder_of(form)), device="cpu", scale=scale)
        assert_same_scores(model.predict(pairs), scores)


def test_named_template_is_found_in_the_tokenizers_settings_too(
    folder_of: FolderOf, ours_of: ModelOf
) -> None:
    assert not (folder_of("st-tokenizer-json") / "chat_template.jinja").exists()
    pairs: list[tuple[Any, Any]] = [PAIRS[0], ("a red square", RED), (RED, "red")]
    expected = ours_of("st").predict(pairs)
    assert_same_scores(ours_of("st-tokenizer-json").predict(pairs), expected)


def test_wrong_path_of_the_head_is_repaired_in_words(
    ours_of: ModelOf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As the 8B's modules.json once had it."""
    folder = checkpoints.build_qwen3_vl(tmp_path / "copy")
    modules = folder / "modules.json"
    modules.write_text(modules.read_text().replace("1_LogitScore", "1_Score"))
    with caplog.at_level(logging.WARNING, logger="mmrerank"):
        model = CrossEncoder(str(folder), device="cpu")
    assert "1_LogitScore" in caplog.text
    pairs: list[tuple[Any, Any]] = [PAIRS[0], ("a red square", RED)]
    assert_same_scores(model.predict(pairs), ours_of("st").predict(pairs))


@pytest.mark.parametrize(
    "document",
    ["The train stops at every village. " * 40, {"image": RED, "text": "It is red. " * 80}],
    ids=["text", "picture and text"],
)
def test_long_document_is_cut_as_the_script_cuts_it(document: Any, folder_of: FolderOf) -> None:
    """The turn behind the document does not count: the whole is longer than max_length."""
    folder = folder_of(PLAIN)
    model = CrossEncoder(str(folder), device="cpu", max_length=190)
    score, detail = model.predict(("a red square", document), return_details=True)
    behind = model.tokenizer.encode("<|im_end|>\n<|im_start|>assistant\n")
    assert detail.num_tokens == 190 + len(behind)
    assert_same_scores(score, by_script(folder, "a red square", document, max_length=190))


def test_processor_argument_puts_the_layout_on_another_familys_chat_model(
    folder_of: FolderOf,
) -> None:
    folder = folder_of("qwen2.5-vl-chat")
    with pytest.raises(CheckpointError, match="processor="):
        CrossEncoder(str(folder), device="cpu")
    model = CrossEncoder(str(folder), device="cpu", processor="qwen3-vl-reranker")
    pairs: list[tuple[Any, Any]] = [PAIRS[0], ("a red square", RED), (RED, "a red square")]
    expected = [sigmoid(qwen3_vl_reranker.score(folder, *pair)) for pair in pairs]
    assert_same_scores(model.predict(pairs), expected)
