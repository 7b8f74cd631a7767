"""T5 rerankers: scores of the published recipes, over-long documents, training, files."""

from __future__ import annotations

import importlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, InputError
from tests import checkpoints
from tests.recipes import mono_t5

QUERY = "red planet"
DOCUMENTS = [
    "Dust and iron make the surface of the planet look red.",
    "A man is eating a piece of bread on the bench.",
    "Which planet is known as the red planet? " * 3,
    "Query: red planet Document: Relevant: </s> <pad>",
    "",
]
PAIRS = [(QUERY, document) for document in DOCUMENTS]
LONG = "The city has a population of three million people. " * 80


@dataclass(frozen=True)
class Published:
    """A repository's name, the form of its config.json and the words that it answers with."""

    name: str
    family: str
    build: Callable[[Path], Path]
    true: str
    false: str


PUBLISHED = [
    Published("monot5-base-msmarco", "monot5", checkpoints.build_t5, "▁true", "▁false"),
    Published("my_monoT5_tuned", "monot5", checkpoints.build_t5_v1_1, "▁true", "▁false"),
    Published("InRanker-base", "monot5", checkpoints.build_t5, "▁true", "▁false"),
    Published("mt5-base-mmarco-v2", "mt5-mmarco", checkpoints.build_mt5, "▁yes", "▁no"),
    Published("mt5-base-en-msmarco", "mt5-mmarco", checkpoints.build_mt5, "▁yes", "▁no"),
    Published("mt5-13b-mmarco-100k", "mt5-mmarco-large", checkpoints.build_mt5, "▁true", "▁"),
    Published("ptt5-base-pt-msmarco-100k-v2", "ptt5-msmarco", checkpoints.build_t5, "▁sim", "▁não"),
]
ONE_EACH = [PUBLISHED[0], PUBLISHED[1], PUBLISHED[3]]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Published], Path]:
    root = tmp_path_factory.mktemp("seq2seq")
    return cache(lambda published: published.build(root / published.name))


@pytest.fixture(scope="module")
def model_of(folder_of: Callable[[Published], Path]) -> Callable[[Published], CrossEncoder]:
    return cache(lambda published: CrossEncoder(str(folder_of(published)), device="cpu"))


@pytest.fixture(scope="module")
def rank_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.build_t5(tmp_path_factory.mktemp("seq2seq") / "RankT5-base")


def probabilities(
    published: Published, folder: Path, pairs: list[tuple[str, str]], max_tokens: int = 512
) -> list[float]:
    words = {"true": published.true, "false": published.false}
    return [
        math.exp(mono_t5.log_probability(folder, *pair, **words, max_tokens=max_tokens))
        for pair in pairs
    ]


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.name)
def test_scores_equal_those_of_the_recipe(
    published: Published,
    folder_of: Callable[[Published], Path],
    model_of: Callable[[Published], CrossEncoder],
) -> None:
    model = model_of(published)
    expected = probabilities(published, folder_of(published), PAIRS)
    assert model.spec.family == published.family
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(model.predict(PAIRS), expected, atol=1e-5)


def test_rank_t5_gives_the_raw_logit_of_its_token_and_has_no_word_behind_the_document(
    rank_t5: Path,
) -> None:
    model = CrossEncoder(str(rank_t5), device="cpu")
    expected = [mono_t5.logit_of(rank_t5, *pair, token="<extra_id_10>") for pair in PAIRS]
    assert model.spec.family == "rankt5"
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(model.predict(PAIRS), expected, atol=1e-5)


def test_rank_t5_refuses_to_give_a_probability(rank_t5: Path) -> None:
    with pytest.raises(InputError, match="defined as logit only"):
        CrossEncoder(str(rank_t5), device="cpu", scale="probability")


def test_scale_logit_is_the_difference_that_the_probability_was_made_of(
    folder_of: Callable[[Published], Path], model_of: Callable[[Published], CrossEncoder]
) -> None:
    model = CrossEncoder(str(folder_of(PUBLISHED[0])), device="cpu", scale="logit")
    logits = torch.from_numpy(model.predict(PAIRS))
    np.testing.assert_allclose(logits.sigmoid(), model_of(PUBLISHED[0]).predict(PAIRS), atol=1e-6)


@pytest.mark.parametrize("published", ONE_EACH, ids=lambda published: published.name)
def test_over_long_document_is_cut_and_what_stands_behind_it_kept(
    published: Published,
    folder_of: Callable[[Published], Path],
    model_of: Callable[[Published], CrossEncoder],
) -> None:
    model = model_of(published)
    groups, _ = model.pipeline.encode(_pairs_of([(QUERY, LONG)]))
    words = model.tokenizer.convert_ids_to_tokens(groups[0].token_ids.tolist())
    assert groups[0].num_tokens == 512
    assert words[-3:] == ["▁Relevant", ":", "</s>"]
    expected = probabilities(published, folder_of(published), [(QUERY, LONG)])
    np.testing.assert_allclose(model.predict([(QUERY, LONG)]), expected, atol=1e-5)


def test_max_length_of_the_caller_wins(folder_of: Callable[[Published], Path]) -> None:
    published = PUBLISHED[3]
    model = CrossEncoder(str(folder_of(published)), device="cpu", max_length=40)
    expected = probabilities(published, folder_of(published), [(QUERY, LONG)], max_tokens=40)
    np.testing.assert_allclose(model.predict([(QUERY, LONG)]), expected, atol=1e-5)


def test_instruction_stands_in_front_of_the_query(
    model_of: Callable[[Published], CrossEncoder],
) -> None:
    model = model_of(PUBLISHED[0])
    with_instruction = model.predict(PAIRS, prompt="Which planet? ")
    by_hand = model.predict([("Which planet? " + query, text) for query, text in PAIRS])
    np.testing.assert_allclose(with_instruction, by_hand, atol=1e-6)


def test_any_other_t5_is_no_reranker_until_the_family_is_named(tmp_path: Path) -> None:
    folder = checkpoints.build_t5(tmp_path / "t5-small")
    with pytest.raises(CheckpointError, match=r"processor=.*monot5"):
        CrossEncoder(str(folder), device="cpu")
    model = CrossEncoder(str(folder), device="cpu", processor="monot5")
    expected = probabilities(PUBLISHED[0], folder, PAIRS)
    np.testing.assert_allclose(model.predict(PAIRS), expected, atol=1e-5)


def test_rank_orders_by_the_scores_of_predict(
    model_of: Callable[[Published], CrossEncoder],
) -> None:
    model = model_of(PUBLISHED[0])
    order = np.argsort(-model.predict(PAIRS), kind="stable")
    assert [entry["corpus_id"] for entry in model.rank(QUERY, DOCUMENTS)] == order.tolist()


def test_plan_tells_that_equal_prompts_are_computed_once(
    model_of: Callable[[Published], CrossEncoder],
) -> None:
    plan = model_of(PUBLISHED[0]).explain_plan([PAIRS[0]] * 3)
    assert plan.runner == "encoder-decoder"
    assert (plan.num_prompts, plan.num_tokens) == (3, 3 * plan.num_computed)


def test_bfloat16_gives_nearly_the_same_scores(
    folder_of: Callable[[Published], Path], model_of: Callable[[Published], CrossEncoder]
) -> None:
    half = CrossEncoder(
        str(folder_of(PUBLISHED[0])), device="cpu", model_kwargs={"dtype": "bfloat16"}
    )
    np.testing.assert_allclose(half.predict(PAIRS), model_of(PUBLISHED[0]).predict(PAIRS), atol=0.1)


# ---------------------------------------------------------------- training


def test_forward_gives_the_logits_of_predict(
    model_of: Callable[[Published], CrossEncoder],
) -> None:
    model = model_of(PUBLISHED[3])
    with torch.inference_mode():
        logits = model(model.preprocess(PAIRS))["scores"]
    expected = model.predict(PAIRS, activation_fn=torch.nn.Identity())
    np.testing.assert_allclose(logits.squeeze(1), expected, atol=1e-5)


def test_gradients_reach_encoder_decoder_and_output_layer(tmp_path: Path) -> None:
    folder = checkpoints.build_mt5(tmp_path / "mt5-base-mmarco-v2")
    model = CrossEncoder(str(folder), device="cpu")
    model.train()
    model(model.preprocess_for_training(PAIRS))["scores"].sum().backward()
    names = ("encoder.block.0.layer.0.SelfAttention.q", "decoder.block.1.layer.1.EncDecAttention.v")
    for name in (*names, "lm_head", "shared"):
        gradient = model.model.get_parameter(f"{name}.weight").grad
        assert gradient is not None
        assert gradient.abs().max() > 0


def test_loss_goes_down_while_the_model_is_trained(tmp_path: Path) -> None:
    from mmrerank.cross_encoder.losses import BinaryCrossEntropyLoss

    folder = checkpoints.build_t5(tmp_path / "monot5-base-msmarco")
    model = CrossEncoder(str(folder), device="cpu")
    loss = BinaryCrossEntropyLoss(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    labels = torch.tensor([1.0, 0.0, 1.0])
    values = []
    for _ in range(6):
        value = loss([[QUERY] * 3, DOCUMENTS[:3]], labels)
        values.append(value.item())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert values[-1] < values[0] / 2


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("published", ONE_EACH, ids=lambda published: published.name)
def test_saved_folder_scores_equally_under_any_name(
    published: Published,
    model_of: Callable[[Published], CrossEncoder],
    tmp_path: Path,
) -> None:
    model = model_of(published)
    pairs = [*PAIRS, (QUERY, LONG)]
    model.save_pretrained(tmp_path / "out")
    again = CrossEncoder(str(tmp_path / "out"), device="cpu")
    np.testing.assert_allclose(again.predict(pairs), model.predict(pairs), atol=1e-6)


def test_saving_says_once_that_the_peer_does_not_load_it(
    model_of: Callable[[Published], CrossEncoder],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "mmrerank"):
        model_of(PUBLISHED[0]).save_pretrained(tmp_path / "out")
    assert len([r for r in caplog.records if "encoder-decoder" in r.getMessage()]) == 1


@pytest.mark.slow  # to import the peer
def test_peer_refuses_the_saved_folder(
    model_of: Callable[[Published], CrossEncoder], tmp_path: Path
) -> None:
    from sentence_transformers import CrossEncoder as Peer

    model_of(PUBLISHED[0]).save_pretrained(tmp_path / "out")
    with pytest.raises(ValueError, match="Unsupported transformer_task 'seq2seq'"):
        Peer(str(tmp_path / "out"), device="cpu")


def test_saved_folder_is_a_plain_model_for_transformers(
    model_of: Callable[[Published], CrossEncoder], tmp_path: Path
) -> None:
    """Of T5 1.1: a loader that scales its decoder's states would be far off."""
    model = model_of(PUBLISHED[1])
    model.save_pretrained(tmp_path / "out")
    plain = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    inputs = {"input_ids": torch.tensor([[5, 6, 1]]), "decoder_input_ids": torch.tensor([[0]])}
    with torch.inference_mode():
        torch.testing.assert_close(plain(**inputs).logits, model.model(**inputs).logits)


def test_sentencepiece_file_alone_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As published; without its readers transformers asks for tiktoken."""
    folder = checkpoints.build_t5(tmp_path / "monot5-base-msmarco")
    (folder / "tokenizer.json").rename(folder / "spiece.model")
    # By its full name: an attribute of the lazy package of the same name may be a function.
    convert = importlib.import_module("transformers.convert_slow_tokenizer")
    monkeypatch.setattr(convert, "requires_backends", _refuse)
    with pytest.raises(CheckpointError, match="pip install sentencepiece protobuf"):
        CrossEncoder(str(folder), device="cpu")


def _refuse(*_: object) -> None:
    raise ImportError("SentencePieceExtractor requires the protobuf library")


def _pairs_of(pairs: list[tuple[str, str]]) -> list[Any]:
    from mmrerank.inputs import parse_pairs

    return list(parse_pairs(pairs).pairs)
