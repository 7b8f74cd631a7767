"""Over-long pairs are cut as the vendors cut them, on real tokenizers and templates."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mmrerank import CrossEncoder
from mmrerank.errors import InputError
from mmrerank.inputs import parse_document
from mmrerank.pipeline.tally import CutTally
from mmrerank.types import DocumentError, EncodedGroup, Pair, Score
from tests.families.registry import FAMILIES
from tests.prompting._pairs import UNCLOSED_TEMPLATES

pytestmark = UNCLOSED_TEMPLATES
ModelOf = Callable[[str], Any]
QUERY = "Which train goes to the mountains?"
LONG = "The train to the mountains stops at every village. " * 12
RED = Image.new("RGB", (64, 64), "red")
BGE = """
title = "An encoder of the BGE kind"
link = "https://example.org"
[match]
model_types = ["xlm-roberta"]
[template]
kind = "tokenizer-pair"
[head]
kind = "builtin"
[truncation]
max_length = 40
max_query_share = 0.75
"""


@pytest.fixture(scope="module")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> ModelOf:
    """Line of the registry -> model of its tiny checkpoint; "bge" -> an encoder of that kind."""
    root = tmp_path_factory.mktemp("truncation")

    def build(name: str) -> CrossEncoder:
        line = "sequence-classification:xlm-roberta" if name == "bge" else name
        folder = FAMILIES[line](root / name.replace(":", "."))
        if name != "bge":
            return CrossEncoder(str(folder), device="cpu")
        (root / "bge-processor").mkdir()
        (root / "bge-processor" / "processor.toml").write_text(BGE, encoding="utf-8")
        return CrossEncoder(str(folder), device="cpu", processor=root / "bge-processor")

    return cache(build)


def _encode(model: Any, query: Any, document: Any) -> EncodedGroup:
    pair = Pair(0, parse_document(query), parse_document(document))
    (group,) = model.pipeline.encode([pair])[0]
    return group


# ---------------------------------------------------------------- the vendors' recipes


@pytest.mark.parametrize("texts", [(QUERY, LONG), (LONG, "a"), (LONG, LONG), (QUERY, "a")])
def test_bge_encoder_cuts_the_query_to_its_share_and_then_the_document(
    texts: tuple[str, str], model_of: ModelOf
) -> None:
    """Source: FlagEmbedding's encoder-only reranker, which cuts `only_second`."""
    model = model_of("bge")
    query, document = (
        model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts
    )
    query = query[:30]
    document = document[: 40 - len(query) - 4]
    start, end = model.tokenizer.cls_token_id, model.tokenizer.sep_token_id
    expected = [start, *query, end, end, *document, end]
    assert _encode(model, *texts).token_ids.tolist() == expected


def _script_cut(tokenizer: Any, ids: list[int], limit: int) -> list[int]:
    """The vendor's rule: the end aside, special ids all stay, of the others the first that fit."""
    # Five ids with the published vocabulary; the tiny one has no word "assistant".
    num_tail = len(tokenizer("<|im_end|>\n<|im_start|>assistant\n")["input_ids"])
    body, tail = ids[:-num_tail], ids[-num_tail:]
    special = set(tokenizer.all_special_ids)
    room = limit - sum(token in special for token in body)
    kept = []
    for token in body if len(body) > limit else []:
        if token in special or room > 0:
            kept.append(token)
            room -= token not in special
    return (kept or body) + tail


@pytest.mark.parametrize("over", [0, 1, 6, 20, 60])
@pytest.mark.parametrize("document", [LONG, {"text": LONG, "image": RED}], ids=["text", "mixed"])
def test_qwen3_vl_prompts_are_cut_as_the_vendors_script_cuts_them(
    over: int, document: Any, model_of: ModelOf
) -> None:
    """Source: qwen3_vl_reranker.py of the model's repository, 2026-01-19."""
    model = model_of("qwen3-vl-reranker")
    model.max_seq_length = 10240
    full = _encode(model, QUERY, document).token_ids.tolist()
    model.max_seq_length = len(full) - over
    assert _encode(model, QUERY, document).token_ids.tolist() == _script_cut(
        model.tokenizer, full, len(full) - over
    )


def test_qwen3_body_is_cut_to_what_its_frame_leaves(model_of: ModelOf) -> None:
    """Source: model card of Qwen/Qwen3-Reranker-0.6B, section "Transformers Usage"."""
    model = model_of("qwen3-reranker")
    model.max_seq_length = 8192
    full = _encode(model, QUERY, LONG).token_ids.tolist()
    tail = model.tokenizer("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n")[
        "input_ids"
    ]
    model.max_seq_length = len(full) - 40
    assert full[-len(tail) :] == tail
    assert _encode(model, QUERY, LONG).token_ids.tolist() == full[: -40 - len(tail)] + tail


# ---------------------------------------------------------------- what holds for all of them

_TEXTS = st.lists(st.sampled_from(["the train ", "village", "\n", " <|im_end|>", "ö", "🚆 "]))
_NAMES = ["qwen3-reranker", "qwen3-vl-reranker:st", "causal-lm:no-template", "bge"]


@pytest.mark.parametrize("name", _NAMES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(query=_TEXTS, document=_TEXTS, limit=st.integers(1, 200))
def test_prompt_is_never_longer_than_allowed_and_its_end_stays(
    name: str, query: list[str], document: list[str], limit: int, model_of: ModelOf
) -> None:
    model = model_of(name)
    texts = "a" + "".join(query), "".join(document)
    model.max_seq_length = 4096
    full = _encode(model, *texts)
    shares = name == "bge" and full.num_truncated
    model.max_seq_length = limit
    try:
        group = _encode(model, *texts)
    except InputError:
        assert full.num_tokens > limit
        return
    assert group.num_tokens == min(limit, full.num_tokens) or (shares and group.num_tokens < limit)
    assert group.num_truncated == full.num_tokens + full.num_truncated - group.num_tokens
    if group.num_truncated and name.startswith("qwen3"):
        assert group.token_ids[-5:].tolist() == full.token_ids[-5:].tolist()


@pytest.mark.parametrize("room", [0, 3, 20])
def test_media_stay_whole_however_long_the_text_is(room: int, model_of: ModelOf) -> None:
    model = model_of("qwen3-vl-reranker:st")
    model.max_seq_length = 4096
    bare = _encode(model, QUERY, {"text": "", "image": RED})
    model.max_seq_length = bare.num_tokens + room
    group = _encode(model, QUERY, {"text": LONG, "image": RED})
    assert group.num_tokens == bare.num_tokens + room
    assert [span.length for span in group.media] == [span.length for span in bare.media]
    image = model.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert np.count_nonzero(group.token_ids == image) == bare.media[0].length


# ---------------------------------------------------------------- the warning


def test_one_warning_counts_documents_and_tokens(
    model_of: ModelOf, caplog: pytest.LogCaptureFixture
) -> None:
    model = model_of("qwen3-reranker")
    model.max_seq_length = 120
    caplog.clear()
    ranking = model.rank(QUERY, [LONG, "a train", LONG[:80], LONG + LONG])
    assert len(ranking) == 4
    (warning,) = [r.getMessage() for r in caplog.records if r.name == "mmrerank.pipeline.line"]
    lost = sum(_encode(model, QUERY, text).num_truncated for text in (LONG, LONG + LONG))
    assert warning.startswith("2 of 4 documents were longer than the model takes and were cut: ")
    assert f"{lost:,} tokens were not read" in warning


def test_warning_tells_tokens_from_seconds_and_stays_away_when_nothing_was_cut() -> None:
    tally = CutTally()
    tally.add(_score(num_truncated=0, cut_s=0.0))
    assert tally.warning() == ""
    tally.add(_score(num_truncated=1204, cut_s=0.0))
    assert "1 of 2 documents" in tally.warning()
    assert "cut: 1,204 tokens were not read" in tally.warning()
    tally.add(_score(num_truncated=0, cut_s=2.5))
    assert "cut: 1,204 tokens and 2.5 s of sound were not read" in tally.warning()
    tally.add(DocumentError(3, InputError("broken")))
    assert "2 of 4 documents" in tally.warning()


def _score(*, num_truncated: int, cut_s: float) -> Score:
    number = np.zeros(1, dtype=np.float32)
    return Score(0, number, number, 10, num_truncated, cut_s)
