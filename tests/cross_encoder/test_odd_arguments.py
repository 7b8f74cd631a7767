"""Scalar arguments that cannot be meant: an error of ours that names argument, value and rule."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmrerank import CrossEncoder, MediaPolicy
from mmrerank.errors import EngineError, InputError, MMRerankError, WrongArgument
from mmrerank.types import DocumentError
from tests.cross_encoder._samples import PAIRS, UNCLOSED_TEMPLATES
from tests.cross_encoder.conftest import FolderOf, ModelOf

pytestmark = UNCLOSED_TEMPLATES
TEXTS = ["one", "two", "three"]
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "predict": (PAIRS,),
    "rank": ("a query", TEXTS),
    "score_stream": (PAIRS,),
    "preprocess": (PAIRS,),
}
SCORING = ("predict", "rank", "score_stream")
TWO = np.array([1, 2])
ODD_LIST: list[Any] = []


class _NoTruth:
    def __bool__(self) -> bool:
        raise RuntimeError("neither")


CALLS: list[tuple[str, str, Any]] = [
    *((m, "batch_size", value) for m in SCORING for value in ("8", 0, -1, 2.5, None, [8], TWO)),
    *((m, "instruction", value) for m in SCORING for value in (3, 2.5, b"x", {"a": 1})),
    *((m, "activation_fn", v) for m in SCORING for v in (3, "sigmoid", torch.nn.Sigmoid)),
    *((m, "should_stop", value) for m in SCORING for value in (3, True, "x")),
    *((m, "on_error", value) for m in SCORING for value in ("x", 3, None, TWO, ["raise"])),
    *((m, "prompt", 3) for m in ("predict", "rank", "preprocess")),
    *((m, "prompt_name", value) for m in SCORING[:2] for value in (3, ["a"], "no such name")),
    *((m, "chunk_size", value) for m in SCORING[:2] for value in (0, -1, "2", 2.5)),
    *((m, "device", value) for m in SCORING[:2] for value in (2.5, b"cpu", [], [3.5], ["nope"])),
    *((m, "pool", value) for m in SCORING[:2] for value in (3, "x", {}, {"input": 1}, True)),
    *((m, "show_progress_bar", v) for m in SCORING[:2] for v in (TWO, _NoTruth())),
    *(("rank", "top_k", value) for value in ("2", 2.0, [2], b"2", TWO)),
    ("rank", "return_documents", TWO),
    *(("predict", f"convert_to_{kind}", TWO) for kind in ("numpy", "tensor")),
    *(("predict", name, _NoTruth()) for name in ("apply_softmax", "return_details")),
    *(
        ("predict", "processing_kwargs", value)
        for value in (3, {"text": 3}, {"text": {"max_length": "9"}}, {"text": {"max_length": 0}})
    ),
    ("predict", "processing_kwargs", {"image": {"min_pixels": "1", "max_pixels": 2}}),
]


@pytest.mark.parametrize(("method", "name", "value"), CALLS)
def test_argument_that_cannot_be_meant_is_named(
    method: str, name: str, value: Any, ours_of: ModelOf
) -> None:
    with pytest.raises(InputError, match=rf"(?i){name.replace('_', '[_ ]')}"):
        list(getattr(ours_of("bert"), method)(*ARGUMENTS[method], **{name: value}))


@pytest.mark.parametrize("value", [3, "nope", "cuda:99"])
@pytest.mark.parametrize("method", ["predict", "rank"])
def test_device_that_is_not_there_is_named(method: str, value: Any, ours_of: ModelOf) -> None:
    with pytest.raises(EngineError, match=rf"device='{value}'"):
        getattr(ours_of("bert"), method)(*ARGUMENTS[method], device=value)
    assert ours_of("bert").predict(PAIRS).shape == (len(PAIRS),)


CONSTRUCTION: list[tuple[str, Any]] = [
    *(("max_length", value) for value in ("x", 0, -5, 2.5, [1])),
    *(("num_labels", value) for value in ("2", 0, 1.5)),
    *(("device", value) for value in ("nope", 2.5, ODD_LIST)),
    *(("media_policy", value) for value in ("local", 3, MediaPolicy)),
    *(("activation_fn", value) for value in ("sigmoid", torch.nn.Sigmoid)),
    *(("prompts", value) for value in (3, "x", {"a": 3}, {3: "a"}, [("a", "b")])),
    *(("default_prompt_name", value) for value in (3, ["a"])),
    *((f"{kind}_kwargs", value) for kind in ("model", "processor", "config") for value in (3, "x")),
    ("processor_kwargs", {"min_pixels": "a", "max_pixels": 3}),
    *(("keep_in_fp32_modules", value) for value in (3, "0.model", [3], {"a": 1})),
    *((name, value) for name in ("revision", "token") for value in (2.5, ["a"])),
    *((name, value) for name in ("cache_folder", "processor") for value in (3, b"x")),
    *(("modules", value) for value in (3, "abc", [3])),
    ("trust_remote_code", TWO),
    ("backend", 3),
]


@pytest.mark.parametrize(("name", "value"), CONSTRUCTION)
def test_constructor_names_the_argument(name: str, value: Any, folder_of: FolderOf) -> None:
    with pytest.raises(MMRerankError, match=name):
        CrossEncoder(str(folder_of("bert")), **{name: value})


def test_constructor_takes_no_number_for_a_model() -> None:
    with pytest.raises(WrongArgument, match="model_name_or_path must be a folder or a hub id"):
        CrossEncoder(3)  # type: ignore[arg-type]


def test_constructor_takes_a_path_as_the_peer_does(folder_of: FolderOf, ours_of: ModelOf) -> None:
    model = CrossEncoder(folder_of("bert"), device="cpu")  # type: ignore[arg-type]
    assert model.predict(PAIRS) == pytest.approx(ours_of("bert").predict(PAIRS))


def test_token_is_not_shown(folder_of: FolderOf) -> None:
    with pytest.raises(WrongArgument, match="token") as caught:
        CrossEncoder(str(folder_of("bert")), token=["hf_secret"])  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


SETTINGS: list[tuple[str, Any]] = [
    *(("max_seq_length", value) for value in (None, "x", 0, -1, 2.5)),
    *(("media_policy", value) for value in ("local", 3)),
    *(("activation_fn", value) for value in (3, "sigmoid", torch.nn.Sigmoid)),
    *(("config", value) for value in (None, "x", 3)),
    *(("tokenizer", value) for value in (None, 3)),
]


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_setting_that_cannot_be_meant_changes_nothing(
    name: str, value: Any, ours_of: ModelOf
) -> None:
    model = ours_of("bert")
    before = model.predict(PAIRS)
    with pytest.raises(WrongArgument, match=f"{name} must be"):
        setattr(model, name, value)
    assert model.predict(PAIRS) == pytest.approx(before)


METHODS = [
    ("save_pretrained", "path", 3),
    ("save_pretrained", "model_name", 3),
    ("save_pretrained", "train_datasets", 3),
    ("save_pretrained", "create_model_card", TWO),
    ("push_to_hub", "repo_id", 3),
    ("push_to_hub", "repo_id", "no//such name"),
    ("push_to_hub", "token", 3),
    ("push_to_hub", "commit_message", 3),
    ("push_to_hub", "local_model_path", 3),
    ("set_keep_in_fp32_modules", "module_names", None),
    ("set_keep_in_fp32_modules", "module_names", "0.model"),
    ("set_keep_in_fp32_modules", "module_names", [3]),
    ("gradient_checkpointing_enable", "gradient_checkpointing_kwargs", 3),
    ("start_multi_process_pool", "target_devices", "cpu"),
    ("start_multi_process_pool", "target_devices", []),
    ("start_multi_process_pool", "target_devices", ["nope"]),
    ("stop_multi_process_pool", "pool", None),
    ("stop_multi_process_pool", "pool", {}),
]
NEEDED = {"save_pretrained": {"path": "unused"}, "push_to_hub": {"repo_id": "owner/name"}}


@pytest.mark.parametrize(("method", "name", "value"), METHODS)
def test_method_names_the_argument(
    method: str, name: str, value: Any, ours_of: ModelOf, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongArgument, match=f"{name} must be"):
        getattr(ours_of("bert"), method)(**{**NEEDED.get(method, {}), name: value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [3, None, TWO, object(), [3], b"text"])
def test_what_is_no_modality_is_not_supported(value: Any, ours_of: ModelOf) -> None:
    assert ours_of("bert").supports(value) is False
    assert "is no modality" in ours_of("bert").why_not(value)


# ------------------------------------------------------------ what the peer takes


@pytest.mark.parametrize("value", [None, 0, 1, -1, True, False, 99, np.int64(2), torch.tensor(2)])
def test_top_k_is_taken_as_the_peer_does(value: Any, ours_of: ModelOf, peer_of: ModelOf) -> None:
    ours, theirs = (
        model.rank("a query", TEXTS, top_k=value) for model in (ours_of("bert"), peer_of("bert"))
    )
    assert [entry["corpus_id"] for entry in ours] == [entry["corpus_id"] for entry in theirs]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("batch_size", value) for value in (True, 1, np.int64(2), torch.tensor(2), 10**30)),
        *(("show_progress_bar", value) for value in (0, "", np.bool_(False))),
        *(("prompt", value) for value in ("", np.str_("x"))),
        ("device", torch.device("cpu")),
        *(("convert_to_numpy", value) for value in (1, "yes")),
        ("apply_softmax", None),
    ],
)
def test_what_the_peer_takes_gives_the_same_scores(
    name: str, value: Any, ours_of: ModelOf, peer_of: ModelOf
) -> None:
    ours, theirs = (
        model.predict(PAIRS, **{name: value}) for model in (ours_of("bert"), peer_of("bert"))
    )
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_no_activation_gives_the_logits_as_in_the_peer(
    folder_of: FolderOf, peer_of: ModelOf
) -> None:
    model = CrossEncoder(str(folder_of("bert")), device="cpu")
    model.activation_fn = None
    expected = peer_of("bert").predict(PAIRS, activation_fn=torch.nn.Identity())
    assert model.predict(PAIRS) == pytest.approx(expected, abs=1e-5)


def test_saving_nowhere_saves_nothing_and_says_so(
    ours_of: ModelOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING):
        ours_of("bert").save_pretrained(None)
    assert list(tmp_path.iterdir()) == []
    assert "nothing was saved" in caplog.text


# ------------------------------------------------------------ lists of instructions


def values_of(results: Iterator[Any]) -> list[float]:
    return [float(result.value) for result in results]


def test_stream_takes_one_instruction_a_pair(ours_of: ModelOf) -> None:
    model, words = ours_of("qwen3"), ["find cats", None, "find dogs"]
    pairs = [("a", "b"), ("a", "b"), ("a", "b")]
    streamed = values_of(model.score_stream(pairs, instruction=words))
    assert streamed == pytest.approx(model.predict(pairs, instruction=words), abs=1e-5)
    assert len({round(value, 6) for value in streamed}) == 3


def test_stream_reads_endless_instructions_as_pairs_come(ours_of: ModelOf) -> None:
    words = itertools.cycle(["one", "two"])
    assert len(list(ours_of("bert").score_stream(PAIRS, instruction=words))) == len(PAIRS)


def test_stream_with_too_few_instructions_says_how_many(ours_of: ModelOf) -> None:
    with pytest.raises(InputError, match="there are 1 of them and more pairs"):
        list(ours_of("bert").score_stream(PAIRS, instruction=["one"]))


def test_stream_records_an_instruction_that_is_none_in_its_place(ours_of: ModelOf) -> None:
    words: list[Any] = ["one", 3, "two"]
    results = list(ours_of("bert").score_stream([("a", "b")] * 3, instruction=words))
    assert [isinstance(result, DocumentError) for result in results] == [False, True, False]
    with pytest.raises(WrongArgument, match=r"instruction\[1\] must be a string or None, got 3"):
        list(ours_of("bert").score_stream(PAIRS, instruction=[None, 3] * 9, on_error="raise"))


@pytest.mark.parametrize("value", [["x", 3], itertools.repeat("x")])
def test_predict_refuses_instructions_that_do_not_fit(value: Any, ours_of: ModelOf) -> None:
    with pytest.raises(InputError, match=r"instruction"):
        ours_of("bert").predict(PAIRS[:2], instruction=value)
