"""Which documents of a list stand in one prompt of a listwise model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mmrerank.prompting.blocks import Block, BlockLimits, ListItem, Member, blocks_of
from mmrerank.types import DocumentError, LoadedDocument, LoadedPair

EMPTY = LoadedDocument(())
LONGEST = 10
LIMITS = BlockLimits(max_documents=4, max_tokens=40)


def _item(index: int, length: int, query: str = "q", head: int = 4) -> ListItem:
    return ListItem(LoadedPair(index, EMPTY, EMPTY), (query, None), head, length, LONGEST)


def _failed(index: int) -> DocumentError:
    return DocumentError(index, ValueError("broken"))


def _indices(blocks: list[Block]) -> list[list[int]]:
    return [[item.pair.index for item in block.items] for block in blocks]


def _blocks(members: list[Member], limits: BlockLimits = LIMITS) -> list[Block]:
    return list(blocks_of(members, limits))


# Of up to three lists; None stands for a document that failed.
MEMBERS = st.lists(
    st.one_of(st.none(), st.tuples(st.integers(0, LONGEST), st.sampled_from("abc"))), max_size=30
)


def _members(drawn: list[tuple[int, str] | None]) -> list[Member]:
    return [
        _failed(index) if one is None else _item(index, one[0], one[1])
        for index, one in enumerate(drawn)
    ]


def test_block_is_full_at_so_many_documents() -> None:
    assert _indices(_blocks([_item(i, 1) for i in range(9)])) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8],
    ]


def test_block_is_closed_when_a_longest_document_might_not_fit() -> None:
    # 40 - 4 - 9 - 9 = 18 left, then 9: below the 10 that the next one may have
    assert _indices(_blocks([_item(i, 9) for i in range(5)])) == [[0, 1, 2], [3, 4]]


def test_tokens_of_the_template_count_where_they_are_given() -> None:
    limits = BlockLimits(max_documents=4, max_tokens=40, num_frame_tokens=6, num_item_tokens=2)
    # 40 - 6 - 4 - 11 = 19 left, then 8
    assert _indices(_blocks([_item(i, 9) for i in range(3)], limits)) == [[0, 1], [2]]


def test_another_query_begins_another_list() -> None:
    blocks = _blocks([_item(0, 1, "a"), _item(1, 1, "a"), _item(2, 1, "b"), _item(3, 1, "a")])
    assert _indices(blocks) == [[0, 1], [2], [3]]
    assert [block.list_number for block in blocks] == [0, 1, 2]


def test_blocks_of_one_list_have_one_number() -> None:
    blocks = _blocks([_item(i, 1) for i in range(9)])
    assert [block.list_number for block in blocks] == [0, 0, 0]


def test_failed_document_keeps_its_place_and_its_list() -> None:
    (block,) = _blocks([_item(0, 1), _failed(1), _item(2, 1)])
    assert [isinstance(member, DocumentError) for member in block.members] == [False, True, False]
    assert _indices([block]) == [[0, 2]]


def test_nothing_gives_no_block() -> None:
    assert _blocks([]) == []


@given(MEMBERS)
def test_every_member_stands_once_and_in_order(drawn: list[tuple[int, str] | None]) -> None:
    members = _members(drawn)
    assert [member for block in _blocks(members) for member in block.members] == members


@given(MEMBERS)
def test_no_block_is_longer_than_allowed_or_mixes_lists(
    drawn: list[tuple[int, str] | None],
) -> None:
    for block in _blocks(_members(drawn)):
        assert 4 + sum(item.num_document_tokens for item in block.items) <= LIMITS.max_tokens
        assert len(block.items) <= LIMITS.max_documents
        assert len({item.key for item in block.items}) <= 1


@given(MEMBERS)
def test_failed_documents_do_not_move_the_others(drawn: list[tuple[int, str] | None]) -> None:
    members = _members(drawn)
    good: list[Member] = [member for member in members if isinstance(member, ListItem)]
    with_failed = [block for block in _indices(_blocks(members)) if block]
    assert with_failed == _indices(_blocks(good))


@given(MEMBERS, st.integers(0, 30))
def test_what_stands_behind_a_full_block_does_not_change_it(
    drawn: list[tuple[int, str] | None], cut: int
) -> None:
    members = _members(drawn)
    whole, begun = _indices(_blocks(members)), _indices(_blocks(members[:cut]))
    assert begun[:-1] == whole[: max(len(begun) - 1, 0)]
