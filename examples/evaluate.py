"""How good is a model on judged data: python -m examples.evaluate --data dev.jsonl"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmrerank import CrossEncoder
from mmrerank.evaluation.jsonl import read_jsonl
from mmrerank.evaluation.measure import measure
from mmrerank.evaluation.report import write_report
from mmrerank.evaluation.results import report_of

# Lines {"query", "document", "label"}, {"query", "positive", "negative"} or
# {"query", "documents", "labels"}; paths start from the file's folder.
EXAMPLE = """\
{"query": "a red circle", "positive": ["a circle in red"], "negative": ["a blue circle", "a dog"]}
{"query": "a green star", "documents": ["a red star", "a star, green"], "labels": [0, 1]}
{"query": "a low tone", "document": "a high tone", "label": 0}
"""


def main(argv: Sequence[str] | None = None) -> Mapping[str, float]:
    """Score every pair of a file, print the metrics and draw a page of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny-omni", help="folder or hub id")
    parser.add_argument("--data", type=Path, help="a JSONL file; without one a few lines of text")
    parser.add_argument("--html", type=Path, help="page with tables and plots")
    options = parser.parse_args(argv)

    if options.data is None:
        options.data = Path("example.jsonl")
        options.data.write_text(EXAMPLE, encoding="utf-8")
    model = CrossEncoder(options.model)
    data = read_jsonl(options.data, takes_media=model.supports_media)
    scores = model.predict([judged.pair for judged in data.pairs])
    found = measure(data, scores)
    for name, value in found.metrics.items():
        print(f"{name:24} {value:.4f}" + ("  <- look at this first" * (name == found.primary)))
    if options.html is not None:
        write_report(options.html, report_of(options.model, data, found, scores))
        print(f"wrote {options.html}")
    return found.metrics


if __name__ == "__main__":
    main()
