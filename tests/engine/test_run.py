"""The padded runner and the loop around it: padding changes nothing, a stop is clean."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from mmrerank import CrossEncoder
from mmrerank.engine import PaddedEngine, TokenBudget
from mmrerank.errors import Stopped
from mmrerank.types import EncodedGroup

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file .*additional_chat_templates:ResourceWarning"
)
ModelOf = Callable[[str], CrossEncoder]

PAIRS = [
    ("red planet", "Which planet is known as the red planet? " * n) for n in (1, 6, 2, 12, 3, 1)
]


def _encoded(model: CrossEncoder) -> tuple[list[EncodedGroup], dict[Any, Any]]:
    from mmrerank.inputs import parse_pairs

    pairs = parse_pairs(PAIRS).pairs
    return model.pipeline.encode(pairs)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert", "qwen3", "qwen3-vl"])
def test_padded_states_equal_those_of_one_prompt_at_a_time(name: str, model_of: ModelOf) -> None:
    model = model_of(name)
    groups, features = _encoded(model)
    assert len({group.num_tokens for group in groups}) > 3
    runner = model.pipeline.runner
    with torch.inference_mode():
        together = runner.run(groups, features, "cpu")
        alone = torch.cat([runner.run([group], features, "cpu") for group in groups])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_group_of_two_scoring_positions_gives_two_states(model_of: ModelOf) -> None:
    """Listwise models score several documents of one prompt."""
    model = model_of("qwen3")
    (group, *_), features = _encoded(model)
    twice = EncodedGroup(group.token_ids, score_at=(4, group.num_tokens - 1), indices=(0, 1))
    with torch.inference_mode():
        states = model.pipeline.runner.run([twice, group], features, "cpu")
        alone = model.pipeline.runner.run([group], features, "cpu")
    assert states.shape == (3, alone.shape[1])
    torch.testing.assert_close(states[1:], alone.repeat(2, 1), rtol=1e-5, atol=1e-5)
    assert (states[0] - states[1]).abs().max() > 1e-2


def test_inputs_are_padded_on_the_side_asked_for(model_of: ModelOf) -> None:
    model = model_of("bert")
    groups, features = _encoded(model)
    right = model.pipeline.runner.inputs(groups[:2], features)
    left = model.pipeline.runner.inputs(groups[:2], features, pad_left=True)
    assert right["attention_mask"].sum(dim=1).tolist() == [g.num_tokens for g in groups[:2]]
    assert right["attention_mask"][0, 0] == 1
    assert right["attention_mask"][0, -1] == 0
    assert torch.equal(left["attention_mask"], right["attention_mask"].flip(1))
    assert left["input_ids"][0, -groups[0].num_tokens :].tolist() == groups[0].token_ids.tolist()
    assert set(left) == {"input_ids", "attention_mask", "token_type_ids"}


def test_stop_raises_before_the_next_batch_and_later_calls_work(model_of: ModelOf) -> None:
    model = model_of("bert")
    before = model.predict(PAIRS)
    asked: list[int] = []

    def stop_at_the_third() -> bool:
        asked.append(len(asked))
        return len(asked) == 3

    with pytest.raises(Stopped, match="should_stop"):
        model.predict(PAIRS, batch_size=1, should_stop=stop_at_the_third)
    assert asked == [0, 1, 2]
    np.testing.assert_allclose(model.predict(PAIRS), before, atol=1e-6)


def test_engine_gives_the_batches_before_the_stop(model_of: ModelOf) -> None:
    model = model_of("bert")
    groups, features = _encoded(model)
    answers = iter([False, False, True])
    batches = PaddedEngine(model.pipeline.runner).run(
        groups,
        features,
        budget=TokenBudget(max_pairs=2),
        device="cpu",
        should_stop=lambda: next(answers),
    )
    assert next(batches)[0] == (3, 1)
    assert next(batches)[0] == (4, 2)
    with pytest.raises(Stopped):
        next(batches)


@pytest.mark.parametrize("name", ["bert", "qwen3", "qwen3-vl"])
def test_four_threads_get_the_scores_of_one(name: str, model_of: ModelOf) -> None:
    model = model_of(name)
    calls = [PAIRS[start:] + PAIRS[:start] for start in range(4)] * 3
    expected = [model.predict(call) for call in calls]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda call: model.predict(call, batch_size=2), calls))
    for ours, one in zip(results, expected, strict=True):
        np.testing.assert_allclose(ours, one, atol=1e-5, rtol=1e-5)


def test_copied_engine_has_a_lock_of_its_own(model_of: ModelOf) -> None:
    engine = PaddedEngine(model_of("bert").pipeline.runner)
    groups, features = _encoded(model_of("bert"))
    other = copy.deepcopy(engine)
    batches = other.run(groups, features, budget=TokenBudget(), device="cpu")
    assert sum(len(rows) for rows, _ in batches) == len(PAIRS)
    assert other._batches._lock is not engine._batches._lock
