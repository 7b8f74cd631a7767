"""Prompts tokenised in parts, tokens behind a prompt, special tokens and words taken out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.errors import InputError, SpecError
from mmrerank.prompting import ChatEncoder, ChatTemplateProcessor
from mmrerank.prompting.clean import without_words
from mmrerank.prompting.truncate import Limits
from mmrerank.specs import TemplateSpec
from mmrerank.types import EncodedGroup
from tests.checkpoints.tokenizers import make_qwen_tokenizer, make_xlm_roberta_tokenizer
from tests.prompting._pairs import pair

PROMPT = "Does the passage answer the query?"
TEXT = (
    "{{ '<s>' }}{{ part }}A: {{ messages[-2].content }}{{ part }}{{ '\\n' }}{{ part }}"
    "B: {{ messages[-1].content }}{{ part }}{{ '\\n' }}{{ part }}" + PROMPT
)
LONG = "The train to the mountains stops at every village. " * 20
# With a word mark before each piece, a prompt tokenised as one string has other ids.
TOKENIZERS: dict[str, Callable[[], Any]] = {
    "unigram": make_xlm_roberta_tokenizer,
    "bytes": make_qwen_tokenizer,
}


@cache
def tokenizer_of(kind: str) -> Any:
    return TOKENIZERS[kind]()


def _encoder(kind: str = "unigram", limits: Limits | None = None, **template: Any) -> ChatEncoder:
    spec = TemplateSpec("chat", content="flat", **{"text": TEXT, "tokenize": "parts", **template})
    return ChatEncoder(ChatTemplateProcessor(spec), tokenizer_of(kind), None, limits or Limits())


def _encode(encoder: ChatEncoder, *texts: str) -> EncodedGroup:
    (group,) = encoder.encode([pair(*texts)], {})
    return group


def _joined(kind: str, pieces: list[str]) -> list[int]:
    """The vendor's way: each piece alone, without special tokens."""
    rows = tokenizer_of(kind)(pieces, add_special_tokens=False)["input_ids"]
    return [token for row in rows for token in row]


def _pieces(query: str, document: str) -> list[str]:
    return ["<s>", f"A: {query}", "\n", f"B: {document}", "\n", PROMPT]


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize(("query", "document"), [("the city", " the river "), ("", "x"), ("a", "")])
def test_ids_are_those_of_the_pieces_one_by_one(kind: str, query: str, document: str) -> None:
    group = _encode(_encoder(kind), query, document)
    assert group.token_ids.tolist() == _joined(kind, _pieces(query, document))
    assert group.score_at == (group.num_tokens - 1,)


def test_words_are_not_joined_across_parts() -> None:
    text = "{{ messages[-2].content }}{{ part }}{{ messages[-1].content }}"
    ids = {
        kind: _encode(_encoder(text=text, tokenize=kind), "a", "b").token_ids.tolist()
        for kind in ("parts", "whole")
    }
    assert ids["parts"] == _joined("unigram", ["a", "b"]) != ids["whole"]


def test_several_pairs_keep_their_own_pieces() -> None:
    texts = [("the city", "the river"), ("a", LONG), ("", "")]
    groups = _encoder().encode([pair(*one) for one in texts], {})
    ids = [group.token_ids.tolist() for group in groups]
    assert ids == [_joined("unigram", _pieces(*one)) for one in texts]


def test_prompt_for_people_holds_no_mark() -> None:
    assert _encoder().prompt(pair("q", "d")) == "".join(_pieces("q", "d"))


_MARKS = st.text(st.sampled_from("\ue000\ue001\ue002a "), max_size=12)


@given(_MARKS, _MARKS)
def test_letters_that_could_be_marks_are_plain_text_in_users_texts(
    query: str, document: str
) -> None:
    group = _encode(_encoder("bytes"), query, document)
    assert group.token_ids.tolist() == _joined("bytes", _pieces(query, document))


@given(_MARKS, _MARKS)
def test_letters_that_could_be_marks_do_not_move_the_cut(query: str, document: str) -> None:
    rows = tokenizer_of("bytes")(_pieces(query, document + LONG), add_special_tokens=False)
    before = [token for row in rows["input_ids"][:3] for token in row]
    behind = [token for row in rows["input_ids"][4:] for token in row]
    limit = len(before) + len(behind) + 30
    group = _encode(_encoder("bytes", Limits(limit)), query, document + LONG)
    own = rows["input_ids"][3][:30]
    assert group.token_ids.tolist() == before + own + behind
    assert group.num_truncated == len(rows["input_ids"][3]) - 30


def test_text_that_holds_every_private_letter_is_refused() -> None:
    with pytest.raises(InputError, match=r"private use area.*Take some out"):
        _encode(_encoder(), "".join(map(chr, range(0xE000, 0xF900))), "d")


def test_special_tokens_for_pieces_are_refused() -> None:
    with pytest.raises(SpecError, match=r'special_tokens = true and tokenize = "parts"'):
        _encoder(special_tokens=True)


# ---------------------------------------------------------------- the vendor's truncation


def _vendors_cut(kind: str, query: str, document: str, limit: int) -> list[int]:
    """The query and its "A: " to 3/4 of the limit, then the document to the rest; the question
    behind it comes on top.
    """
    start, one, line, two, _, asked = tokenizer_of(kind)(
        _pieces(query, document), add_special_tokens=False
    )["input_ids"]
    one = one[: limit * 3 // 4]
    body = start + one + (line + two)[: max(limit - len(start) - len(one), 0)]
    return body + line + asked


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("limit", [40, 64, 200])
@pytest.mark.parametrize("texts", [("the city", LONG), (LONG, "the river"), (LONG, LONG)])
def test_query_share_and_suffix_are_those_of_the_vendor(
    kind: str, limit: int, texts: tuple[str, str]
) -> None:
    limits = Limits(limit, query=limit * 3 // 4, suffix_counts=False)
    group = _encode(_encoder(kind, limits), *texts)
    assert group.token_ids.tolist() == _vendors_cut(kind, *texts, limit)
    full = len(_joined(kind, _pieces(*texts)))
    assert group.num_truncated == full - group.num_tokens


# ---------------------------------------------------------------- tokens behind the prompt


def _plain(**options: Any) -> dict[str, Any]:
    text = "D: {{ messages[-1].content }}\nQ: {{ messages[-2].content }}"
    return {"text": text, "tokenize": "whole", **options}


def test_suffix_ids_stand_behind_the_prompt_and_the_last_is_scored() -> None:
    group = _encode(_encoder("bytes", **_plain(suffix_ids=(100, 7))), "a", "b")
    expected = tokenizer_of("bytes")("D: b\nQ: a")["input_ids"]
    assert group.token_ids.tolist() == [*expected, 100, 7]
    assert group.score_at == (len(expected) + 1,)


def test_suffix_ids_survive_truncation_and_count() -> None:
    encoder = _encoder("bytes", Limits(40), **_plain(suffix_ids=(100,)))
    group = _encode(encoder, "the query", LONG)
    assert group.num_tokens == 40
    assert group.token_ids[-1] == 100
    assert tokenizer_of("bytes").decode(group.token_ids[:-1]).endswith("\nQ: the query")


def test_suffix_ids_that_do_not_count_come_on_top() -> None:
    encoder = _encoder("bytes", Limits(40, suffix_counts=False), **_plain(suffix_ids=(100, 7)))
    group = _encode(encoder, "the query", LONG)
    assert group.num_tokens == 42


def test_suffix_ids_are_shown_in_the_prompt_by_their_words() -> None:
    number = tokenizer_of("bytes").convert_tokens_to_ids("<|box_end|>")
    shown = _encoder("bytes", **_plain(suffix_ids=(number,))).prompt(pair("a", "b"))
    assert shown == "D: b\nQ: a<|box_end|>"


# ---------------------------------------------------------------- special tokens


def test_tokenizer_adds_its_special_tokens_where_the_spec_says_so() -> None:
    ids = {
        said: _encode(_encoder(**_plain(special_tokens=said)), "a", "b").token_ids.tolist()
        for said in (True, False, None)
    }
    bare = tokenizer_of("unigram")("D: b\nQ: a", add_special_tokens=False)["input_ids"]
    assert ids[True] == tokenizer_of("unigram")("D: b\nQ: a")["input_ids"] != bare
    assert ids[False] == ids[None] == bare


def test_end_that_the_tokenizer_adds_survives_truncation() -> None:
    encoder = _encoder(limits=Limits(40), **_plain(special_tokens=True))
    group = _encode(encoder, "the query", LONG)
    assert group.num_tokens == 40
    tokens = tokenizer_of("unigram").convert_ids_to_tokens(group.token_ids)
    assert (tokens[0], tokens[-1]) == ("<s>", "</s>")


def test_end_that_the_tokenizer_adds_is_behind_both_sides() -> None:
    encoder = _encoder(limits=Limits(40, suffix_counts=False), **_plain(special_tokens=True))
    assert _encode(encoder, "the query", LONG).num_tokens == 41


# ---------------------------------------------------------------- words taken out


def test_words_are_taken_out_of_both_sides_and_the_instruction() -> None:
    text = "{% for m in messages %}[{{ m.role }} {{ m.content }}]{% endfor %}"
    encoder = _encoder("bytes", **_plain(text=text, remove=("<|doc|>", "<|query|>")))
    shown = encoder.prompt(pair("a<|query|> b", "<|doc|><|query|>c", "i<|doc|>"))
    assert shown == "[system i][query a b][document c]"


def test_words_that_the_template_writes_stay() -> None:
    encoder = _encoder("bytes", **_plain(text=TEXT + "<|doc|>", remove=("<|doc|>",)))
    assert encoder.prompt(pair("a", "b<|doc|>")).endswith(PROMPT + "<|doc|>")


@given(st.lists(st.sampled_from(["<|d|>", "<|", "d", "|>", "<|q|>", "q", "x"]), max_size=20))
def test_no_word_is_left_however_it_is_nested(pieces: list[str]) -> None:
    words = ("<|d|>", "<|q|>")
    cleaned = without_words(pair("".join(pieces), "d"), words).query.parts
    assert not any(word in getattr(part, "text", "") for part in cleaned for word in words)
