"""`mmrerank doctor`: the table, JSON, and what the exit code says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT = """
import sys
sys.modules[{module!r}] = None
from mmrerank.cli.main import main
sys.exit(main(["doctor"]))
"""


def rows_of(table: str) -> dict[str, str]:
    """First two words of each row → state; a component may have blanks in its name."""
    states = ("ok", "missing", "limited", "broken")
    found = {}
    for line in table.splitlines():
        for state in states:
            name, sign, _ = line.partition(f"  {state} ")
            if sign and name.strip():
                found[name.strip()] = state
                break
    return found


def test_doctor_shows_every_part_and_that_it_scores(run):
    ran = run("doctor", "--device", "cpu")
    rows = rows_of(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert rows["score a pair"] == rows["JPEG by pillow"] == rows["MP4 by pyav"] == "ok"
    assert {"Python", "torch", "FFmpeg", "ray", "memory", "media policy", "device"} <= set(rows)
    assert ran.out.splitlines()[-1].startswith("mmrerank scores here")


def test_json_has_the_same_findings(run):
    ran = run("doctor", "--device", "cpu", "--json")
    shown = json.loads(ran.out)
    by_name = {finding["component"]: finding for finding in shown["findings"]}
    assert (ran.code, shown["can_score"]) == (0, True)
    assert set(by_name["PDF by pypdfium2"]) == {
        *("component", "state", "found", "cost", "remedy", "took_ms"),
    }
    assert by_name["score a pair"]["took_ms"] > 0


def test_device_that_is_not_there_is_code_1_and_the_rest_is_still_told(run):
    ran = run("doctor", "--device", "cuda:99")
    rows = rows_of(ran.out)
    assert ran.code == 1
    assert (rows["device"], rows["score a pair"]) == ("broken", "broken")
    assert rows["WAV by pyav"] == "ok"
    last = ran.out.splitlines()[-1]
    assert last.startswith("mmrerank cannot score here: EngineError: device='cuda:99'")


def test_setting_that_cannot_be_read_is_code_1_and_named(run, monkeypatch):
    monkeypatch.setenv("MMRERANK_MEDIA_TIMEOUT_S", "soon")
    ran = run("doctor", "--device", "cpu")
    assert ran.code == 1
    assert "MMRERANK_MEDIA_TIMEOUT_S='soon'" in ran.out


def test_no_text_is_cut_on_a_narrow_terminal(run, monkeypatch):
    from mmrerank.cli import _tables

    monkeypatch.setenv("MMRERANK_MEDIA_MAX_PIXELS", "1000")
    monkeypatch.setattr(_tables, "_PIPE_COLUMNS", 60)
    ran = run("doctor", "--device", "cpu")
    assert max(len(line) for line in ran.out.splitlines()[:-1]) <= 60
    assert "…" not in ran.out
    assert "max_pixels=1000" in "".join(ran.out.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "code"), [("transformers", 1), ("torch", 1), ("torchcodec", 0), ("soxr", 1)]
)
def test_installation_that_lacks_a_library_still_gets_its_table(module: str, code: int):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(module=module)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    rows = rows_of(done.stdout)
    assert done.returncode == code, done.stderr
    assert rows[module] == "broken"
    assert rows["score a pair"] == ("broken" if code else "ok")
    assert rows["pypdfium2"] == "ok"
    assert "Traceback" not in done.stdout + done.stderr


# ---------------------------------------------------------------- a model


def test_doctor_of_a_model_has_a_row_a_check_and_one_verdict(run, text_model):
    ran = run("doctor", text_model, "--device", "cpu")
    rows = rows_of(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert rows["scores"] == rows["prompt"] == rows["packed = padded"] == "ok"
    assert "bert scores" in ran.out.splitlines()[-1]


def test_doctor_of_a_spoilt_model_is_code_1_and_says_what_to_do(run, tmp_path):
    from tests.diagnosis._spoilt import tokens_equal

    ran = run("doctor", tokens_equal(tmp_path / "model"), "--device", "cpu")
    last = ran.out.splitlines()[-1]
    assert ran.code == 1
    assert rows_of(ran.out)["score tokens"] == "broken"
    assert "would be meaningless: score tokens: " in last
    assert "What to do: name the family with --processor" in last


def test_doctor_of_a_model_as_json(run, text_model):
    ran = run("doctor", text_model, "--device", "cpu", "--json")
    shown = json.loads(ran.out)
    assert (ran.code, shown["can_score"]) == (0, True)
    assert shown["findings"][0]["component"] == "family"
    assert shown["verdict"].startswith(str(text_model))


def test_doctor_of_a_model_that_is_not_there_is_code_1(run, tmp_path):
    ran = run("doctor", tmp_path / "nowhere", "--device", "cpu")
    assert ran.code == 1
    assert rows_of(ran.out) == {"loading": "broken"}
    assert "Traceback" not in ran.out + ran.err


def test_doctor_runs_a_vendors_files_only_where_it_is_told_to(run, tmp_path):
    from tests.checkpoints.vendors_code import build_own_new

    # Under the published name its random weights would fail the published scores.
    folder = build_own_new(tmp_path / "my-reranker")
    refused = json.loads(run("doctor", folder, "--device", "cpu", "--json").out)
    assert refused["can_score"] is False
    assert "trust_remote_code=True" in refused["verdict"]
    ran = run("doctor", folder, "--device", "cpu", "--trust-remote-code", "--json")
    told = json.loads(ran.out)
    assert (ran.code, told["can_score"]) == (0, True), told["verdict"]
    states = {finding["component"]: finding["state"] for finding in told["findings"]}
    assert states["scores"] == "ok"


def test_processor_without_a_model_is_refused(run):
    ran = run("doctor", "--processor", "qwen3-reranker")
    assert (ran.code, ran.out) == (2, "")
    assert "need a MODEL" in ran.err
