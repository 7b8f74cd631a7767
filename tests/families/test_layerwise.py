"""Rerankers that can be scored after an earlier layer: restated in transformers' own classes."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, InputError
from tests.checkpoints import layerwise
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.recipes import bge_llm

# Of the recipes: transformers reads the vendor's config.json when it loads the tokenizer alone.
pytestmark = pytest.mark.filterwarnings("ignore:`rope_scaling` is deprecated:FutureWarning")
INSTRUCTION = "Predict whether passages A and B have the same meaning."


@dataclass(frozen=True)
class Case:
    build: Callable[..., Path]
    family: str
    recipe: Callable[..., float]


CASES = {
    "bge-reranker-v2-minicpm-layerwise": Case(
        layerwise.build_bge_minicpm, "bge-reranker-minicpm-layerwise", bge_llm.score_minicpm
    ),
    "bge-reranker-v2.5-gemma2-lightweight": Case(
        layerwise.build_bge_gemma2, "bge-reranker-gemma2-lightweight", bge_llm.score_gemma2
    ),
}
MINICPM, GEMMA2 = CASES
LAYERS = range(layerwise.FIRST_LAYER, layerwise.NUM_LAYERS + 1)

FolderOf = Callable[[str], Path]
ModelOf = Callable[[str, int], CrossEncoder]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    root = tmp_path_factory.mktemp("layerwise")
    return cache(lambda name: CASES[name].build(root / name))


@pytest.fixture(scope="module")
def model_of(folder_of: FolderOf) -> ModelOf:
    return cache(
        lambda name, layer: CrossEncoder(str(folder_of(name)), device="cpu", cutoff_layer=layer)
    )


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", CASES)
def test_scores_after_a_layer_are_those_of_the_vendors_modeling_file(
    name: str, layer: int, folder_of: FolderOf, model_of: ModelOf
) -> None:
    recipe = partial(CASES[name].recipe, folder_of(name), layer=layer)
    expected = [recipe(*pair) for pair in PAIRS]
    assert len({round(score, 3) for score in expected}) > 3, "the weights tell nothing apart"
    assert_same_scores(model_of(name, layer).predict(PAIRS), expected)


@pytest.mark.parametrize("name", CASES)
def test_instruction_takes_the_place_of_the_sentence_at_the_end(
    name: str, folder_of: FolderOf, model_of: ModelOf
) -> None:
    recipe = partial(CASES[name].recipe, folder_of(name), layer=3)
    expected = [recipe(*pair, INSTRUCTION) for pair in PAIRS]
    assert_same_scores(model_of(name, 3).predict(PAIRS, prompt=INSTRUCTION), expected)


@pytest.mark.parametrize("name", CASES)
def test_layers_behind_the_one_that_is_read_are_not_loaded(name: str, model_of: ModelOf) -> None:
    assert len(model_of(name, 2).model.layers) == 2


@pytest.mark.parametrize("name", CASES)
def test_packed_rows_score_as_padded_rows(name: str, model_of: ModelOf) -> None:
    model = model_of(name, 3)
    model.predict(PAIRS)  # an architecture that is not listed is tried both ways before this
    assert model.explain_plan(PAIRS).runner == "packed"


@pytest.mark.parametrize("name", CASES)
def test_saved_folder_keeps_the_layer_and_scores_equally(
    name: str, model_of: ModelOf, tmp_path: Path
) -> None:
    model_of(name, 3).save_pretrained(tmp_path / "saved")
    again = CrossEncoder(str(tmp_path / "saved"), device="cpu")
    assert again.config.num_hidden_layers == 3
    assert_same_scores(again.predict(PAIRS), model_of(name, 3).predict(PAIRS))


def test_saved_folder_scores_equally_in_the_peer(model_of: ModelOf, tmp_path: Path) -> None:
    """MiniCPM's pieces are tokenised otherwise than its whole prompt, which the peer reads."""
    model_of(GEMMA2, 3).save_pretrained(tmp_path / "saved")
    theirs = Peer(str(tmp_path / "saved"), device="cpu").predict(PAIRS)
    assert_same_scores(theirs, model_of(GEMMA2, 3).predict(PAIRS))


@pytest.mark.parametrize("name", CASES)
def test_python_files_are_not_run_even_when_they_are_trusted(
    name: str, folder_of: FolderOf, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        CrossEncoder(str(folder_of(name)), device="cpu", cutoff_layer=2, trust_remote_code=True)
    assert "Python files are not run" in caplog.text


@pytest.mark.parametrize("layer", [0, 1, 5, 28])
def test_layer_without_an_output_row_is_refused_and_the_range_is_named(
    layer: int, folder_of: FolderOf
) -> None:
    with pytest.raises(InputError, match=f"cutoff_layer={layer}: .* layer 2 to 4"):
        CrossEncoder(str(folder_of(GEMMA2)), device="cpu", cutoff_layer=layer)


@pytest.mark.parametrize("name", CASES)
def test_layer_of_the_model_card_is_the_default(name: str, tmp_path: Path) -> None:
    folder = CASES[name].build(tmp_path / name, num_layers=30)
    model = CrossEncoder(str(folder), device="cpu")
    assert_same_scores(model.predict(PAIRS[:1]), [CASES[name].recipe(folder, *PAIRS[0], layer=28)])


def test_cut_off_layer_of_another_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"cutoff_layer=2: .* last layer only"):
        CrossEncoder(device="cpu", cutoff_layer=2)


def test_missing_output_row_is_named(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folder_of(MINICPM), tmp_path / "copy"))
    weights = load_file(folder / "model.safetensors")
    weights.pop("lm_head.1.linear_head.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lm_head\.1\.linear_head\.weight"):
        CrossEncoder(str(folder), device="cpu", cutoff_layer=3)


def test_missing_field_that_counts_the_rows_is_named(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folder_of(MINICPM), tmp_path / "copy"))
    config = json.loads((folder / "config.json").read_text())
    config.pop("start_layer")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="'start_layer'"):
        CrossEncoder(str(folder), device="cpu", cutoff_layer=3)
