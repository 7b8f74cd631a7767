"""Sounds in the audio tower: each gives the states that it has alone."""

from __future__ import annotations

from typing import Any

import torch

from mmrerank.engine.fused import FastForwards
from mmrerank.engine.linear import FastLinears
from mmrerank.engine.media_states import TowerRunner
from tests.engine._architectures import model_of, tokens_of_sound
from tests.engine._both_ways import largest_difference
from tests.engine._media import PLACEHOLDERS, Medium, sounds


def _states(sounds_together: list[Medium]) -> list[torch.Tensor]:
    model: Any = model_of("qwen3_omni_moe_text")
    placeholders = {"audio": PLACEHOLDERS["audio"]}
    fast = FastForwards(FastLinears(model.base_model, 1 << 30))
    runner = TowerRunner(model.base_model, model.get_decoder(), placeholders, fast)
    found = runner.run([sound.feature for sound in sounds_together], "cpu")
    return [found[sound.key].embeds for sound in sounds_together]


def test_short_sound_is_not_filled_up_to_the_sound_beside_it() -> None:
    """37 of the 100 mel frames that the tower takes at a time: filled up, its states would move."""
    short, long = sounds((37, 130), are_padded=False, num_tokens_of=tokens_of_sound)
    together = _states([long, short])
    for state, sound in zip(together, (long, short), strict=True):
        assert largest_difference(state, _states([sound])[0]) <= 1e-6
