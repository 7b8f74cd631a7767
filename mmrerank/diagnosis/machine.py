"""What this machine has to give, and what of it is allowed: memory, disk, policy, the model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from mmrerank.diagnosis.finding import Absent, Finding, Probe, State

__all__ = ["free_memory_bytes", "machine_probes"]

_GIGABYTE = 1_000_000_000
_LITTLE_BYTES = 2 * _GIGABYTE


def machine_probes(device: str | None) -> Iterator[Probe]:
    """Memory, the device's memory, the disk of the cache folder, the policy, the model's files."""
    yield Probe("memory", _memory, "small models only", "end other processes, or allow more memory")
    yield Probe("device memory", lambda: _device_memory(device), "only known for CUDA devices")
    yield Probe("media policy", _policy, "no media are loaded", "mend the variable, or unset it")
    yield Probe("media cache", _disk, "URLs are fetched each time", "free some space, or set "
                "MMRERANK_MEDIA_CACHE_DIR to another folder")  # fmt: skip
    yield Probe("embedded model", _embedded, "CrossEncoder() has no model; others work",
                "pip install --force-reinstall mmrerank")  # fmt: skip


def _memory() -> Finding:
    free, limit, source = free_memory_bytes()
    state: State = "limited" if free < _LITTLE_BYTES else "ok"
    return Finding("memory", state, f"{_shown(free)} free of {_shown(limit)} ({source})")


def free_memory_bytes(root: Path = Path("/")) -> tuple[int, int, str]:
    """(free, limit, whose limit): the control group's where it is tighter than the machine's.

    Raises Absent where the system tells neither, as outside Linux.
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        raise Absent("this system does not say") from None
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if ":" in line}
    free, limit = kilobytes["MemAvailable"] * 1_024, kilobytes["MemTotal"] * 1_024
    whose = "machine"
    for limit_file, used_file in _group_files(root):
        group_limit = _number_in(limit_file)
        if group_limit is not None and group_limit < limit:
            limit, whose = group_limit, "control group"
            free = max(0, min(free, group_limit - (_number_in(used_file) or 0)))
    return free, limit, whose


def _group_files(root: Path) -> Iterator[tuple[Path, Path]]:
    """(limit, use) of this process' control group and of those around it, in both versions."""
    top = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    own = next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
    for folder in (top / own, *(top / own).parents):
        if folder.is_relative_to(top):
            yield folder / "memory.max", folder / "memory.current"
    yield top / "memory/memory.limit_in_bytes", top / "memory/memory.usage_in_bytes"


def _number_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max": no limit
        return None


def _device_memory(device: str | None) -> str:
    import torch

    from mmrerank.cross_encoder.building import best_device

    chosen = torch.device(device or best_device())
    if chosen.type != "cuda":
        return f"that of the machine ({chosen.type})" if chosen.type == "cpu" else "not known"
    free, total = torch.cuda.mem_get_info(chosen)
    return f"{_shown(free)} free of {_shown(total)}"


def _policy() -> str:
    from mmrerank.media import MediaPolicy

    policy, base = MediaPolicy.from_environment(), MediaPolicy.local()
    changed = [
        f"{field.name}={getattr(policy, field.name)}"
        for field in fields(MediaPolicy)
        if getattr(policy, field.name) != getattr(base, field.name)
    ]
    return f"local, but {', '.join(changed)} by environment" if changed else "local, unchanged"


def _disk() -> Finding:
    from mmrerank.media import MediaPolicy

    policy = MediaPolicy.from_environment()
    if policy.cache_dir is None:
        return Finding("media cache", "ok", "not set: nothing is kept on disk")
    folder = Path(policy.cache_dir).expanduser().absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    state: State = "limited" if free < policy.max_cache_bytes else "ok"
    wanted = f"{_shown(policy.max_cache_bytes)} allowed"
    return Finding("media cache", state, f"{folder}: {_shown(free)} free, {wanted}")


def _embedded() -> str:
    from mmrerank.models import EMBEDDED_MODEL, fetch_checkpoint

    folder = fetch_checkpoint(EMBEDDED_MODEL)
    missing = [
        name for name in ("config.json", "model.safetensors") if not (folder / name).exists()
    ]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)} missing in {folder}")
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    return f"{EMBEDDED_MODEL}: {len(files)} files, {size / 1e6:.1f} MB"


def _shown(num_bytes: int) -> str:
    return f"{num_bytes / _GIGABYTE:.1f} GB"
