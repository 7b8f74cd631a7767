"""A medium's tokens in place of its placeholder in a rendered prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mmrerank.errors import InputError, shorten
from mmrerank.prompting.features import MediaFeature
from mmrerank.types import LoadedPair, MediaKey, Modality, Text

__all__ = ["Expander", "Features", "Prompt"]

Features = Mapping[MediaKey, MediaFeature]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt with its media expanded.

    keys: the media in the order of the prompt; ranges: the characters [start, end) of each.
    """

    text: str
    keys: tuple[MediaKey, ...]
    ranges: tuple[tuple[int, int], ...]


class Expander:
    """Knows the model's placeholders.

    placeholders: modality -> the word of the prompt. reserved: further words that no text may
    contain, those that a medium becomes where they are not the words of the prompt.
    """

    def __init__(self, placeholders: Mapping[Modality, str], reserved: Sequence[str] = ()) -> None:
        self._modality_of = {token: modality for modality, token in placeholders.items()}
        self._placeholder = _any_of(self._modality_of)
        self._refused = _any_of([*self._modality_of, *reserved])

    def expand(self, rendered: str, keys: Sequence[MediaKey], features: Features) -> Prompt:
        """Put each medium's tokens in place of its placeholder.

        A template may put one modality before another; within a modality it keeps the order.
        """
        waiting = {
            modality: [key for key in keys if key.modality == modality]
            for modality in self._modality_of.values()
        }
        pieces: list[str] = []
        order: list[MediaKey] = []
        ranges: list[tuple[int, int]] = []
        position = last = 0
        for match in self._placeholder.finditer(rendered):
            order.append(waiting[self._modality_of[match.group()]].pop(0))
            expansion = features[order[-1]].expansion
            start = position + match.start() - last
            pieces += [rendered[last : match.start()], expansion]
            ranges.append((start, start + len(expansion)))
            position, last = start + len(expansion), match.end()
        return Prompt("".join([*pieces, rendered[last:]]), tuple(order), tuple(ranges))

    def refuse_placeholders(self, pair: LoadedPair) -> None:
        """Raise InputError when a text of the pair contains a placeholder."""
        if not self._modality_of:
            return
        sides = {
            "query": pair.query.parts,
            "document": pair.document.parts,
            "instruction": (Text(pair.instruction or ""),),
        }
        for role, parts in sides.items():
            for part in parts:
                if isinstance(part, Text) and (found := self._refused.search(part.text)):
                    raise InputError(
                        f"the text {shorten(part.text)} of the {role} contains "
                        f"{found.group()!r}, which stands for a medium in this model's prompts. "
                        "Take it out of the text."
                    )


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, words)) or r"(?!)")
