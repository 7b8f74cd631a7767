"""Prompts in two parts: where the decoder's begins, what is cut of each, what templates may do."""

from __future__ import annotations

from typing import Any

import pytest

from mmrerank.errors import InputError, SpecError
from mmrerank.prompting import ChatEncoder, ChatTemplateProcessor
from mmrerank.prompting.truncate import Limits
from mmrerank.specs import TemplateSpec
from mmrerank.types import EncodedGroup
from tests.checkpoints.sentencepiece import make_gemma_tokenizer
from tests.prompting._pairs import pair

TEXT = "D: {{ messages[-1].content }}{{ decoder }}<bos>Q: {{ messages[-2].content }} end"
LONG = "the train to the mountains stops at every village " * 8
TOKENIZER = make_gemma_tokenizer()


def _encoder(limits: Limits | None = None, **template: Any) -> ChatEncoder:
    made: dict[str, Any] = {"text": TEXT, "tokenize": "decoder", "content": "flat", **template}
    processor = ChatTemplateProcessor(TemplateSpec("chat", **made))
    return ChatEncoder(processor, TOKENIZER, None, limits or Limits())


def _limited(prompt: int) -> Limits:
    return Limits(prompt=prompt, suffix_counts=False)


def _encode(encoder: ChatEncoder, query: str, document: str) -> EncodedGroup:
    (group,) = encoder.encode([pair(query, document)], {})
    return group


def _ids(text: str) -> list[int]:
    ids: list[int] = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    return ids


def test_both_parts_are_tokenised_by_themselves() -> None:
    group = _encode(_encoder(), "mountains", "a village")
    document, query = group.parts()
    assert document.token_ids.tolist() == _ids("D: a village")
    assert query.token_ids.tolist() == _ids("<bos>Q: mountains end")
    assert group.decoder_at == document.num_tokens
    assert group.score_at == (group.num_tokens - 1,)


def test_limit_is_the_encoders_and_cuts_the_documents_end() -> None:
    whole, group = (_encode(_encoder(limits), LONG, LONG) for limits in (None, _limited(20)))
    assert whole.num_truncated == 0
    assert group.decoder_at == 20
    assert group.num_truncated == whole.num_tokens - group.num_tokens
    assert group.parts()[0].token_ids.tolist() == _ids(f"D: {LONG}")[:20]
    assert group.parts()[1].token_ids.tolist() == whole.parts()[1].token_ids.tolist()


def test_tokens_of_the_query_never_make_room_for_the_document() -> None:
    with pytest.raises(InputError, match="max_length allows 1"):
        _encode(_encoder(_limited(1)), LONG, "a village")


def test_query_is_cut_by_itself_before_the_prompt_is_written() -> None:
    group = _encode(_encoder(Limits(query_text=5)), LONG, "a village")
    kept = TOKENIZER.decode(_ids(LONG)[:5])
    assert group.parts()[1].token_ids.tolist() == _ids(f"<bos>Q: {kept} end")
    assert group.num_truncated == len(_ids(LONG)) - 5


def test_query_of_as_many_tokens_as_may_be_stays_as_it_is() -> None:
    group = _encode(_encoder(Limits(query_text=len(_ids(LONG)))), LONG, "a village")
    assert group.num_truncated == 0
    assert group.parts()[1].token_ids.tolist() == _ids(f"<bos>Q: {LONG} end")


def test_prompt_for_people_has_no_mark_in_it() -> None:
    assert _encoder().prompt(pair("mountains", "a village")) == "D: a village<bos>Q: mountains end"


@pytest.mark.parametrize(
    "text",
    [
        "{{ messages[-2].content }}{{ decoder }}{{ messages[-1].content }}",
        "{{ messages[-1].content }}{{ messages[-2].content }}",
        "{{ messages[-1].content }}{{ decoder }}{{ messages[-2].content }}{{ decoder }}",
    ],
)
def test_template_that_parts_the_sides_otherwise_is_refused(text: str) -> None:
    spec = TemplateSpec("chat", text=text, content="flat", tokenize="decoder")
    with pytest.raises(SpecError, match=r"of a-model must write \{\{ decoder \}\} once"):
        ChatTemplateProcessor(spec).check_roles("a-model")


def test_special_tokens_are_the_templates_to_write() -> None:
    with pytest.raises(SpecError, match='tokenize = "decoder" exclude each other'):
        _encoder(special_tokens=True)
