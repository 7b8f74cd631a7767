"""What a checkpoint lacks is said at load; what can be mended is mended."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, SpecError
from tests.cross_encoder._samples import PAIRS, UNCLOSED_TEMPLATES, assert_same_scores
from tests.cross_encoder.conftest import FolderOf, ModelOf

pytestmark = UNCLOSED_TEMPLATES


def _drop_weights(folder: Path, *names: str) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    for name in names:
        del weights[name]
    save_file(weights, file, metadata={"format": "pt"})


def _load(folder: Path) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu")


def test_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such folder"):
        _load(tmp_path / "nothing")


def test_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        _load(tmp_path)


def test_broken_json_is_named(copy_of: FolderOf) -> None:
    folder = copy_of("qwen3")
    (folder / "modules.json").write_text("[{")
    with pytest.raises(CheckpointError, match=r"modules\.json .*not valid json"):
        _load(folder)


def test_missing_untied_output_layer_is_refused(copy_of: FolderOf) -> None:
    """Scores are read from it: random rows would rank at random without a word."""
    folder = copy_of("llama")
    _drop_weights(folder, "lm_head.weight")
    with pytest.raises(CheckpointError, match=r"lm_head\.weight"):
        _load(folder)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("bert", "bert.encoder.layer.0.attention.self.query.weight"),
        ("modernbert-mean", "model.layers.1.mlp.Wi.weight"),
        ("qwen3-seq-cls", "model.layers.0.mlp.up_proj.weight"),
        ("qwen3", "model.layers.0.mlp.up_proj.weight"),
    ],
)
def test_missing_layer_is_refused(name: str, weight: str, copy_of: FolderOf) -> None:
    folder = copy_of(name)
    _drop_weights(folder, weight)
    with pytest.raises(CheckpointError, match="lacks 1 weight"):
        _load(folder)


def test_missing_classifier_is_announced_and_left_for_training(
    copy_of: FolderOf, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy_of("bert")
    _drop_weights(folder, "classifier.weight", "classifier.bias")
    assert _load(folder).num_labels == 1
    assert "no trained classifier: classifier.bias, classifier.weight" in caplog.text


def test_logit_score_without_its_config_falls_back_to_yes_and_no(
    copy_of: FolderOf, ours_of: ModelOf
) -> None:
    """Seen on the hub: the folder of the head missing, or its path wrong."""
    folder = copy_of("qwen3")
    shutil.rmtree(folder / "1_LogitScore")
    assert_same_scores(_load(folder).predict(PAIRS), ours_of("qwen3").predict(PAIRS))


def test_vision_logit_score_with_a_wrong_path_falls_back_to_yes_and_no(
    copy_of: FolderOf, ours_of: ModelOf
) -> None:
    """Qwen3-VL-Reranker-8B was published so; the peer fails with a bare TypeError."""
    folder = copy_of("qwen3-vl")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = "LogitScore"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert_same_scores(_load(folder).predict(PAIRS), ours_of("qwen3-vl").predict(PAIRS))


def test_module_types_of_older_versions_are_understood(copy_of: FolderOf, ours_of: ModelOf) -> None:
    folder = copy_of("qwen3")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "sentence_transformers.base.models.Transformer"
    modules[1]["type"] = "sentence_transformers.cross_encoder.models.LogitScore"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert_same_scores(_load(folder).predict(PAIRS), ours_of("qwen3").predict(PAIRS))


def test_modules_file_without_the_model_file_is_still_a_reranker(
    copy_of: FolderOf, ours_of: ModelOf
) -> None:
    """The peer then drops the modules. Without the file there is no prompt, and sigmoid."""
    folder = copy_of("qwen3")
    (folder / "config_sentence_transformers.json").unlink()
    model = _load(folder)
    assert type(model.activation_fn).__name__ == "Sigmoid"
    assert model.prompts == {}
    expected = ours_of("qwen3").predict(PAIRS, activation_fn=model.activation_fn)
    assert_same_scores(model.predict(PAIRS), expected)


def test_model_without_yes_and_no_is_refused(folder_of: FolderOf) -> None:
    with pytest.raises(CheckpointError, match="no single token 'yes'"):
        _load(folder_of("llama-without-yes-no"))


@pytest.mark.parametrize("name", ["qwen2-known-roles"])
def test_template_that_drops_the_pair_is_refused_with_the_remedy(
    name: str, folder_of: FolderOf
) -> None:
    with pytest.raises(
        SpecError, match=r"cannot carry a 'query'/'document' pair.*query and document.*processor="
    ):
        _load(folder_of(name)).predict(PAIRS)


def test_guess_is_announced_once(folder_of: FolderOf, caplog: pytest.LogCaptureFixture) -> None:
    _load(folder_of("llama"))
    assert caplog.text.count("is a guess") == 1
    caplog.clear()
    CrossEncoder(str(folder_of("llama")), device="cpu", processor="causal-lm")
    assert "guess" not in caplog.text


def test_pickled_weights_are_not_read_unless_asked(copy_of: FolderOf) -> None:
    import torch

    folder = copy_of("bert")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError):
        _load(folder)
    asked = CrossEncoder(str(folder), device="cpu", model_kwargs={"use_safetensors": False})
    assert asked.predict(PAIRS).shape == (len(PAIRS),)


def test_number_of_labels_other_than_the_checkpoints_is_refused(folder_of: FolderOf) -> None:
    with pytest.raises(CheckpointError, match="transformers cannot load it"):
        CrossEncoder(str(folder_of("bert-nli")), device="cpu", num_labels=2)


def test_stored_default_prompt_without_its_text_is_refused_in_the_peers_words(
    folder_of: FolderOf,
) -> None:
    from sentence_transformers import CrossEncoder as Peer

    messages = []
    for library in (CrossEncoder, Peer):
        with pytest.raises(ValueError, match="zz") as caught:
            library(str(folder_of("qwen3")), device="cpu", default_prompt_name="zz")
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
