"""Pooling, Dense and LayerNorm give the peer's vectors, with padding on either side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers.base.modules.dense import Dense as PeerDense
from sentence_transformers.sentence_transformer.modules.layer_norm import (
    LayerNorm as PeerLayerNorm,
)
from sentence_transformers.sentence_transformer.modules.pooling import Pooling as PeerPooling

from mmrerank.errors import CheckpointError
from mmrerank.heads import Dense, LayerNorm, Pooling, build_head
from mmrerank.models import load_head_modules
from mmrerank.specs import CheckpointFacts, HeadSpec
from mmrerank.specs.st_format import read_st_files

MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
HIDDEN = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
RIGHT_PADDED = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
MASKS = {"right": RIGHT_PADDED, "left": RIGHT_PADDED.flip(1)}


class _Model(torch.nn.Module):
    config = None


@pytest.mark.parametrize("side", MASKS)
@pytest.mark.parametrize("mode", [*MODES, ["cls", "mean"]], ids=str)
def test_pooling_gives_the_peers_vector(mode: Any, side: str) -> None:
    mask = MASKS[side]
    theirs = PeerPooling(8, pooling_mode=mode)(
        {"token_embeddings": HIDDEN.clone(), "attention_mask": mask}
    )["sentence_embedding"]
    torch.testing.assert_close(Pooling(8, pooling_mode=mode).pool(HIDDEN, mask), theirs)


def test_states_of_padding_do_not_reach_the_pooled_vector() -> None:
    other = HIDDEN.masked_fill(RIGHT_PADDED.unsqueeze(-1) == 0, 1e4)
    for mode in MODES:
        pooling = Pooling(8, pooling_mode=mode)  # type: ignore[arg-type]
        torch.testing.assert_close(
            pooling.pool(other, RIGHT_PADDED), pooling.pool(HIDDEN, RIGHT_PADDED)
        )


def test_unknown_pooling_mode_is_refused() -> None:
    with pytest.raises(CheckpointError, match="'median' is not one of cls, max, mean"):
        Pooling(8, pooling_mode="median")  # type: ignore[arg-type]


def test_dense_and_layer_norm_configs_are_the_peers() -> None:
    options: dict[str, Any] = {
        "activation_function": torch.nn.GELU(),
        "module_output_name": "scores",
    }
    ours, theirs = (cls(8, 2, bias=False, **options) for cls in (Dense, PeerDense))
    assert ours.get_config_dict() == theirs.get_config_dict()
    assert LayerNorm(8).get_config_dict() == PeerLayerNorm(8).get_config_dict()
    pooling: dict[str, Any] = {"pooling_mode": "mean", "include_prompt": True}
    assert Pooling(8, **pooling).get_config_dict() == PeerPooling(8, **pooling).get_config_dict()


def test_module_folders_of_the_peer_are_loaded_with_their_weights(tmp_path: Path) -> None:
    modules = {
        "1_Pooling": PeerPooling(8, pooling_mode="mean"),
        "2_Dense": PeerDense(8, 6, bias=True, activation_function=torch.nn.ReLU()),
        "3_LayerNorm": PeerLayerNorm(6),
        "4_Dense": PeerDense(
            6, 2, activation_function=torch.nn.Identity(), module_output_name="scores"
        ),
    }
    torch.nn.init.normal_(modules["3_LayerNorm"].norm.weight)
    for path, module in modules.items():
        (tmp_path / path).mkdir()
        module.save(str(tmp_path / path))
    _write_modules_json(tmp_path, modules)
    features = {"token_embeddings": HIDDEN.clone(), "attention_mask": RIGHT_PADDED}
    for module in modules.values():
        features = module(features)
    facts = CheckpointFacts("tiny", tmp_path, {}, st=read_st_files(tmp_path))
    head = build_head(HeadSpec("chain"), load_head_modules(tmp_path, facts), _Model())
    assert head.pool is not None
    assert head.num_labels == 2
    ours = head.to_logits(head.pool(HIDDEN, RIGHT_PADDED))
    torch.testing.assert_close(ours, features["scores"])


@pytest.mark.parametrize(
    "modules",
    [
        [],
        [Pooling(8)],
        [Dense(8, 1, module_output_name="scores")],
        [Pooling(8), Dense(8, 1)],
        [Pooling(8), Dense(8, 1, module_output_name="scores"), LayerNorm(1)],
    ],
    ids=["nothing", "pooling only", "no pooling", "not named scores", "norm behind"],
)
def test_chain_that_does_not_end_in_scores_is_refused(modules: list[torch.nn.Module]) -> None:
    with pytest.raises(CheckpointError, match="do not end in scores"):
        build_head(HeadSpec("chain"), modules, _Model())


def test_unknown_module_kind_is_refused(tmp_path: Path) -> None:
    _write_modules_json(tmp_path, {"1_WordWeights": torch.nn.Identity()}, kind="WordWeights")
    facts = CheckpointFacts("tiny", tmp_path, {}, st=read_st_files(tmp_path))
    with pytest.raises(CheckpointError, match="kind 'WordWeights', which is not known here"):
        load_head_modules(tmp_path, facts)


def _write_modules_json(folder: Path, modules: dict[str, Any], kind: str = "") -> None:
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": f"x.{kind or type(module).__name__}"}
        for i, (path, module) in enumerate(modules.items())
    ]
    (folder / "modules.json").write_text(json.dumps(entries))


@pytest.mark.parametrize("out_features", [8, 3], ids=["same size", "another size"])
def test_dense_with_a_residual_gives_the_peers_vector(out_features: int) -> None:
    theirs = PeerDense(8, out_features, use_residual=True)
    ours = Dense(8, out_features, use_residual=True)
    ours.load_state_dict(theirs.state_dict())
    states = HIDDEN[:, 0]
    expected = theirs({"sentence_embedding": states.clone()})["sentence_embedding"]
    torch.testing.assert_close(ours.step(states), expected)
    assert ours.get_config_dict()["use_residual"] is True
