"""backend="openvino": the scores of torch, by the same calls."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import EngineError, MissingExtra, Stopped, WrongArgument
from tests.cross_encoder._samples import DOCUMENTS, PAIRS, QUERY, assert_same_scores
from tests.cross_encoder.conftest import FolderOf, ModelOf

ENCODERS = ["bert", "bert-nli", "bert-st", "electra", "roberta", "xlm-roberta"]
MANY = [(f"{QUERY} {number}", document) for number in range(40) for document in DOCUMENTS]


def load(folder: Path, **options: Any) -> CrossEncoder:
    return CrossEncoder(str(folder), backend="openvino", **options)


@pytest.fixture(scope="module")
def bert(folder_of: FolderOf) -> CrossEncoder:
    """Shared between tests that do not change it."""
    return load(folder_of("bert"))


@pytest.mark.parametrize("name", ENCODERS)
def test_predict_gives_the_scores_of_torch_and_of_the_peer(
    name: str, folder_of: FolderOf, ours_of: ModelOf, peer_of: ModelOf
) -> None:
    model = load(folder_of(name))
    assert (model.backend, model.get_backend(), model.device.type) == (
        "openvino",
        "openvino",
        "cpu",
    )
    assert model.explain_plan(PAIRS).runner == "openvino"
    scores = model.predict(PAIRS)
    assert scores.dtype == np.float32
    assert_same_scores(scores, ours_of(name).predict(PAIRS))
    assert_same_scores(scores, peer_of(name).predict(PAIRS))


def test_several_windows_in_any_batch_size_give_the_scores_of_torch(
    bert: CrossEncoder, ours_of: ModelOf
) -> None:
    assert len(MANY) > 120
    pairs = MANY * 3  # more than one window
    expected = ours_of("bert").predict(pairs)
    assert_same_scores(bert.predict(pairs), expected)
    for batch_size in (1, 7, 1000):
        assert_same_scores(bert.predict(pairs, batch_size=batch_size), expected)


def test_rank_and_stream_give_those_of_torch(bert: CrossEncoder, ours_of: ModelOf) -> None:
    ours, expected = (m.rank(QUERY, DOCUMENTS, top_k=3) for m in (bert, ours_of("bert")))
    assert [entry["corpus_id"] for entry in ours] == [entry["corpus_id"] for entry in expected]
    assert_same_scores([entry["score"] for entry in ours], [entry["score"] for entry in expected])
    stream = [result.value for result in bert.score_stream(iter(MANY))]  # type: ignore[union-attr]
    assert_same_scores(np.asarray(stream), ours_of("bert").predict(MANY))


def test_plan_counts_what_is_computed(bert: CrossEncoder) -> None:
    plan = bert.explain_plan(PAIRS, batch_size=1)
    assert plan.num_prompts == plan.num_batches == len(PAIRS)
    assert plan.num_computed == plan.num_tokens
    assert plan.num_saved == plan.num_cached == plan.num_media == 0


def test_stop_ends_a_call_and_later_ones_work(bert: CrossEncoder) -> None:
    answers = iter([False, True])
    with pytest.raises(Stopped):
        bert.predict(PAIRS, batch_size=1, should_stop=lambda: next(answers))
    assert bert.predict(PAIRS).shape == (len(PAIRS),)


def test_threads_get_the_scores_of_one(bert: CrossEncoder) -> None:
    expected = bert.predict(MANY)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: bert.predict(MANY, batch_size=16), range(8)):
            assert_same_scores(found, expected)


# ------------------------------------------------------------ a model that changes


def test_weights_and_settings_may_change_between_calls(folder_of: FolderOf) -> None:
    model, expected = load(folder_of("bert")), CrossEncoder(str(folder_of("bert")), device="cpu")
    before = model.predict(PAIRS)
    for one in (model, expected):
        with torch.no_grad():
            one.model.bert.encoder.layer[0].attention.self.value.weight.mul_(2.0)
            one.model.classifier.weight.mul_(0.5)
        one.activation_fn = torch.nn.Sigmoid()
    found = model.predict(PAIRS)
    assert_same_scores(found, expected.predict(PAIRS))
    assert np.abs(found - before).max() > 1e-2
    compiled = model._openvino._compiled  # type: ignore[union-attr]
    for one in (model, expected):
        one.max_seq_length = 12
    assert_same_scores(model.predict(PAIRS), expected.predict(PAIRS))
    assert model._openvino._compiled is compiled, "a setting compiles nothing"  # type: ignore[union-attr]


def test_half_precision_follows_the_model(folder_of: FolderOf, ours_of: ModelOf) -> None:
    exact = ours_of("bert").predict(PAIRS)
    model = load(folder_of("bert"), model_kwargs={"dtype": "bfloat16"})
    assert model.dtype == torch.bfloat16
    model.predict(PAIRS[:1])
    (_, encoder) = model._openvino._compiled  # type: ignore[union-attr,misc]
    assert encoder._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "bf16"
    assert 0 < np.abs(model.predict(PAIRS) - exact).max() < 0.2
    model.half()
    assert np.abs(model.predict(PAIRS) - exact).max() < 0.2


@pytest.mark.parametrize(
    "copy_of_model",
    [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_score_equally_and_stay_on_openvino(bert: CrossEncoder, copy_of_model: Any) -> None:
    expected = bert.predict(PAIRS)
    other = copy_of_model(bert)
    assert other.backend == "openvino"
    assert other.explain_plan(PAIRS).runner == "openvino"
    assert_same_scores(other.predict(PAIRS), expected)
    assert_same_scores(bert.predict(PAIRS), expected)


def test_training_runs_in_torch_with_gradients(folder_of: FolderOf) -> None:
    model = load(folder_of("bert"))
    expected = model.predict(PAIRS, activation_fn=torch.nn.Identity())
    features = model.preprocess_for_training(PAIRS)
    logits = model.forward(features)["scores"]
    assert_same_scores(logits.detach().squeeze(1).numpy(), expected)
    logits.sum().backward()
    assert model.model.bert.embeddings.word_embeddings.weight.grad.abs().sum() > 0


def test_compiled_model_still_scores_on_openvino(folder_of: FolderOf, ours_of: ModelOf) -> None:
    model = load(folder_of("bert"))
    model.compile(backend="eager")
    assert model.explain_plan(PAIRS).runner == "openvino"
    assert_same_scores(model.predict(PAIRS), ours_of("bert").predict(PAIRS))


def test_saved_model_is_torchs_and_both_libraries_load_it(
    bert: CrossEncoder, tmp_path: Path
) -> None:
    bert.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    assert not list(tmp_path.rglob("*.xml"))
    assert_same_scores(Peer(str(tmp_path), device="cpu").predict(PAIRS), bert.predict(PAIRS))


# ------------------------------------------------------------ options and refusals


def test_options_for_openvino_win_and_do_not_reach_transformers(
    folder_of: FolderOf, ours_of: ModelOf, tmp_path: Path
) -> None:
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"NUM_STREAMS": 1}), encoding="utf-8")
    for config in ({"NUM_STREAMS": 1}, str(file)):
        options: dict[str, Any] = {"ov_config": config, "export": True, "file_name": None}
        model = load(folder_of("bert"), model_kwargs=options)
        assert_same_scores(model.predict(PAIRS), ours_of("bert").predict(PAIRS))
        (_, encoder) = model._openvino._compiled  # type: ignore[union-attr,misc]
        assert encoder.num_streams == 1
        assert options == {"ov_config": config, "export": True, "file_name": None}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"file_name": "openvino_model_qint8.xml"}, "file_name.*reads no exported files"),
        ({"provider": "CPUExecutionProvider"}, "provider.*Leave it out"),
        ({"export": False}, "export.*compiles the checkpoint's own weights"),
        ({"ov_config": 3}, "ov_config.*must be a dict"),
        ({"ov_config": "nowhere.json"}, "ov_config.*must be a dict"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(
    options: dict[str, Any], words: str, folder_of: FolderOf
) -> None:
    with pytest.raises(WrongArgument, match=words):
        load(folder_of("bert"), model_kwargs=options)


@pytest.mark.parametrize("name", ["qwen3", "modernbert-cls", "deberta-v2", "chain"])
def test_other_models_are_refused_when_loaded(name: str, folder_of: FolderOf) -> None:
    with pytest.raises(EngineError, match=r"takes text encoders .* Use backend='torch'"):
        load(folder_of(name))


@pytest.mark.parametrize("device", ["cuda", "cuda:1", 0, "mps"])
def test_other_devices_are_refused_when_loaded(device: Any, folder_of: FolderOf) -> None:
    with pytest.raises(EngineError, match="backend='openvino' runs on the CPU"):
        load(folder_of("bert"), device=device)


def test_without_openvino_the_error_names_the_extra(
    folder_of: FolderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"pip install 'mmrerank\[openvino\]'"):
        load(folder_of("bert"))


def test_openvino_is_imported_by_its_backend_alone() -> None:
    code = "import sys, mmrerank.engine; print('openvino' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
