"""The object as a sequence of modules: indexing, building from modules, features, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.cross_encoder import Dense, LayerNorm, LogitScore, Pooling, Transformer
from mmrerank.errors import CheckpointError, InputError
from tests.cross_encoder._samples import PAIRS, UNCLOSED_TEMPLATES, assert_same_scores, picture
from tests.cross_encoder.conftest import FolderOf, ModelOf

pytestmark = UNCLOSED_TEMPLATES

RED = picture(64, 96, "red")
MIXED: list[Any] = [PAIRS[0], ("a", RED), (RED, {"text": "b", "image": RED})]


def test_first_module_is_the_transformer_and_second_the_head(ours_of: ModelOf) -> None:
    model = ours_of("qwen3")
    assert isinstance(model[0], Transformer)
    assert isinstance(model[1], LogitScore)
    assert len(model) == 2
    assert model[0].tokenizer is model.tokenizer is model.processor
    assert model[0].model is model[0].auto_model is model.model is model.transformers_model
    yes, no = model.tokenizer.convert_tokens_to_ids(["yes", "no"])
    assert (model[1].true_token_id, model[1].false_token_id) == (yes, no)


def test_model_of_transformer_and_logit_score_scores_as_the_loaded_one(
    folder_of: FolderOf, ours_of: ModelOf
) -> None:
    loaded = ours_of("qwen3")
    transformer = Transformer(str(folder_of("qwen3")), transformer_task="text-generation")
    head = LogitScore(loaded[1].true_token_id, loaded[1].false_token_id)
    model = CrossEncoder(modules=[transformer, head], device="cpu")
    logits = model.predict(PAIRS, activation_fn=torch.nn.Identity())
    assert_same_scores(logits, loaded.predict(PAIRS, activation_fn=torch.nn.Identity()))


def test_one_token_score_is_the_logit_of_that_token(folder_of: FolderOf, tmp_path: Path) -> None:
    from sentence_transformers.base.modules.transformer import Transformer as PeerTransformer
    from sentence_transformers.cross_encoder.modules.logit_score import LogitScore as PeerScore

    folder = str(folder_of("qwen3"))
    ours = CrossEncoder(
        modules=[Transformer(folder, transformer_task="text-generation"), LogitScore(7)],
        device="cpu",
        activation_fn=torch.nn.Identity(),
    )
    theirs = Peer(
        modules=[PeerTransformer(folder, transformer_task="text-generation"), PeerScore(7)],
        device="cpu",
        activation_fn=torch.nn.Identity(),
    )
    assert_same_scores(
        ours.predict(PAIRS, prompt="Find bread."), theirs.predict(PAIRS, prompt="Find bread.")
    )


def test_chain_of_our_own_modules_is_saved_and_scores_the_same_in_the_peer(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    model = CrossEncoder(
        modules=[
            Transformer(str(folder_of("chain")), transformer_task="feature-extraction"),
            Pooling(32, pooling_mode="mean"),
            Dense(32, 16, activation_function=torch.nn.Tanh()),
            LayerNorm(16),
            Dense(16, 1, activation_function=None, module_output_name="scores"),
        ],
        device="cpu",
    )
    scores = model.predict(PAIRS)
    assert scores.std() > 1e-3
    model.save_pretrained(tmp_path / "saved")
    assert_same_scores(Peer(str(tmp_path / "saved"), device="cpu").predict(PAIRS), scores)


def test_modules_without_a_transformer_in_front_are_refused() -> None:
    with pytest.raises(CheckpointError, match="must begin with a Transformer, got LogitScore"):
        CrossEncoder(modules=[LogitScore(1, 2)], device="cpu")


def test_transformer_without_a_head_is_refused(folder_of: FolderOf) -> None:
    with pytest.raises(CheckpointError, match="needs a head behind it"):
        CrossEncoder(modules=[Transformer(str(folder_of("bert")))], device="cpu")


@pytest.mark.parametrize(
    ("name", "pairs"),
    [("bert", PAIRS), ("bert-nli", PAIRS), ("qwen3", PAIRS), ("chain", PAIRS), ("qwen3-vl", MIXED)],
)
def test_forward_of_the_features_gives_the_peers_scores(
    name: str, pairs: list[Any], ours_of: ModelOf, peer_of: ModelOf
) -> None:
    with torch.inference_mode():
        ours, theirs = (
            model(model.preprocess(pairs))["scores"] for model in (ours_of(name), peer_of(name))
        )
    assert_same_scores(ours, theirs)


@pytest.mark.parametrize(
    ("name", "pairs"), [("bert", PAIRS), ("qwen3", PAIRS), ("qwen3-vl", MIXED)]
)
def test_features_have_the_peers_names_and_token_ids(
    name: str, pairs: list[Any], ours_of: ModelOf, peer_of: ModelOf
) -> None:
    ours, theirs = ours_of(name).preprocess(pairs), peer_of(name).preprocess(pairs)
    assert set(theirs) <= set(ours)
    assert ours["input_ids"].tolist() == theirs["input_ids"].tolist()
    assert ours["attention_mask"].tolist() == theirs["attention_mask"].tolist()


def test_features_of_a_prompt_hold_the_prompt(ours_of: ModelOf, peer_of: ModelOf) -> None:
    ours, theirs = (
        model.preprocess(PAIRS, prompt="Find bread.")
        for model in (ours_of("qwen3"), peer_of("qwen3"))
    )
    assert ours["input_ids"].tolist() == theirs["input_ids"].tolist()


# ---------------------------------------------------------------- settings


def test_shorter_max_seq_length_changes_the_next_call(
    folder_of: FolderOf, peer_of: ModelOf
) -> None:
    model = CrossEncoder(str(folder_of("bert")), device="cpu")
    before = model.predict(PAIRS)
    model.max_seq_length = 20
    theirs = Peer(str(folder_of("bert")), device="cpu", max_length=20)
    assert np.abs(model.predict(PAIRS) - before).max() > 1e-3
    assert_same_scores(model.predict(PAIRS), theirs.predict(PAIRS))
    model.max_seq_length = 512
    assert_same_scores(model.predict(PAIRS), before)


def test_replaced_tokenizer_is_used_by_the_next_call(folder_of: FolderOf) -> None:
    model = CrossEncoder(str(folder_of("bert")), device="cpu")
    before = model.predict(PAIRS)
    other = type(model.tokenizer).from_pretrained(folder_of("bert"), do_lower_case=False)
    model.tokenizer = other
    assert model.tokenizer is other
    assert model[0].tokenizer is other
    assert np.abs(model.predict(PAIRS) - before).max() > 1e-3


def test_activation_set_after_a_call_is_the_pipelines_too(folder_of: FolderOf) -> None:
    """Servers and cascades hold `model.pipeline`, not the face."""
    model = CrossEncoder(str(folder_of("bert")), device="cpu")
    model.predict(PAIRS)
    model.activation_fn = torch.nn.Sigmoid()
    assert isinstance(model.pipeline.activation, torch.nn.Sigmoid)


def test_attributes_equal_the_peers(ours_of: ModelOf, peer_of: ModelOf) -> None:
    for name in ("bert", "bert-nli", "qwen3", "chain"):
        ours, theirs = ours_of(name), peer_of(name)
        assert ours.num_labels == theirs.num_labels
        assert ours.max_seq_length == theirs.max_seq_length
        assert ours.dtype == theirs.dtype
        assert ours.device == theirs.device
        assert ours.prompts == theirs.prompts
        assert ours.default_prompt_name == theirs.default_prompt_name
        assert ours.modalities == theirs.modalities
        assert ours.backend == theirs.get_backend() == "torch"


@pytest.mark.parametrize("name", ["bert", "bert-no-activation", "bert-nli"])
def test_default_activation_is_the_peers(name: str, ours_of: ModelOf, peer_of: ModelOf) -> None:
    ours, theirs = (m.get_default_activation_fn() for m in (ours_of(name), peer_of(name)))
    assert type(ours) is type(theirs)


def test_vision_model_names_the_peers_modalities(ours_of: ModelOf, peer_of: ModelOf) -> None:
    assert ours_of("qwen3-vl").modalities == peer_of("qwen3-vl").modalities


@pytest.mark.parametrize(
    "modality",
    ["text", "image", "video", "audio", "message", ("image", "text"), ("text", "audio")],
)
@pytest.mark.parametrize("name", ["bert", "qwen3", "qwen3-vl"])
def test_supports_answers_as_the_peer(
    name: str, modality: Any, ours_of: ModelOf, peer_of: ModelOf
) -> None:
    assert ours_of(name).supports(modality) == peer_of(name).supports(modality)


def test_why_not_is_a_sentence_or_empty(ours_of: ModelOf) -> None:
    assert ours_of("qwen3-vl").why_not(("text", "image")) == ""
    assert (
        ours_of("qwen3-vl")
        .why_not("audio")
        .endswith("takes text, image, video, message, not audio.")
    )
    assert "'smell' is no modality" in ours_of("qwen3-vl").why_not("smell")


def test_layer_kept_in_fp32_scores_as_in_the_peer_while_the_model_is_bf16(
    folder_of: FolderOf,
) -> None:
    half: dict[str, Any] = {"device": "cpu", "model_kwargs": {"dtype": torch.bfloat16}}
    layer = "0.model.classifier"
    model = CrossEncoder(str(folder_of("bert")), keep_in_fp32_modules=[layer], **half)
    theirs = Peer(str(folder_of("bert")), keep_in_fp32_modules=[layer], **half)
    assert model.dtype == torch.bfloat16
    assert model.get_submodule(layer).weight.dtype == theirs.get_submodule(layer).weight.dtype
    assert_same_scores(model.predict(PAIRS, batch_size=1), theirs.predict(PAIRS, batch_size=1))
    plain = CrossEncoder(str(folder_of("bert")), **half)
    assert np.abs(plain.predict(PAIRS) - model.predict(PAIRS)).max() > 0


def test_keep_in_fp32_of_no_linear_layer_is_refused(folder_of: FolderOf) -> None:
    with pytest.raises(InputError, match=r"no plain nn\.Linear"):
        CrossEncoder(str(folder_of("bert")), device="cpu", keep_in_fp32_modules=["0.model.bert"])


def test_onnx_backend_is_refused_by_name(folder_of: FolderOf) -> None:
    with pytest.raises(ImportError, match="backend='onnx'"):
        CrossEncoder(str(folder_of("bert")), backend="onnx")


def test_describe_is_plain_and_names_sources(ours_of: ModelOf) -> None:
    facts = ours_of("qwen3").describe()
    assert facts["head"]["tokens"]["true"]["text"] == "yes"
    assert facts["sources"]["head"] == "checkpoint: modules.json"
    assert facts["prompt_example"].endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert "<Query>: a query\n<Document>: a document" in facts["prompt_example"]
