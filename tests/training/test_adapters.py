"""Adapters: the peer's scores, files that both libraries load, and caches that see each switch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from sentence_transformers import CrossEncoder as Peer
from transformers import AutoModelForSequenceClassification

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, InputError, MissingExtra, WrongArgument
from tests import checkpoints
from tests.cross_encoder._chain import build_chain

# peft warns of a second adapter on one model, which is what the test is about.
TWO_ADAPTERS = pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")

BUILDERS: dict[str, Callable[..., Path]] = {
    "bert": checkpoints.build_bert,
    "modernbert-mean": checkpoints.build_modernbert,
    "modernbert-cls": partial(checkpoints.build_modernbert, classifier_pooling="cls"),
    "qwen3": checkpoints.build_qwen3,
    "qwen3-seq-cls": checkpoints.build_qwen3_seq_cls,
    "qwen3-vl": checkpoints.build_qwen3_vl,
    "chain": build_chain,
}
PAIRS = [
    ("green tea", "a cup of tea"),
    ("green tea", "roads and cars"),
    ("cars", "a cup of tea " * 6),
]
FolderOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    root = tmp_path_factory.mktemp("bases")
    return cache(lambda name: BUILDERS[name](root / name))


def ours(folder: Path, **options) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu", **options)


def peers(folder: Path) -> Peer:
    return Peer(str(folder), device="cpu")


def lora(**options) -> LoraConfig:
    """An adapter that changes scores from the start."""
    torch.manual_seed(0)
    return LoraConfig(
        **{"target_modules": "all-linear", "r": 4, "init_lora_weights": False, **options}
    )


def adapted(folder: Path) -> CrossEncoder:
    model = ours(folder)
    model.add_adapter(lora())
    return model


# ------------------------------------------------------------ files


@pytest.mark.parametrize(
    "name", ["bert", "modernbert-mean", "qwen3", "qwen3-seq-cls", "qwen3-vl", "chain"]
)
def test_saved_adapter_gives_equal_scores_in_both_libraries(folder_of, tmp_path, name):
    model = adapted(folder_of(name))
    expected = model.predict(PAIRS)
    model.save_pretrained(tmp_path / "adapter")
    assert not np.allclose(expected, ours(folder_of(name)).predict(PAIRS), atol=1e-3)
    np.testing.assert_array_equal(ours(tmp_path / "adapter").predict(PAIRS), expected)
    np.testing.assert_allclose(peers(tmp_path / "adapter").predict(PAIRS), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "qwen3-vl"])
def test_adapter_saved_by_the_peer_gives_equal_scores(folder_of, tmp_path, name):
    peer = peers(folder_of(name))
    peer.add_adapter(lora())
    peer.save_pretrained(str(tmp_path / "adapter"))
    expected = peer.predict(PAIRS)
    np.testing.assert_allclose(ours(tmp_path / "adapter").predict(PAIRS), expected, atol=1e-5)


def test_adapter_folder_holds_what_the_peer_writes(folder_of, tmp_path):
    adapted(folder_of("bert")).save_pretrained(tmp_path / "ours")
    peer = peers(folder_of("bert"))
    peer.add_adapter(lora())
    peer.save_pretrained(str(tmp_path / "peers"))
    names = {file.name for file in (tmp_path / "ours").iterdir()}
    own = {"mmrerank.json"}  # the family, of which the peer knows nothing
    assert names == {file.name for file in (tmp_path / "peers").iterdir()} | own
    assert {"adapter_config.json", "adapter_model.safetensors"} <= names
    assert not {"config.json", "model.safetensors"} & names


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # of peft
def test_folder_written_by_peft_alone_takes_tokenizer_and_head_from_its_base(folder_of, tmp_path):
    base = folder_of("bert")
    plain = AutoModelForSequenceClassification.from_pretrained(base)
    get_peft_model(plain, lora(target_modules=["query", "value"])).save_pretrained(tmp_path / "a")
    model = ours(base)
    model.load_adapter(str(tmp_path / "a"))
    np.testing.assert_array_equal(ours(tmp_path / "a").predict(PAIRS), model.predict(PAIRS))


def test_adapter_whose_base_is_gone_names_the_base(folder_of, tmp_path):
    base = shutil.copytree(folder_of("bert"), tmp_path / "base")
    adapted(base).save_pretrained(tmp_path / "adapter")
    shutil.rmtree(base)
    with pytest.raises(CheckpointError, match=r"adapter for '.*base', which could not be had"):
        ours(tmp_path / "adapter")


@pytest.mark.parametrize("value", [None, "", 7])
def test_adapter_without_the_name_of_a_base_is_refused(folder_of, tmp_path, value):
    adapted(folder_of("bert")).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = value
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="names no base_model_name_or_path"):
        ours(tmp_path)


def test_adapter_of_another_architecture_is_refused_with_its_folder(folder_of, tmp_path):
    adapted(folder_of("qwen3")).save_pretrained(tmp_path)
    with pytest.raises((CheckpointError, InputError), match="load_adapter"):
        ours(folder_of("bert")).load_adapter(str(tmp_path))


def test_embedded_model_is_named_not_its_path(tmp_path):
    model = CrossEncoder(device="cpu")
    model.add_adapter(lora(target_modules=["q_proj", "v_proj"]))
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny-omni"
    np.testing.assert_array_equal(ours(tmp_path).predict(PAIRS), model.predict(PAIRS))


def test_adapter_is_not_saved_into_the_folder_of_a_whole_model(folder_of, tmp_path):
    base = shutil.copytree(folder_of("bert"), tmp_path / "base")
    with pytest.raises(CheckpointError, match="holds a whole model"):
        adapted(base).save_pretrained(base)


@TWO_ADAPTERS
def test_two_active_adapters_are_not_saved_into_one_folder(folder_of, tmp_path):
    model = adapted(folder_of("bert"))
    model.add_adapter(lora(), "second")
    model.set_adapter(["default", "second"])
    with pytest.raises(CheckpointError, match="default, second are active together"):
        model.save_pretrained(tmp_path)


# ------------------------------------------------------------ merging


@pytest.mark.parametrize("name", ["bert", "modernbert-mean", "qwen3", "qwen3-vl"])
def test_merged_adapter_keeps_scores_and_is_saved_as_a_plain_model(folder_of, tmp_path, name):
    model = adapted(folder_of(name))
    before = model.predict(PAIRS)
    model.save_pretrained(tmp_path)
    model.merge_adapter()
    np.testing.assert_allclose(model.predict(PAIRS), before, atol=1e-4)
    model.save_pretrained(tmp_path)
    assert not (tmp_path / "adapter_config.json").exists()
    np.testing.assert_allclose(peers(tmp_path).predict(PAIRS), before, atol=1e-4)


def test_merged_adapter_brings_its_own_classifier_along(folder_of):
    model = ours(folder_of("bert"))
    model.add_adapter(lora(target_modules=["query"], modules_to_save=["classifier"]))
    with torch.no_grad():
        model.model.classifier.modules_to_save["default"].weight.mul_(3)
    before = model.predict(PAIRS)
    model.merge_adapter()
    np.testing.assert_allclose(model.predict(PAIRS), before, atol=1e-5)
    assert type(model.model.classifier) is torch.nn.Linear


def test_merged_model_can_be_trained_whole_and_adapted_again(folder_of):
    model = adapted(folder_of("bert"))
    model.merge_adapter()
    assert all(parameter.requires_grad for parameter in model.parameters())
    model.add_adapter(lora())
    assert model.active_adapters() == ["default"]


def test_merging_without_or_with_switched_off_adapters_is_refused(folder_of):
    model = ours(folder_of("bert"))
    with pytest.raises(InputError, match="has no adapter"):
        model.merge_adapter()
    model.add_adapter(lora())
    model.disable_adapters()
    with pytest.raises(InputError, match="switched off"):
        model.merge_adapter()


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
def test_merging_into_a_weight_that_is_used_twice_is_refused(folder_of):
    model = ours(folder_of("qwen3"))
    model.model.lm_head.weight = model.model.model.embed_tokens.weight
    model.add_adapter(lora(target_modules=["lm_head"]))
    with pytest.raises(InputError, match="is one weight with"):
        model.merge_adapter()


# ------------------------------------------------------------ the peer's methods


@TWO_ADAPTERS
def test_methods_switch_adapters_as_in_the_peer(folder_of):
    results = []
    for model in (ours(folder_of("bert")), peers(folder_of("bert"))):
        found = [model.predict(PAIRS)]
        model.add_adapter(lora(), "first")
        model.add_adapter(lora(target_modules=["query"]), "second")
        found.append(model.predict(PAIRS))
        model.set_adapter("first")
        found.append(model.predict(PAIRS))
        model.disable_adapters()
        found.append(model.predict(PAIRS))
        model.enable_adapters()
        found.append(model.predict(PAIRS))
        assert model.active_adapters() == ["first"]
        keys = sorted(model.get_adapter_state_dict("second"))
        model.delete_adapter("second")
        model.delete_adapter("first")
        found.append(model.predict(PAIRS))
        results.append((keys, found))
    assert results[0][0] == results[1][0]
    for mine, other in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_active_adapter_is_the_first_active_one(folder_of):
    assert adapted(folder_of("bert")).active_adapter() == "default"


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda m: m.set_adapter("x"), InputError, "set_adapter: No adapter loaded"),
        (lambda m: m.add_adapter({"r": 4}), WrongArgument, "add_adapter: .*PeftConfig"),
        (lambda m: m.add_adapter(lora(target_modules=["no"])), InputError, "Target modules"),
        (lambda m: m.load_adapter("/no/such/folder"), (CheckpointError, InputError), "load_ad"),
    ],
    ids=["none-loaded", "no-config", "no-such-layer", "no-such-folder"],
)
def test_what_cannot_be_done_is_refused_and_leaves_the_model_as_it_was(
    folder_of, tmp_path, act, error, message
):
    model = ours(folder_of("bert"))
    before = model.predict(PAIRS)
    with pytest.raises(error, match=message):
        act(model)
    np.testing.assert_array_equal(model.predict(PAIRS), before)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()


def test_without_peft_the_extra_is_named(folder_of, monkeypatch):
    model = ours(folder_of("bert"))
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"mmrerank\[train\]"):
        model.add_adapter(object())


# ------------------------------------------------------------ the engine sees each change


def switched_off(model: CrossEncoder) -> None:
    model.add_adapter(lora())
    model.predict(PAIRS)
    model.disable_adapters()


def trained_a_step(model: CrossEncoder) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    model.train()
    torch.manual_seed(0)  # of dropout
    model(model.preprocess(PAIRS))["scores"].sum().backward()
    optimizer.step()


def trained_adapter_a_step(model: CrossEncoder) -> None:
    model.add_adapter(lora())
    model.predict(PAIRS)
    trained_a_step(model)


def reloaded(model: CrossEncoder) -> None:
    changed = {name: value * 1.1 for name, value in model.state_dict().items()}
    model.load_state_dict(changed)


def halved(model: CrossEncoder) -> None:
    model.half()


def filled_behind_our_back(model: CrossEncoder) -> None:
    model.transformers_model.add_adapter(lora())


@pytest.mark.parametrize(
    "change",
    [
        switched_off,
        trained_a_step,
        trained_adapter_a_step,
        reloaded,
        halved,
        filled_behind_our_back,
    ],
    ids=lambda change: change.__name__,
)
@pytest.mark.parametrize("name", ["bert", "qwen3"])
def test_scores_after_a_change_are_those_of_a_model_that_never_scored_before(
    folder_of, name, change
):
    warm, fresh = (
        ours(folder_of(name)),
        ours(folder_of(name), media_cache=0, prefix_cache=0, weight_cache=0),
    )
    before = warm.predict(PAIRS)
    change(warm)
    change(fresh)
    after = warm.predict(PAIRS)
    # Without this a change that does nothing would pass.
    if change is not switched_off:
        assert not np.array_equal(after, before)
    np.testing.assert_allclose(after, fresh.predict(PAIRS), atol=1e-6)


def test_adapter_on_a_joint_projection_is_seen_in_the_last_layer(folder_of, tmp_path):
    model = adapted(folder_of("modernbert-cls"))
    model.save_pretrained(tmp_path)
    np.testing.assert_allclose(peers(tmp_path).predict(PAIRS), model.predict(PAIRS), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*(tie_word_embeddings|save_embedding_layers)")
def test_adapter_on_the_output_layer_is_seen(folder_of, tmp_path):
    model = ours(folder_of("qwen3"))
    model.add_adapter(lora(target_modules=["lm_head"]))
    model.save_pretrained(tmp_path)
    np.testing.assert_allclose(peers(tmp_path).predict(PAIRS), model.predict(PAIRS), atol=1e-5)
