"""Encoder-decoders: states as the whole model's, whatever stands beside a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    MT5Config,
    MT5ForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
)

from mmrerank.engine import EngineCaches, PaddedRunner, TokenBudget, build_engine
from mmrerank.engine.seq2seq import Seq2SeqEngine
from mmrerank.errors import CheckpointError, Stopped
from mmrerank.heads import LogitScore, build_head
from mmrerank.models import decoder_start_id
from mmrerank.specs import HeadSpec
from mmrerank.types import EncodedGroup
from tests.checkpoints._save import make_model

VOCAB_SIZE = 48
SIZES: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 40,
    "num_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
}
GATED: dict[str, Any] = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
MODELS: dict[str, Any] = {
    "t5": lambda: T5ForConditionalGeneration(T5Config(**SIZES)),
    "t5 1.1": lambda: T5ForConditionalGeneration(T5Config(**SIZES, **GATED)),
    "mt5": lambda: MT5ForConditionalGeneration(MT5Config(**SIZES, **GATED)),
    "umt5": lambda: UMT5ForConditionalGeneration(UMT5Config(**SIZES)),
}
TRUE, FALSE = 7, 9
CHANCE = np.random.default_rng(0)
PROMPTS = [CHANCE.integers(3, VOCAB_SIZE, length) for length in (5, 31, 12, 12, 3, 60)]
EVERYTHING = TokenBudget(max_tokens=100_000)


@cache
def made(name: str) -> Any:
    return make_model(MODELS[name], seed=0, matrix_gain=1.5)


def engine_of(model: Any) -> tuple[Any, Any]:
    head = build_head(HeadSpec("logit-score", TRUE, FALSE), [LogitScore(TRUE, FALSE)], model)
    padded = PaddedRunner(model, head, pad_id=0, token_types={})
    return build_engine(model, head, padded, token_types={}, caches=EngineCaches()), head


def groups_of(prompts: Sequence[np.ndarray]) -> list[EncodedGroup]:
    return [
        EncodedGroup(ids.astype(np.int64), score_at=(len(ids) - 1,), indices=(place,))
        for place, ids in enumerate(prompts)
    ]


def logits_of(batches: Iterator[Any], head: Any) -> Tensor:
    """(num_prompts,) in the order of the prompts."""
    found: dict[int, Tensor] = {}
    for rows, states in batches:
        with torch.inference_mode():
            found.update(zip(rows, head.to_logits(states)[:, 0], strict=True))
    return torch.stack([found[place] for place in range(len(found))])


def expected_of(model: Any, prompts: Sequence[np.ndarray]) -> Tensor:
    """Each prompt by itself through the model's own forward."""
    start = torch.tensor([[0]])
    with torch.inference_mode():
        rows = [
            model(input_ids=torch.from_numpy(ids)[None], decoder_input_ids=start).logits[0, 0]
            for ids in prompts
        ]
    return torch.stack([row[TRUE] - row[FALSE] for row in rows])


@pytest.mark.parametrize("name", MODELS)
def test_logits_equal_those_of_the_whole_model(name: str) -> None:
    model = made(name)
    engine, head = engine_of(model)
    assert isinstance(engine, Seq2SeqEngine)
    expected = expected_of(model, PROMPTS)
    assert expected.max() - expected.min() > 1e-2
    one_by_one = TokenBudget(max_pairs=1)
    found = logits_of(engine.run(groups_of(PROMPTS), {}, budget=one_by_one, device="cpu"), head)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    found = logits_of(engine.run(groups_of(PROMPTS), {}, budget=EVERYTHING, device="cpu"), head)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("max_pairs", [2, 4])
def test_size_of_batches_changes_nothing(max_pairs: int) -> None:
    model = made("t5")
    engine, head = engine_of(model)
    budget = TokenBudget(max_pairs=max_pairs)
    batches = list(engine.run(groups_of(PROMPTS), {}, budget=budget, device="cpu"))
    assert max(len(rows) for rows, _ in batches) == max_pairs
    expected = expected_of(model, PROMPTS)
    torch.testing.assert_close(logits_of(iter(batches), head), expected, rtol=1e-5, atol=1e-6)


class Counting:
    """A runner that notes how many prompts each of its batches held, and may fail."""

    def __init__(self, runner: Any, *, fails_above: int | None = None) -> None:
        self._runner = runner
        self._fails_above = fails_above
        self.sizes: list[int] = []

    def run(self, groups: Sequence[EncodedGroup], features: Any, device: Any) -> Any:
        self.sizes.append(len(groups))
        if self._fails_above is not None and len(groups) > self._fails_above:
            raise RuntimeError("CUDA out of memory")
        return self._runner.run(groups, features, device)


def test_equal_prompts_are_computed_once_and_all_get_their_state() -> None:
    model = made("t5")
    engine, head = engine_of(model)
    runner = engine._rows._runner = Counting(engine._rows._runner)
    prompts = [PROMPTS[place] for place in (0, 1, 0, 2, 1, 0)]
    found = logits_of(engine.run(groups_of(prompts), {}, budget=EVERYTHING, device="cpu"), head)
    assert runner.sizes == [3]
    torch.testing.assert_close(found, expected_of(model, prompts), rtol=1e-5, atol=1e-6)


def test_batch_that_does_not_fit_is_halved_with_the_same_result() -> None:
    model = made("t5")
    engine, head = engine_of(model)
    runner = engine._rows._runner = Counting(engine._rows._runner, fails_above=2)
    found = logits_of(engine.run(groups_of(PROMPTS), {}, budget=EVERYTHING, device="cpu"), head)
    assert max(runner.sizes) > 2
    assert runner.sizes[-1] <= 2
    torch.testing.assert_close(found, expected_of(model, PROMPTS), rtol=1e-5, atol=1e-6)


def test_stop_raises_before_the_next_batch() -> None:
    engine, _ = engine_of(made("t5"))
    answers = iter([False, True])
    batches = engine.run(
        groups_of(PROMPTS),
        {},
        budget=TokenBudget(max_pairs=2),
        device="cpu",
        should_stop=lambda: next(answers),
    )
    assert next(batches)[0] == (5, 1)
    with pytest.raises(Stopped):
        next(batches)


def test_plan_counts_all_prompts_and_computes_the_distinct_ones() -> None:
    engine, _ = engine_of(made("t5"))
    groups = groups_of([PROMPTS[2], PROMPTS[2], PROMPTS[2], PROMPTS[0]])
    plan = engine.explain(groups, {}, EVERYTHING, "cpu")
    assert (plan.runner, plan.num_prompts, plan.num_batches) == ("encoder-decoder", 4, 1)
    assert (plan.num_tokens, plan.num_computed) == (3 * 12 + 5, 2 * 12)


def test_unknown_encoder_decoder_is_refused_by_name() -> None:
    config = BartConfig(
        vocab_size=VOCAB_SIZE, d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16
    )
    with pytest.raises(CheckpointError, match=r"model_type 'bart'.*Known: mt5, t5, t5gemma2, umt5"):
        engine_of(BartForConditionalGeneration(config))


def test_decoder_starts_from_the_named_token_else_from_padding() -> None:
    model = T5ForConditionalGeneration(T5Config(**{**SIZES, "decoder_start_token_id": 11}))
    assert decoder_start_id(model) == 11
    without = {name: value for name, value in SIZES.items() if name != "decoder_start_token_id"}
    model = T5ForConditionalGeneration(T5Config(**without, pad_token_id=4))
    assert decoder_start_id(model) == 4
    model.generation_config.decoder_start_token_id = 13
    assert decoder_start_id(model) == 13
