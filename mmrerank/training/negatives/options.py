"""Which candidates count as negatives, checked before anything is embedded."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from mmrerank.errors import InputError, shorten

__all__ = ["Limits", "OutputFormat", "SamplingStrategy", "checked_format"]

logger = logging.getLogger(__name__)

OutputFormat: TypeAlias = Literal["triplet", "n-tuple", "labeled-pair", "labeled-list"]
SamplingStrategy: TypeAlias = Literal["random", "top"]
_FORMATS = ("triplet", "n-tuple", "labeled-pair", "labeled-list")
_STRATEGIES = ("random", "top")


@dataclass(frozen=True, slots=True)
class Limits:
    """range_min, range_max: ranks among the candidates, the best being 0. max_score, min_score: of
    a negative. absolute_margin, relative_margin: how far below the positive, as a difference or as
    a share of the positive's score. num_negatives: of each query.
    """

    range_min: int
    range_max: int
    max_score: float | None
    min_score: float | None
    absolute_margin: float | None
    relative_margin: float | None
    num_negatives: int
    sampling_strategy: SamplingStrategy

    def __post_init__(self) -> None:
        if self.num_negatives < 1:
            raise InputError(f"num_negatives must be at least 1, got {self.num_negatives}.")
        if self.sampling_strategy not in _STRATEGIES:
            raise InputError(
                f"sampling_strategy={shorten(self.sampling_strategy)}: allowed are "
                f"{', '.join(_STRATEGIES)}"
            )
        if self.range_min < 0 or self.range_min >= self.range_max:
            raise InputError(
                f"range_min={self.range_min} and range_max={self.range_max}: need "
                "0 <= range_min < range_max"
            )
        if self.num_negatives > self.range_max - self.range_min:
            raise InputError(
                f"num_negatives={self.num_negatives} of ranks {self.range_min} to "
                f"{self.range_max}: those are fewer. Widen the range or ask for fewer."
            )

    @property
    def look_at_scores(self) -> bool:
        """Whether a score decides about a candidate, so that rescoring makes a difference."""
        limits = (self.max_score, self.min_score, self.absolute_margin, self.relative_margin)
        return any(limit is not None for limit in limits)


def checked_format(
    output_format: str, output_scores: bool, as_triplets: bool | None, include_positives: bool
) -> tuple[OutputFormat, bool]:
    """Format and whether scores are given out, with the peer's older ways of saying it."""
    if as_triplets is not None:
        output_format = "triplet" if as_triplets else "n-tuple"
        logger.warning("as_triplets is deprecated; use output_format=%r.", output_format)
    if include_positives and output_format not in ("n-tuple", "n-tuple-scores"):
        output_format = "n-tuple"
        logger.warning("include_positives=True keeps ranks, so output_format is 'n-tuple'.")
    if output_format == "n-tuple-scores":
        output_format, output_scores = "n-tuple", True
        logger.warning("'n-tuple-scores' is deprecated; use 'n-tuple' and output_scores=True.")
    if output_format not in _FORMATS:
        raise InputError(
            f"Invalid output_format: {shorten(output_format)}. Allowed are {', '.join(_FORMATS)}."
        )
    return cast("OutputFormat", output_format), output_scores
