"""zerank-1 and zerank-2 by the vendor's script and cards.

Source: modeling_zeranker.py of zeroentropy/zerank-1-small; model card of zeroentropy/zerank-2.
"""

from __future__ import annotations

from math import exp
from pathlib import Path

from ._causal import ids_of, last_logits

__all__ = ["logit", "probability"]


def probability(folder: Path, query: str, document: str, instruction: str | None = None) -> float:
    """Sigmoid of the logit over 5."""
    return 1 / (1 + exp(-logit(folder, query, document, instruction) / 5))


def logit(folder: Path, query: str, document: str, instruction: str | None = None) -> float:
    """The logit of `Yes`; an instruction is zerank-2's."""
    asked = query.strip()
    if instruction is not None:
        asked = f"<query>{asked}</query>\n<instruction>{instruction}</instruction>"
    prompt = (
        f"<|im_start|>system\n{asked}<|im_end|>\n<|im_start|>user\n{document.strip()}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    return float(last_logits(folder, ids_of(folder, prompt))[ids_of(folder, "Yes")[0]])
