"""Scoring beside sentence-transformers, checkpoint by checkpoint: python -m benchmarks.vs_peer.

Both libraries load the same checkpoint and score the same pairs by `predict`, in turns in one
process, in float32. Ours starts each turn with empty caches, but for the row of a later call.
Scores are compared, and the memory that one call takes beside what the process has: of ours with
nothing cached, and with its caches.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sentence_transformers import CrossEncoder as Peer
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from benchmarks._checkpoints import build_minilm_shape, build_vl_shape
from benchmarks._fastest import measure_fastest
from benchmarks._measure import machine_facts, peak_bytes_of, time_in_turns
from benchmarks._report import Case, Target
from mmrerank import CrossEncoder

__all__ = ["main"]

_TORCH_THREADS = 2
_MEMORY_ROUNDS = 3
_RNG = np.random.default_rng(0)
# Each is one token of the checkpoints, so that words count as tokens.
_VOCABULARY = """
across answer ball based bell bench blue bread cat circle city closed cost court dark dog door
eating every ferry flour flower garden green high iron known live look lower many near night
noon only people piece planet price read red report rings river roses run search shows small
stops third three ticket town train twenty water web which woman word yeast
"""
_WORDS = _VOCABULARY.split()


@dataclass(frozen=True, slots=True)
class Work:
    """Pairs for a checkpoint. warm_up: pairs that our object has scored in an earlier call."""

    name: str
    checkpoint: str
    pairs: Sequence[Any]
    least_ratio: float
    warm_up: Sequence[Any] = ()


def _text(num_words: int) -> str:
    return " ".join(_RNG.choice(_WORDS, num_words))


def _texts(num: int, least: int, most: int) -> list[str]:
    return [_text(int(length)) for length in _RNG.integers(least, most, num)]


def _pictures(num: int) -> list[Image.Image]:
    pixels = _RNG.integers(0, 255, (num, 448, 448, 3), dtype=np.uint8)
    return [Image.fromarray(picture) for picture in pixels]


def works() -> list[Work]:
    """The rows of the table, each with the ratio that it shall reach."""
    documents, pictures = _texts(100, 20, 250), _pictures(16)
    query, long_query = _text(12), _text(200)
    short = _texts(100, 8, 25)
    passages = _texts(200, 80, 120)
    of_pictures = [(query, picture) for picture in pictures]
    later = [(_text(12), picture) for picture in pictures]
    return [
        Work("text query, 100 texts", "vl", [(query, d) for d in documents], 2.2),
        Work("200-word query, 100 texts", "vl", [(long_query, d) for d in documents], 4.0),
        Work("picture as query, 32 texts", "vl", [(pictures[0], d) for d in documents[:32]], 5.5),
        Work("text query, 16 pictures", "vl", of_pictures, 1.2),
        Work(
            "8 text queries, the same 16 pictures",
            "vl",
            [(q, picture) for q in _texts(8, 10, 11) for picture in pictures],
            2.8,
        ),
        Work("the pictures again in a later call", "vl", later, 2.5, warm_up=of_pictures),
        Work("100 queries, 100 short texts", "vl", [(_text(12), d) for d in short], 2.2),
        Work("MiniLM shape, 200 passages", "minilm", [(query, p) for p in passages], 1.7),
    ]


@dataclass(slots=True)
class Contestant:
    """Ours, made anew before each turn."""

    model: CrossEncoder
    work: Work
    fresh: CrossEncoder | None = None

    def prepare(self) -> None:
        """An object with empty caches; loading is not part of the turn."""
        self.fresh = copy.copy(self.model)
        _ = self.fresh.pipeline
        if self.work.warm_up:
            self.fresh.predict(list(self.work.warm_up))

    def __call__(self) -> Any:
        assert self.fresh is not None
        return self.fresh.predict(list(self.work.pairs))


@dataclass(frozen=True, slots=True)
class Models:
    """One checkpoint, loaded by both. bare: ours without any cache."""

    peer: Any
    ours: CrossEncoder
    bare: CrossEncoder


def load(folder: str) -> Models:
    """The contestants for a checkpoint."""
    none: dict[str, Any] = {"media_cache": 0, "prefix_cache": 0, "weight_cache": 0}
    ours, bare = (CrossEncoder(folder, device="cpu", **caches) for caches in ({}, none))
    return Models(Peer(folder, device="cpu"), ours, bare)


def measure(work: Work, models: Models, num_rounds: int) -> Case:
    """One row."""
    peer, model = models.peer, models.ours
    ours = Contestant(model, work)
    theirs = lambda: peer.predict(list(work.pairs))  # noqa: E731
    ours.prepare()
    found, expected = ours(), theirs()
    difference = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    memory = _peaks_mb(theirs, Contestant(models.bare, work), ours)
    ours.prepare()
    plan = (ours.fresh or model).explain_plan(list(work.pairs))
    contestants: dict[str, Callable[[], object]] = {"peer": theirs, "ours": ours}
    return Case(
        name=work.name,
        times=time_in_turns(contestants, num_rounds, prepare={"ours": ours.prepare}),
        targets=(Target("peer", "ours", work.least_ratio),),
        checks={
            "scores, largest difference": float(difference.max()),
            "scores, standard deviation": float(np.std(expected)),
            **{f"peak memory of a call, {name}, MB": memory[name] for name in memory},
            "tokens, one by one": plan.num_tokens,
            "tokens that stand in several prompts": plan.num_saved,
        },
    )


def _peaks_mb(theirs: Callable[[], object], bare: Contestant, ours: Contestant) -> dict[str, float]:
    """Memory of a call by contestant: medians of calls in turns, for how an allocator has cut its
    memory into pieces changes from call to call. What a library sets up once is left out.
    """
    bare.prepare()
    bare()
    found: dict[str, list[int]] = {"peer": [], "ours": [], "ours with its caches": []}
    for _ in range(_MEMORY_ROUNDS):
        bare.prepare()
        ours.prepare()
        for name, call in zip(found, (theirs, bare, ours), strict=True):
            found[name].append(peak_bytes_of(call))
    return {name: statistics.median(peaks) / 1e6 for name, peaks in found.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write JSON. Returns 1 when a target is missed."""
    given = _parser().parse_args(arguments)
    torch.set_num_threads(_TORCH_THREADS)
    disable_progress_bar()
    set_verbosity_error()
    facts = machine_facts(_TORCH_THREADS)
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), end="\n\n")
    cases = []
    with tempfile.TemporaryDirectory() as made:
        builders = {"vl": build_vl_shape, "minilm": build_minilm_shape}

        @cache
        def models_of(name: str) -> Models:
            return load(str(builders[name](Path(made, name))))

        all_works = works()
        for number, work in enumerate(all_works):
            if given.row is None or number in given.row:
                cases.append(measure(work, models_of(work.checkpoint), given.rounds))
                print(cases[-1].as_text(), flush=True)
        if given.row is None or len(all_works) in given.row:
            folder = Path(made)
            models_of("minilm")
            fastest = measure_fastest(
                str(folder / "minilm"), all_works[-1].pairs, folder, given.rounds
            )
            if fastest is not None:
                cases.append(fastest)
                print(fastest.as_text(), flush=True)
    if given.json:
        report = {"machine": facts, "cases": [case.as_json() for case in cases]}
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(case.missed() for case in cases))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.vs_peer", description=__doc__)
    parser.add_argument("--row", type=int, action="append", help="only this row, repeatable")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
