"""Packed rows give the states of padded ones: any tree of prompts, media, budget and order.

For every architecture that is listed as packed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from mmrerank.engine import PackedEngine, PaddedEngine, TokenBudget, decoder
from mmrerank.engine.attention import PACKED as PACKED_ATTENTION
from mmrerank.engine.attention import packed_attention
from mmrerank.models.architectures import PACKED
from tests.engine._architectures import ARCHITECTURES, Architecture, make, model_of
from tests.engine._both_ways import ONE_BATCH, BothWays, largest_difference, num_blocks

TOLERANCE = 1e-5
# What a broken mask has to be off by at least, so that no tolerance could hide it.
SHOWS = 1_000 * TOLERANCE
WINDOWED = ("mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "modernbert")
WINDOWED_WITH_MEDIA = ("qwen2_vl_text", "qwen2_5_omni_text")
each_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


@dataclass(frozen=True)
class Case:
    """prompts: numbers of blocks; the same numbers in front are a shared beginning.

    budget and order: of a first call; a second one takes the prompts in one batch, turned round.
    """

    prompts: Sequence[Sequence[int]]
    budget: TokenBudget
    order: Sequence[int]


# Blocks 0 to 6 are texts of 1, 3, 8, 17, 30, 61 and 140 tokens.
ENDS_INSIDE_ANOTHER = Case(
    [[4], [4, 4], [4, 4, 3], [2]], TokenBudget(max_tokens=60, max_pairs=2), [2, 0, 3, 1]
)
THREE_LEVELS = Case(
    [[4, 5, 0], [4, 5, 3, 1], [4, 5, 3, 2], [4, 6], [4, 6], [1]],
    TokenBudget(90),
    [5, 4, 3, 2, 1, 0],
)
EVERY_SEGMENT_ALONE = Case([[5, 3], [5, 4], [5, 5], [6]], TokenBudget(1, 1), [3, 1, 0, 2])


@st.composite
def cases(draw: st.DrawFn, architecture: Architecture, max_prompts: int) -> Case:
    """Prompts that leave a common stem somewhere; some are equal, or where another one begins."""
    blocks = st.lists(st.integers(0, num_blocks(architecture) - 1), max_size=4)
    stem = draw(blocks)
    prompt = st.builds(
        lambda num_kept, tail: [*stem[:num_kept], *tail] or [0],
        st.integers(0, len(stem)),
        blocks,
    )
    prompts = draw(st.lists(prompt, min_size=2, max_size=max_prompts))
    budget = draw(st.builds(TokenBudget, st.integers(1, 500), st.integers(1, 8)))
    return Case(prompts, budget, draw(st.permutations(range(len(prompts)))))


def check(both: BothWays, case: Case) -> None:
    """Two calls of one engine: the second has what the first one left in the caches."""
    groups = [both.group(case.prompts[place]) for place in case.order]
    expected = both.padded_states(groups)
    engine = both.engine(max_cache_bytes=1 << 30)
    found = both.states(engine, groups, case.budget)
    assert largest_difference(found, expected) <= TOLERANCE
    again = both.states(engine, groups[::-1], ONE_BATCH)
    assert largest_difference(again, expected.flip(0)) <= TOLERANCE


def check_many(both: BothWays, *, num_examples: int, max_prompts: int) -> None:
    @settings(max_examples=num_examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases(both.architecture, max_prompts))
    @example(ENDS_INSIDE_ANOTHER)
    @example(THREE_LEVELS)
    @example(EVERY_SEGMENT_ALONE)
    def run(case: Case) -> None:
        check(both, case)

    run()


def test_every_listed_architecture_is_tested_here() -> None:
    assert set(ARCHITECTURES) == PACKED


@each_architecture
def test_listed_architecture_is_packed_without_a_probe(name: str) -> None:
    both = BothWays(ARCHITECTURES[name], model_of(name))
    assert both.model.get_decoder().config.model_type == name
    assert isinstance(both.engine(), PackedEngine)


def test_decoder_told_to_read_both_ways_is_padded() -> None:
    """transformers makes it a mask for that; what its attention says of itself stays as it was."""
    both = BothWays(ARCHITECTURES["qwen3"], make("qwen3"))
    both.model.config.is_causal = False
    assert isinstance(both.engine(), PaddedEngine)


@each_architecture
def test_packed_states_equal_padded_ones(name: str) -> None:
    both = BothWays(ARCHITECTURES[name], model_of(name))
    check_many(both, num_examples=8, max_prompts=7)


@pytest.mark.slow
@each_architecture
def test_packed_states_equal_padded_ones_in_many_large_trees(name: str) -> None:
    both = BothWays(ARCHITECTURES[name], model_of(name))
    check_many(both, num_examples=150, max_prompts=20)


@each_architecture
def test_padded_states_equal_those_of_each_prompt_alone(name: str) -> None:
    both = BothWays(ARCHITECTURES[name], model_of(name))
    groups = [both.group(prompt) for prompt in _samples(both.architecture)]
    assert len({group.num_tokens for group in groups}) > 4
    alone = torch.cat([both.padded_states([group]) for group in groups])
    assert largest_difference(both.padded_states(groups), alone) <= TOLERANCE


@each_architecture
def test_packed_states_equal_padded_ones_with_an_adapter(name: str) -> None:
    peft = pytest.importorskip("peft")
    both = BothWays(ARCHITECTURES[name], make(name))
    groups = [both.group(prompt) for prompt in _samples(both.architecture)]
    before = both.padded_states(groups)
    linear = [
        path
        for path, module in both.model.get_decoder().named_modules()
        if isinstance(module, torch.nn.Linear)
    ]
    torch.manual_seed(0)
    peft.inject_adapter_in_model(
        peft.LoraConfig(r=4, target_modules=linear, init_lora_weights=False),
        both.model.get_decoder(),
    )
    both.model.eval()
    assert largest_difference(both.padded_states(groups), before) > SHOWS
    for case in (THREE_LEVELS, ENDS_INSIDE_ANOTHER):
        check(both, case)


def _samples(architecture: Architecture) -> list[list[int]]:
    """Prompts with all blocks of text and all media, none as long as another."""
    num_texts = num_blocks(architecture) - len(architecture.media)
    with_media = [[4, number, 1] for number in range(num_texts, num_blocks(architecture))]
    return [[4, 5, 0], [4, 5, 3], [6, 2], [3], [5, 1], *with_media]


# ------------------------------------------------------------ a wrong mask is found


@contextmanager
def attention_instead(attention: Any) -> Iterator[None]:
    """In the models' own layers, and in those that are made of their parts."""
    AttentionInterface.register(PACKED_ATTENTION, attention)
    try:
        with patch.object(decoder, "packed_attention", attention):
            yield
    finally:
        AttentionInterface.register(PACKED_ATTENTION, packed_attention)


def sees_the_whole_row(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **options: Any
) -> tuple[Tensor, None]:
    """Attention that knows nothing of segments."""
    options["packed"].keep(key, value)
    output = scaled_dot_product_attention(
        query,
        key,
        value,
        is_causal=module.is_causal,
        scale=options["scaling"],
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return output.transpose(1, 2), None


def window_is_one_too_wide(*states: Any, **options: Any) -> tuple[Tensor, None]:
    if options.get("sliding_window") is not None:
        options["sliding_window"] += 1
    return packed_attention(*states, **options)


def forgets_what_is_far_in_front(*states: Any, **options: Any) -> tuple[Tensor, None]:
    return packed_attention(*states, **{**options, "sliding_window": 40})


def does_not_cap(*states: Any, **options: Any) -> tuple[Tensor, None]:
    return packed_attention(*states, **{**options, "softcap": None})


@pytest.mark.parametrize(
    ("name", "attention"),
    [
        *((name, sees_the_whole_row) for name in ARCHITECTURES),
        *((name, forgets_what_is_far_in_front) for name in ARCHITECTURES),
        *((name, window_is_one_too_wide) for name in (*WINDOWED, *WINDOWED_WITH_MEDIA)),
        ("gemma2", does_not_cap),
    ],
)
def test_broken_mask_shows_in_the_states(name: str, attention: Any) -> None:
    both = BothWays(ARCHITECTURES[name], model_of(name))
    groups = [both.group(prompt) for prompt in ([2, 6], [5, 3], [5, 4])]
    expected = both.padded_states(groups)
    with attention_instead(attention):
        found = both.states(both.engine(), groups, ONE_BATCH)
    assert largest_difference(found, expected) > SHOWS
    assert largest_difference(both.states(both.engine(), groups, ONE_BATCH), expected) <= TOLERANCE
