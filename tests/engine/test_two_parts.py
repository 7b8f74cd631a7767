"""Prompts of two parts: states as the whole model's, each distinct document encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from mmrerank.engine import EngineCaches, PaddedRunner, TokenBudget, build_engine, two_parts
from mmrerank.engine.two_parts import TwoPartEngine
from mmrerank.errors import Stopped
from mmrerank.heads import LogitScore, build_head
from mmrerank.models import pooled
from mmrerank.specs import EncoderDecoderSpec, HeadSpec
from mmrerank.types import EncodedGroup
from tests.checkpoints._save import make_model

VOCAB_SIZE = 48
TRUE, FALSE = 7, 9
CHANCE = np.random.default_rng(0)
DOCUMENTS = [CHANCE.integers(3, VOCAB_SIZE, length) for length in (5, 31, 12, 1, 60)]
QUERIES = [CHANCE.integers(3, VOCAB_SIZE, length) for length in (3, 17, 9)]
PROMPTS = [(document, query) for query in QUERIES for document in DOCUMENTS]
EVERYTHING = TokenBudget(max_tokens=100_000)


@cache
def made() -> Any:
    sizes: dict[str, Any] = {
        "vocab_size": VOCAB_SIZE,
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 40,
        "num_layers": 2,
        "num_heads": 4,
    }
    construct = T5ForConditionalGeneration
    return make_model(lambda: construct(T5Config(**sizes)), seed=0, matrix_gain=1.5)


def engine_of(chunk_size: int | None = 4) -> tuple[Any, Any]:
    model = made()
    head = build_head(HeadSpec("logit-score", TRUE, FALSE), [LogitScore(TRUE, FALSE)], model)
    engine = build_engine(
        model,
        head,
        PaddedRunner(model, head, pad_id=0, token_types={}),
        token_types={},
        caches=EngineCaches(),
        encoder_decoder=EncoderDecoderSpec(chunk_size=chunk_size),
    )
    return engine, head


Prompt = tuple[np.ndarray, np.ndarray]


def groups_of(prompts: Sequence[Prompt]) -> list[EncodedGroup]:
    groups = []
    for place, (document, query) in enumerate(prompts):
        ids = np.concatenate([document, query]).astype(np.int64)
        groups.append(EncodedGroup(ids, (len(ids) - 1,), (place,), decoder_at=len(document)))
    return groups


def logits_of(batches: Iterator[Any], head: Any) -> Tensor:
    """(num_prompts,) in the order of the prompts; each place is given once."""
    found: dict[int, Tensor] = {}
    for rows, states in batches:
        assert not set(rows) & set(found)
        with torch.inference_mode():
            found.update(zip(rows, head.to_logits(states)[:, 0], strict=True))
    return torch.stack([found[place] for place in range(len(found))])


def expected_of(prompts: Sequence[Prompt], chunk_size: int | None = 4) -> Tensor:
    """Each prompt by itself through the model's own forward."""
    model, rows = made(), []
    with torch.inference_mode():
        for document, query in prompts:
            ids = torch.from_numpy(document)[None]
            states = model.get_encoder()(input_ids=ids).last_hidden_state
            if chunk_size is not None:
                states = torch.stack([c.mean(dim=1) for c in states.split(chunk_size, dim=1)], 1)
            output = model(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),
                decoder_input_ids=torch.from_numpy(query)[None],
            )
            rows.append(output.logits[0, -1])
    return torch.stack([row[TRUE] - row[FALSE] for row in rows])


@pytest.mark.parametrize("chunk_size", [4, 1, None])
@pytest.mark.parametrize("max_pairs", [1, 4, None])
def test_logits_equal_those_of_the_whole_model(
    chunk_size: int | None, max_pairs: int | None
) -> None:
    engine, head = engine_of(chunk_size)
    assert isinstance(engine, TwoPartEngine)
    budget = TokenBudget(max_tokens=100_000, max_pairs=max_pairs)
    found = logits_of(engine.run(groups_of(PROMPTS), {}, budget=budget, device="cpu"), head)
    expected = expected_of(PROMPTS, chunk_size)
    assert expected.max() - expected.min() > 1e-2
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


class _Counting:
    """A runner that notes how many rows each of its batches held, and may fail."""

    def __init__(self, runner: Any, *, fails_above: int | None = None) -> None:
        self._runner = runner
        self._fails_above = fails_above
        self.encoded: list[int] = []
        self.decoded: list[int] = []
        self.num_states: Callable[[EncodedGroup], int] = runner.num_states

    def encode(self, documents: Sequence[EncodedGroup], device: Any) -> Any:
        self._note(self.encoded, len(documents))
        return self._runner.encode(documents, device)

    def decode(self, queries: Sequence[EncodedGroup], documents: Any, device: Any) -> Any:
        self._note(self.decoded, len(queries))
        return self._runner.decode(queries, documents, device)

    def _note(self, sizes: list[int], size: int) -> None:
        sizes.append(size)
        if self._fails_above is not None and size > self._fails_above:
            raise RuntimeError("CUDA out of memory")


def test_each_distinct_document_and_each_distinct_prompt_is_computed_once() -> None:
    engine, head = engine_of()
    runner = engine._runner = _Counting(engine._runner)
    prompts = [*PROMPTS, *PROMPTS[2:7]]
    budget = TokenBudget(max_pairs=2)
    found = logits_of(engine.run(groups_of(prompts), {}, budget=budget, device="cpu"), head)
    assert (sum(runner.encoded), sum(runner.decoded)) == (len(DOCUMENTS), len(PROMPTS))
    torch.testing.assert_close(found, expected_of(prompts), rtol=1e-5, atol=1e-6)


def test_documents_that_do_not_fit_into_one_round_are_still_encoded_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(two_parts, "_MOST_WAITING_STATES", 12)
    engine, head = engine_of()
    runner = engine._runner = _Counting(engine._runner)
    budget = TokenBudget(max_pairs=1)
    found = logits_of(engine.run(groups_of(PROMPTS), {}, budget=budget, device="cpu"), head)
    assert sum(runner.encoded) == len(DOCUMENTS)
    assert engine.explain(groups_of(PROMPTS), {}, budget, "cpu").num_batches == 5 + 15
    torch.testing.assert_close(found, expected_of(PROMPTS), rtol=1e-5, atol=1e-6)


def test_batches_that_do_not_fit_are_halved_with_the_same_result() -> None:
    engine, head = engine_of()
    runner = engine._runner = _Counting(engine._runner, fails_above=2)
    found = logits_of(engine.run(groups_of(PROMPTS), {}, budget=EVERYTHING, device="cpu"), head)
    assert max(runner.encoded) > 2
    assert max(runner.decoded) > 2
    torch.testing.assert_close(found, expected_of(PROMPTS), rtol=1e-5, atol=1e-6)


def test_stop_raises_before_the_next_batch() -> None:
    engine, _ = engine_of()
    answers = iter([False, False, True])
    batches = engine.run(
        groups_of(PROMPTS[:5]),
        {},
        budget=TokenBudget(max_tokens=100_000, max_pairs=5),
        device="cpu",
        should_stop=lambda: next(answers),
    )
    assert len(next(batches)[0]) == 5
    batches = engine.run(
        groups_of(PROMPTS), {}, budget=EVERYTHING, device="cpu", should_stop=lambda: True
    )
    with pytest.raises(Stopped):
        next(batches)


def test_plan_counts_the_padding_of_both_parts() -> None:
    engine, _ = engine_of()
    groups = groups_of([PROMPTS[0], PROMPTS[2], PROMPTS[0], PROMPTS[5]])
    plan = engine.explain(groups, {}, EVERYTHING, "cpu")
    assert (plan.runner, plan.num_prompts, plan.num_batches) == ("encoder-decoder", 4, 2)
    assert plan.num_tokens == 8 + 15 + 8 + 22
    assert plan.num_computed == 2 * 12 + 3 * 17


def test_mean_leaves_out_padding_even_where_its_state_is_no_number() -> None:
    states = torch.arange(12.0).reshape(2, 6, 1).clone()
    states[1, 3:] = torch.nan
    mask = torch.tensor([[1] * 6, [1] * 3 + [0] * 3])
    means, left = pooled(states, mask, 2)
    assert means[..., 0].tolist() == [[0.5, 2.5, 4.5], [6.5, 8.0, 0.0]]
    assert left.tolist() == [[1, 1, 1], [1, 1, 0]]
