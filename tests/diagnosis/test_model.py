"""`diagnose_model`: healthy tiny checkpoints pass, spoilt ones are found out and told apart."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest

from mmrerank import CrossEncoder
from mmrerank.diagnosis import ModelReport, diagnose_model
from mmrerank.diagnosis.finding import Finding
from mmrerank.diagnosis.golden import is_of
from mmrerank.specs import processor_folders
from tests.checkpoints import (
    build_bert,
    build_bert_nli,
    build_llama,
    build_qwen2_chatml,
    build_qwen3,
    build_qwen3_plain,
    build_qwen3_vl,
    build_xlm_roberta,
)
from tests.checkpoints.lighton_lw import build_lighton_rerank_lw
from tests.diagnosis._spoilt import (
    SPOILT,
    Spoilt,
    classifier_missing,
    tokenizer_of_another_model,
)
from tests.families.registry import FAMILIES, load_options, named

Diagnosed = Callable[[Callable[[Path], Path]], ModelReport]


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory: pytest.TempPathFactory) -> Diagnosed:
    """The report on what a builder writes; made once for all tests that ask for it."""

    @cache
    def diagnose(build: Callable[[Path], Path]) -> ModelReport:
        folder = build(tmp_path_factory.mktemp("models") / "model")
        return diagnose_model(str(folder), device="cpu")

    return diagnose


def _found(report: ModelReport, component: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.component == component]
    return finding


def _broken(report: ModelReport) -> list[str]:
    return [finding.component for finding in report.findings if finding.state == "broken"]


# ---------------------------------------------------------------- healthy ones


@pytest.mark.parametrize(
    "build", [build_qwen3, build_qwen3_vl, build_bert, build_bert_nli, build_xlm_roberta]
)
def test_healthy_checkpoint_has_nothing_broken(
    build: Callable[[Path], Path], diagnosed: Diagnosed
) -> None:
    report = diagnosed(build)
    assert _broken(report) == []
    assert report.can_score
    assert "checks passed" in report.verdict
    assert "\n" not in report.verdict


# Random weights write no order, which doctor rightly calls broken; these write one.
_ANSWERING = {
    "lighton-rerank-lw": named(
        "LightOn-rerank-LW-0.8B", partial(build_lighton_rerank_lw, is_fixed=True)
    ),
    "lighton-rerank-lw-4b": named(
        "LightOn-rerank-LW-4B", partial(build_lighton_rerank_lw, is_fixed=True, thinks=True)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_the_registry_is_healthy(family: str, tmp_path: Path) -> None:
    # The builders give some the names of published weights, whose scores random ones cannot have.
    folder = {**FAMILIES, **_ANSWERING}[family](tmp_path / "model")
    report = diagnose_model(str(folder), device="cpu", **load_options(family))
    assert set(_broken(report)) <= {"golden pairs"}


def test_packed_rows_and_pictures_are_compared_with_padded_ones(diagnosed: Diagnosed) -> None:
    report = diagnosed(build_qwen3_vl)
    for component in ("packed = padded", "with a picture"):
        finding = _found(report, component)
        assert finding.state == "ok"
        assert finding.found.startswith("packed rows: ")
        assert finding.took_ms is not None


def test_truncation_of_text_beside_a_picture_is_tried(diagnosed: Diagnosed) -> None:
    finding = _found(diagnosed(build_qwen3_vl), "over-long document")
    assert "a picture of 4 tokens stays whole" in finding.found


def test_each_decision_has_a_row_with_its_source(diagnosed: Diagnosed) -> None:
    report = diagnosed(build_qwen3)
    assert "(checkpoint: modules.json)" in _found(report, "head").found
    assert _found(report, "template").found == "chat (checkpoint)"
    assert _found(report, "family").found.startswith("qwen3-reranker: Qwen3ForCausalLM")


def test_other_weights_are_not_held_against_published_scores(diagnosed: Diagnosed) -> None:
    finding = _found(diagnosed(build_qwen3), "golden pairs")
    assert finding.state == "skipped"
    assert finding.found.startswith("not checked: these are other weights than those on record")


@pytest.mark.parametrize("scale", ["logit", "probability"])
def test_published_scores_that_hold_are_ok(scale: str, tmp_path: Path) -> None:
    folder = build_qwen3_plain(tmp_path / "Some-Reranker")
    family = _family_with_golden(tmp_path / "family", folder, scale)
    report = diagnose_model(str(folder), processor=str(family), device="cpu")
    finding = _found(report, "golden pairs")
    assert finding.state == "ok", finding.found
    assert finding.found.startswith("2 scores as published; someone/Some-Reranker: ")


def _family_with_golden(target: Path, model: Path, scale: str) -> Path:
    """A copy of a family with the scores of this model as the published ones."""
    shutil.copytree(_folder_of("qwen3-reranker"), target)
    documents = ["Paris", "London is the capital of England"]
    scorer = CrossEncoder(str(model), processor=str(target), device="cpu", scale=scale)  # type: ignore[arg-type]
    case = {
        "model": "someone/Some-Reranker",
        "dtype": "float32",
        "query": "capital of France",
        "documents": documents,
        "scores": scorer.predict([("capital of France", text) for text in documents]).tolist(),
        "scale": scale,
        "tolerance": 1e-5,
    }
    golden = {"source": "this test", "cases": [case]}
    (target / "golden.json").write_text(json.dumps(golden))
    return target


def _folder_of(name: str) -> Path:
    return next(folder for folder in processor_folders() if folder.name == name)


# ---------------------------------------------------------------- doubtful ones


def test_guess_is_named_and_scores_all_the_same(diagnosed: Diagnosed) -> None:
    report = diagnosed(build_qwen2_chatml)
    assert report.can_score
    assert _found(report, "head").state == "limited"
    assert "(guess: causal-lm)" in _found(report, "head").found
    assert "look at: head" in report.verdict
    assert "--processor" in report.verdict


def test_template_that_could_open_the_answer_is_pointed_out(diagnosed: Diagnosed) -> None:
    finding = _found(diagnosed(build_qwen2_chatml), "end of the prompt")
    assert finding.state == "limited"
    assert "could go on with '<|im_start|>assistant\\n'" in finding.found


def test_language_model_without_a_template_is_pointed_out(diagnosed: Diagnosed) -> None:
    finding = _found(diagnosed(build_llama), "end of the prompt")
    assert (finding.state, finding.cost) == (
        "limited",
        "a language model is not told what to judge",
    )


def test_processor_that_the_user_names_is_the_source_and_no_guess(tmp_path: Path) -> None:
    folder = build_qwen3_plain(tmp_path / "model")
    report = diagnose_model(str(folder), processor="qwen3-reranker", device="cpu")
    assert "(user: qwen3-reranker)" in _found(report, "head").found
    assert _found(report, "end of the prompt").found.endswith("as qwen3-reranker has it")
    assert _found(report, "loading").found == "no warning"


# ---------------------------------------------------------------- spoilt ones


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_spoilt_checkpoint_is_found_out_and_told_what_to_do(
    spoil: Spoilt, diagnosed: Diagnosed
) -> None:
    component, found, remedy = SPOILT[spoil]
    report = diagnosed(spoil)
    finding = _found(report, component)
    assert not report.can_score
    assert finding.state == "broken"
    assert found in finding.found
    assert "would be meaningless" in report.verdict
    assert f"{component}: " in report.verdict
    _, _, todo = report.verdict.partition("What to do: ")
    assert remedy in todo
    assert "\n" not in report.verdict


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_first_broken_row_is_the_cause(spoil: Spoilt, diagnosed: Diagnosed) -> None:
    report = diagnosed(spoil)
    assert _broken(report)[0] == SPOILT[spoil][0]


def test_what_cannot_be_run_is_not_run(diagnosed: Diagnosed) -> None:
    report = diagnosed(tokenizer_of_another_model)
    finding = _found(report, "scores")
    assert (finding.state, finding.found) == ("skipped", "not checked: first mend: vocabulary")


def test_packed_rows_that_differ_are_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmrerank.diagnosis.subject import Subject

    def shifted(self: Subject, pairs, pipeline=None):
        logits = scored(self, pairs, pipeline)
        return logits if pipeline else logits + 0.5

    scored = Subject.logits
    monkeypatch.setattr(Subject, "logits", shifted)
    report = diagnose_model(str(build_qwen3(tmp_path / "model")), device="cpu")
    assert _broken(report) == ["packed = padded"]
    assert "5.0e-01 from padded ones" in _found(report, "packed = padded").found


def test_folder_that_is_no_model_is_a_finding(tmp_path: Path) -> None:
    report = diagnose_model(str(tmp_path), device="cpu")
    assert [finding.component for finding in report.findings] == ["loading"]
    assert "config.json" in report.verdict


def test_warnings_stand_in_the_table_and_loggers_are_as_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = classifier_missing(tmp_path / "model")
    report = diagnose_model(str(folder), device="cpu")
    assert "has no trained classifier" in _found(report, "loading").found
    assert caplog.text == ""
    logger = logging.getLogger("mmrerank")
    assert logger.propagate
    assert logging.root.manager.disable == logging.NOTSET


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        ("Qwen/Qwen3-Reranker-0.6B", True),
        ("/models/Qwen3-Reranker-0.6B/", True),
        ("qwen3-reranker-0.6b", True),
        ("/hub/models--Qwen--Qwen3-Reranker-0.6B/snapshots/0123", True),
        ("/models/Qwen3-Reranker-0.6B/tuned", False),
        ("Qwen/Qwen3-Reranker-4B", False),
    ],
)
def test_weights_are_known_by_id_folder_or_cache_entry(name: str, is_it: bool) -> None:
    assert is_of(name, "Qwen/Qwen3-Reranker-0.6B") is is_it
