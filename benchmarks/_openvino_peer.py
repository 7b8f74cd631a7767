"""The peer on OpenVINO, in a process of an environment of its own.

Its exporter wants an older transformers than ours, so it cannot run in one process with us. Lines
of standard input are commands: {"pairs": file} sets them, {} scores them. Each is answered by one
line of JSON. Nothing of mmrerank is imported here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(checkpoint: str, precision: str) -> None:
    """Serve until standard input ends. precision: "f32" or "bf16"."""
    from sentence_transformers import CrossEncoder  # slow to import, and of the other environment

    options = {"export": True, "ov_config": {"INFERENCE_PRECISION_HINT": precision}}
    model = CrossEncoder(checkpoint, backend="openvino", device="cpu", model_kwargs=options)
    pairs: list[tuple[str, str]] = []
    for line in sys.stdin:
        command = json.loads(line)
        if "pairs" in command:
            said = json.loads(Path(command["pairs"]).read_text(encoding="utf-8"))
            pairs = [(query, document) for query, document in said]
            answer: dict[str, object] = {"num_pairs": len(pairs)}
        else:
            answer = {"scores": model.predict(pairs).tolist()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
