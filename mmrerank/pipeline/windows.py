"""What is ready for the model, and how much of it is gathered before the model runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mmrerank.pipeline.options import Window
from mmrerank.prompting import MediaFeature
from mmrerank.types import DecodedAudio, DocumentError, EncodedGroup, LoadedPair, MediaKey, Text

__all__ = ["Prepared", "cut_seconds", "gather"]


@dataclass(slots=True)
class Prepared:
    """Encoded pairs in the order of `indices`; some failed, the others are in `groups`.

    cut_s: by index, the seconds of sound that the model does not hear.
    """

    indices: list[int] = field(default_factory=list)
    groups: list[EncodedGroup] = field(default_factory=list)
    features: dict[MediaKey, MediaFeature] = field(default_factory=dict)
    failed: dict[int, DocumentError] = field(default_factory=dict)
    cut_s: dict[int, float] = field(default_factory=dict)

    @property
    def num_bytes(self) -> int:
        """Bytes of the distinct media features."""
        return sum(feature.num_bytes for feature in self.features.values())

    def add(self, other: Prepared) -> None:
        """Append what stands behind this one."""
        self.indices += other.indices
        self.groups += other.groups
        self.features.update(other.features)
        self.failed.update(other.failed)
        self.cut_s.update(other.cut_s)


def gather(handfuls: Iterable[Prepared], limit: Window) -> Iterator[Prepared]:
    """Handfuls in a row until the window is full; what the model gets at once."""
    window = Prepared()
    for handful in handfuls:
        window.add(handful)
        if len(window.indices) >= limit.max_pairs or window.num_bytes >= limit.max_bytes:
            yield window
            window = Prepared()
    if window.indices:
        yield window


def cut_seconds(pair: LoadedPair) -> float:
    """Seconds of the pair's sounds that lie behind what the model hears."""
    return sum(
        part.media.cut_s
        for part in (*pair.query.parts, *pair.document.parts)
        if not isinstance(part, Text) and isinstance(part.media, DecodedAudio)
    )
