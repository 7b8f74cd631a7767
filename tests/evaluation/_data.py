"""Labelled pairs and queries that the tests of this folder share."""

from __future__ import annotations

from typing import Any

TEXTS = [
    "The city has a population of three million people.",
    "The ferry leaves the harbour at noon.",
    "Rain fell on the garden all night, and the roses are in flower.",
    "Bread.",
    "A cat sleeps on the warm roof of the red car.",
    "Green tea is grown on the hills near the river.",
    "The train to the coast is late again today.",
    "Zürich hat 400 000 Einwohner; 東京 has more.",
]
QUERIES = ["How many people live in the city?", "When does the ferry leave?", "Who grows tea?"]
PAIRS = [[query, text] for query in QUERIES for text in TEXTS]
BINARY = [1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0]
CLASSES = [(7 * i) % 3 for i in range(len(PAIRS))]
GRADES = [((11 * i) % 24) / 23 for i in range(len(PAIRS))]


def with_negatives() -> list[dict[str, Any]]:
    """Samples of "positive" and "negative"."""
    return [
        {"query": QUERIES[0], "positive": [TEXTS[0], TEXTS[7]], "negative": TEXTS[1:7]},
        {"query": QUERIES[1], "positive": TEXTS[1], "negative": TEXTS[2:]},
        {"query": QUERIES[2], "positive": [TEXTS[5]], "negative": TEXTS[:3]},
    ]


def with_documents() -> list[dict[str, Any]]:
    """Samples of an earlier ranking: one misses a positive, one finds none, one has doubles."""
    return [
        {"query": QUERIES[0], "positive": [TEXTS[0], TEXTS[7]], "documents": TEXTS[3:]},
        {"query": QUERIES[1], "positive": [TEXTS[1]], "documents": TEXTS[2:6]},
        {"query": QUERIES[2], "positive": [TEXTS[5]], "documents": [*TEXTS[4:], TEXTS[4]]},
        {"query": QUERIES[2], "positive": [], "documents": TEXTS[:3]},
    ]
