"""The data line from end to end: pairs in, scores out, by windows (docs/architecture.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from mmrerank.engine import Engine, PaddedRunner, TokenBudget
from mmrerank.errors import MMRerankError, UnsupportedModality
from mmrerank.heads import Activation, Head, activation_by_name, build_head
from mmrerank.media import MediaCache, MediaPolicy, load_documents
from mmrerank.models import Backbone
from mmrerank.prompting import MediaFeature, PairEncoder, build_encoder
from mmrerank.results import Ranking, rank_scores
from mmrerank.specs import ResolvedSpec
from mmrerank.types import (
    Document,
    DocumentError,
    EncodedGroup,
    LoadedDocument,
    LoadedPair,
    MediaKey,
    Pair,
    Score,
    Text,
)

__all__ = ["CallOptions", "Pipeline", "Window"]

logger = logging.getLogger(__name__)

OnError: TypeAlias = Literal["raise", "record"]
Names: TypeAlias = Callable[[Pair], tuple[str, str]]


def _predict_names(pair: Pair) -> tuple[str, str]:
    return f"inputs[{pair.index}] (query)", f"inputs[{pair.index}] (document)"


def _rank_names(pair: Pair) -> tuple[str, str]:
    return "query", f"documents[{pair.index}]"


@dataclass(frozen=True, slots=True)
class Window:
    """How many pairs are decoded and encoded before the model runs: at most so many, or so many
    bytes of media.
    """

    max_pairs: int = 256
    max_bytes: int = 128 << 20  # tensors for the towers take about eight times that


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What one call asks for.

    activation: None = the model's. on_error "record" puts a DocumentError in the place of a bad
    pair.
    should_stop is asked before each batch. names: how errors name the two sides of a pair.
    query_must_load: an error of the query is raised whatever on_error says.
    """

    budget: TokenBudget = field(default_factory=TokenBudget)
    activation: Activation | None = None
    apply_softmax: bool = False
    on_error: OnError = "raise"
    should_stop: Callable[[], bool] | None = None
    window: Window = Window()
    names: Names = field(default=_predict_names)
    query_must_load: bool = False


class Pipeline:
    """One loaded model with everything decided; safe to call from several threads.

    It borrows the model and modules it is given: device and weights are read from them at each
    call.
    """

    def __init__(
        self,
        backbone: Backbone,
        modules: Sequence[nn.Module],
        spec: ResolvedSpec,
        *,
        policy: MediaPolicy | None = None,
        activation: Activation | None = None,
    ) -> None:
        self.spec = spec
        self.policy = policy or MediaPolicy.local()
        self.encoder: PairEncoder = build_encoder(spec, backbone.tokenizer, backbone.processor)
        self.head: Head = build_head(spec.head, modules, backbone.model)
        self.activation = activation or activation_by_name(
            spec.head.activation, num_labels=self.head.num_labels
        )
        self.runner = PaddedRunner(
            backbone.model,
            self.head,
            pad_id=_pad_id(backbone),
            token_types=self.encoder.token_types,
        )
        self._engine = Engine(self.runner)
        self._model = backbone.model
        self._media = MediaCache(max_bytes=256 << 20)

    def rank(
        self,
        query: Document,
        documents: Sequence[Document],
        *,
        instruction: str | None = None,
        top_k: int | None = None,
        options: CallOptions | None = None,
    ) -> Ranking:
        """Order documents by their score for the query, best first."""
        pairs = [
            Pair(index, query, document, instruction) for index, document in enumerate(documents)
        ]
        results = self.score(pairs, options or CallOptions(names=_rank_names))
        return rank_scores(results, documents=None, top_k=top_k)

    def score(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions | None = None
    ) -> list[Score | DocumentError]:
        """Score pairs; the results stand in the order of the pairs."""
        return list(self.score_stream(pairs, options))

    def score_stream(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions | None = None
    ) -> Iterator[Score | DocumentError]:
        """Score pairs in the order given, a window at a time: memory is bounded however many there
        are.

        Raises the first error of a pair, or gives a DocumentError in its place with
        on_error="record";
        Stopped when `should_stop` answers True.
        """
        options = options or CallOptions()
        num_truncated = 0
        for window in self._windows(pairs, options):
            loaded = [pair for pair in window if isinstance(pair, LoadedPair)]
            encoded, features, failed = self._encode(loaded, options.on_error)
            scores = self._run(encoded, features, options)
            failed.update(
                {error.index: error for error in window if isinstance(error, DocumentError)}
            )
            num_truncated += sum(group.num_truncated > 0 for group in encoded)
            results: dict[int, Score | DocumentError] = {**scores, **failed}
            yield from (results[pair.index] for pair in window)
        if num_truncated:
            logger.warning(
                "%d of the documents were longer than the model takes and were cut; "
                "the details of the result say which. Raise max_length to keep more.",
                num_truncated,
            )

    def encode(
        self, pairs: Sequence[Pair]
    ) -> tuple[list[EncodedGroup], dict[MediaKey, MediaFeature]]:
        """Stages 2 to 4 alone: load, prepare and encode; what training and `preprocess` use."""
        loaded = self._load(pairs, CallOptions())
        good = [pair for pair in loaded if isinstance(pair, LoadedPair)]
        features = self.encoder.features_of(good)
        return self.encoder.encode(good, features), features

    # ------------------------------------------------------------ stages

    def _windows(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions
    ) -> Iterator[list[LoadedPair | DocumentError]]:
        """Stage 2. Pairs are loaded a handful at a time until the window is full."""
        window: list[LoadedPair | DocumentError] = []
        for handful in _chunks(pairs, 16):
            window += self._load(handful, options)
            if (
                len(window) >= options.window.max_pairs
                or _num_bytes(window) >= options.window.max_bytes
            ):
                yield window
                window = []
        if window:
            yield window

    def _load(
        self, pairs: Sequence[Pair | DocumentError], options: CallOptions
    ) -> list[LoadedPair | DocumentError]:
        """Stage 2 for a handful of pairs: refuse what the model cannot take, then open the rest."""
        results: dict[int, LoadedPair | DocumentError] = {}
        takeable = []
        for pair in pairs:
            if isinstance(pair, DocumentError):
                results[pair.index] = pair
                continue
            refused = self._refusals(pair, options.names(pair))
            if any(refused):
                results[pair.index] = _record(pair.index, refused, options)
            else:
                takeable.append(pair)
        for pair, sides in zip(takeable, self._load_sides(takeable, options.names), strict=True):
            failed = tuple(side if isinstance(side, Exception) else None for side in sides)
            if any(failed):
                results[pair.index] = _record(pair.index, failed, options)
            else:
                results[pair.index] = LoadedPair(pair.index, *sides, pair.instruction)
        return [results[pair.index] for pair in pairs]

    def _load_sides(self, pairs: Sequence[Pair], names: Names) -> list[tuple[Any, Any]]:
        """Query and document of each pair, decoded; an exception in the place of a side that
        failed.
        """
        sides = [side for pair in pairs for side in (pair.query, pair.document)]
        if all(isinstance(part, Text) for side in sides for part in side.parts):
            plain = [LoadedDocument(side.parts) for side in sides]  # type: ignore[arg-type]
            return list(zip(plain[::2], plain[1::2], strict=True))
        labels = [name for pair in pairs for name in names(pair)]
        loaded = load_documents(
            sides, self.spec.budget.decode, self.policy, names=labels, cache=self._media
        )
        return list(zip(loaded[::2], loaded[1::2], strict=True))

    def _refusals(self, pair: Pair, names: tuple[str, str]) -> tuple[Exception | None, ...]:
        """Why this model cannot take the query, the document; asked before anything is opened."""
        return tuple(
            self._refusal(side, name)
            for name, side in zip(names, (pair.query, pair.document), strict=True)
        )

    def _refusal(self, side: Document, name: str) -> UnsupportedModality | None:
        for modality in side.modalities:
            if modality not in self.spec.modalities:
                return UnsupportedModality(
                    f"{name} holds {modality}, {self.spec.name} takes "
                    f"{', '.join(self.spec.modalities)}. Use a model that takes it, or wrap a text "
                    "that looks like a file in mmrerank.Text(...)."
                )
        return None

    def _encode(
        self, pairs: Sequence[LoadedPair], on_error: OnError
    ) -> tuple[list[EncodedGroup], dict[MediaKey, MediaFeature], dict[int, DocumentError]]:
        """Stages 3 and 4. All at once; one by one only when one of them fails and errors are
        recorded.
        """
        try:
            features = self.encoder.features_of(pairs)
            return self.encoder.encode(pairs, features), features, {}
        except MMRerankError:
            if on_error == "raise":
                raise
        encoded: list[EncodedGroup] = []
        features = {}
        failed: dict[int, DocumentError] = {}
        for pair in pairs:
            try:
                own = self.encoder.features_of([pair])
                encoded += self.encoder.encode([pair], own)
                features.update(own)
            except MMRerankError as error:
                failed[pair.index] = DocumentError(pair.index, error)
        return encoded, features, failed

    def _run(
        self,
        groups: Sequence[EncodedGroup],
        features: dict[MediaKey, MediaFeature],
        options: CallOptions,
    ) -> dict[int, Score]:
        """Stages 5 to 8: plan, run, head, activation."""
        scores: dict[int, Score] = {}
        device = next(self._model.parameters()).device
        batches = self._engine.run(
            groups, features, budget=options.budget, device=device, should_stop=options.should_stop
        )
        for plan, states in batches:
            with torch.inference_mode():
                # Half-precision logits move in coarse steps: the activation works on float32.
                logits = self.head.to_logits(states).float()
                values = self._activate(logits, options)
            owners = [(groups[row], index) for row in plan.rows for index in groups[row].indices]
            for (group, index), row_logits, value in zip(
                owners, _rows(logits), _rows(values), strict=True
            ):
                scores[index] = Score(
                    index, row_logits, value, group.num_tokens, group.num_truncated
                )
        return scores

    def _activate(self, logits: Tensor, options: CallOptions) -> Tensor:
        """logits: (documents, num_labels). Returns (documents,) for one label."""
        values = (options.activation or self.activation)(logits)
        if self.head.num_labels == 1 and values.ndim > 1:
            return values.squeeze(-1)
        return torch.softmax(values, dim=1) if options.apply_softmax and values.ndim > 1 else values


def _pad_id(backbone: Backbone) -> int:
    """Any id will do behind the mask, except for classifiers that look for the last token that is
    not it.
    """
    for value in (
        backbone.tokenizer.pad_token_id,
        backbone.model.config.get_text_config().pad_token_id,
    ):
        if value is not None:
            return int(value)
    return 0


def _record(
    index: int, errors: tuple[Exception | None, ...], options: CallOptions
) -> DocumentError:
    """Raise the first error of (query, document), or put it in the pair's place."""
    error = next(error for error in errors if error is not None)
    if options.on_error == "raise" or (options.query_must_load and error is errors[0]):
        raise error
    return DocumentError(index, error)


def _rows(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().float().cpu().numpy()
    return array


def _num_bytes(window: Sequence[LoadedPair | DocumentError]) -> int:
    """Bytes of decoded media in a window, each distinct medium counted once."""
    distinct = {
        part.key: part.media.num_bytes
        for pair in window
        if isinstance(pair, LoadedPair)
        for part in (*pair.query.parts, *pair.document.parts)
        if not isinstance(part, Text)
    }
    return sum(distinct.values())


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
