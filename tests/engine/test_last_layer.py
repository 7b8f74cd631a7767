"""The last layer at some tokens equals the model's own layer there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from mmrerank import CrossEncoder
from mmrerank.engine import TokenBudget
from mmrerank.engine.attention import PackedPlan
from mmrerank.engine.last_layer import LastLayer
from mmrerank.engine.packed import packed_attention_of
from mmrerank.engine.packing import pack_batches
from mmrerank.engine.prefix_tree import flat_tree
from mmrerank.models.architectures import LAST_LAYER
from tests import checkpoints

BUILDERS: dict[str, Callable[..., Any] | None] = {
    "bert": checkpoints.build_bert,
    "electra": checkpoints.build_electra,
    "roberta": checkpoints.build_roberta,
    "xlm-roberta": checkpoints.build_xlm_roberta,
    "modernbert": partial(checkpoints.build_modernbert, classifier_pooling="cls"),
    "llama": checkpoints.build_llama,
    "qwen2": checkpoints.build_qwen2_chatml,
    "qwen3": checkpoints.build_qwen3,
    "qwen3_vl_text": checkpoints.build_qwen3_vl,
    "qwen2_5_omni_text": None,  # the model in the package
}


def test_every_listed_architecture_is_tested_here() -> None:
    assert set(BUILDERS) == set(LAST_LAYER)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.filterwarnings("ignore:.*")
def test_states_equal_those_of_the_whole_layer(name: str, tmp_path: Any) -> None:
    build = BUILDERS[name]
    model = CrossEncoder(str(build(tmp_path / name)) if build is not None else None, device="cpu")
    text_model = model.model.get_decoder()
    lengths, places = [7, 12, 5], torch.tensor([0, 6, 18, 23])
    ids = torch.arange(40, 40 + sum(lengths))[None]
    positions = torch.cat([torch.arange(length) for length in lengths])[None] + 2
    (batch,) = pack_batches(flat_tree(lengths), 3, TokenBudget())
    kind = LAST_LAYER[name]
    layers = text_model.encoder.layer if kind == "bert" else text_model.layers
    last = LastLayer(layers[-1], kind)

    def run() -> torch.Tensor:
        return text_model(
            input_ids=ids, position_ids=positions, use_cache=False, packed=PackedPlan(batch, {})
        ).last_hidden_state[0]

    with torch.inference_mode(), packed_attention_of(text_model.config):
        whole = run()
        with last.reading(places):
            few = run()
    assert few.shape == (4, whole.shape[1])
    torch.testing.assert_close(few, whole[places], atol=1e-6, rtol=1e-6)
    assert "forward" not in vars(layers[-1])
