"""`mmrerank demo`: the embedded model on its own shelf."""

from __future__ import annotations

import json


def test_demo_ranks_every_matching_document_first(run):
    ran = run("demo")
    assert ran.code == 0, ran.out
    assert ran.out.count("Query: ") >= 5
    assert "✓" in ran.out


def test_demo_fails_when_a_match_is_not_first(run, picture_model, tmp_path):
    documents = [{"id": "a", "text": "one"}, {"id": "b", "text": "two"}]
    (tmp_path / "documents.jsonl").write_text("\n".join(map(json.dumps, documents)))
    queries = [{"query": {"text": "any"}, "relevant": [name]} for name in ("a", "b")]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    ran = run("demo", "--folder", tmp_path, "--model", picture_model)
    assert ran.code == 1
    assert "1 of 2 queries" in ran.out
