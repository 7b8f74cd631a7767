"""`mmrerank eval`: data of each kind in; a table, JSON and a page out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

QUERIES = [
    {"query": "tea", "positive": ["green tea in a cup"], "negative": ["a car", "a red road"]},
    {"query": "cars", "positive": ["a car"], "negative": ["green tea in a cup", "rain"]},
]
OWN_TASK = Path(__file__).parents[1] / "evaluation" / "_own_task.py"


@pytest.fixture
def dev(tmp_path):
    path = tmp_path / "dev.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in QUERIES))
    return path


def test_metrics_stand_in_a_table_and_in_json(run, text_model, dev, tmp_path):
    ran = run("eval", text_model, "--data", dev, "--json", tmp_path / "results.json")
    results = json.loads((tmp_path / "results.json").read_text())
    assert ran.code == 0
    assert results["num_pairs"] == 6
    assert results["primary_metric"] == "ndcg@10"
    assert f"ndcg@10              {results['metrics']['ndcg@10']:.4f}" in ran.out
    assert ran.err == f"written: {tmp_path / 'results.json'}\n"


def test_numbers_are_those_of_the_evaluator(run, text_model, dev):
    from mmrerank import CrossEncoder
    from mmrerank.evaluation import CrossEncoderRerankingEvaluator

    ran = run("eval", "--model", text_model, "--data", dev, "--json", "-")
    found = json.loads(ran.out)["metrics"]
    expected = CrossEncoderRerankingEvaluator(QUERIES)(CrossEncoder(str(text_model)))
    for key in ("map", "ndcg@10", "mrr@10"):
        assert found[key] == pytest.approx(expected[key], abs=1e-6)


def test_output_dir_holds_results_scores_and_page(run, text_model, dev, tmp_path):
    out = tmp_path / "out"
    state = tmp_path / "trainer_state.json"
    state.write_text(json.dumps({"log_history": [{"step": 1, "loss": 1}, {"step": 2, "loss": 0}]}))
    ran = run("eval", text_model, "--data", dev, "--output-dir", out, "--trainer-state", state)
    assert ran.code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "report.html",
        "results.json",
        "scores.jsonl",
    ]
    lines = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    assert [(line["query_id"], line["label"]) for line in lines] == [
        ("q0", 1.0),
        ("q0", 0.0),
        ("q0", 0.0),
        ("q1", 1.0),
        ("q1", 0.0),
        ("q1", 0.0),
    ]
    page = (out / "report.html").read_text()
    assert "<h2>Loss</h2>" in page
    assert "green tea in a cup" in page


def test_pictures_are_found_beside_the_file(run, picture_model, media, tmp_path):
    (tmp_path / "cat.jpg").write_bytes((media / "cat.jpg").read_bytes())
    dev = tmp_path / "dev.jsonl"
    rows = [
        {"query": "a cat", "document": "cat.jpg", "label": 1},
        {"query": "a cat", "document": {"image": "cat.jpg", "text": "and a text"}, "label": 0},
    ]
    dev.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = run("eval", picture_model, "--data", dev, "--json", "-")
    assert json.loads(ran.out)["num_pairs"] == 2


def test_instruction_changes_the_scores(run, picture_model, dev, tmp_path):
    for name in ("cups", "cars"):
        arguments = ["--data", dev, "-i", f"Find {name}.", "--output-dir", tmp_path / name]
        assert run("eval", picture_model, *arguments).code == 0
    one, other = ((tmp_path / name / "scores.jsonl").read_text() for name in ("cups", "cars"))
    assert one != other


def test_limit_reads_the_first_lines(run, text_model, dev):
    ran = run("eval", text_model, "--data", dev, "--limit", 1, "--json", "-")
    assert json.loads(ran.out)["num_queries"] == 1


def test_beir_folder_with_and_without_a_run(run, text_model, tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": f"d{i}", "title": "", "text": f"text {i} of tea"} for i in range(12)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "tea"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td3\t1\n")
    (tmp_path / "run").write_text("".join(f"q1 Q0 d{i} {i + 1} {9 - i} bm25\n" for i in range(6)))
    with_run = run("eval", text_model, "--beir", folder, "--run", tmp_path / "run", "--json", "-")
    without = run("eval", text_model, "--beir", folder, "--candidates", 5)
    assert json.loads(with_run.out)["before"]["mrr@10"] == 0.25
    assert json.loads(with_run.out)["num_pairs"] == 6
    table = run("eval", text_model, "--beir", folder, "--run", tmp_path / "run").out
    assert ["metric", "before", "reranked", "gain"] in [line.split() for line in table.splitlines()]
    assert without.code == 0
    assert "note: No run file was given" in without.err
    assert "5 pairs" in without.out


@pytest.mark.filterwarnings("ignore::DeprecationWarning:(mteb|datasets|multiprocess).*")
def test_task_of_mteb_is_run(run, text_model, tmp_path):
    page = tmp_path / "report.html"
    ran = run(
        "eval", text_model, "--mteb", f"{OWN_TASK}:OwnReranking", "--html", page, "--json", "-"
    )
    found = json.loads(ran.out)
    assert ran.code == 0
    assert found["task_name"] == "OwnReranking"
    assert 0 < found["scores"]["test"][0]["main_score"] < 1
    assert "main_score" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name the data by one of --data FILE, --beir DIR, --mteb TASK"),
        (["--data", "a.jsonl", "--beir", "b"], "name the data by one of"),
        (["--data", "none.jsonl"], "none.jsonl: no such file or folder"),
        (["--data", "a.jsonl", "--run", "b"], "--run goes with --beir"),
        (["--mteb", "T", "--limit", "3"], "--limit has no effect on --mteb"),
        (["m", "--model", "n", "--data", "a.jsonl"], "the model is named twice"),
        (["--data", "a.jsonl", "--trainer-state", "none.json"], "none.json: No such file"),
        (["--mteb", "NoSuchTaskAnywhere"], "mteb knows no task"),
    ],
)
def test_wrong_command_line_is_one_line_and_code_2(run, arguments, says):
    ran = run("eval", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1


def test_bad_line_is_named_and_code_2(run, text_model, tmp_path):
    (tmp_path / "dev.jsonl").write_text('{"query": "q", "document": "a", "label": 1}\nnot json\n')
    ran = run("eval", text_model, "--data", tmp_path / "dev.jsonl")
    assert ran.code == 2
    assert "dev.jsonl, line 2: no JSON" in ran.err


def test_missing_picture_is_named_and_code_2(run, picture_model, tmp_path):
    row = {"query": "a cat", "document": {"image": "gone.jpg"}, "label": 1}
    (tmp_path / "dev.jsonl").write_text(json.dumps(row))
    ran = run("eval", picture_model, "--data", tmp_path / "dev.jsonl")
    assert ran.code == 2
    assert "gone.jpg" in ran.err


def test_command_runs_in_a_process_of_its_own(text_model, dev, tmp_path):
    command = [sys.executable, "-m", "mmrerank.cli.main", "eval", str(text_model)]
    ran = subprocess.run(
        [*command, "--data", str(dev), "--html", str(tmp_path / "report.html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "ndcg@10" in ran.stdout
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_listing_the_commands_loads_no_library_of_metrics():
    code = (
        "import sys, mmrerank.cli.main, mmrerank.cross_encoder.evaluation\n"
        "heavy = {'sklearn', 'matplotlib', 'ir_measures', 'mteb', 'datasets'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
