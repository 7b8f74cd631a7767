"""Training in packed rows: the gradients of padded rows, with what pairs share computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmrerank import CrossEncoder
from mmrerank.cross_encoder.losses import BinaryCrossEntropyLoss, MultipleNegativesRankingLoss
from mmrerank.training.scoring import pair_logits
from tests import checkpoints
from tests.training import _runs as runs

ModelOf = Callable[[str], CrossEncoder]
BUILDERS: dict[str, Any] = {
    "bert": checkpoints.build_bert,
    "roberta": checkpoints.build_roberta,
    "modernbert": checkpoints.build_modernbert,
    "qwen3": checkpoints.build_qwen3,
    "qwen3-vl": checkpoints.build_qwen3_vl,
}
TEXTS = ["the red boat", "a much longer text about ferries, towns, trains and flowers", "seven"]


@pytest.fixture(scope="module")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> ModelOf:
    root = tmp_path_factory.mktemp("packed")

    @cache
    def folder_of(name: str) -> Path:
        folder: Path = BUILDERS[name](root / name)
        return folder

    def load(name: str) -> CrossEncoder:
        return CrossEncoder(str(folder_of(name)), device="cpu")

    return load


def pictures() -> list[Image.Image]:
    chance = np.random.default_rng(0)
    return [Image.fromarray(chance.integers(0, 255, (64, 96, 3), dtype=np.uint8)) for _ in "ab"]


def pairs_for(name: str) -> list[tuple[Any, Any]]:
    documents: list[Any] = [*TEXTS, *(pictures() if name == "qwen3-vl" else [])]
    return [(query, document) for query in ("red", "a town") for document in documents]


def gradients(model: CrossEncoder, pairs: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    logits = pair_logits(model, pairs)
    logits.square().mean().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return logits.detach(), found


@pytest.mark.parametrize("name", BUILDERS)
def test_logits_and_gradients_are_those_of_padded_rows(name: str, model_of: ModelOf) -> None:
    model = model_of(name)
    assert model.pipeline.trains_packed
    logits, found = gradients(model, pairs_for(name))
    model.train_packed = False
    expected_logits, expected = gradients(model, pairs_for(name))
    torch.testing.assert_close(logits, expected_logits, atol=1e-5, rtol=1e-5)
    # What no score depends on has a gradient of zeros there, and none here.
    for parameter, gradient in expected.items():
        own = found.get(parameter, torch.zeros_like(gradient))
        torch.testing.assert_close(own, gradient, atol=1e-5, rtol=1e-4, msg=parameter)
    assert found.keys() <= expected.keys()


def test_model_in_train_mode_without_dropout_gives_the_logits_of_predict(model_of: ModelOf) -> None:
    model = model_of("bert")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    pairs = pairs_for("bert")
    expected = model.predict(pairs, activation_fn=torch.nn.Identity(), convert_to_tensor=True)
    model.train()
    logits = pair_logits(model, pairs)[:, 0]
    torch.testing.assert_close(logits.detach(), expected, atol=1e-5, rtol=1e-5)


def test_dropout_is_applied(model_of: ModelOf) -> None:
    model = model_of("bert").train()
    pairs = pairs_for("bert")
    first, second = (pair_logits(model, pairs).detach() for _ in range(2))
    assert (first - second).abs().max() > 1e-3
    model.eval()
    torch.testing.assert_close(pair_logits(model, pairs), pair_logits(model, pairs))


def test_picture_of_several_pairs_goes_through_its_tower_once(model_of: ModelOf) -> None:
    model = model_of("qwen3-vl")
    num_patches: list[int] = []
    tower: Any = model.model.model.visual
    tower.register_forward_pre_hook(lambda module, given: num_patches.append(len(given[0])))
    picture = pictures()[0]
    pair_logits(model, [("red", picture)])
    pair_logits(model, [("red", picture), ("a town", picture), ("three", picture)])
    assert num_patches[0] == num_patches[1]


def test_nothing_of_training_is_left_for_scoring(model_of: ModelOf) -> None:
    model = model_of("qwen3")
    pairs = pairs_for("qwen3")
    model.predict(pairs)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model.train()
    pair_logits(model, pairs).square().mean().backward()
    optimizer.step()
    found = model.predict(pairs)
    fresh = model_of("qwen3")
    fresh.load_state_dict(model.state_dict())
    np.testing.assert_allclose(found, fresh.predict(pairs), atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "qwen3"])
@pytest.mark.parametrize("loss", [BinaryCrossEntropyLoss, MultipleNegativesRankingLoss])
def test_ten_steps_end_in_the_weights_of_padded_rows(
    name: str, loss: Any, model_of: ModelOf, tmp_path: Path
) -> None:
    folder = model_of(name).transformer.facts.folder
    rows = runs.pairs() if loss is BinaryCrossEntropyLoss else runs.positives()
    weights = []
    for packed in (False, True):
        trainer = runs.train(
            runs.OURS,
            Path(folder),
            tmp_path / str(packed),
            rows,
            lambda losses, model: loss(model),
            packed=packed,
        )
        assert trainer.model.train_packed is packed
        weights.append(trainer.model.state_dict())
    for key, expected in weights[0].items():
        if "key.bias" not in key:  # rounding only, which Adam makes full steps of
            torch.testing.assert_close(weights[1][key], expected, atol=1e-4, rtol=1e-3, msg=key)
