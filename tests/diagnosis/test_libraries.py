"""Libraries that are there, hidden, broken, or not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mmrerank.diagnosis.finding import Finding, examine
from mmrerank.diagnosis.libraries import _LIBRARIES, library_probes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def look_at(component: str) -> Finding:
    (probe,) = [probe for probe in library_probes() if probe.component == component]
    return examine(probe)


@pytest.mark.parametrize("component", ["torch", "transformers", "pillow", "av", "pypdfium2"])
def test_needed_library_is_there_with_its_version(component: str):
    finding = look_at(component)
    assert finding.state == "ok"
    assert finding.found[0].isdigit()
    assert (finding.cost, finding.remedy) == ("", "")


def test_pillow_says_which_codecs_it_has():
    assert "libjpeg-turbo" in look_at("pillow").found
    assert "webp" in look_at("pillow").found


def test_pyav_says_which_ffmpeg_it_brings():
    assert "its own FFmpeg" in look_at("av").found


def test_optional_library_that_is_not_there_is_missing_and_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    finding = look_at("s3fs")
    assert finding.state == "missing"
    assert finding.cost == "no s3:// sources"
    assert finding.remedy == "pip install 'mmrerank[s3]'"


def test_library_that_breaks_when_imported_is_broken_with_its_reason(monkeypatch, tmp_path):
    (tmp_path / "peft.py").write_text("raise RuntimeError('built for another torch')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "peft", raising=False)
    finding = look_at("peft")
    assert (finding.state, finding.found) == ("broken", "RuntimeError: built for another torch")
    assert finding.remedy == "pip install 'mmrerank[train]'"


def test_hidden_torchcodec_costs_little_and_names_ffmpeg(monkeypatch):
    for name in ("torchcodec", "torchcodec._core", "torchcodec.decoders"):
        monkeypatch.setitem(sys.modules, name, None)
    finding = look_at("torchcodec")
    assert finding.state == "broken"
    assert "PyAV" in finding.cost
    assert "FFmpeg" in finding.remedy
    assert look_at("FFmpeg").state in ("ok", "missing")


def test_system_without_ffmpeg_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchcodec._core", None)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    finding = look_at("FFmpeg")
    assert (finding.state, finding.found) == ("missing", "no libavcodec on this system")


def test_every_extra_that_is_named_can_be_installed():
    named = {library.extra for library in _LIBRARIES} - {""}
    assert named <= set(PROJECT["optional-dependencies"])
    assert named >= set(PROJECT["optional-dependencies"]) - {"dev"}
