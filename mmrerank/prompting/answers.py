"""The order that a model writes down, as text and as places. Pure: no tokenizer."""

from __future__ import annotations

import re

from mmrerank.specs import ListwiseSpec

__all__ = ["example_answer", "order_of"]


def order_of(answer: str, num_documents: int, said: ListwiseSpec) -> list[int] | None:
    """Places of the documents, counted from 0, best first; None where the answer is no permutation.

    The first run of as many labels as there are documents counts; what stands around it does not.
    """
    before, _, behind = said.label.partition("{number}")
    label = re.escape(before) + r"(\d+)" + re.escape(behind)
    between = r"\s*" + re.escape(said.separator.strip()) + r"\s*"
    found = re.search(between.join([label] * num_documents), answer)
    if found is None:
        return None
    order = [int(number) - 1 for number in found.groups()]
    return order if sorted(order) == list(range(num_documents)) else None


def example_answer(num_documents: int, said: ListwiseSpec) -> str:
    """An answer as a model of this family writes it, the last document first."""
    labels = [said.label.format(number=number) for number in range(num_documents, 0, -1)]
    return f" {said.separator.strip()} ".join(labels)
