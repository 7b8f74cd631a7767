"""Scores that can be read as probabilities: python -m examples.calibrate"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmrerank import CrossEncoder
from mmrerank.training.calibration import Calibration

COLOURS = ["red", "green", "blue", "yellow"]
SHAPES = ["circle", "square", "triangle", "star", "ring"]


def main(argv: Sequence[str] | None = None) -> Calibration:
    """Fit on labelled pairs, store the calibration with the model, and score with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny-omni", help="folder or hub id")
    parser.add_argument("--out", default="my-reranker", help="folder of the calibrated model")
    parser.add_argument("--method", choices=["isotonic", "platt"], default="platt")
    options = parser.parse_args(argv)

    # Of your own: a few hundred pairs that the model was not trained on, judged by people.
    pairs = [
        (f"a {wanted} {shape}", f"there is a {shape}, and it is {shown}")
        for shape in SHAPES
        for wanted in COLOURS
        for shown in COLOURS
    ]
    labels = [int(query.split()[1] == document.split()[-1]) for query, document in pairs]
    model = CrossEncoder(options.model)
    found = model.calibrate(pairs, labels, options.method)
    model.save_pretrained(options.out)
    print(f"calibration error: {found.ece_before:.3f} before, {found.ece_after:.3f} after")

    stored = CrossEncoder(options.out)
    score = stored.predict([("a red ring", "a ring in blue")], calibrated=True)[0]
    print(f"probability that a blue ring answers 'a red ring': {score:.3f}")
    return found


if __name__ == "__main__":
    main()
