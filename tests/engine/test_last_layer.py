"""The last layer at some tokens equals the model's own layer there."""

from __future__ import annotations

import pytest
import torch

from mmrerank.engine import TokenBudget
from mmrerank.engine.attention import PackedPlan
from mmrerank.engine.last_layer import LastLayer, layers_of
from mmrerank.engine.packed import packed_attention_of
from mmrerank.engine.packing import pack_batches
from mmrerank.engine.prefix_tree import flat_tree
from mmrerank.models.architectures import LAST_LAYER, PACKED
from tests.engine._architectures import model_of


def test_every_listed_architecture_is_packed() -> None:
    assert set(LAST_LAYER) <= PACKED


def test_layers_that_read_both_ways_make_no_keys_of_all_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = model_of("bert").get_decoder()
    last = model.encoder.layer[-1]
    for projection in (last.attention.self.key, last.attention.self.value):
        monkeypatch.setattr(projection, "forward", lambda *_: pytest.fail("a key of each token"))
    (batch,) = pack_batches(flat_tree([12, 12]), 2, TokenBudget())
    with (
        torch.inference_mode(),
        packed_attention_of(model.config),
        LastLayer(model, "bert").installed(),
    ):
        model(
            input_ids=torch.arange(40, 64)[None],
            position_ids=torch.arange(12).repeat(2)[None],
            use_cache=False,
            packed=PackedPlan(batch, {}, torch.tensor([0, 12])),
        )


@pytest.mark.parametrize("name", LAST_LAYER)
@pytest.mark.parametrize("read_at", [[0, 7, 18, 23], [0, 1, 2, 7, 8, 17, 18, 21, 22, 23]])
def test_states_equal_those_of_the_whole_layer(name: str, read_at: list[int]) -> None:
    text_model = model_of(name).get_decoder()
    lengths, places = [7, 12, 5], torch.tensor(read_at)
    ids = torch.arange(40, 40 + sum(lengths))[None]
    positions = torch.cat([torch.arange(length) for length in lengths])[None] + 2
    (batch,) = pack_batches(flat_tree(lengths), 3, TokenBudget())
    kind = LAST_LAYER[name]
    last = LastLayer(text_model, kind)

    def run(read_at: torch.Tensor | None = None) -> torch.Tensor:
        plan = PackedPlan(batch, {}, read_at)
        return text_model(
            input_ids=ids, position_ids=positions, use_cache=False, packed=plan
        ).last_hidden_state[0]

    with torch.inference_mode(), packed_attention_of(text_model.config):
        whole = run()
        with last.installed():
            few = run(places)
            torch.testing.assert_close(run(), whole, atol=0, rtol=0)
    assert few.shape == (len(read_at), whole.shape[1])
    torch.testing.assert_close(few, whole[places], atol=1e-6, rtol=1e-6)
    assert "forward" not in vars(layers_of(text_model, kind)[-1])
