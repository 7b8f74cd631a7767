"""A pair becomes messages, messages become a prompt string with one placeholder a medium."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

from jinja2.exceptions import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from mmrerank.errors import InputError, SpecError
from mmrerank.specs import TemplateSpec
from mmrerank.types import LoadedDocument, LoadedMedia, LoadedPair, Text

__all__ = ["ChatTemplateProcessor", "Role", "answer_opening", "plain_text"]

logger = logging.getLogger(__name__)

Role: TypeAlias = Literal["query", "document"]

# Letters of a private use area: no template changes them, and no text is trimmed for them.
_MARKS = tuple(map(chr, range(0xE000, 0xF900)))
_QUERY_MARK, _DOCUMENT_MARK = _MARKS[:2]

# How a template is tokenised -> its variable that stands between the pieces.
_VARIABLE_OF_MARK = {"parts": "part", "decoder": "decoder"}


class ChatTemplateProcessor:
    """Renders pairs through a chat template with the roles system (the instruction), query and
    document.

    The template runs in transformers' sandbox. special_tokens: its variables bos_token, eos_token,
    … A template that is tokenised in pieces writes its variable `part` or `decoder` between them.
    """

    def __init__(
        self, template: TemplateSpec, special_tokens: Mapping[str, Any] | None = None
    ) -> None:
        self.template = template
        self._variables = {**(special_tokens or {}), **template.options}
        self._has_warned = False

    def free_mark(self, pairs: Sequence[LoadedPair]) -> str:
        """A letter that no text of these pairs holds, to stand between parts; "" for a template
        that is tokenised as a whole.
        """
        return "" if self.template.tokenize == "whole" else _free_letter(self.template, pairs)

    def unused_letter(self, pairs: Sequence[LoadedPair]) -> str:
        """A letter that neither the template nor a text of these pairs holds."""
        return _free_letter(self.template, pairs)

    def render(self, pairs: Sequence[LoadedPair], part: str = "") -> list[str]:
        """One prompt a pair; media stand as the template's placeholder, to be expanded by the
        encoder, and `part` between parts that are tokenised by themselves.

        Raises SpecError with the template's own words when it refuses the messages.
        """
        return self._render([self.messages(pair) for pair in pairs], part)

    def render_list(self, pairs: Sequence[LoadedPair]) -> str:
        """One prompt with the documents of all pairs; query and instruction are the first one's.

        Raises SpecError as `render` does.
        """
        first, *others = (self.messages(pair) for pair in pairs)
        return self._render([[*first, *(messages[-1] for messages in others)]])[0]

    def messages(self, pair: LoadedPair) -> list[dict[str, Any]]:
        """The messages that the template sees."""
        messages = [
            {"role": "query", "content": self._content(pair.query)},
            {"role": "document", "content": self._content(pair.document)},
        ]
        return self._instruction(pair.instruction or self.template.instruction) + messages

    @cached_property
    def is_document_first(self) -> bool:
        """Whether the document stands before the query in the prompt; found by rendering marks."""
        prompt = self._render_marks()
        return prompt.index(_DOCUMENT_MARK) < prompt.index(_QUERY_MARK)

    @cached_property
    def sets_media_apart(self) -> bool:
        """Whether a document's pictures stand in front of the query, and its text behind; found by
        rendering marks.
        """
        if self.template.content == "flat":
            return False
        text = {"type": "text", "text": _DOCUMENT_MARK}
        picture = {"type": "image", "image": ""}
        query = {"role": "query", "content": self._content(_text(_QUERY_MARK))}
        documents = [{"role": "document", "content": c} for c in ([text], [text, picture])]
        try:
            prompts = self._render([[query, document] for document in documents])
        except SpecError:  # it takes no pictures
            return False
        without, with_picture = (prompt.partition(_QUERY_MARK)[0] for prompt in prompts)
        return _DOCUMENT_MARK not in with_picture and without != with_picture

    @cached_property
    def carries_instruction(self) -> bool:
        """Whether an instruction reaches the prompt; found by rendering marks."""
        pair = LoadedPair(0, _text("q"), _text("d"), instruction=_QUERY_MARK)
        return _QUERY_MARK in self._render([self.messages(pair)])[0]

    def warn_of_lost_instruction(self, pairs: Sequence[LoadedPair]) -> None:
        """Say once that instructions are given and the template does not carry them."""
        if self._has_warned or not any(pair.instruction for pair in pairs):
            return
        self._has_warned = True
        if not self.carries_instruction:
            logger.warning(
                "the template of this model has no place for an instruction: prompt=... and stored "
                "prompts change nothing. Put it into the query, or leave it out."
            )

    def check_roles(self, model_name: str) -> None:
        """Raise SpecError when the template does not carry both the query and the document to the
        prompt.
        """
        try:
            prompt = self._render_marks()
            lost = [
                name
                for name, mark in (("query", _QUERY_MARK), ("document", _DOCUMENT_MARK))
                if mark not in prompt
            ]
        except SpecError as error:
            lost = [str(error)]
        if lost:
            raise SpecError(
                f"The chat template of {model_name} cannot carry a 'query'/'document' pair (the "
                f"{' and '.join(lost)} content does not reach the rendered prompt). Give a "
                "template that renders messages of roles query and document: processor=..., "
                'processor_kwargs={"chat_template": ...}, or a chat_template.jinja in the folder.'
            )
        if self.template.tokenize == "decoder":
            self._check_decoder(model_name)

    def _check_decoder(self, model_name: str) -> None:
        """The document in front of the one {{ decoder }}, the query behind it."""
        mark = _MARKS[2]
        encoder, *decoder = self._render_marks(mark).split(mark)
        if len(decoder) != 1 or _DOCUMENT_MARK not in encoder or _QUERY_MARK not in decoder[0]:
            raise SpecError(
                f"The chat template of {model_name} must write {{{{ decoder }}}} once, behind the "
                "document, which the encoder reads, and in front of the query."
            )

    def around(self, pair: LoadedPair, role: Role, part: str = "") -> tuple[str, str]:
        """The prompt, as `render` gives it, before and after one side of a pair.

        That side is cut out by rendering a mark in its place, so a template that trims its text is
        still told apart from it. Of a template that sets media apart, they are not cut out.
        """
        mark = _free_letter(self.template, [pair], part)
        whole = pair.query if role == "query" else pair.document
        kept = [part for part in whole.parts if isinstance(part, LoadedMedia)]
        parts = (*(kept if self.sets_media_apart else ()), Text(mark))
        side: dict[str, Any] = {role: LoadedDocument(parts)}
        prompt = self._render([self.messages(replace(pair, **side))], part)[0]
        before, _, after = prompt.partition(mark)
        return before, after

    def _render_marks(self, part: str = "") -> str:
        pair = LoadedPair(0, _text(_QUERY_MARK), _text(_DOCUMENT_MARK))
        return self._render([self.messages(pair)], part)[0]

    def _instruction(self, instruction: str | None) -> list[dict[str, Any]]:
        if instruction is None:
            return []
        return [{"role": "system", "content": self._content(_text(instruction))}]

    def _content(self, document: LoadedDocument) -> str | list[dict[str, Any]]:
        if self.template.content == "flat":
            return plain_text(document)
        # The key of the modality is there too: some templates look for it instead of the type.
        return [
            {"type": "text", "text": part.text}
            if isinstance(part, Text)
            else {"type": part.modality, part.modality: ""}
            for part in document.parts
        ]

    def _render(self, conversations: list[list[dict[str, Any]]], part: str = "") -> list[str]:
        variables = self._variables
        if part:
            variables = {**variables, _VARIABLE_OF_MARK[self.template.tokenize]: part}
        try:
            prompts = render_jinja_template(
                conversations, chat_template=self.template.text, **variables
            )
        except TemplateError as error:
            raise SpecError(f"the chat template refuses these messages: {error}") from error
        return list(prompts[0])


def _free_letter(template: TemplateSpec, pairs: Sequence[LoadedPair], taken: str = "") -> str:
    """A letter in none of the texts that a prompt is made of, so that finding it is no accident."""
    texts = [template.text, template.instruction or "", taken]
    for pair in pairs:
        texts.append(pair.instruction or "")
        parts = (*pair.query.parts, *pair.document.parts)
        texts += [part.text for part in parts if isinstance(part, Text)]
    for mark in _MARKS:
        if not any(mark in text for text in texts):
            return mark
    raise InputError(
        "the texts hold every letter of Unicode's private use area (U+E000 to U+F8FF), of which "
        "one is needed to mark places in the prompt. Take some out."
    )


def answer_opening(own_template: Any, special_tokens: Mapping[str, Any]) -> str | None:
    """What a checkpoint's own chat template writes in front of an answer, behind a user's turn.

    Models of one family open their answers in different ways, some with an empty thought. None
    where there is no chat template, or none that opens answers.
    Raises SpecError where it refuses a plain turn of the user.
    """
    if isinstance(own_template, Mapping):
        own_template = own_template.get("default")
    if not own_template:
        return None
    turn = [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
    try:
        closed, opened = (
            render_jinja_template(
                [turn], chat_template=own_template, **special_tokens, add_generation_prompt=opens
            )[0][0]
            for opens in (False, True)
        )
    except TemplateError as error:
        raise SpecError(
            f"the checkpoint's own chat template refuses a turn of the user: {error}"
        ) from error
    return str(opened[len(closed) :]) if opened.startswith(closed) else None


def _text(text: str) -> LoadedDocument:
    return LoadedDocument((Text(text),))


def plain_text(document: LoadedDocument) -> str:
    """The text of a document; its text parts in order, a line each."""
    assert not any(isinstance(part, LoadedMedia) for part in document.parts), (
        "media were refused before"
    )
    return "\n".join(part.text for part in document.parts if isinstance(part, Text))
