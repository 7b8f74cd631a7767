"""A list while its order is found, window by window, and what came of all windows of a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import torch

from mmrerank.pipeline.lists import ScoredList
from mmrerank.pipeline.options import Window
from mmrerank.pipeline.scoring import ReadDocument
from mmrerank.prompting import WindowItem, WindowPrompt
from mmrerank.types import DocumentError, LoadedMedia

__all__ = ["AnswerTally", "ListDraft", "WindowMember", "drafts_of", "gather_drafts"]

WindowMember: TypeAlias = WindowItem | DocumentError


@dataclass(slots=True)
class AnswerTally:
    """Windows of a call, and those whose answer was no permutation."""

    num_windows: int = 0
    num_unanswered: int = 0

    def warning(self) -> str:
        """The sentence for the user; "" when all were answered."""
        if not self.num_unanswered:
            return ""
        return (
            f"{self.num_unanswered:,} of {self.num_windows:,} windows were answered with no "
            "permutation of their documents; those kept the order that they came in. "
            "`mmrerank doctor MODEL` tells whether the model answers at all."
        )


@dataclass(slots=True)
class ListDraft:
    """A list, whole, with the order found so far.

    items: its documents that could be read. order: their places, best first. num_tokens: what was
    read of each in all its windows; num_truncated: the most that one of them cut off.
    """

    members: list[WindowMember]
    items: list[WindowItem] = field(init=False)
    order: list[int] = field(init=False)
    num_tokens: list[int] = field(init=False)
    num_truncated: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.items = [member for member in self.members if isinstance(member, WindowItem)]
        self.order = list(range(len(self.items)))
        self.num_tokens = [0] * len(self.items)
        self.num_truncated = [0] * len(self.items)

    @property
    def num_bytes(self) -> int:
        """Bytes of the decoded media."""
        parts = (part for item in self.items for part in item.pair.document.parts)
        return sum(part.media.num_bytes for part in parts if isinstance(part, LoadedMedia))

    def at(self, places: tuple[int, int]) -> list[WindowItem]:
        """The documents that stand there now."""
        return [self.items[item] for item in self.order[slice(*places)]]

    def put(self, places: tuple[int, int], prompt: WindowPrompt, found: list[int] | None) -> None:
        """Take note of a window's prompt, and of the order found; None keeps the one there was."""
        shown = self.order[slice(*places)]
        share, rest = divmod(prompt.group.num_tokens, len(shown))
        for place, (item, num_cut) in enumerate(zip(shown, prompt.num_truncated, strict=True)):
            self.num_tokens[item] += share + (place < rest)
            self.num_truncated[item] = max(self.num_truncated[item], num_cut)
        if found is not None:
            self.order[slice(*places)] = [shown[place] for place in found]

    def scored(self) -> ScoredList:
        """The list with its scores: of n documents the first has n, the last 1."""
        scores = torch.zeros(len(self.items), 1)
        for place, item in enumerate(self.order):
            scores[item] = len(self.items) - place
        return ScoredList(
            indices=[_index(member) for member in self.members],
            failed={m.index: m for m in self.members if isinstance(m, DocumentError)},
            documents=[
                ReadDocument(item.pair.index, num_tokens, num_truncated)
                for item, num_tokens, num_truncated in zip(
                    self.items, self.num_tokens, self.num_truncated, strict=True
                )
            ],
            logits=scores if self.items else None,
        )


def drafts_of(members: Iterable[WindowMember]) -> Iterator[ListDraft]:
    """Members in a row with equal keys are one list; one that failed belongs where it stands."""
    held: list[WindowMember] = []
    key: tuple[str, str | None] | None = None
    for member in members:
        if isinstance(member, WindowItem):
            if key is not None and member.key != key:
                yield ListDraft(held)
                held = []
            key = member.key
        held.append(member)
    if held:
        yield ListDraft(held)


def gather_drafts(drafts: Iterable[ListDraft], limit: Window) -> Iterator[list[ListDraft]]:
    """Whole lists until there are so many pairs, or bytes of decoded media."""
    held: list[ListDraft] = []
    for draft in drafts:
        held.append(draft)
        is_full = sum(len(own.members) for own in held) >= limit.max_pairs
        if is_full or sum(own.num_bytes for own in held) >= limit.max_bytes:
            yield held
            held = []
    if held:
        yield held


def _index(member: WindowMember) -> int:
    return member.pair.index if isinstance(member, WindowItem) else member.index
