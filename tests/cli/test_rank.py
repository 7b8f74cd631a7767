"""`mmrerank rank`: what may be handed over, and the two forms of output."""

from __future__ import annotations

import io
import json

import pytest


def test_rank_prints_one_row_a_document_best_first(run, text_model):
    ran = run("rank", "green tea", "a red car", "green tea", "--model", text_model)
    rows = [line.split() for line in ran.out.splitlines() if line.strip()][2:]
    scores = [float(row[1]) for row in rows]
    assert ran.code == 0
    assert [row[0] for row in rows] == ["1", "2"]
    assert {" ".join(row[4:]) for row in rows} == {"a red car", "green tea"}
    assert scores == sorted(scores, reverse=True)
    assert all(len(row[1].split(".")[1]) == 3 for row in rows)


def test_json_has_the_keys_of_a_ranking_and_the_document_as_given(run, picture_model, media):
    picture = str(media / "cat.jpg")
    ran = run("rank", "a cat", picture, "a text", "--model", picture_model, "--json")
    entries = json.loads(ran.out)
    assert ran.code == 0
    assert [set(entry) for entry in entries] == [{"corpus_id", "score", "document"}] * 2
    assert {entry["corpus_id"]: entry["document"] for entry in entries} == {
        0: picture,
        1: "a text",
    }


def test_top_k_shows_the_best_only(run, text_model):
    arguments = ["rank", "tea", "one", "two", "three", "--model", text_model, "--json"]
    every, best = json.loads(run(*arguments).out), json.loads(run(*arguments, "--top-k", 1).out)
    assert len(every) == 3
    assert best == every[:1]


def test_scores_are_those_of_the_python_call(run, picture_model, media):
    from mmrerank import CrossEncoder

    documents = [str(media / "coffee.jpg"), "a cup"]
    ran = run("rank", "coffee", *documents, "-m", picture_model, "--json", "-i", "Find drinks.")
    expected = CrossEncoder(str(picture_model)).rank(
        "coffee", documents, instruction="Find drinks."
    )
    shown = {entry["corpus_id"]: entry["score"] for entry in json.loads(ran.out)}
    assert shown == pytest.approx({e["corpus_id"]: e["score"] for e in expected}, abs=1e-5)


def test_dash_reads_documents_from_stdin(run, text_model, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin\n\nand another\n"))
    ran = run("rank", "tea", "given", "-", "--model", text_model, "--json")
    documents = {entry["corpus_id"]: entry["document"] for entry in json.loads(ran.out)}
    assert documents == {0: "given", 1: "from stdin", 2: "and another"}


def test_documents_file_has_paths_relative_to_itself(run, picture_model, media, tmp_path):
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "cat.jpg").write_bytes((media / "cat.jpg").read_bytes())
    lines = [{"image": "cat.jpg"}, "a plain string", {"text": "both", "image": "cat.jpg"}]
    shelf = tmp_path / "shelf" / "documents.jsonl"
    shelf.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    ran = run("rank", "a cat", "--documents", shelf, "--model", picture_model, "--json")
    documents = {entry["corpus_id"]: entry["document"] for entry in json.loads(ran.out)}
    assert ran.code == 0
    assert documents == dict(enumerate(lines))


def test_query_may_be_a_picture_with_or_without_text(run, picture_model, media):
    arguments = ["a cat", "--model", picture_model, "--json", "--query-image", media / "cat.jpg"]
    alone = json.loads(run("rank", "", *arguments).out)
    with_text = json.loads(run("rank", "an animal", *arguments).out)
    assert alone[0]["score"] != with_text[0]["score"]


def test_document_that_cannot_be_read_stops_the_command(run, picture_model, media):
    ran = run("rank", "a cat", media / "cat.jpg", "no_such.jpg", "--model", picture_model)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: documents[1].image: 'no_such.jpg': no such file")
    assert ran.err.count("\n") == 1


def test_keep_going_ranks_the_others_and_says_what_failed(run, picture_model, media):
    arguments = ["a cat", "no_such.jpg", media / "cat.jpg", "--model", picture_model]
    ran = run("rank", *arguments, "--keep-going", "--json")
    first, last = json.loads(ran.out)
    assert ran.code == 1
    assert first["corpus_id"] == 1
    assert (last["corpus_id"], last["score"]) == (0, None)
    assert "no_such.jpg" in last["error"]
    assert ran.err.startswith("error: MediaNotFound: documents[0].image: 'no_such.jpg'")


def test_modality_that_the_model_does_not_take_is_an_error(run, text_model, media):
    ran = run("rank", "a cat", media / "cat.jpg", "--model", text_model)
    assert ran.code == 2
    assert "holds image" in ran.err


def test_no_documents_is_an_error_that_says_what_to_do(run):
    ran = run("rank", "a cat")
    assert ran.code == 2
    assert ran.err == ("error: no documents: name some after the query, or use --documents FILE\n")


def test_line_that_is_no_json_is_named(run, text_model, tmp_path):
    shelf = tmp_path / "documents.jsonl"
    shelf.write_text('"fine"\nnot json\n')
    ran = run("rank", "a cat", "--documents", shelf, "--model", text_model)
    assert ran.code == 2
    assert ran.err.startswith(f"error: {shelf}, line 2: no JSON")


def test_brackets_in_a_document_are_no_markup(run, text_model):
    ran = run("rank", "tea", "[bold]tea[/bold] [red", "--model", text_model)
    assert "[bold]tea[/bold] [red" in ran.out
