"""A small network on the last token's state: the modules it becomes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError
from mmrerank.heads import build_head, make_mlp
from mmrerank.models import LinearWeights, read_linear_weights
from mmrerank.specs import HeadSpec
from tests.cross_encoder._chain import build_chain
from tests.cross_encoder._samples import PAIRS, assert_same_scores

_LAYERS: list[LinearWeights] = [
    (torch.tensor([[1.0, 0.0], [0.0, -1.0]]), torch.tensor([0.5, 0.0])),
    (torch.tensor([[2.0, 4.0]]), None),
]


def _spec(between: str = "relu", bias: float = 0.0, divide: float = 1.0) -> HeadSpec:
    return HeadSpec(
        "mlp", weights=("score.0", "score.2"), between=between, bias=bias, divide=divide
    )


class _NoModel(torch.nn.Module):
    config = None


def _logit(spec: HeadSpec) -> float:
    head = build_head(spec, make_mlp(spec, _LAYERS, "a model"), _NoModel())
    return head.to_logits(torch.tensor([[1.0, 3.0]])).item()


@pytest.mark.parametrize(("between", "expected"), [("relu", 3.0), ("identity", -9.0)])
def test_layers_are_applied_in_order_with_the_activation_between(
    between: str, expected: float
) -> None:
    assert _logit(_spec(between)) == pytest.approx(expected)


def test_bias_comes_before_the_divisor() -> None:
    assert _logit(_spec(bias=-2.5, divide=5.0)) == pytest.approx((3.0 - 2.5) / 5.0)


def test_only_the_state_of_the_last_token_is_asked_for() -> None:
    head = build_head(_spec(), make_mlp(_spec(), _LAYERS, "a model"), _NoModel())
    assert (head.reads, head.at, head.num_labels) == ("position", "last", 1)


def test_states_in_half_precision_are_scored_in_single() -> None:
    head = build_head(_spec(), make_mlp(_spec(), _LAYERS, "a model"), _NoModel())
    assert head.to_logits(torch.ones(1, 2, dtype=torch.bfloat16)).dtype == torch.float32


def test_unknown_activation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CheckpointError, match="between='swish': allowed are gelu, identity, relu"):
        make_mlp(_spec("swish"), _LAYERS, "a model")


def test_layers_that_end_in_two_numbers_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"a model: its layers .* do not make one logit"):
        make_mlp(_spec(), _LAYERS[:1] * 2, "a model")


def test_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a model: .* no such file"):
        read_linear_weights(tmp_path, ["score.0"], model="a model")


def test_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read"):
        read_linear_weights(tmp_path, ["score.0"], model="a model")


def test_layer_without_a_bias_has_none(tmp_path: Path) -> None:
    save_file({"score.0.weight": torch.ones(1, 2)}, tmp_path / "model.safetensors")
    [(weight, bias)] = read_linear_weights(tmp_path, ["score.0"], model="a model")
    assert weight.tolist() == [[1.0, 1.0]]
    assert bias is None


def test_chain_that_pools_the_last_token_scores_as_in_the_peer(tmp_path: Path) -> None:
    folder = str(build_chain(tmp_path, pooling_mode="lasttoken"))
    ours, peer = CrossEncoder(folder, device="cpu"), Peer(folder, device="cpu")
    assert_same_scores(ours.predict(PAIRS), peer.predict(PAIRS))


def test_chain_in_half_precision_scores_near_single(tmp_path: Path) -> None:
    folder = str(build_chain(tmp_path))
    half = CrossEncoder(folder, device="cpu", model_kwargs={"dtype": "bfloat16"})
    expected = CrossEncoder(folder, device="cpu").predict(PAIRS)
    assert_same_scores(half.predict(PAIRS), expected, tolerance=0.1)
