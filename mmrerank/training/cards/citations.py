"""Papers that a run rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["citations_of", "parts_of_loss"]

# Source: the BibTeX entry that the documentation of sentence-transformers asks to be cited.
_SENTENCE_TRANSFORMERS = """@inproceedings{reimers-2019-sentence-bert,
    title = "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
    author = "Reimers, Nils and Gurevych, Iryna",
    booktitle = "Proceedings of the 2019 Conference on Empirical Methods in Natural Language Processing",
    year = "2019",
    publisher = "Association for Computational Linguistics",
    url = "https://arxiv.org/abs/1908.10084",
}"""  # noqa: E501


def citations_of(losses: Sequence[Any]) -> dict[str, str]:
    """BibTeX entries by what they are for; losses of the same paper stand together."""
    owners: dict[str, list[str]] = {_SENTENCE_TRANSFORMERS: ["Sentence Transformers"]}
    for loss in losses:
        entry = getattr(loss, "citation", None)  # losses of users need not have one
        if isinstance(entry, str) and entry.strip():
            names = owners.setdefault(entry.strip(), [])
            if type(loss).__name__ not in names:
                names.append(type(loss).__name__)
    return {" and ".join(names): entry for entry, names in owners.items()}


def parts_of_loss(loss: Any) -> list[Any]:
    """One loss, or those of a dict by dataset, and the losses that they hold as `loss`."""
    found = list(loss.values()) if isinstance(loss, dict) else [loss]
    for part in found:  # grows while it is walked
        inner = getattr(part, "loss", None)
        if inner is not None and all(inner is not known for known in found):
            found.append(inner)
    return found
