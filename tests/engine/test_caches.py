"""What is kept between calls is never out of date: after any change a call scores as a fresh model.

`test_packed.py` has the same through CrossEncoder, for a few changes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.engine._architectures import ARCHITECTURES, make
from tests.engine._both_ways import ONE_BATCH, BothWays, largest_difference

pytestmark = [
    pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning"),
    pytest.mark.filterwarnings("ignore:Adapter first was active:UserWarning"),
]
TOLERANCE = 1e-5
SHOWS = 1e-3
PROMPTS = [[5, 7, 1], [5, 7, 3], [5, 10, 2], [4, 8]]  # with pictures and a clip
Change = Callable[[Any], object]


def weight_of(model: Any) -> nn.Parameter:
    found: nn.Parameter = model.get_decoder().layers[0].mlp.down_proj.weight
    return found


def changed_in_place(model: Any) -> None:
    with torch.no_grad():
        weight_of(model)[0] += 1.0


def changed_in_inference_mode(model: Any) -> None:
    with torch.inference_mode():
        weight_of(model).mul_(2.0)


def changed_through_detached(model: Any) -> None:
    weight_of(model).detach().mul_(2.0)


def tower_changed(model: Any) -> None:
    with torch.no_grad():
        next(model.base_model.visual.merger.parameters()).add_(1.0)


def embedding_of_a_token_changed(model: Any) -> None:
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(-1.0)


def data_replaced(model: Any) -> None:
    weight_of(model).data = weight_of(model).data * 2.0


def parameter_replaced(model: Any) -> None:
    model.get_decoder().layers[0].mlp.down_proj.weight = nn.Parameter(weight_of(model).detach() * 2)


def layer_replaced(model: Any) -> None:
    layers = model.get_decoder().layers
    for place in (0, len(layers) - 1):  # the last one runs in a way of its own
        other = copy.deepcopy(layers[place])
        with torch.no_grad():
            other.mlp.down_proj.weight.mul_(2.0)
        layers[place] = other


def state_loaded(model: Any) -> None:
    model.load_state_dict({name: t * 1.5 for name, t in model.state_dict().items()})


def state_assigned(model: Any) -> None:
    state = {name: t * 1.5 for name, t in model.state_dict().items()}
    model.load_state_dict(state, assign=True)


def stepped(optimiser: Callable[..., Any]) -> Change:
    def step(model: Any) -> None:
        steps = optimiser(model.parameters(), lr=0.1)
        model.train()
        ids = torch.arange(12, 30)[None]
        model(input_ids=ids, use_cache=False).logits.square().mean().backward()
        steps.step()
        steps.zero_grad()
        model.eval()

    step.__name__ = optimiser.__name__
    return step


CHANGES: list[Change] = [
    changed_in_place,
    changed_in_inference_mode,
    changed_through_detached,
    tower_changed,
    embedding_of_a_token_changed,
    data_replaced,
    parameter_replaced,
    layer_replaced,
    state_loaded,
    state_assigned,
    stepped(torch.optim.SGD),
    stepped(torch.optim.AdamW),
    torch.nn.Module.double,
]


def check(model: Any, change: Change, name: str = "qwen3_vl_text") -> Tensor:
    """A call, the change, a call: as without caches. Returns the difference that it made."""
    both = BothWays(ARCHITECTURES[name], model)
    prompts = PROMPTS if both.architecture.media else [[5, 4, 1], [5, 4, 3], [4, 2]]
    groups = [both.group(prompt) for prompt in prompts]
    engine = both.engine(max_cache_bytes=1 << 30)
    before = both.states(engine, groups, ONE_BATCH)
    change(model)
    expected = both.states(both.engine(), groups, ONE_BATCH)
    after = both.states(engine, groups, ONE_BATCH)
    assert largest_difference(after, expected) <= TOLERANCE
    return (after - before).abs().max()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changed_weights_count_at_once(change: Change) -> None:
    difference = check(make("qwen3_vl_text"), change)
    assert difference > SHOWS or change is torch.nn.Module.double


def test_other_tensor_at_the_same_address_counts_at_once() -> None:
    """As when weights are swapped twice: memory that was freed is given out again."""
    model = make("qwen3_vl_text")
    memory = weight_of(model).detach().numpy().copy()
    weight_of(model).data = torch.from_numpy(memory)

    def change(model: Any) -> None:
        np.multiply(memory, 2.0, out=memory)
        weight_of(model).data = torch.from_numpy(memory)

    assert check(model, change) > SHOWS


def test_half_precision_counts_at_once() -> None:
    both = BothWays(ARCHITECTURES["qwen3_vl_text"], make("qwen3_vl_text"))
    groups = [both.group(prompt) for prompt in PROMPTS]
    engine = both.engine(max_cache_bytes=1 << 30)
    both.states(engine, groups, ONE_BATCH)
    both.model.bfloat16()
    after = both.states(engine, groups, ONE_BATCH)
    assert after.dtype == torch.bfloat16
    torch.testing.assert_close(after, both.states(both.engine(), groups, ONE_BATCH))


def test_what_an_earlier_call_left_is_used() -> None:
    """Else the tests above would pass with caches that keep nothing."""
    both = BothWays(ARCHITECTURES["qwen3_vl_text"], make("qwen3_vl_text"))
    groups = [both.group(prompt) for prompt in PROMPTS]
    features = {medium.key: medium.feature for medium in both.architecture.media}
    engine = both.engine(max_cache_bytes=1 << 30)
    both.states(engine, groups, ONE_BATCH)
    plan = engine.explain(groups, features, ONE_BATCH, "cpu")
    assert plan.num_cached > 0
    assert plan.num_media_cached == 3
    changed_in_place(both.model)
    plan = engine.explain(groups, features, ONE_BATCH, "cpu")
    assert (plan.num_cached, plan.num_media_cached) == (0, 0)


# ------------------------------------------------------------ adapters


def with_adapters() -> Any:
    """A model with the adapters "first", which is in force, and "second"."""
    peft = pytest.importorskip("peft")
    model = make("qwen3")
    for name in ("first", "second"):
        torch.manual_seed(len(name))
        config = peft.LoraConfig(
            r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False
        )
        model.add_adapter(config, adapter_name=name)
    model.set_adapter("first")
    return model.eval()


def lora_layers(model: Any) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "lora_A")]


def adapter_weight_changed(model: Any) -> None:
    with torch.no_grad():
        lora_layers(model)[0].lora_B["first"].weight.mul_(3.0)


def adapter_scaled(model: Any) -> None:
    for layer in lora_layers(model):
        layer.scale_layer(2.5)


def adapters_merged_and_changed(model: Any) -> None:
    """Merging alone changes the weights and no state."""
    for layer in lora_layers(model):
        layer.merge()
    with torch.no_grad():
        model.get_decoder().layers[0].mlp.down_proj.base_layer.weight.mul_(1.5)


ADAPTER_CHANGES: list[Change] = [
    lambda model: model.set_adapter("second"),
    lambda model: model.disable_adapters(),
    lambda model: model.delete_adapter("first"),
    adapter_weight_changed,
    adapter_scaled,
    adapters_merged_and_changed,
]
ADAPTER_IDS = ["switched", "disabled", "deleted", "weight changed", "scaled", "merged and changed"]


@pytest.mark.parametrize("change", ADAPTER_CHANGES, ids=ADAPTER_IDS)
def test_changed_adapters_count_at_once(change: Change) -> None:
    assert check(with_adapters(), change, "qwen3") > SHOWS


def test_adapter_that_is_switched_on_again_gives_its_first_states() -> None:
    model = with_adapters()
    both = BothWays(ARCHITECTURES["qwen3"], model)
    groups = [both.group(prompt) for prompt in ([5, 4, 1], [5, 4, 3], [4, 2])]
    engine = both.engine(max_cache_bytes=1 << 30)
    first = both.states(engine, groups, ONE_BATCH)
    model.set_adapter("second")
    second = both.states(engine, groups, ONE_BATCH)
    model.set_adapter("first")
    assert largest_difference(second, first) > SHOWS
    assert largest_difference(both.states(engine, groups, ONE_BATCH), first) <= TOLERANCE
