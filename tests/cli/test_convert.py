"""`mmrerank convert`: a folder that needs no --processor, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from tests.checkpoints import build_bert, build_qwen3_plain
from tests.checkpoints.vendors_code import build_own_new
from tests.cross_encoder._samples import PAIRS, assert_same_scores


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reranker in the vendor's form: its files do not say how it scores, its name does not."""
    return build_qwen3_plain(tmp_path_factory.mktemp("convert") / "m", chat_template="chat-roles")


def test_converted_folder_scores_equally_in_both_libraries(
    run: Any, plain: Path, tmp_path: Path
) -> None:
    ran = run("convert", plain, tmp_path / "out", "--processor", "qwen3-reranker")
    assert ran.code == 0, ran.err
    original = CrossEncoder(str(plain), device="cpu", processor="qwen3-reranker")
    for library in (CrossEncoder, Peer):
        again = library(str(tmp_path / "out"), device="cpu")
        assert_same_scores(again.predict(PAIRS), original.predict(PAIRS))


def test_what_was_written_and_compared_is_printed(run: Any, plain: Path, tmp_path: Path) -> None:
    ran = run("convert", plain, tmp_path / "out", "--processor", "qwen3-reranker")
    lines = [line.strip() for line in ran.out.splitlines()]
    assert "family qwen3-reranker" in lines[0]
    assert {"modules.json", "chat_template.jinja", "1_LogitScore/config.json"} <= set(lines)
    assert any(line.startswith("Modules: Transformer, LogitScore") for line in lines)
    assert "Loaded again: 2 pairs score the same" in lines[-1]


def test_copy_that_scores_otherwise_ends_with_one(
    run: Any, text_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = build_bert(tmp_path / "other", seed=5)

    def saved_wrongly(model: CrossEncoder, path: Path) -> None:
        CrossEncoder(str(other), device="cpu").transformer.model.save_pretrained(path)
        model.tokenizer.save_pretrained(path)

    monkeypatch.setattr(CrossEncoder, "save_pretrained", saved_wrongly)
    ran = run("convert", text_model, tmp_path / "out")
    assert ran.code == 1
    assert "the copy scores otherwise" in ran.err


def test_folder_with_files_is_left_alone_without_overwrite(
    run: Any, text_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    refused = run("convert", text_model, tmp_path)
    assert (refused.code, list(tmp_path.iterdir())) == (2, [tmp_path / "notes.txt"])
    assert "is not empty; name another folder, or pass --overwrite" in refused.err
    assert run("convert", text_model, tmp_path, "--overwrite").code == 0
    assert (tmp_path / "modules.json").is_file()


def test_model_is_not_converted_onto_itself(run: Any, text_model: Path) -> None:
    ran = run("convert", text_model, text_model, "--overwrite")
    assert ran.code == 2
    assert "is the model itself" in ran.err


def test_file_in_the_folders_place_is_an_error(run: Any, text_model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("", encoding="utf-8")
    ran = run("convert", text_model, tmp_path / "out")
    assert ran.code == 2
    assert "is a file; name a folder" in ran.err


def test_model_in_a_vendors_files_is_refused_and_save_pretrained_named(
    run: Any, tmp_path: Path
) -> None:
    folder = build_own_new(tmp_path / "gte-multilingual-reranker-base")
    ran = run("convert", folder, tmp_path / "out")
    assert ran.code == 2
    assert "'gte-multilingual-reranker' run Python files" in ran.err
    assert f"trust_remote_code=True).save_pretrained('{tmp_path / 'out'}')" in ran.err
    assert not (tmp_path / "out").exists()
