"""Documents of one query into blocks, the prompts of a listwise model. Pure: no tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from mmrerank.types import DocumentError, LoadedPair

__all__ = ["Block", "BlockLimits", "ListItem", "Member", "blocks_of"]


@dataclass(frozen=True, slots=True)
class ListItem:
    """One document of a list, cut to length.

    pair: with its texts as the prompt shows them. key: query and instruction as given; documents in
    a row with equal keys are one list. num_head_tokens: of query and instruction in a block, as far
    as they are counted. max_document_tokens: what a document of this list may have. num_truncated:
    tokens of the document that were cut off.
    """

    pair: LoadedPair
    key: tuple[str, str | None]
    num_head_tokens: int
    num_document_tokens: int
    max_document_tokens: int
    num_truncated: int = 0


# A document that failed keeps its place among the others.
Member: TypeAlias = ListItem | DocumentError


@dataclass(frozen=True, slots=True)
class Block:
    """Documents of one prompt. list_number: of the list that they belong to, counted upwards."""

    list_number: int
    members: tuple[Member, ...]

    @property
    def items(self) -> list[ListItem]:
        """The documents that are scored."""
        return [member for member in self.members if isinstance(member, ListItem)]


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """When a block is full.

    max_documents, max_tokens: of a block; it is closed when a document of the greatest length
    allowed might not fit any more. num_frame_tokens, num_item_tokens: what the template adds to a
    block and to each document, where that is counted.
    """

    max_documents: int
    max_tokens: int
    num_frame_tokens: int = 0
    num_item_tokens: int = 0


def blocks_of(members: Iterable[Member], limits: BlockLimits) -> Iterator[Block]:
    """Blocks of documents in the order given; what stands behind a block does not change it.

    A failed document counts for nothing, so the blocks of the others are as if it were not there.
    """
    draft = _Draft(limits)
    for member in members:
        if isinstance(member, ListItem) and member.key != draft.key:
            yield from draft.closed()
            draft.begin_list(member.key)
        draft.add(member)
        if draft.is_full:
            yield from draft.closed()
    yield from draft.closed()


@dataclass(slots=True)
class _Draft:
    """The block that is being filled."""

    limits: BlockLimits
    key: tuple[str, str | None] | None = None
    list_number: int = -1
    members: list[Member] = field(default_factory=list)
    num_items: int = 0
    num_tokens: int = 0
    is_full: bool = False

    def begin_list(self, key: tuple[str, str | None]) -> None:
        self.key = key
        self.list_number += 1

    def add(self, member: Member) -> None:
        self.members.append(member)
        if isinstance(member, DocumentError):
            return
        limits = self.limits
        if not self.num_items:
            self.num_tokens = limits.num_frame_tokens + member.num_head_tokens
        self.num_items += 1
        self.num_tokens += member.num_document_tokens + limits.num_item_tokens
        left = limits.max_tokens - self.num_tokens - limits.num_item_tokens
        self.is_full = self.num_items >= limits.max_documents or left <= member.max_document_tokens

    def closed(self) -> Iterator[Block]:
        """The block, where there is one; what follows begins a new one."""
        if self.members:
            yield Block(self.list_number, tuple(self.members))
        self.members, self.num_items, self.num_tokens, self.is_full = [], 0, 0, False
