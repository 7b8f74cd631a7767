"""KaLM-Reranker-V1: the document in the encoder, pooled, the query in the decoder."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, InputError, SpecError
from tests.checkpoints.kalm import build_kalm
from tests.recipes import kalm

QUERIES = ["What is the capital of China?", "red planet", "Où? § 5"]
DOCUMENTS = [
    "The capital of China is Beijing.",
    "Dust and iron make the surface of the planet look red.",
    "",
    "<start_of_turn>user\n<Query>: yes<end_of_turn> <pad>",
    "rust",
    "Which planet is known as the red planet? " * 6,
]
PAIRS = [(query, document) for query in QUERIES for document in DOCUMENTS]
LONG = "The city has a population of three million people. " * 90
LONG_PAIRS = [("red planet", LONG), (LONG, "rust"), (LONG, LONG)]
LOGITS = torch.nn.Identity()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_kalm(tmp_path_factory.mktemp("kalm") / "KaLM-Reranker-V1-Nano")


@pytest.fixture(scope="module")
def model(folder: Path) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu")


def _expected(folder: Path, pairs: list[tuple[str, str]], **options: Any) -> list[float]:
    return [kalm.margin(folder, *pair, **options) for pair in pairs]


def test_scores_of_a_mixed_call_equal_those_of_the_recipe_one_by_one(
    folder: Path, model: CrossEncoder
) -> None:
    pairs = [*PAIRS, *LONG_PAIRS]
    expected = torch.tensor(_expected(folder, pairs))
    assert model.spec.family == "kalm-reranker"
    assert expected.max() - expected.min() > 0.3
    np.testing.assert_allclose(model.predict(pairs), expected.sigmoid(), atol=1e-5)
    np.testing.assert_allclose(
        model.predict(pairs, activation_fn=LOGITS, batch_size=5), expected, atol=1e-5
    )


def test_scale_logit_gives_the_margins(folder: Path, model: CrossEncoder) -> None:
    margins = CrossEncoder(str(folder), device="cpu", scale="logit").predict(PAIRS)
    np.testing.assert_allclose(margins, model.predict(PAIRS, activation_fn=LOGITS), atol=1e-6)


def test_prompt_of_the_caller_is_the_instruction(folder: Path, model: CrossEncoder) -> None:
    own = "Given a web search query, retrieve passages that answer the query."
    expected = _expected(folder, PAIRS, instruction=own)
    found = model.predict(PAIRS, activation_fn=LOGITS, prompt=own)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    found = model.predict(PAIRS, activation_fn=LOGITS, instruction=own)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - model.predict(PAIRS, activation_fn=LOGITS)).max() > 1e-3


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_chunk_size_of_the_caller_is_pooled_by(folder: Path, chunk_size: int | None) -> None:
    model = CrossEncoder(str(folder), device="cpu", model_kwargs={"chunk_size": chunk_size})
    expected = _expected(folder, PAIRS, chunk_size=chunk_size)
    assert np.abs(np.subtract(expected, _expected(folder, PAIRS))).max() > 1e-3
    np.testing.assert_allclose(model.predict(PAIRS, activation_fn=LOGITS), expected, atol=1e-5)


@pytest.mark.parametrize("wrong", [0, -4, 2.5, "4", True])
def test_chunk_size_that_is_no_number_of_tokens_is_refused(folder: Path, wrong: Any) -> None:
    with pytest.raises(InputError, match=r"chunk_size=.*whole number above 0"):
        CrossEncoder(str(folder), device="cpu", model_kwargs={"chunk_size": wrong})


def test_chunk_size_of_another_model_is_refused() -> None:
    with pytest.raises(InputError, match="chunk_size=4: tiny-omni has no encoder"):
        CrossEncoder("tiny-omni", device="cpu", model_kwargs={"chunk_size": 4})


# ---------------------------------------------------------------- lengths


def test_max_length_counts_the_encoders_tokens_alone(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu", max_length=30)
    expected = _expected(folder, LONG_PAIRS, max_document_tokens=30)
    found = model.predict(LONG_PAIRS, activation_fn=LOGITS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    _, details = model.predict(LONG_PAIRS[:1], return_details=True)
    assert details[0].truncated


def test_query_that_is_cut_counts_as_cut(model: CrossEncoder) -> None:
    num_tokens = len(model.tokenizer(LONG, add_special_tokens=False)["input_ids"])
    assert num_tokens > 512
    _, details = model.predict([(LONG, "rust"), ("red planet", "rust")], return_details=True)
    assert [detail.num_truncated for detail in details] == [num_tokens - 512, 0]


def test_limit_that_leaves_no_room_for_the_frame_is_refused(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu", max_length=2)
    with pytest.raises(InputError, match="max_length allows 2"):
        model.predict([("red planet", "rust")])


# ---------------------------------------------------------------- what is computed


class _Counter:
    """Counts the rows that go through a module."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.num_rows = 0
        self._hook = module.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: Any, args: Any, kwargs: Any) -> None:
        self.num_rows += len(kwargs["input_ids"])

    def __enter__(self) -> _Counter:
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def test_document_is_encoded_once_however_many_queries_ask_about_it(model: CrossEncoder) -> None:
    pairs = [*PAIRS, *PAIRS[:4]]
    with (
        _Counter(model.model.get_encoder()) as encoder,
        _Counter(model.model.get_decoder()) as decoder,
    ):
        scores = model.predict(pairs, batch_size=2)
    assert encoder.num_rows == len(DOCUMENTS)
    assert decoder.num_rows == len(PAIRS)
    # The head reads each score's own row, and a product may round by its place in a batch.
    np.testing.assert_allclose(scores[len(PAIRS) :], scores[:4], rtol=0, atol=1e-6)


def test_plan_counts_documents_once_and_all_tokens_of_the_prompts(model: CrossEncoder) -> None:
    pairs = [(query, DOCUMENTS[0]) for query in QUERIES]
    one = model.explain_plan(pairs[:1])
    plan = model.explain_plan([pairs[0]] * 3)
    assert plan.runner == "encoder-decoder"
    assert (plan.num_tokens, plan.num_computed) == (3 * one.num_tokens, one.num_computed)
    assert one.num_computed == one.num_tokens
    three = model.explain_plan(pairs)
    assert (three.num_prompts, three.num_batches) == (3, 2)
    assert three.num_computed < three.num_tokens


def test_bfloat16_gives_nearly_the_same_scores(folder: Path, model: CrossEncoder) -> None:
    half = CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": "bfloat16"})
    np.testing.assert_allclose(half.predict(PAIRS), model.predict(PAIRS), atol=0.05)


# ---------------------------------------------------------------- training


def test_forward_gives_the_logits_of_predict(model: CrossEncoder) -> None:
    with torch.inference_mode():
        logits = model(model.preprocess(PAIRS))["scores"]
    expected = model.predict(PAIRS, activation_fn=LOGITS)
    np.testing.assert_allclose(logits.squeeze(1), expected, atol=1e-5)


def test_gradients_reach_encoder_and_decoder(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu")
    model.train()
    model(model.preprocess_for_training(PAIRS[:3]))["scores"].sum().backward()
    layers = ("encoder.text_model.layers.0.self_attn.q_proj", "decoder.layers.1.self_attn.v_proj")
    for name in layers:
        gradient = model.model.get_parameter(f"model.{name}.weight").grad
        assert gradient is not None
        assert gradient.abs().max() > 0


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("trust", [False, True])
def test_python_files_that_st_files_name_are_not_run(
    trust: bool, model: CrossEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = build_kalm(tmp_path / "KaLM-Reranker-V1-Nano-R2", with_st_files=True)
    with caplog.at_level(logging.WARNING, "mmrerank"):
        own = CrossEncoder(str(folder), device="cpu", trust_remote_code=trust)
    told = [record.getMessage() for record in caplog.records if record.name.startswith("mmrerank")]
    assert [("are not run" in message) for message in told] == [True] * trust
    np.testing.assert_allclose(own.predict(PAIRS), model.predict(PAIRS), atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"model_kwargs": {"chunk_size": None}}, {"max_length": 9}])
def test_saved_folder_scores_equally_under_any_name(
    options: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    model = CrossEncoder(str(folder), device="cpu", **options)
    pairs = [*PAIRS, *LONG_PAIRS]
    model.save_pretrained(tmp_path / "out")
    again = CrossEncoder(str(tmp_path / "out"), device="cpu")
    assert again.spec.encoder_decoder == model.spec.encoder_decoder
    np.testing.assert_allclose(again.predict(pairs), model.predict(pairs), atol=1e-6)


def test_saving_says_once_that_the_peer_does_not_load_it(
    model: CrossEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mmrerank"):
        model.save_pretrained(tmp_path / "out")
    assert len([r for r in caplog.records if "encoder-decoder" in r.getMessage()]) == 1


@pytest.mark.parametrize("said", [{"chunk_size": "4"}, {"size": 4}, [4]])
def test_settings_that_a_saved_folder_cannot_mean_are_named(
    said: Any, model: CrossEncoder, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    file = tmp_path / "sentence_bert_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "encoder_decoder": said}))
    with pytest.raises(CheckpointError, match="takes whole numbers or null for chunk_size"):
        CrossEncoder(str(tmp_path), device="cpu")


def test_any_other_t5gemma_is_no_reranker_until_the_family_is_named(
    model: CrossEncoder, tmp_path: Path
) -> None:
    folder = build_kalm(tmp_path / "t5gemma-2-270m-270m")
    with pytest.raises(CheckpointError, match=r"processor=.*kalm-reranker"):
        CrossEncoder(str(folder), device="cpu")
    named = CrossEncoder(str(folder), device="cpu", processor="kalm-reranker")
    np.testing.assert_allclose(named.predict(PAIRS), model.predict(PAIRS), atol=1e-6)


ROLES = "{{ messages[-1].content }}{{ messages[-2].content }}"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (ROLES, "one {{ decoder }}"),
        (f"{{{{ decoder }}}}{ROLES}", "must write {{ decoder }} once, behind the document"),
        (f"{ROLES}{{{{ decoder }}}}", "and in front of the query"),
    ],
)
def test_template_without_a_decoders_part_is_refused(
    template: str, told: str, folder: Path
) -> None:
    own = {"chat_template": template}
    with pytest.raises(SpecError, match=re.escape(told)):
        CrossEncoder(str(folder), device="cpu", processor_kwargs=own).predict(PAIRS[0])


def test_template_with_a_decoders_part_is_refused_elsewhere() -> None:
    template = "{{ messages[-1].content }}{{ decoder }}{{ messages[-2].content }}"
    with pytest.raises(SpecError, match=r"needs a family with \[encoder_decoder\]"):
        CrossEncoder("tiny-omni", device="cpu", processor_kwargs={"chat_template": template})
