"""Where each decision about a model came from; what was guessed is named."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mmrerank.diagnosis.finding import Finding, Probe, State
from mmrerank.diagnosis.subject import Subject
from mmrerank.specs.page import head_in_words

__all__ = ["GUESS_REMEDY", "decision_probes"]

GUESS_REMEDY = (
    "name the family it was trained as: --processor NAME (see `mmrerank processors`), "
    "or processor=... in Python"
)
_COST = "a guess: scores may not be what the model was trained for"


def decision_probes(subject: Subject) -> Iterator[Probe]:
    """The family, then each decision with its source, then what was warned of while loading."""
    spec, model = subject.spec, subject.model
    shown = {
        "template": spec.template.kind,
        "head": head_in_words(spec.head),
        "activation": spec.head.activation.rsplit(".", 1)[-1],
        "modalities": ", ".join(spec.modalities),
        "truncation": f"{spec.truncation.rule}, {model.max_seq_length:,} tokens",
    }
    if model.supports_media:
        shown["budget"] = ""
    yield Probe("family", lambda: _family(subject))
    for name, value in shown.items():
        if name in spec.sources:
            yield Probe(name, partial(_decision, subject, name, value), _COST, GUESS_REMEDY)
    yield Probe("loading", lambda: _loading(subject))


def _family(subject: Subject) -> str:
    spec = subject.spec
    architecture = type(subject.model.model).__name__
    return f"{spec.family}: {architecture}, {str(subject.model.dtype).removeprefix('torch.')}"


def _decision(subject: Subject, name: str, value: str) -> Finding:
    source = subject.spec.sources[name]
    # How scores are made is worth a warning; the rest of the same guess is only named.
    is_doubtful = source.startswith("guess") and name in ("template", "head", "activation")
    state: State = "limited" if is_doubtful else "ok"
    return Finding(name, state, f"{value} ({source})" if value else source)


def _loading(subject: Subject) -> Finding:
    # A guess has rows of its own.
    told = [r.getMessage() for r in subject.warned if "guess" not in r.__dict__]
    if not told:
        return Finding("loading", "ok", "no warning")
    return Finding("loading", "limited", " ".join(told), cost="see the rows below")
