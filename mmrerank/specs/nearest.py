"""What to say to somebody whose model no processor claims: which ones come nearest."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from mmrerank.errors import CheckpointError, shorten
from mmrerank.specs.facts import CheckpointFacts
from mmrerank.specs.schema import MatchSpec, ProcessorSpec

__all__ = ["not_recognised"]

# So many names are still read.
_MOST_NAMES = 4


def not_recognised(facts: CheckpointFacts, processors: Sequence[ProcessorSpec]) -> CheckpointError:
    """The error for a checkpoint that nothing recognises as a reranker; names `processor=`."""
    said = (
        f"{facts.name}: nothing in its files says how it scores a pair "
        f"(model_type={shorten(facts.model_type)}, architecture={shorten(facts.architecture)}, "
        "no sentence-transformers files). "
    )
    own = "`mmrerank processors` lists all families; a folder of your own does as well."
    same = [spec.name for spec in processors if _is_of_its_kind(facts, spec.match)]
    if same:
        return CheckpointError(
            f"{said}It looks like a plain {facts.model_type} model, for generating text. If it was "
            f"trained as a reranker, name its family: {_choice(same)}. {own}"
        )
    near = _of_a_near_name(facts, processors)
    if near:
        return CheckpointError(
            f"{said}No family here has that model_type. If it scores as one of a similar name "
            f"does, say so: {_choice(near)}. {own}"
        )
    names = ", ".join(spec.name for spec in processors)
    return CheckpointError(
        f"{said}Name its family with processor=..., one of: {names}; or give a folder of your own."
    )


def _is_of_its_kind(facts: CheckpointFacts, match: MatchSpec) -> bool:
    """Whether config.json fits a folder, whatever else that folder asks for."""
    of_type = facts.model_type in match.model_types
    patterns = match.architectures
    return of_type and (not patterns or any(fnmatchcase(facts.architecture, p) for p in patterns))


def _of_a_near_name(facts: CheckpointFacts, processors: Sequence[ProcessorSpec]) -> list[str]:
    types = {model_type for spec in processors for model_type in spec.match.model_types}
    near = get_close_matches(facts.model_type, sorted(types), n=1, cutoff=0.75)
    return [spec.name for spec in processors if set(near) & set(spec.match.model_types)]


def _choice(names: Sequence[str]) -> str:
    shown = " or ".join(f"processor={name!r}" for name in names[:_MOST_NAMES])
    left = len(names) - _MOST_NAMES
    return f"{shown} (and {left} more)" if left > 0 else shown
