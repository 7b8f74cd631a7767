"""Merged weights: the numbers of the formula, ties kept, and models that do not fit refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig

from mmrerank import CrossEncoder
from mmrerank.errors import InputError, MissingExtra, WrongArgument
from tests.checkpoints import build_bert, build_modernbert, build_qwen3

PAIRS = [("green tea", "a cup of tea"), ("cars", "roads and cars")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("merge")
    return [build_bert(root / f"bert-{seed}", seed=seed) for seed in (0, 1, 2)]


def load(folder: Path) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu")


def test_merging_a_model_with_itself_changes_no_score(folders):
    model = load(folders[0])
    merged = CrossEncoder.merge([model, folders[0]])
    np.testing.assert_allclose(merged.predict(PAIRS), model.predict(PAIRS), atol=1e-6)


@pytest.mark.parametrize(
    ("weight", "shares"),
    [(None, (0.5, 0.5)), ([3, 1], (0.75, 0.25)), ({0: 3, 1: 1}, (0.75, 0.25)), (7, (0.5, 0.5))],
    ids=str,
)
def test_linear_is_the_weighted_mean_of_every_weight(folders, weight, shares):
    models = [load(folder) for folder in folders[:2]]
    parameters = {} if weight is None else {"weight": weight}
    merged = CrossEncoder.merge(models, parameters=parameters).state_dict()
    first, second = (model.state_dict() for model in models)
    assert merged.keys() == first.keys()
    for name, tensor in merged.items():
        expected = shares[0] * first[name] + shares[1] * second[name]
        torch.testing.assert_close(tensor, expected, atol=1e-6, rtol=1e-5)


def test_without_normalizing_the_weighted_sum_is_taken(folders):
    parameters = {"weight": [2.0, -1.0], "normalize": False}
    merged = CrossEncoder.merge(folders[:2], parameters=parameters).state_dict()
    first, second = (load(folder).state_dict() for folder in folders[:2])
    name = "0.model.classifier.weight"
    torch.testing.assert_close(merged[name], 2 * first[name] - second[name])


def test_models_stay_as_they_are_and_the_merged_one_is_saved_and_loaded(folders, tmp_path):
    models = [load(folder) for folder in folders]
    before = [model.predict(PAIRS) for model in models]
    merged = CrossEncoder.merge(models)
    merged.save_pretrained(tmp_path)
    np.testing.assert_allclose(load(tmp_path).predict(PAIRS), merged.predict(PAIRS), atol=1e-6)
    for model, scores in zip(models, before, strict=True):
        np.testing.assert_array_equal(model.predict(PAIRS), scores)
        assert not np.allclose(merged.predict(PAIRS), scores, atol=1e-3)


def test_tied_weights_stay_tied(tmp_path):
    models = [load(build_qwen3(tmp_path / str(seed), seed=seed)) for seed in (0, 1)]
    for model in models:
        model.model.lm_head.weight = model.model.model.embed_tokens.weight
    merged = CrossEncoder.merge(models)
    assert merged.model.lm_head.weight is merged.model.model.embed_tokens.weight


def test_result_has_the_numbers_asked_for(folders):
    merged = CrossEncoder.merge(folders[:2], out_dtype="bfloat16")
    assert merged.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": {"weight": [1, -1]}}, "sums to 0"),
        ({"parameters": {"weight": [1, 2, 3]}}, "2 numbers are needed"),
        ({"parameters": {"weight": "12"}}, "2 numbers are needed"),
        ({"parameters": {"wieght": [1, 2]}}, "are weight and normalize"),
        ({"dtype": "int8"}, "dtype='int8'"),
        ({"out_dtype": "nonsense"}, "out_dtype='nonsense'"),
    ],
)
def test_bad_option_is_refused(folders, options, message):
    with pytest.raises(InputError, match=message):
        CrossEncoder.merge(folders[:2], **options)


def test_base_model_of_linear_is_refused(folders):
    with pytest.raises(InputError, match="does not use a base_model"):
        CrossEncoder.merge(folders[:2], base_model=folders[2])


@pytest.mark.parametrize("models", ["one", [], ["one"]])
def test_fewer_than_two_models_are_refused(models):
    with pytest.raises(InputError, match="two or more"):
        CrossEncoder.merge(models)


def test_what_is_no_model_is_refused(folders):
    with pytest.raises(WrongArgument, match="not dict"):
        CrossEncoder.merge([folders[0], {}])  # type: ignore[list-item]


def test_models_of_another_kind_are_refused(folders, tmp_path):
    with pytest.raises(InputError, match=r"models\[1\] is put together of other modules"):
        CrossEncoder.merge([folders[0], build_modernbert(tmp_path / "other")])


def test_another_vocabulary_is_refused(folders):
    other = load(folders[1])
    other.tokenizer.add_tokens(["<new>"])
    with pytest.raises(InputError, match=r"models\[1\] has other tokens"):
        CrossEncoder.merge([folders[0], other])


def test_model_with_an_adapter_is_refused(folders):
    other = load(folders[1])
    other.add_adapter(LoraConfig(target_modules=["query"]))
    with pytest.raises(InputError, match=r"call merge_adapter\(\) on it first"):
        CrossEncoder.merge([folders[0], other])


def test_other_methods_name_the_library_that_has_them(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "mergekit", None)
    with pytest.raises(MissingExtra, match=r"method='ties' is mergekit's: pip install"):
        CrossEncoder.merge(folders[:2], "ties")
