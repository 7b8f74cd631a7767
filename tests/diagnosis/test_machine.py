"""Memory as the control group limits it, the policy in force, the cache folder's disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrerank.diagnosis.finding import Absent, Finding, examine
from mmrerank.diagnosis.machine import free_memory_bytes, machine_probes

MEMINFO = "MemTotal: 8000 kB\nMemFree: 10 kB\nMemAvailable: 6000 kB\n"
V1, V2 = "sys/fs/cgroup/memory", "sys/fs/cgroup"


def look_at(component: str) -> Finding:
    (probe,) = [probe for probe in machine_probes("cpu") if probe.component == component]
    return examine(probe)


def machine_with(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, (6_000 << 10, 8_000 << 10, "machine")),
        ({f"{V2}/memory.max": "max\n"}, (6_000 << 10, 8_000 << 10, "machine")),
        (
            {f"{V2}/memory.max": "4096000\n", f"{V2}/memory.current": "1000000\n"},
            (3_096_000, 4_096_000, "control group"),
        ),
        (
            {f"{V1}/memory.limit_in_bytes": "4096000", f"{V1}/memory.usage_in_bytes": "96000"},
            (4_000_000, 4_096_000, "control group"),
        ),
        (
            {
                "proc/self/cgroup": "0::/user/job\n",
                f"{V2}/user/memory.max": "2048000",
                f"{V2}/user/memory.current": "48000",
                f"{V2}/user/job/memory.max": "max",
            },
            (2_000_000, 2_048_000, "control group"),
        ),
        ({f"{V1}/memory.limit_in_bytes": str(1 << 63)}, (6_000 << 10, 8_000 << 10, "machine")),
    ],
)
def test_free_memory_is_that_of_the_tighter_limit(files, expected, tmp_path):
    assert free_memory_bytes(machine_with(tmp_path, files)) == expected


def test_system_that_tells_no_memory_is_no_fault(tmp_path):
    with pytest.raises(Absent):
        free_memory_bytes(tmp_path)


def test_memory_of_this_machine_is_told():
    assert "GB free of" in look_at("memory").found


def test_policy_names_what_the_environment_changed(monkeypatch):
    monkeypatch.setenv("MMRERANK_MEDIA_MAX_PIXELS", "1000")
    assert look_at("media policy").found == "local, but max_pixels=1000 by environment"


def test_variable_that_cannot_be_read_is_named(monkeypatch):
    monkeypatch.setenv("MMRERANK_MEDIA_MAX_PIXELS", "many")
    finding = look_at("media policy")
    assert finding.state == "broken"
    assert "MMRERANK_MEDIA_MAX_PIXELS='many'" in finding.found


def test_disk_of_a_cache_folder_that_is_not_there_yet(monkeypatch, tmp_path):
    monkeypatch.setenv("MMRERANK_MEDIA_CACHE_DIR", str(tmp_path / "new" / "cache"))
    monkeypatch.setenv("MMRERANK_MEDIA_MAX_CACHE_BYTES", "1")
    finding = look_at("media cache")
    assert finding.state == "ok"
    assert finding.found.startswith(f"{tmp_path}/new/cache: ")


def test_disk_too_small_for_the_cache_is_limited(monkeypatch, tmp_path):
    monkeypatch.setenv("MMRERANK_MEDIA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("MMRERANK_MEDIA_MAX_CACHE_BYTES", str(10**18))
    finding = look_at("media cache")
    assert finding.state == "limited"
    assert "MMRERANK_MEDIA_CACHE_DIR" in finding.remedy


def test_embedded_model_is_there():
    assert look_at("embedded model").found.startswith("tiny-omni: ")


def test_embedded_model_without_weights_is_broken(monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr("mmrerank.models.fetch_checkpoint", lambda name: tmp_path)
    finding = look_at("embedded model")
    assert finding.state == "broken"
    assert "model.safetensors missing" in finding.found
    assert "reinstall" in finding.remedy
