"""The line of models that write down an order: lists, windows, answers, orders."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from mmrerank.engine import Engine
from mmrerank.errors import MMRerankError
from mmrerank.media import SourceMemo
from mmrerank.pipeline.ahead import in_order
from mmrerank.pipeline.drafts import (
    AnswerTally,
    ListDraft,
    WindowMember,
    drafts_of,
    gather_drafts,
)
from mmrerank.pipeline.lists import ScoredList
from mmrerank.pipeline.loading import MEDIA_WEIGHT, PairLoader, handfuls, weight_of
from mmrerank.pipeline.options import CallOptions
from mmrerank.pipeline.sliding import window_places
from mmrerank.prompting import MediaFeature, WindowEncoder, WindowPrompt
from mmrerank.types import Document, DocumentError, EncodedGroup, LoadedPair, MediaKey, Pair

__all__ = ["PermutingLine"]

logger = logging.getLogger(__name__)

_NUM_THREADS, _WINDOWS_AHEAD = 4, 8
# Bytes of media at once, beside what other models get: a step of an answer costs the same for one
# window and for eight, and a window holds several pictures.
_MEDIA_ROOM = 4
Features = dict[MediaKey, MediaFeature]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A window that is due. places: [start, end) in the order of its list so far."""

    draft: ListDraft
    places: tuple[int, int]


class PermutingLine:
    """Pairs to whole lists: pairs in a row with equal query and instruction are one list.

    A window of a list depends on the answers before it; windows of several lists go to the model
    together. Which windows a list has depends on its own documents alone. model: asked where it is.
    """

    def __init__(
        self, loader: PairLoader, encoder: WindowEncoder, engine: Engine, model: Any
    ) -> None:
        self._loader = loader
        self._encoder = encoder
        self._engine = engine
        self._model = model

    def lists(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions
    ) -> Iterator[ScoredList]:
        """Lists in order; their decoded media are held until their order is known.

        Warns at the end of a call of windows whose answer was no permutation.
        """
        tally = AnswerTally()
        limit = replace(options.window, max_bytes=_MEDIA_ROOM * options.window.max_bytes)
        for drafts in gather_drafts(drafts_of(self._members(pairs, options)), limit):
            self._order(drafts, options, tally)
            yield from (draft.scored() for draft in drafts)
        if warning := tally.warning():
            logger.warning(warning)

    def answers(self, pairs: Sequence[Pair]) -> AnswerTally:
        """How many windows these pairs have, and how many of them are answered."""
        tally, options = AnswerTally(), CallOptions()
        self._order(list(drafts_of(self._members(pairs, options))), options, tally)
        return tally

    def encode(self, pairs: Sequence[Pair]) -> tuple[list[EncodedGroup], Features]:
        """The prompt that each list begins with, that of its last documents; the others depend on
        the answers.
        """
        features: Features = {}
        groups = []
        for draft in drafts_of(self._members(pairs, CallOptions())):
            items = draft.items[-self._encoder.listwise.max_documents :]
            own = self._encoder.features_of([item.pair for item in items])
            features.update(own)
            groups.append(self._encoder.window(items, own).group)
        return groups, features

    # ------------------------------------------------------------ lists

    def _members(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions
    ) -> Iterator[WindowMember]:
        """Stage 2, and the checks of stage 3, in threads ahead of the model."""
        memo = SourceMemo()
        members = in_order(
            lambda handful: [
                self._member(pair, options) for pair in self._loader.load(handful, options, memo)
            ],
            handfuls(pairs, options.window.max_pairs),
            num_threads=_NUM_THREADS,
            max_ahead=2 * _NUM_THREADS * MEDIA_WEIGHT,
            weigh=weight_of,
        )
        return chain.from_iterable(members)

    def _member(self, pair: LoadedPair | DocumentError, options: CallOptions) -> WindowMember:
        """What a window shows of a pair. A picture is prepared here, to know that it can be."""
        if isinstance(pair, DocumentError):
            return pair
        try:
            return self._encoder.items([pair], self._encoder.features_of([pair]))[0]
        except MMRerankError as error:
            query, document = options.names(Pair(pair.index, Document(()), Document(())))
            is_query = self._encoder.is_query_refused(pair)
            named = type(error)(f"{query if is_query else document}: {error}")
            if options.on_error == "raise" or (is_query and options.query_must_load):
                raise named from error
            return DocumentError(pair.index, named)

    # ------------------------------------------------------------ windows

    def _order(self, drafts: Sequence[ListDraft], options: CallOptions, tally: AnswerTally) -> None:
        """One window of each list after the other, from the end of the lists to their front."""
        said = self._encoder.listwise
        places = [
            window_places(len(draft.items), said.max_documents, said.stride) for draft in drafts
        ]
        for step in range(max(map(len, places), default=0)):
            asked = [
                _Asked(draft, own[step])
                for draft, own in zip(drafts, places, strict=True)
                if step < len(own)
            ]
            self._ask(asked, options, tally)

    def _ask(self, asked: Sequence[_Asked], options: CallOptions, tally: AnswerTally) -> None:
        """Windows of different lists, as many at once as their media allow."""
        prompts = in_order(self._prompt, asked, num_threads=_NUM_THREADS, max_ahead=_WINDOWS_AHEAD)
        waiting: list[tuple[_Asked, WindowPrompt]] = []
        features: Features = {}
        most = _MEDIA_ROOM * options.window.max_bytes
        for window, (prompt, own) in zip(asked, prompts, strict=True):
            waiting.append((window, prompt))
            features.update(own)
            if sum(feature.num_bytes for feature in features.values()) >= most:
                self._answer(waiting, features, options, tally)
                waiting, features = [], {}
        self._answer(waiting, features, options, tally)

    def _prompt(self, window: _Asked) -> tuple[WindowPrompt, Features]:
        items = window.draft.at(window.places)
        features = self._encoder.features_of([item.pair for item in items])
        return self._encoder.window(items, features), features

    def _answer(
        self,
        waiting: Sequence[tuple[_Asked, WindowPrompt]],
        features: Features,
        options: CallOptions,
        tally: AnswerTally,
    ) -> None:
        """Run the model and put what it wrote into the lists."""
        groups = [prompt.group for _, prompt in waiting]
        device = next(self._model.parameters()).device
        batches = self._engine.run(
            groups, features, budget=options.budget, device=device, should_stop=options.should_stop
        )
        for rows, written in batches:
            for row, ids in zip(rows, written.tolist(), strict=True):
                window, prompt = waiting[row]
                found = self._encoder.order(ids, len(prompt.group.indices))
                window.draft.put(window.places, prompt, found)
                tally.num_windows += 1
                tally.num_unanswered += found is None
