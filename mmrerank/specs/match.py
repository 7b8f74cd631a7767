"""Which processor folder fits a checkpoint; two that fit equally well are an error, not a coin
toss.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from mmrerank.errors import AmbiguousProcessor
from mmrerank.specs.facts import CheckpointFacts
from mmrerank.specs.schema import MatchSpec, ProcessorSpec

__all__ = ["best_match"]


def best_match(facts: CheckpointFacts, processors: Sequence[ProcessorSpec]) -> ProcessorSpec | None:
    """The folder with the strongest claim, or None.

    Raises AmbiguousProcessor when two claims are equally strong.
    """
    claims = [
        (claim, spec) for spec in processors if (claim := _claim(facts, spec.match)) is not None
    ]
    if not claims:
        return None
    strongest = max(claim for claim, _ in claims)
    winners = [spec for claim, spec in claims if claim == strongest]
    if len(winners) > 1:
        names = ", ".join(spec.name for spec in winners)
        raise AmbiguousProcessor(
            f"{facts.name}: the processors {names} claim it with equal right. "
            f"Name one: CrossEncoder({facts.name!r}, processor={winners[0].name!r})."
        )
    return winners[0]


def _claim(facts: CheckpointFacts, match: MatchSpec) -> tuple[int, int, int, int, int] | None:
    """How strong a claim is, strongest first: words of the template, name, fields of the config,
    model_type, letters of the name that it asks for; None where a rule fails.
    """
    if match.model_types and facts.model_type not in match.model_types:
        return None
    if match.architectures and not _any_match(facts.architecture, match.architectures):
        return None
    if not (match.model_types or match.architectures):
        return None
    if any(facts.config.get(name) != value for name, value in match.config.items()):
        return None
    by_template = bool(match.template_contains) and match.template_contains in facts.chosen_template
    letters = _letters_of_name(facts.name, match.names)
    if match.evidence and not (by_template or letters):
        return None
    return (
        int(by_template),
        int(letters > 0),
        len(match.config),
        int(bool(match.model_types)),
        letters,
    )


def _letters_of_name(name: str, patterns: Sequence[str]) -> int:
    """How many letters the longest pattern that fits the name asks for; 0 where none fits.

    A model made from another carries its name: the longer pattern knows it better.
    """
    own_names = [_plain(own) for own in _own_names(name)]
    fitting = [p for p in map(_plain, patterns) if any(fnmatchcase(own, p) for own in own_names)]
    return max((len(pattern.replace("*", "")) for pattern in fitting), default=0)


def _any_match(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _own_names(name: str) -> list[str]:
    """The parts of an id or path that name the checkpoint: the last, and that of a hub cache.

    A parent folder does not count: models of all kinds may lie in it.
    """
    parts = name.replace("\\", "/").rstrip("/").split("/")
    return [parts[-1], *(part for part in parts if part.startswith("models--"))]


def _plain(name: str) -> str:
    """Names are compared without regard to case, - or _."""
    return name.lower().replace("_", "-")
