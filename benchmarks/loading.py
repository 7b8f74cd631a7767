"""Files to the model's tensors, beside sentence-transformers: python -m benchmarks.loading.

64 JPEGs of 12 megapixels, a clip of ten minutes, one picture a hundred times. Both libraries load
the same tiny checkpoint with the processor of the published reranker, and get from paths to the
tensors of its tower as their predict does, 32 documents at a time: the peer by `preprocess`, ours
by `Pipeline.encode`. What both make is compared. Each turn starts with empty caches (a copy of the
model leaves them behind); the files stay in the system's cache.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder as Peer
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from benchmarks import _through
from benchmarks._contestants import (
    build_checkpoint,
    counted_decodes,
    run_ours,
    run_peer,
    tensors,
)
from benchmarks._measure import machine_facts, time_in_turns
from benchmarks._media import make_clip, make_photos
from benchmarks._report import Case, Target
from mmrerank import CrossEncoder

__all__ = ["main"]

_MAX_FRAMES = 32
_CLIP_FPS = 25
_TORCH_THREADS = 2


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. num_scored: photographs whose scores are compared."""

    num_photos: int = 64
    photo_px: tuple[int, int] = (4_000, 3_000)
    clip_s: int = 600
    clip_px: tuple[int, int] = (640, 360)
    num_repeats: int = 100
    num_scored: int = 12
    num_rounds: int = 5


_QUICK = Sizes(6, (1_200, 900), 20, (160, 120), 8, num_scored=2, num_rounds=1)


@dataclass(frozen=True, slots=True)
class Models:
    """The contestants: the peer, ours, and ours with fast_decode."""

    peer: Any
    exact: Any
    fast: Any

    @classmethod
    def load(cls, checkpoint: Path) -> Models:
        """All three from one folder."""
        folder = str(checkpoint)
        return cls(
            Peer(folder, device="cpu"),
            CrossEncoder(folder, device="cpu"),
            CrossEncoder(folder, device="cpu", fast_decode=True),
        )


# ---------------------------------------------------------------- cases


def photos_case(models: Models, folder: Path, sizes: Sizes) -> Case:
    """Large JPEGs to model size: exactly as the peer, and by fast_decode."""
    width, height = sizes.photo_px
    files = make_photos(folder, num=sizes.num_photos, width=width, height=height)
    scored = files[: sizes.num_scored]
    embedded = CrossEncoder(device="cpu"), CrossEncoder(device="cpu", fast_decode=True)
    checks = {
        "pixel_values, largest difference to the peer": _difference(models, files),
        "fast_decode, largest difference of scores": _score_difference(
            models.exact, models.fast, scored
        ),
        "fast_decode, the same with the embedded model": _score_difference(*embedded, scored),
    }
    contestants = {
        "peer": run_peer(models.peer, files),
        "ours": run_ours(models.exact, files),
        "ours, fast_decode": run_ours(models.fast, files),
    }
    return Case(
        name=f"{len(files)} JPEGs of {width}x{height} px",
        times=time_in_turns(contestants, sizes.num_rounds),
        targets=(Target("peer", "ours", 1.2), Target("peer", "ours, fast_decode", 3.0)),
        checks=checks,
    )


def clip_case(models: Models, folder: Path, sizes: Sizes) -> Case:
    """A long clip to 32 frames, beside the peer and beside decoding it through."""
    width, height = sizes.clip_px
    file = make_clip(folder, duration_s=sizes.clip_s, width=width, height=height)
    places = np.linspace(0, sizes.clip_s * _CLIP_FPS - 1, _MAX_FRAMES).round().astype(int).tolist()
    contestants = {
        "through, PyAV": lambda: _through.by_pyav(file, places),
        "through, torchcodec": lambda: _through.by_torchcodec(file),
        "peer": run_peer(models.peer, [file]),
        "ours": run_ours(models.exact, [file]),
        "ours, fast_decode": run_ours(models.fast, [file]),
    }
    return Case(
        name=f"{sizes.clip_s} s of {width}x{height} px to {_MAX_FRAMES} frames",
        checks={"pixel_values_videos, largest difference to the peer": _difference(models, [file])},
        times=time_in_turns(contestants, max(1, sizes.num_rounds - 2)),
        targets=(
            Target("through, PyAV", "ours", 3.0),
            Target("through, torchcodec", "ours", 3.0),
        ),
    )


def repeats_case(models: Models, folder: Path, sizes: Sizes) -> Case:
    """One picture many times: half by the same path, half as equal bytes under other names."""
    width, height = sizes.photo_px
    (file,) = make_photos(folder, num=1, width=width, height=height)
    files = [file] * (sizes.num_repeats // 2)
    for index in range(sizes.num_repeats - len(files)):
        files.append(folder / f"copy{index}.jpg")
        files[-1].write_bytes(file.read_bytes())
    contestants = {"peer": run_peer(models.peer, files), "ours": run_ours(models.exact, files)}
    return Case(
        name=f"the same JPEG of {width}x{height} px {len(files)} times",
        checks={f"decodes, {name}": counted_decodes(call) for name, call in contestants.items()},
        times=time_in_turns(contestants, max(1, sizes.num_rounds - 2)),
    )


_CASES: dict[str, Callable[[Models, Path, Sizes], Case]] = {
    "photos": photos_case,
    "clip": clip_case,
    "repeats": repeats_case,
}


# ---------------------------------------------------------------- comparing


def _difference(models: Models, files: Sequence[Path]) -> float:
    """Largest difference between ours and the peer's tensors, which have the same shapes."""
    batches = zip(tensors(models.exact, files), tensors(models.peer, files), strict=True)
    return max(float((ours - theirs).abs().max()) for ours, theirs in batches)


def _score_difference(one: Any, other: Any, files: Sequence[Path]) -> float:
    pairs = [("a photograph of an animal", str(file)) for file in files]
    return float(np.abs(one.predict(pairs) - other.predict(pairs)).max())


# ---------------------------------------------------------------- the command


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write JSON. Returns 1 when a target is missed, except with --quick."""
    given = _parser().parse_args(arguments)
    sizes = _QUICK if given.quick else Sizes()
    sizes = replace(sizes, num_rounds=given.rounds or sizes.num_rounds)
    torch.set_num_threads(_TORCH_THREADS)
    disable_progress_bar()
    set_verbosity_error()
    facts = machine_facts(_TORCH_THREADS)
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), end="\n\n")
    cases = []
    with tempfile.TemporaryDirectory() as made:
        models = Models.load(build_checkpoint(Path(made, "model"), max_frames=_MAX_FRAMES))
        for name in given.case or _CASES:
            folder = Path(made, name)
            folder.mkdir()
            cases.append(_CASES[name](models, folder, sizes))
            print(cases[-1].as_text(), flush=True)
    if given.json:
        report = {"machine": facts, "sizes": asdict(sizes), "cases": [c.as_json() for c in cases]}
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(case.missed() for case in cases) and not given.quick)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.loading", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny files: shows that it runs")
    parser.add_argument("--case", action="append", choices=_CASES, help="only this, repeatable")
    parser.add_argument("--rounds", type=int, help="how often each contestant runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
