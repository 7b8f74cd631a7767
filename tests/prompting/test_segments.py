"""Two segments with limits of their own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mmrerank.errors import SpecError
from mmrerank.prompting import SegmentEncoder
from mmrerank.prompting.truncate import Limits
from tests.checkpoints.tokenizers import make_bert_tokenizer
from tests.prompting._pairs import pair

LONG = "the train to the mountains stops at every village " * 12


@pytest.mark.parametrize(
    ("limits", "num_query", "num_document"),
    [
        (Limits(prompt=40, query=30), 30, 7),
        (Limits(query=10), 10, None),
        (Limits(document=5), None, 5),
        (Limits(prompt=40, query=5, document=6), 5, 6),
        (Limits(prompt=40, query=39), 37, 0),
    ],
)
def test_sides_are_cut_to_their_limits_and_types_follow(
    limits: Limits, num_query: int | None, num_document: int | None
) -> None:
    tokenizer = make_bert_tokenizer()
    (group,) = SegmentEncoder(tokenizer, limits, scores_last=False).encode([pair(LONG, LONG)], {})
    one = tokenizer(LONG, add_special_tokens=False)["input_ids"]
    query, document = one[:num_query], one[:num_document]
    start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    assert group.token_ids.tolist() == [start, *query, end, *document, end]
    assert group.token_type_ids is not None
    num_second = len(document) + 1
    assert group.token_type_ids.tolist() == [0] * (len(query) + 2) + [1] * num_second
    assert group.num_truncated == 2 * len(one) - len(query) - len(document)


def test_words_are_taken_out_before_the_texts_are_joined() -> None:
    encoder = SegmentEncoder(
        make_bert_tokenizer(), Limits(), scores_last=False, remove=("village",)
    )
    assert "village" not in encoder.prompt(pair("the village", "a village", "in a village: "))


def test_limits_of_sides_need_a_tokenizer_that_tells_them_apart() -> None:
    slow = SimpleNamespace(is_fast=False)
    with pytest.raises(SpecError, match=r"which token is whose.*max_query_share"):
        SegmentEncoder(slow, Limits(query=5), scores_last=False)
