"""BEIR folders: judged documents, run files, and what does not fit together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmrerank.errors import InputError
from mmrerank.evaluation.beir import Candidates, read_beir
from mmrerank.evaluation.trec import read_qrels, read_run

QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td3\t0\nq2\td2\t1\nq3\td2\t0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "scifact"
    (root / "qrels").mkdir(parents=True)
    corpus = [{"_id": f"d{i}", "title": f"Title {i}", "text": f"Text {i}."} for i in range(30)]
    queries = [{"_id": f"q{i}", "text": f"Question {i}?"} for i in range(5)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "qrels" / "test.tsv").write_text(QRELS)
    return root


def by_query(data):
    found: dict[str, list[str]] = {}
    for judged in data.pairs:
        found.setdefault(judged.query_id, []).append(judged.document_id)
    return found


def test_run_file_says_what_is_reranked_and_in_which_order(folder, tmp_path):
    run = tmp_path / "bm25.trec"
    run.write_text(
        "q1 Q0 d5 2 8.5 bm25\nq1 Q0 d1 1 9.5 bm25\nq1 Q0 d6 3 7.5 bm25\nq2 Q0 d7 1 3 bm25\n"
        "q9 Q0 d7 1 3 bm25\n"
    )
    data = read_beir(folder, candidates=Candidates(run, num_documents=2))
    assert by_query(data) == {"q1": ["d1", "d5"], "q2": ["d7"]}
    assert data.first_stage == {"q1": ["d1", "d5"], "q2": ["d7"]}
    assert [judged.label for judged in data.pairs] == [2.0, 0.0, 0.0]
    assert data.judgements == {"q1": {"d1": 2.0, "d3": 0.0}, "q2": {"d2": 1.0}}
    assert "it holds 1 of 2 relevant documents" in data.notes[0]
    assert data.name == "scifact"


def test_without_a_run_judged_documents_and_drawn_ones_are_scored(folder):
    data = read_beir(folder, candidates=Candidates(num_documents=10))
    chosen = by_query(data)
    assert {query: len(set(ids)) for query, ids in chosen.items()} == {"q1": 10, "q2": 10}
    assert {"d1", "d3"} <= set(chosen["q1"])
    assert "drawn at random" in data.notes[0]
    assert data.first_stage == {}


def test_what_is_drawn_is_the_same_each_time_and_another_for_another_seed(folder):
    first, again, other = (
        by_query(read_beir(folder, candidates=Candidates(num_documents=10, seed=seed)))
        for seed in (3, 3, 4)
    )
    assert first == again != other


def test_title_stands_before_the_text_which_is_no_path(folder):
    path = folder / "corpus.jsonl"
    path.write_text(path.read_text().replace("Text 1.", "x.png"))
    data = read_beir(folder, candidates=Candidates(num_documents=2))
    document = next(judged.pair.document for judged in data.pairs if judged.document_id == "d1")
    assert document.to_dict() == {"text": "Title 1 x.png"}


def test_media_of_the_corpus_start_from_the_folder(folder):
    rows = [{"_id": f"d{i}", "text": "", "image": f"{i}.png"} for i in range(30)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read_beir(folder, candidates=Candidates(num_documents=2))
    document = next(judged.pair.document for judged in data.pairs if judged.document_id == "d1")
    assert document.to_dict() == {"image": str(folder.absolute() / "1.png")}


def test_limit_is_in_queries(folder):
    assert set(by_query(read_beir(folder, limit=1))) == {"q1"}


def test_small_corpus_is_scored_whole(folder):
    chosen = by_query(read_beir(folder, candidates=Candidates(num_documents=1_000)))
    assert {len(set(ids)) for ids in chosen.values()} == {30}


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("queries.jsonl", '{"_id": "q1", "text": "a"}\n', r"1 ids .* not there, such as 'q2'"),
        ("corpus.jsonl", '{"id": "d1"}\n', r"corpus.jsonl, line 1: the key '_id' is missing"),
        ("qrels/test.tsv", "q1\td1\n", "line 1: 2 columns"),
        ("qrels/test.tsv", QRELS + "q1\td1\tmany\n", "line 6: 'many' is no number"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n", "nothing to evaluate"),
        ("qrels/test.tsv", "q1\td1\t0\n", "nothing to evaluate"),
    ],
)
def test_files_that_do_not_fit_are_named(file, text, says, folder):
    (folder / file).write_text(text)
    with pytest.raises(InputError, match=says):
        read_beir(folder)


def test_missing_split_is_named(folder):
    with pytest.raises(InputError, match=r"qrels.dev\.tsv: No such file"):
        read_beir(folder, split="dev")


def test_qrels_are_read_without_a_header_and_in_the_form_of_trec(tmp_path):
    path = tmp_path / "qrels"
    path.write_text("q1 0 d1 2\nq1 0 d2 -1\n")
    assert read_qrels(path) == {"q1": {"d1": 2.0, "d2": -1.0}}
    path.write_text("q1\td 1\t1\n")
    assert read_qrels(path) == {"q1": {"d 1": 1.0}}


@pytest.mark.parametrize("line", ["q1 d1 3", "q1 Q0 d1 1 best bm25", "q1 Q0 d1 1 nan bm25"])
def test_bad_line_of_a_run_is_named(line, tmp_path):
    path = tmp_path / "run"
    path.write_text(f"q1 Q0 d1 1 2.0 bm25\n{line}\n")
    with pytest.raises(InputError, match="line 2"):
        read_run(path)
