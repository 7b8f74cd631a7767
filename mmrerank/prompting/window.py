"""Windows of a list to prompts that ask for their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmrerank.errors import InputError, SpecError
from mmrerank.prompting.answers import order_of
from mmrerank.prompting.expand import Expander, Features, Prompt
from mmrerank.prompting.features import MediaFeature, Preparer
from mmrerank.prompting.room import cut_texts, room_of
from mmrerank.prompting.template import ChatTemplateProcessor, plain_text
from mmrerank.prompting.tokenise import PromptTokenizer
from mmrerank.specs import ResolvedSpec
from mmrerank.types import (
    EncodedGroup,
    LoadedDocument,
    LoadedMedia,
    LoadedPair,
    MediaKey,
    MediaSpan,
    Text,
)

__all__ = ["WindowEncoder", "WindowItem", "WindowPrompt"]


@dataclass(frozen=True, slots=True, eq=False)
class WindowItem:
    """One document of a list, ready for any window. key: query and instruction as given."""

    pair: LoadedPair
    key: tuple[str, str | None]


@dataclass(frozen=True, slots=True, eq=False)
class WindowPrompt:
    """The prompt of a window. num_truncated: tokens cut off, of each document."""

    group: EncodedGroup
    num_truncated: tuple[int, ...]


class WindowEncoder:
    """Query and documents through a chat template with a message for each document, and answers
    back to orders.

    A document is a text or one picture. Texts are cut to an equal share of what a window has room
    for, so the end of the prompt always stays.
    Raises InputError when max_length leaves no room for a window.
    """

    def __init__(
        self,
        spec: ResolvedSpec,
        template: ChatTemplateProcessor,
        tokenizer: Any,
        media: Preparer | None,
    ) -> None:
        assert spec.listwise is not None, "asked for by build_encoder"
        self.listwise = spec.listwise
        self._name = spec.name
        self._template = template
        self._media = media
        self._decoder = tokenizer
        self._tokenizer = PromptTokenizer(
            tokenizer, template.template, has_processor=media is not None
        )
        self.token_types: dict[int, int] = media.token_types if media else {}
        self._expander = Expander(
            media.placeholders if media else {},
            reserved=tokenizer.convert_ids_to_tokens(list(self.token_types)),
        )
        self._placeholder_ids = np.array(sorted(self.token_types), dtype=np.int64)
        self._room = room_of(spec, int(tokenizer.model_max_length), self._frame())

    # ------------------------------------------------------------ stage 3 and 4 in two steps

    def items(self, pairs: Sequence[LoadedPair], features: Features) -> list[WindowItem]:
        """Each pair with its query cut to its limit, in order.

        Raises InputError when a document is neither a text nor one picture, when a picture is too
        large for a window, or when a text contains a placeholder of the model.
        """
        self._template.warn_of_lost_instruction(pairs)
        return [self._item(pair, features) for pair in pairs]

    def is_query_refused(self, pair: LoadedPair) -> bool:
        """Whether what is wrong with a pair lies in its query."""
        try:
            self._expander.refuse_placeholders(replace(pair, document=LoadedDocument(())))
        except InputError:
            return True
        return False

    def window(self, items: Sequence[WindowItem], features: Features) -> WindowPrompt:
        """The prompt of these documents of one list, in this order.

        Raises SpecError when the template does not show each of them.
        """
        pairs = [item.pair for item in items]
        keys = [key for pair in pairs for key in _keys(pair.document)]
        mark = self._template.unused_letter(pairs)
        marked = [replace(pair, document=_marked(pair.document, mark)) for pair in pairs]
        shown = self._expander.expand(self._template.render_list(marked), keys, features)
        pieces = shown.text.split(mark)
        num_texts = len(pairs) - len(keys)
        if len(pieces) != 2 * num_texts + 1 or len(shown.keys) != len(keys):
            raise SpecError(
                f"the template of {self._name} shows {len(pieces) // 2 + len(shown.keys)} of "
                f"{len(pairs)} documents; a window needs each of them once, in their order"
            )
        prompt = "".join(pieces)
        ids = np.asarray(self._tokenizer.ids([prompt], "")[0][0], dtype=np.int64)
        limit = self._room.with_media if keys else self._room.texts
        cut = [0] * num_texts
        if limit is not None and len(ids) > limit:
            ids, cut = cut_texts(ids, self._tokenizer.offsets(prompt, ""), pieces, limit)
        return WindowPrompt(
            EncodedGroup(
                token_ids=ids,
                score_at=(len(ids) - 1,) * len(pairs),
                indices=tuple(pair.index for pair in pairs),
                media=self._spans(ids, shown, features),
                num_truncated=sum(cut),
            ),
            _at_texts(pairs, cut),
        )

    def order(self, answer_ids: Sequence[int], num_documents: int) -> list[int] | None:
        """What the model wrote behind a prompt, as places in its window, best first; None where it
        is no permutation of them.
        """
        answer = str(self._decoder.decode(answer_ids, skip_special_tokens=True))
        return order_of(answer, num_documents, self.listwise)

    # ------------------------------------------------------------ as any other encoder

    def features_of(self, pairs: Sequence[LoadedPair]) -> dict[MediaKey, MediaFeature]:
        """Prepare each distinct medium of these pairs once."""
        found: dict[MediaKey, MediaFeature] = {}
        for pair in pairs:
            for part in pair.document.parts:
                if isinstance(part, LoadedMedia) and part.key not in found:
                    assert self._media is not None, "media were refused before"
                    found[part.key] = self._media.prepare(part)
        return found

    def encode(self, pairs: Sequence[LoadedPair], features: Features) -> list[EncodedGroup]:
        """One window a pair, of its document alone."""
        return [self.window([item], features).group for item in self.items(pairs, features)]

    def prompt(self, pair: LoadedPair) -> str:
        """The prompt of a window of this one document; a picture stands as one placeholder."""
        return self._template.render_list([pair])

    # ------------------------------------------------------------ parts

    def _item(self, pair: LoadedPair, features: Features) -> WindowItem:
        self._expander.refuse_placeholders(pair)
        query = plain_text(pair.query)
        cut = self._cut_query(query)
        self._check_document(pair.document, features)
        document = pair.document if _keys(pair.document) else _text(plain_text(pair.document))
        whole = replace(pair, query=_text(cut), document=document, instruction=None)
        return WindowItem(whole, (query, pair.instruction))

    def _check_document(self, document: LoadedDocument, features: Features) -> None:
        keys = _keys(document)
        if not keys:
            return
        if len(document.parts) > 1:
            raise InputError(
                f"the document has {len(document.parts)} parts ({_parts_of(document)}); "
                f"{self._name} takes a text or one picture. Give one of the two."
            )
        room, num_tokens = self._room.picture, features[keys[0]].num_tokens
        if room is not None and num_tokens > room:
            raise InputError(
                f"the picture takes {num_tokens:,} tokens; a window of "
                f"{self.listwise.max_documents} documents within "
                f"max_length={self._room.with_media:,} has room for {room:,} of each. Give a "
                "smaller picture, or raise max_length."
            )

    def _cut_query(self, query: str) -> str:
        ids = self._tokenizer.ids([query], "")[0][0]
        if len(ids) <= self._room.query:
            return query
        return str(self._decoder.decode(ids[: self._room.query]))

    def _spans(self, ids: np.ndarray, prompt: Prompt, features: Features) -> tuple[MediaSpan, ...]:
        positions = np.flatnonzero(np.isin(ids, self._placeholder_ids))
        spans, taken = [], 0
        for key in prompt.keys:
            own = positions[taken : taken + features[key].num_tokens]
            spans.append(MediaSpan(int(own[0]), int(own[-1] - own[0] + 1), key))
            taken += len(own)
        return tuple(spans)

    def _frame(self) -> int:
        """Tokens that the template writes around a window of texts."""
        empty = [LoadedPair(0, _text(""), _text(""))] * self.listwise.max_documents
        return len(self._tokenizer.ids([self._template.render_list(empty)], "")[0][0])


def _keys(document: LoadedDocument) -> list[MediaKey]:
    return [part.key for part in document.parts if isinstance(part, LoadedMedia)]


def _text(text: str) -> LoadedDocument:
    return LoadedDocument((Text(text),))


def _marked(document: LoadedDocument, mark: str) -> LoadedDocument:
    return document if _keys(document) else _text(mark + plain_text(document) + mark)


def _parts_of(document: LoadedDocument) -> str:
    return ", ".join(part.modality for part in document.parts)


def _at_texts(pairs: Sequence[LoadedPair], cut: Sequence[int]) -> tuple[int, ...]:
    """What was cut of each document, 0 for pictures."""
    of_texts = iter(cut)
    return tuple(0 if _keys(pair.document) else next(of_texts) for pair in pairs)
