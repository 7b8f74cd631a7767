"""Reproduce the model card's numbers: held-out pair accuracy through the public API.

python -m examples.train_tiny_omni.evaluate [--json FILE] [--pairs 2000] [--peer]

A pair is one query with a matching document and one that differs in exactly one named attribute;
the share scored in the right order counts. All combinations are held out of training.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from .captions import describe
from .draw import draw_clip, draw_picture
from .heldout import draw_held_out
from .sounds import SAMPLING_RATE_HZ, make_sound
from .world import Kind, Scene

__all__ = ["Result", "evaluate", "main", "wilson_lower_bound"]

# Sorts of pairs with a target; the others are reported only.
TARGETS = {"text > text": 0.90, "text > image": 0.80, "text > audio": 0.80, "text > video": 0.75}
MEDIUM: dict[Kind, str] = {"picture": "image", "sound": "audio", "clip": "video"}
SEED = 20261121
Document = Any
Triple = tuple[Document, Document, Document]


class Scorer(Protocol):
    """What both CrossEncoders offer."""

    def predict(self, inputs: Sequence[tuple[Document, Document]], **options: Any) -> Any:
        """Score pairs of query and document."""


@dataclass(frozen=True, slots=True)
class Result:
    """Held-out pair accuracy of one sort of pair, with the lower bound of its 95 % interval."""

    name: str
    num_pairs: int
    accuracy: float
    lower_bound: float
    target: float | None

    @property
    def is_met(self) -> bool:
        """Tell whether the accuracy reaches the target."""
        return self.target is None or self.accuracy >= self.target


def wilson_lower_bound(num_right: int, num_pairs: int, z: float = 1.96) -> float:
    """Return the lower end of Wilson's 95 % interval of a share."""
    share, n = num_right / num_pairs, num_pairs
    middle = share + z * z / (2 * n)
    spread = z * ((share * (1 - share) + z * z / (4 * n)) / n) ** 0.5
    return float((middle - spread) / (1 + z * z / n))


def as_document(scene: Scene, rng: np.random.Generator) -> Document:
    """Make a medium of a scene in the form that a user passes."""
    if scene.kind == "picture":
        return Image.fromarray(draw_picture(scene, rng))
    if scene.kind == "sound":
        return {"array": make_sound(scene, rng), "sampling_rate": SAMPLING_RATE_HZ}
    frames = draw_clip(scene, rng)
    metadata = {
        "fps": 2.0,
        "frames_indices": list(range(len(frames))),
        "total_num_frames": len(frames),
    }
    return {"array": frames, "video_metadata": metadata}


def triples(name: str, seed: int) -> Iterator[Triple]:
    """Yield query, matching document and other document of one sort, without end."""
    rng = np.random.default_rng((seed, sorted(_SORTS).index(name)))
    query_is_text, kinds, document_is_text = _SORTS[name]
    while True:
        kind = kinds[int(rng.integers(len(kinds)))]
        scene, other, named, query = draw_held_out(kind, rng)
        if document_is_text:
            matching, wrong = (describe(one, named, rng) for one in (scene, other))
        else:
            matching, wrong = (as_document(one, rng) for one in (scene, other))
        yield (query if query_is_text else as_document(scene, rng)), matching, wrong


_ALL: tuple[Kind, ...] = ("picture", "sound", "clip")
_SORTS: dict[str, tuple[bool, tuple[Kind, ...], bool]] = {
    "text > text": (True, _ALL, True),
    **{f"text > {MEDIUM[kind]}": (True, (kind,), False) for kind in _ALL},
    **{f"{MEDIUM[kind]} > text": (False, (kind,), True) for kind in _ALL},
}


def evaluate(
    scorer: Scorer, name: str, num_pairs: int, *, seed: int = SEED, only_arrays: bool = False
) -> Result:
    """Score `num_pairs` pairs of one sort, a hundred at a time to keep memory small."""
    source, num_right, left = triples(name, seed), 0, num_pairs
    while left:
        part = list(islice(source, min(100, left)))
        pairs = [(query, document) for query, *both in part for document in both]
        if only_arrays:
            pairs = [(_as_array(query), _as_array(document)) for query, document in pairs]
        scores = np.asarray(scorer.predict(pairs, show_progress_bar=False)).reshape(-1, 2)
        num_right += int((scores[:, 0] > scores[:, 1]).sum())
        left -= len(part)
    bound = wilson_lower_bound(num_right, num_pairs)
    return Result(name, num_pairs, num_right / num_pairs, bound, TARGETS.get(name))


def _as_array(document: Document) -> Document:
    """Return the bare array of a sound or clip: in pairs the peer takes no dict around it."""
    return document["array"] if isinstance(document, dict) else document


def _load(model: str, *, use_peer: bool) -> Scorer:
    if use_peer:
        from sentence_transformers import CrossEncoder as Peer

        folder = Path(__file__).parents[2] / "mmrerank/checkpoints/tiny-omni"
        return Peer(str(folder) if model == "tiny-omni" else model)  # type: ignore[no-any-return]
    from mmrerank import CrossEncoder

    return CrossEncoder(model)


def main(argv: list[str] | None = None) -> int:
    """Print the table; the exit status is 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="Held-out pair accuracy of tiny-omni.")
    parser.add_argument("--model", default="tiny-omni", help="name or folder of the checkpoint")
    parser.add_argument(
        "--pairs", type=int, default=2000, help="pairs of each sort that has a target"
    )
    parser.add_argument("--peer", action="store_true", help="score with sentence-transformers")
    parser.add_argument("--json", type=Path, help="write the results there as well")
    args = parser.parse_args(argv)
    scorer, begin = _load(args.model, use_peer=args.peer), time.monotonic()
    results = []
    print(f"{'query > document':18}{'pairs':>7}{'accuracy':>10}{'95 % bound':>12}{'target':>8}")
    for name in _SORTS:
        # Sorts without a target get a quarter of the pairs: they are there to be seen, not to pass.
        num_pairs = args.pairs if name in TARGETS else max(1, args.pairs // 4)
        result = evaluate(scorer, name, num_pairs, only_arrays=args.peer)
        results.append(result)
        target = "" if result.target is None else f"{result.target:.2f}"
        print(
            f"{name:18}{result.num_pairs:7d}{result.accuracy:10.3f}"
            f"{result.lower_bound:12.3f}{target:>8}",
            flush=True,
        )
    print(f"{time.monotonic() - begin:.0f} s", file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps([asdict(one) for one in results], indent=2) + "\n")
    return 0 if all(result.is_met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
