"""Presets: what is adapted, what stays frozen, and what the recipe trains on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from mmrerank import CrossEncoder
from mmrerank.errors import InputError, SpecError
from mmrerank.specs import list_processors, read_processor
from mmrerank.training.presets import lora_config, multimodal_reranker, pairs_with_negatives
from mmrerank.training.towers import freeze_towers
from tests import checkpoints

BUILDERS: dict[str, Callable[..., Path]] = {
    "bert": checkpoints.build_bert,
    "modernbert": checkpoints.build_modernbert,
    "deberta-v2": checkpoints.build_deberta_v2,
    "qwen3": checkpoints.build_qwen3,
    "qwen3-seq-cls": checkpoints.build_qwen3_seq_cls,
    "qwen3-vl": checkpoints.build_qwen3_vl,
    "llama": checkpoints.build_llama,
    "monot5-base": checkpoints.build_t5,
}
PAIRS = [("green tea", "a cup of tea"), ("green tea", "cars")]
ModelOf = Callable[[str], CrossEncoder]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("presets")
    return cache(lambda name: BUILDERS[name](root / name))


@pytest.fixture
def model_of(folder_of) -> ModelOf:
    return lambda name: CrossEncoder(
        None if name == "tiny-omni" else str(folder_of(name)), device="cpu"
    )


def trained(model: CrossEncoder) -> set[str]:
    return {
        name.removeprefix("0.model.")
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


@pytest.mark.parametrize(
    ("preset", "name"),
    [*(("family", name) for name in (*BUILDERS, "tiny-omni")), ("multimodal-reranker", "bert")],
)
def test_preset_adapts_every_family_and_leaves_scores_as_they_are(model_of, name, preset):
    model = model_of(name)
    before = model.predict(PAIRS)
    model.add_adapter(lora_config(model, preset))
    assert any("lora_A" in weight for weight in trained(model))
    torch.testing.assert_close(
        torch.from_numpy(model.predict(PAIRS)), torch.from_numpy(before), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("name", ["qwen3-vl", "tiny-omni"])
def test_towers_and_output_layer_are_left_alone(model_of, name):
    model = model_of(name)
    model.add_adapter(lora_config(model))
    text = {n for n, m in model.model.named_modules() if m is model.model.get_decoder()}.pop()
    assert all(weight.startswith(f"{text}.layers.") for weight in trained(model))


def test_layers_are_those_of_the_processor_folder(model_of):
    model = model_of("qwen3-vl")
    model.add_adapter(lora_config(model))
    names = Counter(weight.split(".")[-4] for weight in trained(model))
    assert set(names) == {"q_proj", "k_proj", "v_proj", "o_proj"} | {
        *("gate_proj", "up_proj", "down_proj")
    }
    assert len(set(names.values())) == 1


def test_both_parts_of_an_encoder_decoder_are_adapted(model_of):
    model = model_of("monot5-base")
    model.add_adapter(lora_config(model))
    assert {weight.split(".")[0] for weight in trained(model)} == {"encoder", "decoder"}


def test_encoder_of_an_encoder_decoder_is_no_tower(model_of):
    assert freeze_towers(model_of("monot5-base")) == 0


def test_towers_are_adapted_when_asked_for(model_of):
    model = model_of("qwen3-vl")
    model.add_adapter(lora_config(model, towers=True))
    assert any(weight.startswith("model.visual.blocks.0.attn.qkv") for weight in trained(model))


def test_classifier_is_trained_whole(model_of):
    model = model_of("bert")
    model.add_adapter(lora_config(model))
    assert "classifier.modules_to_save.default.weight" in trained(model)


def test_numbers_of_the_preset_can_be_changed(model_of):
    config = lora_config(model_of("qwen3"), r=4, lora_alpha=8)
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 8, 0.05)


def test_unknown_preset_is_refused(model_of):
    with pytest.raises(InputError, match="preset='best': there are family, multimodal-reranker"):
        lora_config(model_of("bert"), "best")  # type: ignore[arg-type]


def test_recipe_is_the_published_one(model_of):
    model = model_of("qwen3-vl")
    recipe = multimodal_reranker(model, num_train_epochs=3)
    assert (recipe.lora.r, recipe.lora.lora_alpha, recipe.num_negatives) == (16, 32, 16)
    assert recipe.arguments["learning_rate"] == 1e-4
    assert recipe.arguments["num_train_epochs"] == 3
    assert recipe.loss.__name__ == "BinaryCrossEntropyLoss"


def test_recipe_lowers_its_loss_in_a_few_steps(model_of):
    torch.manual_seed(0)  # an adapter's first weights and its dropout are drawn
    model = model_of("qwen3-vl")
    recipe = multimodal_reranker(model)
    model.add_adapter(recipe.lora)
    loss = recipe.loss(model)
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad], lr=1e-2
    )
    rows = [{"query": "tea", "positive": "a cup of tea", "negatives": ["cars", "roads", "rain"]}]
    data = list(recipe.pairs(rows))
    columns = [[row["query"] for row in data], [row["document"] for row in data]]
    labels = torch.tensor([row["label"] for row in data])
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        value = loss(columns, labels)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < 0.7 * losses[0]


# ------------------------------------------------------------ negatives of the recipe

ROWS = [{"query": f"q{i}", "positive": f"p{i}"} for i in range(30)]


def test_each_positive_gets_sixteen_other_documents():
    data = list(pairs_with_negatives(ROWS))
    assert len(data) == 30 * 17
    for start in range(0, len(data), 17):
        first, *others = data[start : start + 17]
        documents = [row["document"] for row in others]
        assert first["label"] == 1
        assert [row["label"] for row in others] == [0] * 16
        assert first["document"] not in documents
        assert len(set(documents)) == 16


def test_mined_negatives_come_before_borrowed_ones():
    rows: list[dict[str, Any]] = [{**ROWS[0], "negatives": ["hard 1", "hard 2"]}, *ROWS[1:]]
    documents = [row["document"] for row in list(pairs_with_negatives(rows, num_negatives=4))[:5]]
    assert documents[:3] == ["p0", "hard 1", "hard 2"]
    assert set(documents[3:]) <= {row["positive"] for row in ROWS[1:]}


def test_another_positive_of_the_same_query_is_no_negative():
    rows = [{"query": "q", "positive": "a"}, {"query": "q", "positive": "b"}, ROWS[0]]
    first = list(pairs_with_negatives(rows, num_negatives=2))[:2]
    assert [row["document"] for row in first] == ["a", "p0"]


def test_the_same_seed_draws_the_same_negatives():
    assert list(pairs_with_negatives(ROWS, seed=1)) == list(pairs_with_negatives(ROWS, seed=1))
    assert list(pairs_with_negatives(ROWS, seed=1)) != list(pairs_with_negatives(ROWS, seed=2))


def test_row_without_any_negative_is_refused():
    with pytest.raises(InputError, match=r"rows\[0\] has no negatives"):
        list(pairs_with_negatives(ROWS[:1]))


# ------------------------------------------------------------ towers


@pytest.mark.parametrize("name", ["qwen3-vl", "tiny-omni"])
def test_frozen_towers_get_no_gradient_and_the_rest_does(model_of, name):
    model = model_of(name)
    num_frozen = freeze_towers(model)
    inner = model.model
    text = {id(parameter) for parameter in inner.get_decoder().parameters()}
    head = {id(parameter) for parameter in inner.get_output_embeddings().parameters()}
    frozen = [p for p in inner.parameters() if not p.requires_grad]
    assert sum(parameter.numel() for parameter in frozen) == num_frozen > 0
    assert not {id(parameter) for parameter in frozen} & (text | head)
    assert {id(p) for p in inner.parameters()} == {id(p) for p in frozen} | text | head


def test_freezing_can_be_undone(model_of):
    model = model_of("qwen3-vl")
    assert freeze_towers(model) == freeze_towers(model, trained=True)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_text_model_has_no_towers(model_of):
    model = model_of("bert")
    assert freeze_towers(model) == 0
    with pytest.raises(InputError, match="no towers to train"):
        freeze_towers(model, trained=True)


# ------------------------------------------------------------ the table in processor.toml


def test_every_processor_folder_has_a_table_of_rank_16():
    assert {(spec.lora.r, spec.lora.alpha) for spec in list_processors()} == {(16, 32)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("r = 0", "r=0, alpha=32"),
        ("dropout = 1.0", "dropout=1.0"),
        ('target_modules = "q_proj"', "needs a list of strings"),
        ("rank = 8", "unknown key 'rank'"),
    ],
)
def test_wrong_table_is_refused_with_file_and_key(tmp_path, line, message):
    (tmp_path / "processor.toml").write_text(
        'title = "T"\nlink = ""\n[template]\nkind = "checkpoint"\n[head]\nkind = "builtin"\n'
        f"[lora]\n{line}\n"
    )
    with pytest.raises(SpecError, match=rf"\[lora\].*{message}"):
        read_processor(tmp_path)
