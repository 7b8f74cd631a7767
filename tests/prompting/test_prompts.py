"""Prompts byte for byte, as the vendors' cards and scripts write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mmrerank.errors import SpecError
from mmrerank.prompting import ChatEncoder, ChatTemplateProcessor
from mmrerank.prompting.truncate import Limits
from mmrerank.specs import TemplateSpec
from tests.checkpoints.tokenizers import make_qwen_tokenizer
from tests.prompting._pairs import BLUE, CLIP, RED, UNCLOSED_TEMPLATES, pair

pytestmark = UNCLOSED_TEMPLATES
ModelOf = Callable[[str], Any]

# Source: FAMILIES.md 1.1 and 1.2, from the vendors' script and model card.
SYSTEM = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
VL_END = "<|im_end|>\n<|im_start|>assistant\n"
TEXT_END = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
VL_DEFAULT = "Given a search query, retrieve relevant candidates that answer the query."
TEXT_DEFAULT = "Given a web search query, retrieve relevant passages that answer the query"
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"

VL: dict[str, tuple[tuple[Any, ...], str]] = {
    "plain": (("a b", "c d"), f"<Instruct>: {VL_DEFAULT}<Query>:a b\n<Document>:c d"),
    "instruction": (("a", "c", "Find d."), "<Instruct>: Find d.<Query>:a\n<Document>:c"),
    "empty document": (("a", ""), f"<Instruct>: {VL_DEFAULT}<Query>:a\n<Document>:NULL"),
    "empty query": (("", "c"), f"<Instruct>: {VL_DEFAULT}<Query>:NULL\n<Document>:c"),
    "image": (("a", RED), f"<Instruct>: {VL_DEFAULT}<Query>:a\n<Document>:{IMAGE}"),
    "text before image is put behind it": (
        ("a", {"text": "c", "image": RED}),
        f"<Instruct>: {VL_DEFAULT}<Query>:a\n<Document>:{IMAGE}c",
    ),
    "videos, images, texts": (
        ({"text": "a", "image": RED}, {"text": "c", "image": [RED, BLUE], "video": CLIP}),
        f"<Instruct>: {VL_DEFAULT}<Query>:{IMAGE}a\n<Document>:{VIDEO}{IMAGE}{IMAGE}c",
    ),
    "empty text beside an image": (
        ("a", {"text": "", "image": RED}),
        f"<Instruct>: {VL_DEFAULT}<Query>:a\n<Document>:{IMAGE}",
    ),
}
TEXT: dict[str, tuple[tuple[Any, ...], str]] = {
    "plain": (("a b", "c d"), f"<Instruct>: {TEXT_DEFAULT}\n<Query>: a b\n<Document>: c d"),
    "instruction": (("a", "c", "Find d."), "<Instruct>: Find d.\n<Query>: a\n<Document>: c"),
    "empty document": (("a", ""), f"<Instruct>: {TEXT_DEFAULT}\n<Query>: a\n<Document>: "),
    "line breaks and blanks stay": (
        (" a\n", "\tc  "),
        f"<Instruct>: {TEXT_DEFAULT}\n<Query>:  a\n\n<Document>: \tc  ",
    ),
    "markup stays": (
        ("{{ a }} <b>", "{% c %} &amp;"),
        f"<Instruct>: {TEXT_DEFAULT}\n<Query>: {{{{ a }}}} <b>\n<Document>: {{% c %}} &amp;",
    ),
}


@pytest.mark.parametrize("case", VL)
def test_qwen3_vl_reranker_prompt_is_the_scripts(case: str, model_of: ModelOf) -> None:
    arguments, body = VL[case]
    prompt = model_of("Qwen3-VL-Reranker-2B").pipeline.encoder.prompt(pair(*arguments))
    assert prompt == SYSTEM + body + VL_END


@pytest.mark.parametrize("case", TEXT)
def test_qwen3_reranker_prompt_is_the_cards(case: str, model_of: ModelOf) -> None:
    arguments, body = TEXT[case]
    prompt = model_of("Qwen3-Reranker-0.6B").pipeline.encoder.prompt(pair(*arguments))
    assert prompt == SYSTEM + body + TEXT_END


def test_template_of_st_files_keeps_the_users_order(model_of: ModelOf) -> None:
    prompt = model_of("qwen3-vl").pipeline.encoder.prompt(pair("a", {"text": "c", "image": RED}))
    assert prompt.endswith(f"<Query>:a\n<Document>:c{IMAGE}" + VL_END)


def test_two_segments_have_the_tokenizers_own_marks(model_of: ModelOf) -> None:
    prompt = model_of("bert").pipeline.encoder.prompt(pair("the city", "the river", "Find: "))
    assert prompt.startswith("[CLS] find")
    assert prompt.endswith("the city [SEP] the river [SEP]")


def test_causal_model_without_a_template_joins_the_two_texts(model_of: ModelOf) -> None:
    assert model_of("llama").pipeline.encoder.prompt(pair("hello", "world")) == "helloworld"


# ---------------------------------------------------------------- templates


@pytest.mark.parametrize(("role", "num_warnings"), [("system", 0), ("none", 1)])
def test_instruction_that_the_template_drops_is_warned_of_once(
    role: str, num_warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    text = "{% for m in messages if m.role in ('query', 'document', '" + role + "') %}"
    template = _template(text + "{{ m.content }}{% endfor %}")
    encoder = ChatEncoder(template, make_qwen_tokenizer(), None, Limits())
    encoder.encode([pair("a", "c")], {})
    assert caplog.records == []
    for _ in range(2):
        encoder.encode([pair("a", "c", "Be kind.")], {})
    found = [r.getMessage() for r in caplog.records if "no place for an instr" in r.getMessage()]
    assert len(found) == num_warnings


def _template(text: str) -> ChatTemplateProcessor:
    return ChatTemplateProcessor(TemplateSpec("chat", text=text, content="flat"))


BOTH = "{% for m in messages %}{{ m.role }}={{ m.content | trim }};{% endfor %}"


def test_template_that_carries_both_sides_is_accepted() -> None:
    template = _template(BOTH)
    template.check_roles("tiny")
    assert not template.is_document_first
    assert template.render([pair("a", "c", "i")]) == ["system=i;query=a;document=c;"]


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        (
            "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}",
            "query and document",
        ),
        ("{{ messages[0].content }}", "document"),
        ("{{ messages[-1].content }}", "query"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
    ],
)
def test_template_that_loses_a_side_is_refused_with_the_remedy(text: str, lost: str) -> None:
    with pytest.raises(SpecError, match=rf"of tiny cannot carry .*{lost}.*processor=\.\.\."):
        _template(text).check_roles("tiny")


def test_document_first_is_seen_from_the_template() -> None:
    template = _template("D: {{ messages[-1].content }} Q: {{ messages[-2].content }}")
    assert template.is_document_first
    assert template.render([pair("a", "c")]) == ["D: c Q: a"]


def test_side_of_a_trimming_template_is_found() -> None:
    before, after = _template(BOTH).around(pair("  a ", " c  "), "document")
    assert (before, after) == ("query=a;document=", ";")


_SIDES = """
{%- macro words(m) -%}{%- for p in m.content if p.type == 'text' -%}{{ p.text }}{%- endfor -%}
{%- endmacro -%}
{%- macro pictures(m) -%}{%- for p in m.content if p.type == 'image' -%}<p>{%- endfor -%}
{%- endmacro -%}"""
_DOCUMENT = "{{ 'D:' ~ words(messages[-1]) }}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ pictures(messages[-1]) }}Q:{{ words(messages[0]) }}" + _DOCUMENT, True),
        ("Q:{{ words(messages[0]) ~ pictures(messages[-1]) }}" + _DOCUMENT, False),
        ("Q:{{ words(messages[0]) }}" + _DOCUMENT, False),
        ("{{ 'D:' ~ words(messages[-1]) ~ pictures(messages[-1]) ~ words(messages[0]) }}", False),
    ],
    ids=["in front of the query", "in front of the text", "no pictures", "document first"],
)
def test_pictures_apart_from_their_text_are_seen_from_the_template(
    text: str, expected: bool
) -> None:
    spec = TemplateSpec("chat", text=_SIDES + text, content="structured")
    assert ChatTemplateProcessor(spec).sets_media_apart is expected


def test_refusal_of_the_template_is_passed_on() -> None:
    text = BOTH + "{% if messages[0].content == 'x' %}{{ raise_exception('no x') }}{% endif %}"
    with pytest.raises(SpecError, match="refuses these messages: no x"):
        _template(text).render([pair("x", "c")])


def test_template_cannot_reach_out_of_its_sandbox() -> None:
    with pytest.raises(SpecError, match="unsafe"):
        _template("{{ messages.__class__.__mro__ }}").render([pair("a", "c")])
