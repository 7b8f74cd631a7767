"""Whether a prompt carries query, document and instruction, and ends as the model expects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mmrerank.diagnosis.decisions import GUESS_REMEDY
from mmrerank.diagnosis.finding import Finding, State
from mmrerank.diagnosis.subject import DOCUMENTS, QUERIES, Subject, text_pair
from mmrerank.errors import shorten
from mmrerank.prompting.template import ChatTemplateProcessor
from mmrerank.specs import TemplateSpec

__all__ = ["TEMPLATE_REMEDY", "check_end", "check_template"]

TEMPLATE_REMEDY = (
    "name the family with --processor, or mend the checkpoint's chat_template.jinja so that it "
    "renders messages of roles query and document"
)
_END = "end of the prompt"
# Letters that no template changes and no family has in its frame.
_QUERY_WORD, _DOCUMENT_WORD = "Qzwx7q", "Dzwx7d"


def check_template(subject: Subject) -> Finding:
    """Query and document reach the token ids, in their own places; so does the instruction."""
    query, document = QUERIES[0], DOCUMENTS[0]
    plain = subject.ids(query, document)
    for lost, other in (
        ("query", subject.ids(QUERIES[1], document)),
        ("document", subject.ids(query, DOCUMENTS[1])),
    ):
        if np.array_equal(plain, other):
            found = f"another {lost} gives the same tokens"
            return Finding("prompt", "broken", found, remedy=TEMPLATE_REMEDY)
    if subject.takes_text and np.array_equal(plain, subject.ids(document, query)):
        found = "query and document give the same tokens when they are exchanged"
        return Finding("prompt", "broken", found, remedy=TEMPLATE_REMEDY)
    carried = f"carries query and document ({len(plain)} tokens)"
    return _with_instruction(subject, plain, carried)


def _with_instruction(subject: Subject, plain: np.ndarray, carried: str) -> Finding:
    pair = replace(subject.pair(QUERIES[0], DOCUMENTS[0]), instruction="Only poems count")
    has_one = subject.spec.template.instruction is not None or bool(subject.model.prompts)
    if not np.array_equal(plain, subject.encoded(pair).token_ids):
        return Finding("prompt", "ok", f"{carried}, and the instruction")
    if has_one:
        found = f"{carried}, but another instruction gives the same tokens"
        cost = "instruction=... changes nothing"
        return Finding("prompt", "limited", found, cost, TEMPLATE_REMEDY)
    return Finding("prompt", "ok", f"{carried}; it takes no instruction")


def check_end(subject: Subject) -> Finding:
    """What stands behind query and document is what the family's prompts end in."""
    spec = subject.spec
    if spec.template.kind != "chat":
        return _end_of_segments(subject)
    tail = _tail(subject.prompt(_QUERY_WORD, _DOCUMENT_WORD))
    family = subject.family
    if family and family.template.kind == "chat" and family.template.tokenize != "parts":
        expected = _tail(_rendered(family.template, subject))
        if spec.template.suffix_ids == family.template.suffix_ids:
            tail = tail[: len(tail) - len(_shown_suffix(subject))]
        return _beside_the_family(tail, expected, family.name)
    if not tail.strip() and not spec.template.suffix_ids and subject.is_scored_at_the_end:
        if spec.head.kind in ("builtin", "chain"):
            return Finding(_END, "ok", "the text itself, as classifiers have it")
        found = "the user's text: nothing asks the model for its answer"
        is_guess = spec.sources.get("head", "").startswith("guess")
        state: State = "limited" if is_guess else "broken"
        return Finding(_END, state, found, "the score is read in mid-text", TEMPLATE_REMEDY)
    return _beside_its_own_turn(subject, tail)


def _end_of_segments(subject: Subject) -> Finding:
    if not subject.is_scored_at_the_end:
        return Finding(_END, "ok", "two segments, as the tokenizer joins them")
    found = "query and document stand side by side without a frame: the model has no template"
    cost = "a language model is not told what to judge"
    return Finding(_END, "limited", found, cost, GUESS_REMEDY)


def _beside_the_family(tail: str, expected: str, family: str) -> Finding:
    if tail == expected:
        return Finding(_END, "ok", f"{shorten(tail[-60:])}, as {family} has it")
    told = f"{shorten(tail)}; {family} has {shorten(expected)}"
    if expected.startswith(tail):
        return Finding(_END, "broken", f"it is cut: {told}", remedy=TEMPLATE_REMEDY)
    cost = "right only if it was trained with this prompt"
    return Finding(_END, "limited", told, cost, TEMPLATE_REMEDY)


def _beside_its_own_turn(subject: Subject, tail: str) -> Finding:
    """Many chat templates open the answer's turn when they are asked to; was this one?"""
    template = subject.spec.template
    options = {**template.options, "add_generation_prompt": True}
    longer = _tail(_rendered(replace(template, options=options), subject))
    if subject.is_scored_at_the_end and longer != tail and longer.startswith(tail):
        found = f"{shorten(tail)}; the template could go on with {shorten(longer[len(tail) :])}"
        remedy = (
            "right if it was trained so; else put add_generation_prompt = true under "
            "[template.options] of a processor folder and name it with --processor"
        )
        return Finding(_END, "limited", found, "the answer's turn is not opened", remedy)
    return Finding(_END, "ok", shorten(tail[-60:]))


def _shown_suffix(subject: Subject) -> str:
    """Tokens that stand behind the rendered prompt, as `prompt` shows them."""
    ids = list(subject.spec.template.suffix_ids)
    return "".join(subject.model.tokenizer.convert_ids_to_tokens(ids))


def _rendered(template: TemplateSpec, subject: Subject) -> str:
    chat = ChatTemplateProcessor(template, subject.model.tokenizer.special_tokens_map)
    pair = text_pair(_QUERY_WORD, _DOCUMENT_WORD, subject.instruction)
    return chat.render([pair])[0]


def _tail(prompt: str) -> str:
    """What stands behind the later of the two sides."""
    ends = [prompt.rfind(word) + len(word) for word in (_QUERY_WORD, _DOCUMENT_WORD)]
    return prompt[max(ends) :]
