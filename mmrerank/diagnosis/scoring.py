"""The model scores a few pairs: are they numbers, do they differ, are packed and padded equal?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmrerank.diagnosis.finding import Finding, NotChecked, State
from mmrerank.diagnosis.subject import DOCUMENTS, QUERIES, Subject
from mmrerank.errors import MMRerankError
from mmrerank.types import Pair

__all__ = ["check_packed", "check_pictures", "check_scores"]

# Of the largest logit. Half precision rounds states, so rows of other shapes differ more.
_TOLERANCE, _TOLERANCE_OF_HALF = 1e-5, 3e-2
# Beyond so many times the tolerance it is no rounding.
_FAR = 100
_EQUAL = 1e-6


def check_scores(subject: Subject) -> Finding:
    """Scores of pairs that match and pairs that do not are numbers, and not all the same."""
    if subject.writes_orders:
        return _check_orders(subject)
    logits = subject.logits(_grid(subject)).reshape(len(QUERIES), len(DOCUMENTS), -1)
    low, high = float(logits.min()), float(logits.max())
    largest = max(1.0, abs(low), abs(high))
    if float(np.ptp(logits, axis=(0, 1)).max()) <= _EQUAL * largest:
        return Finding(
            "scores",
            "broken",
            f"{logits[..., 0].size} different pairs all have the logit {high:.4f}",
            remedy="the head reads nothing of the text: name the family with --processor, or fetch "
            "the weights again",
        )
    told = f"logits {low:.3f} to {high:.3f}"
    if logits.shape[-1] > 1:
        return Finding("scores", "ok", f"{told}; {logits.shape[-1]} labels, so no ranking")
    first = int((logits[..., 0].argmax(axis=1) == np.arange(len(QUERIES))).sum())
    told += f"; the document that answers stood first for {first} of {len(QUERIES)} queries"
    if first == 0:
        cost = "is it trained, and are its true and false token the right way round?"
        return Finding("scores", "limited", told, cost, "try its card's own example")
    return Finding("scores", "ok", told)


def _check_orders(subject: Subject) -> Finding:
    """Of a model that writes orders, whether it does: its scores are the order given otherwise."""
    tally = subject.model.pipeline.answers(_numbered(_grid(subject)))
    told = f"{tally.num_windows - tally.num_unanswered} of {tally.num_windows} windows answered"
    if not tally.num_unanswered:
        return Finding("scores", "ok", f"{told} with a permutation of their documents")
    if tally.num_unanswered < tally.num_windows:
        cost = "documents of the other windows keep the order given"
        return Finding("scores", "limited", told, cost, "try its card's own example")
    remedy = "name the family with --processor, or fetch the weights again"
    found = f"{told}: scores would be the order that documents are given in"
    return Finding("scores", "broken", found, remedy=remedy)


def _numbered(pairs: Sequence[Pair]) -> list[Pair]:
    return [replace(pair, index=index) for index, pair in enumerate(pairs)]


def _grid(subject: Subject) -> list[Pair]:
    return [subject.pair(query, document) for query in QUERIES for document in DOCUMENTS]


def check_packed(subject: Subject) -> Finding:
    """Texts score the same in packed rows as one by one in padded ones."""
    if subject.writes_orders:
        raise NotChecked("answers are written in padded rows alone")
    return _both_ways(subject, _grid(subject), "packed = padded")


def check_pictures(subject: Subject) -> Finding:
    """The same with a picture as document."""
    if not subject.takes_picture:
        raise NotChecked("it takes no pictures")
    pairs = [subject.picture_pair(text) for text in (DOCUMENTS[0], DOCUMENTS[1])]
    ready = [pair for pair in pairs if pair is not None]
    if not ready:
        return _refused(subject)
    if subject.writes_orders:
        return _order_of_pictures(subject, ready)
    return _both_ways(subject, ready, "with a picture")


def _order_of_pictures(subject: Subject, pairs: Sequence[Pair]) -> Finding:
    tally = subject.model.pipeline.answers(_numbered(pairs))
    if not tally.num_unanswered:
        return Finding("with a picture", "ok", "a window with pictures is answered")
    cost = "documents of such a window keep the order given"
    found = "a window with pictures is answered with no permutation"
    return Finding("with a picture", "limited", found, cost, "try its card's own example")


def _refused(subject: Subject) -> Finding:
    """No picture can be encoded: say in the encoder's words why."""
    try:
        subject.encoded(subject.pair(QUERIES[0], "", with_picture=True))
    except MMRerankError as error:
        cost = "pictures are not scored, texts are"
        return Finding("with a picture", "limited", str(error)[:200], cost, "see the message")
    raise NotChecked("it takes no pictures")


def _both_ways(subject: Subject, pairs: Sequence[Pair], component: str) -> Finding:
    numbered = _numbered(pairs)
    packed, padded = subject.logits(pairs), subject.padded_pipeline()
    # One by one: rows that need no padding cannot be wrong by it. Where documents share a prompt,
    # a score depends on the others.
    batches = [pairs] if subject.spec.listwise else [[pair] for pair in pairs]
    alone = np.concatenate([subject.logits(batch, padded) for batch in batches])
    runner = subject.model.pipeline.explain(numbered).runner
    difference = float(np.abs(packed - alone).max())
    is_half = subject.model.dtype.itemsize < 4
    limit = (_TOLERANCE_OF_HALF if is_half else _TOLERANCE) * max(1.0, float(np.abs(alone).max()))
    told = f"{runner} rows: {difference:.1e} from padded ones, {limit:.1e} allowed"
    if difference <= limit:
        return Finding(component, "ok", told)
    cost = "scores depend on the company that a pair is in"
    remedy = (
        "report it with the model's name; until then model.compile() makes it score in padded rows"
    )
    state: State = "broken" if difference > _FAR * limit else "limited"
    return Finding(component, state, told, cost, remedy)
