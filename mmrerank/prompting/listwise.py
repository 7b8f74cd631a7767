"""Lists of documents to the prompts of a listwise model, several documents in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mmrerank.errors import CheckpointError, InputError, SpecError, shorten
from mmrerank.locks import CopyableLock
from mmrerank.prompting.blocks import Block, BlockLimits, ListItem, blocks_of
from mmrerank.prompting.clean import without_words
from mmrerank.prompting.expand import Features
from mmrerank.prompting.features import MediaFeature
from mmrerank.prompting.template import ChatTemplateProcessor, plain_text
from mmrerank.specs import ListwiseSpec, ResolvedSpec
from mmrerank.types import EncodedGroup, LoadedDocument, LoadedPair, MediaKey, Text

__all__ = ["ListEncoder"]

# Of what the template leaves free, where max_length is short: a third for the query, shown twice.
_QUERY_SHARE = 3


class ListEncoder:
    """Query and documents through a chat template with a message for each document.

    Both sides are cut to their limits before the prompt is written, so its end always stays.
    Raises CheckpointError when the tokenizer lacks the words that scores are read from, SpecError
    for a template that lacks them, InputError when max_length leaves no room for a document.
    """

    def __init__(self, spec: ResolvedSpec, template: ChatTemplateProcessor, tokenizer: Any) -> None:
        assert spec.listwise is not None, "asked for by build_encoder"
        if spec.modalities != ("text",):
            raise SpecError(
                f"{spec.name}: listwise prompts take text alone so far; its processor names "
                f"{', '.join(spec.modalities)}"
            )
        self._name = spec.name
        self._template = template
        self._tokenizer = tokenizer
        self._lock = CopyableLock()
        self._document_id = self._id_of(spec.listwise.document_token)
        self._query_id = self._id_of(spec.listwise.query_token)
        self.limits = self._limits(spec, spec.listwise)
        self._max_query_tokens = spec.truncation.max_query_tokens or self.limits.max_tokens
        self._max_document_tokens = spec.truncation.max_document_tokens or self.limits.max_tokens
        self._is_short = self.limits.num_frame_tokens > 0
        if self._is_short:
            self._max_query_tokens = min(self._max_query_tokens, self._free() // _QUERY_SHARE)
        self.token_types: dict[int, int] = {}

    # ------------------------------------------------------------ stage 4 in two steps

    def items(self, pairs: Sequence[LoadedPair]) -> list[ListItem]:
        """Each pair with query and document cut to their own limits, in order.

        Raises InputError when an instruction leaves no room for a document.
        """
        queries = list(dict.fromkeys(plain_text(pair.query) for pair in pairs))
        query_ids = dict(zip(queries, self._ids(queries), strict=True))
        documents = [plain_text(pair.document) for pair in pairs]
        return [
            self._item(pair, query_ids[plain_text(pair.query)], text, ids)
            for pair, text, ids in zip(pairs, documents, self._ids(documents), strict=True)
        ]

    def group(self, block: Block) -> EncodedGroup:
        """The prompt of a block that holds documents.

        Raises SpecError when the template does not mark each of them, and the query behind them.
        """
        items = block.items
        prompt = self._template.render_list([item.pair for item in items])
        ids = np.asarray(self._ids([prompt])[0], dtype=np.int64)
        documents = np.flatnonzero(ids == self._document_id)
        query = np.flatnonzero(ids == self._query_id)
        if len(documents) != len(items) or len(query) == 0:
            raise SpecError(
                f"the template of {self._name} marks {len(documents)} of {len(items)} documents "
                f"and {len(query)} queries; each document needs one document_token behind it, and "
                "the query a query_token"
            )
        return EncodedGroup(
            token_ids=ids,
            score_at=tuple(map(int, documents)),
            indices=tuple(item.pair.index for item in items),
            num_truncated=sum(item.num_truncated for item in items),
            query_at=int(query[-1]),
        )

    # ------------------------------------------------------------ as any other encoder

    def features_of(self, pairs: Sequence[LoadedPair]) -> dict[MediaKey, MediaFeature]:
        """Nothing: lists are of text."""
        return {}

    def encode(self, pairs: Sequence[LoadedPair], features: Features) -> list[EncodedGroup]:
        """One group a block of these pairs, in order."""
        return [self.group(block) for block in blocks_of(self.items(pairs), self.limits)]

    def prompt(self, pair: LoadedPair) -> str:
        """The prompt of a list of this one document."""
        (item,) = self.items([pair])
        return self._template.render_list([item.pair])

    # ------------------------------------------------------------ parts

    def _item(
        self, pair: LoadedPair, query_ids: Sequence[int], document: str, ids: Sequence[int]
    ) -> ListItem:
        query = plain_text(pair.query)
        num_query = min(len(query_ids), self._max_query_tokens)
        num_head, limit = 2 * num_query, self._max_document_tokens  # the query is shown twice
        if self._is_short:
            num_head += self._num_instruction_tokens(pair.instruction)
            limit = min(limit, self._free() - num_head)
        if limit < 1:
            raise InputError(
                f"the instruction {shorten(pair.instruction)} leaves no room for a document within "
                f"max_length={self.limits.max_tokens}. Shorten it, or raise max_length."
            )
        cut = replace(
            pair,
            query=self._cut(query, query_ids, num_query),
            document=self._cut(document, ids, limit),
        )
        num_kept = min(len(ids), limit)
        return ListItem(
            # After the cut, as the vendor does it.
            pair=without_words(cut, self._template.template.remove),
            key=(query, pair.instruction),
            num_head_tokens=num_head,
            num_document_tokens=num_kept,
            max_document_tokens=limit,
            num_truncated=len(ids) - num_kept,
        )

    def _free(self) -> int:
        """Tokens of a block of one document that the template leaves to query and document."""
        limits = self.limits
        return limits.max_tokens - limits.num_frame_tokens - limits.num_item_tokens

    def _num_instruction_tokens(self, instruction: str | None) -> int:
        if instruction is None:
            return 0
        empty = LoadedDocument(())
        pairs = [LoadedPair(0, empty, empty, own) for own in (instruction, None)]
        with_it, without = self._ids([self._template.render_list([pair]) for pair in pairs])
        return len(with_it) - len(without)

    def _cut(self, text: str, ids: Sequence[int], limit: int) -> LoadedDocument:
        """The text of the first tokens; half a character at the cut becomes U+FFFD."""
        if len(ids) > limit:
            text = str(self._tokenizer.decode(list(ids[:limit])))
        return LoadedDocument((Text(text),))

    def _ids(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        with self._lock:
            rows: list[list[int]] = self._tokenizer(
                texts, add_special_tokens=False, padding=False, truncation=False, verbose=False
            )["input_ids"]
        return rows

    def _id_of(self, word: str) -> int:
        found = self._tokenizer.convert_tokens_to_ids(word)
        if found is None or found == self._tokenizer.unk_token_id:
            raise CheckpointError(
                f"{self._name}: the tokenizer has no token {word!r}, which scores are read from. "
                "It is another kind of model than its config.json says."
            )
        return int(found)

    def _limits(self, spec: ResolvedSpec, listwise: ListwiseSpec) -> BlockLimits:
        """The family's limits, or a shorter one of the caller's.

        The vendor leaves the template out of its count, which a short limit does not bear.
        """
        most = int(self._tokenizer.model_max_length)
        own, asked = listwise.max_tokens or most, spec.truncation.max_length or most
        if asked >= own:
            return BlockLimits(listwise.max_documents, own)
        limits = BlockLimits(listwise.max_documents, asked, *self._frame(listwise.max_documents))
        free = asked - limits.num_frame_tokens - limits.num_item_tokens
        if free < _QUERY_SHARE:
            raise InputError(
                f"max_length={asked}: the template of {self._name} alone takes {asked - free} "
                "tokens, which leaves no room for query and document. Raise max_length."
            )
        return limits

    def _frame(self, max_documents: int) -> tuple[int, int]:
        """Most tokens that the template writes around a block, and around each document."""
        empty = LoadedDocument(())
        one, two, many, more = (
            len(self._ids([self._template.render_list([LoadedPair(0, empty, empty)] * count)])[0])
            for count in (1, 2, max_documents, max_documents + 1)
        )
        item = more - many  # the last numbers have the most digits, and so has their count
        return one - (two - one) + item - (two - one), item
