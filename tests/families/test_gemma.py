"""A Gemma-3 chat model becomes a reranker of pictures by a folder that its user writes."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, Gemma3ForConditionalGeneration

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, InputError
from tests.checkpoints.gemma3 import GEMMA3_IMAGE, build_gemma3
from tests.cross_encoder._samples import PAIRS, assert_same_scores, picture

_TOML = """
title = "Gemma, yes or no"
link = "https://example.org"
modalities = ["text", "image"]
[template]
kind = "chat"
file = "t.jinja"
[head]
kind = "logit-score"
true_token = "yes"
false_token = "no"
"""
_TEMPLATE = (
    "{%- macro side(content) -%}{%- for part in content -%}"
    "{%- if part.type == 'image' -%}<start_of_image>{%- else -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}{%- endmacro -%}"
    "{{- '<start_of_turn>user\n' -}}"
    "{%- for m in messages -%}{{- m.role -}}: {{ side(m.content) }} {% endfor -%}"
    "<end_of_turn><start_of_turn>model"
)
RED, BLUE = picture(70, 90, "red"), picture(200, 60, "blue")
SAMPLES: list[tuple[Any, Any]] = [
    PAIRS[0],
    ("a red square", RED),
    (BLUE, RED),
    ("a red square", {"image": BLUE, "text": "It is blue."}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_gemma3(tmp_path_factory.mktemp("gemma") / "gemma-3-4b-it")


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("family")
    (made / "processor.toml").write_text(_TOML)
    (made / "t.jinja").write_text(_TEMPLATE)
    return made


@cache
def _load(folder: Path) -> tuple[Any, Any]:
    model = Gemma3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return AutoProcessor.from_pretrained(folder), model.eval()


def by_hand(folder: Path, query: Any, document: Any) -> float:
    """Probability of yes, with transformers alone: one pair, the whole vocabulary."""
    processor, model = _load(folder)
    texts, images = [], []
    for side in (query, document):
        parts = list(side.values()) if isinstance(side, dict) else [side]
        images += [part for part in parts if isinstance(part, Image.Image)]
        texts.append("".join(p if isinstance(p, str) else GEMMA3_IMAGE for p in parts))
    prompt = (
        f"<start_of_turn>user\nquery: {texts[0]} document: {texts[1]} "
        "<end_of_turn><start_of_turn>model"
    )
    media = {"images": [images]} if images else {}
    options = {"return_tensors": "pt", "text_kwargs": {"add_special_tokens": False}}
    inputs = processor(text=[prompt], **media, **options)
    with torch.inference_mode():
        logits = model(**inputs).logits[0, -1]
    yes, no = processor.tokenizer.convert_tokens_to_ids(["yes", "no"])
    return 1 / (1 + math.exp(float(logits[no] - logits[yes])))


def test_plain_folder_is_refused_and_the_argument_is_named(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="processor="):
        CrossEncoder(str(folder), device="cpu")


def test_own_folder_scores_text_and_pictures_as_plain_transformers_does(
    folder: Path, family: Path
) -> None:
    """A picture's tokens see each other there: their kinds have to reach the model."""
    model = CrossEncoder(str(folder), device="cpu", processor=family)
    expected = [by_hand(folder, *pair) for pair in SAMPLES]
    assert_same_scores(model.predict(SAMPLES), expected)
    assert_same_scores([model.predict(pair) for pair in SAMPLES], expected)


@pytest.mark.parametrize("word", ["<start_of_image>", "<image_soft_token>"])
def test_word_of_the_prompt_and_word_of_the_input_are_refused_in_texts(
    folder: Path, family: Path, word: str
) -> None:
    model = CrossEncoder(str(folder), device="cpu", processor=family)
    with pytest.raises(InputError, match=word):
        model.predict([("a query", f"a {word} document")])
