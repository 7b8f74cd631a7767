"""The trials are real: they fail when a decoder or a device does."""

from __future__ import annotations

import pytest

from mmrerank.diagnosis.finding import Finding, examine
from mmrerank.diagnosis.report import Report
from mmrerank.diagnosis.trials import device_probe, main_probe, trial_probes
from mmrerank.media import decoder_backend

TRIALS = {probe.component: probe for probe in trial_probes()}


@pytest.mark.parametrize("component", TRIALS)
def test_decoder_that_loads_decodes_its_sample(component: str):
    finding = examine(TRIALS[component])
    loads = not component.endswith("torchcodec") or decoder_backend() == "torchcodec"
    assert finding.state == ("ok" if loads else "broken"), finding.found


def test_every_kind_is_tried_with_every_backend():
    assert list(TRIALS) == [
        "JPEG by pillow",
        "PDF by pypdfium2",
        "WAV by torchcodec",
        "FLAC by torchcodec",
        "MP4 by torchcodec",
        "WAV by pyav",
        "FLAC by pyav",
        "MP4 by pyav",
    ]


@pytest.mark.parametrize(
    ("component", "maker"),
    [
        ("JPEG by pillow", "jpeg_sample"),
        ("PDF by pypdfium2", "pdf_sample"),
        ("WAV by pyav", "wav_sample"),
        ("MP4 by pyav", "mp4_sample"),
    ],
)
def test_decoder_that_cannot_read_its_sample_is_broken(component, maker, monkeypatch):
    monkeypatch.setattr(f"mmrerank.diagnosis.samples.{maker}", lambda: b"broken bytes" * 20)
    (probe,) = [probe for probe in trial_probes() if probe.component == component]
    assert examine(probe).state == "broken"


def test_clip_in_wrong_colours_is_broken(monkeypatch):
    import numpy as np

    from mmrerank.types import DecodedVideo

    grey = DecodedVideo(np.full((2, 32, 32, 3), 128, np.uint8), 4.0, (0, 3), 4)
    monkeypatch.setattr("mmrerank.media.video_pyav.frames_by_pyav", lambda *_: grey)
    finding = examine(TRIALS["MP4 by pyav"])
    assert "came out as 128 red and 128 green" in finding.found


def test_cpu_computes_and_is_described():
    finding = examine(device_probe("cpu"))
    assert finding.state == "ok"
    assert "threads" in finding.found


@pytest.mark.parametrize("device", ["nope", "cuda:99"])
def test_device_that_does_not_work_is_broken_and_so_is_the_main_job(device: str):
    for probe in (device_probe(device), main_probe(device)):
        finding = examine(probe)
        assert finding.state == "broken"
        assert finding.remedy


def test_texts_alone_are_scored_when_pictures_cannot_be(monkeypatch):
    monkeypatch.setattr("mmrerank.diagnosis.samples.jpeg_sample", lambda: b"no picture" * 20)
    finding = examine(main_probe("cpu"))
    assert finding.state == "limited"
    assert finding.cost.startswith("texts only: ")
    assert Report([finding]).can_score


@pytest.mark.parametrize(
    ("state", "can_score"), [("ok", True), ("limited", True), ("broken", False)]
)
def test_verdict_is_that_of_the_main_job(state, can_score):
    report = Report([Finding("torchcodec", "broken"), Finding("score a pair", state, "why")])
    assert report.can_score is can_score
    assert ("cannot score here: why" in report.verdict) is not can_score
    assert "Not as it should be: torchcodec." in report.verdict
