"""Names, order and defaults of arguments begin with the peer's; old names warn and work."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from tests.cross_encoder._samples import DOCUMENTS, PAIRS, QUERY, assert_same_scores
from tests.cross_encoder.conftest import FolderOf, ModelOf

ANY_ENCODER: Any = CrossEncoder  # old and wrong arguments are no part of the typed signature
_METHODS = ["predict", "rank", "preprocess", "save_pretrained", "start_multi_process_pool"]


def _parameters(owner: type, method: str) -> list[tuple[str, Any]]:
    signature = inspect.signature(getattr(owner, method))
    return [
        (parameter.name, parameter.default)
        for parameter in signature.parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]


@pytest.mark.parametrize("method", _METHODS)
def test_arguments_begin_with_the_peers(method: str) -> None:
    theirs = _parameters(Peer, method)
    assert len(theirs) > 1
    assert _parameters(CrossEncoder, method)[: len(theirs)] == theirs


def test_constructor_takes_the_peers_arguments_with_the_peers_defaults() -> None:
    theirs, ours = _parameters(Peer, "__init__"), _parameters(CrossEncoder, "__init__")
    assert len(theirs) > 15
    assert ours[: len(theirs)] == theirs


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("automodel_args", "model_kwargs", {"dtype": torch.float64}),
        ("tokenizer_args", "processor_kwargs", {"model_max_length": 17}),
        ("tokenizer_kwargs", "processor_kwargs", {"model_max_length": 17}),
        ("config_args", "config_kwargs", {"hidden_dropout_prob": 0.25}),
        ("cache_dir", "cache_folder", None),
        ("default_activation_function", "activation_fn", torch.nn.Tanh()),
    ],
)
def test_old_constructor_argument_warns_and_works(
    old: str, new: str, value: Any, folder_of: FolderOf
) -> None:
    with pytest.warns(FutureWarning, match=f"`{old}`.*`{new}`"):
        old_style = CrossEncoder(str(folder_of("bert")), device="cpu", **{old: value})
    new_style = CrossEncoder(str(folder_of("bert")), device="cpu", **{new: value})
    assert old_style.dtype == new_style.dtype
    assert old_style.max_seq_length == new_style.max_seq_length
    assert old_style.config.hidden_dropout_prob == new_style.config.hidden_dropout_prob
    assert type(old_style.activation_fn) is type(new_style.activation_fn)


def test_model_name_warns_and_works(folder_of: FolderOf, ours_of: ModelOf) -> None:
    with pytest.warns(FutureWarning, match="`model_name`.*`model_name_or_path`"):
        model = ANY_ENCODER(model_name=str(folder_of("bert")), device="cpu")
    assert_same_scores(model.predict(PAIRS), ours_of("bert").predict(PAIRS))


def test_positional_num_labels_and_max_length_warn_and_work(folder_of: FolderOf) -> None:
    with pytest.warns(FutureWarning, match="positional argument"):
        model = ANY_ENCODER(str(folder_of("bert")), 1, 33, device="cpu")
    assert (model.num_labels, model.max_seq_length) == (1, 33)


def test_classifier_dropout_warns_and_reaches_the_config(folder_of: FolderOf) -> None:
    with pytest.warns(FutureWarning, match="`classifier_dropout`"):
        model = ANY_ENCODER(str(folder_of("bert")), device="cpu", classifier_dropout=0.3)
    assert model.config.classifier_dropout == 0.3


def test_old_predict_arguments_warn_and_work(ours_of: ModelOf) -> None:
    model = ours_of("bert")
    expected = model.predict(PAIRS, activation_fn=torch.nn.Tanh())
    with pytest.warns(FutureWarning) as caught:
        scores = model.predict(sentences=PAIRS, activation_fct=torch.nn.Tanh(), num_workers=2)
    assert len(caught) == 3
    assert_same_scores(scores, expected)


def test_old_rank_arguments_warn_and_have_no_effect(ours_of: ModelOf) -> None:
    expected = ours_of("bert").rank(QUERY, DOCUMENTS)
    with pytest.warns(FutureWarning) as caught:
        ranking = ours_of("bert").rank(
            QUERY, DOCUMENTS, apply_softmax=True, convert_to_tensor=True, convert_to_numpy=False
        )
    assert len(caught) == 3
    assert ranking == expected


def test_max_length_is_the_old_name_of_max_seq_length(folder_of: FolderOf) -> None:
    model = CrossEncoder(str(folder_of("bert")), device="cpu")
    with pytest.warns(DeprecationWarning, match="max_seq_length"):
        model.max_length = 40
    with pytest.warns(DeprecationWarning, match="max_seq_length"):
        assert model.max_length == 40
    assert (model.max_seq_length, model.get_max_seq_length()) == (40, 40)


def test_default_activation_function_is_the_old_name_of_activation_fn(ours_of: ModelOf) -> None:
    with pytest.warns(DeprecationWarning, match="activation_fn"):
        assert ours_of("bert").default_activation_function is ours_of("bert").activation_fn


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda m: m.predict(PAIRS, batchsize=4), "'batch_size'"),
        (lambda m: m.predict(PAIRS, instructions="x"), "'instruction'"),
        (lambda m: m.predict(PAIRS, convert_to_tensors=True), "'convert_to_tensor'"),
        (lambda m: m.rank(QUERY, DOCUMENTS, topk=2), "'top_k'"),
        (lambda m: m.rank(QUERY, DOCUMENTS, return_document=True), "'return_documents'"),
        (lambda m: m.preprocess(PAIRS, prompts="x"), "'prompt'"),
    ],
    ids=["batchsize", "instructions", "convert_to_tensors", "topk", "return_document", "prompts"],
)
def test_unknown_option_is_refused_with_the_near_name(
    call: Any, near: str, ours_of: ModelOf
) -> None:
    with pytest.raises(TypeError, match=near):
        call(ours_of("bert"))


def test_unknown_constructor_argument_is_refused(folder_of: FolderOf) -> None:
    with pytest.raises(TypeError, match="maxlength"):
        ANY_ENCODER(str(folder_of("bert")), maxlength=3)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_below_one_is_refused_in_the_peers_words(
    batch_size: int, ours_of: ModelOf, peer_of: ModelOf
) -> None:
    messages = []
    for model in (ours_of("bert"), peer_of("bert")):
        with pytest.raises(ValueError, match="batch_size") as caught:
            model.predict(PAIRS, batch_size=batch_size)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_processing_kwargs_shorten_one_call_only(ours_of: ModelOf, peer_of: ModelOf) -> None:
    short = {"text": {"max_length": 16, "truncation": True}}
    ours, theirs = (
        model.predict(PAIRS, processing_kwargs=short)
        for model in (ours_of("bert"), peer_of("bert"))
    )
    assert np.abs(ours - ours_of("bert").predict(PAIRS)).max() > 1e-3
    assert_same_scores(ours, theirs)
