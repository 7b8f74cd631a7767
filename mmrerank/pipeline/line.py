"""The data line from end to end: pairs in, scores out, by windows (docs/architecture.md)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from mmrerank.engine import (
    Engine,
    EngineCaches,
    OpenVINO,
    OpenVINOEngine,
    PackedEngine,
    PaddedRunner,
    PlanReport,
    build_engine,
)
from mmrerank.errors import MMRerankError
from mmrerank.heads import Activation, Head, activation_by_name, build_head
from mmrerank.media import MediaPolicy, SourceMemo
from mmrerank.models import Backbone
from mmrerank.models.architectures import CLASSIFIERS
from mmrerank.models.vendors_code import runs_vendors_code
from mmrerank.pipeline.ahead import in_order
from mmrerank.pipeline.drafts import AnswerTally
from mmrerank.pipeline.lists import ListLine
from mmrerank.pipeline.loading import MEDIA_WEIGHT, PairLoader, handfuls, weight_of
from mmrerank.pipeline.options import CallOptions, rank_names
from mmrerank.pipeline.permuting import PermutingLine
from mmrerank.pipeline.scoring import ReadDocument, results_of
from mmrerank.pipeline.tally import CutTally
from mmrerank.pipeline.windows import Prepared, cut_seconds, gather
from mmrerank.prompting import (
    ListEncoder,
    MediaFeature,
    PairEncoder,
    WindowEncoder,
    build_encoder,
)
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
)

__all__ = ["Pipeline"]

logger = logging.getLogger(__name__)

# Enough for a few slow servers at once; each holds the decoded media of one pair.
_NUM_THREADS = min(8, 2 * (os.cpu_count() or 4))


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
        caches: EngineCaches | None = None,
        may_pack: bool = True,
        openvino: OpenVINO | None = None,
    ) -> None:
        self.spec = spec
        self._loader = PairLoader(spec, policy or MediaPolicy.local(), max_cache_bytes=256 << 20)
        is_known = not runs_vendors_code(backbone.model)
        parts = CLASSIFIERS.get(type(backbone.model).__name__) if is_known else None
        self.head: Head = build_head(spec.head, modules, backbone.model, parts)
        self.encoder: PairEncoder = build_encoder(
            spec, backbone.tokenizer, backbone.processor, scores_last=self.head.at == "last"
        )
        self.activation = activation or activation_by_name(
            spec.head.activation, num_labels=self.head.num_labels
        )
        self.runner = PaddedRunner(
            backbone.model,
            self.head,
            pad_id=_pad_id(backbone),
            token_types=self.encoder.token_types,
        )
        self._engine: Engine = build_engine(
            backbone.model,
            self.head,
            self.runner,
            token_types=self.encoder.token_types,
            caches=caches or EngineCaches(),
            may_pack=may_pack,
            encoder_decoder=spec.encoder_decoder,
            max_new_tokens=spec.listwise.max_new_tokens if spec.listwise else 0,
        )
        # What training runs, whichever backend scores.
        self._packed = self._engine if isinstance(self._engine, PackedEngine) else None
        if openvino is not None:
            self._engine = OpenVINOEngine(self._engine, backbone.model, self.head, openvino)
        self._model = backbone.model
        self._lists: ListLine | PermutingLine | None = None
        if isinstance(self.encoder, ListEncoder):
            self._lists = ListLine(
                self._loader, self.encoder, self._engine, self.head, backbone.model
            )
        elif isinstance(self.encoder, WindowEncoder):
            self._lists = PermutingLine(self._loader, self.encoder, self._engine, backbone.model)

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
        results = self.score(pairs, options or CallOptions(names=rank_names))
        return rank_scores(results, documents=None, top_k=top_k)

    def score(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions | None = None
    ) -> list[Score | DocumentError]:
        """Score pairs; the results stand in the order of the pairs."""
        return list(self.score_stream(pairs, options))

    def score_stream(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions | None = None
    ) -> Iterator[Score | DocumentError]:
        """Score pairs in the order given, a window at a time, so with bounded memory.

        A listwise model scores pairs in a row with equal query and instruction as one list, and
        gives the results of a list when it has ended; then memory grows with the longest list.
        Raises the first error of a pair, or gives a DocumentError in its place with
        on_error="record"; Stopped when `should_stop` answers True.
        """
        options = options or CallOptions()
        tally = CutTally()
        for result in self._results(pairs, options):
            tally.add(result)
            yield result
        if warning := tally.warning():
            logger.warning(warning)

    def _results(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions
    ) -> Iterator[Score | DocumentError]:
        """Results in the order of the pairs: a window at a time, or a list at a time."""
        if self._lists is not None:
            for scored in self._lists.lists(pairs, options):
                results = dict[int, Score | DocumentError](scored.failed)
                if scored.logits is not None:
                    results |= self._results_of(scored.documents, scored.logits, options)
                yield from (results[index] for index in scored.indices)
            return
        for window in self._windows(pairs, options):
            results = {**self._run(window, options), **window.failed}
            yield from (results[index] for index in window.indices)

    def _windows(
        self, pairs: Iterable[Pair | DocumentError], options: CallOptions
    ) -> Iterator[Prepared]:
        """Stages 2 to 4, in threads, while the model is busy with the window before."""
        memo = SourceMemo()
        prepared = in_order(
            lambda handful: self._prepare(handful, memo, options),
            handfuls(pairs, options.window.max_pairs),
            num_threads=_NUM_THREADS,
            max_ahead=2 * _NUM_THREADS * MEDIA_WEIGHT,
            weigh=weight_of,
        )
        return gather(prepared, options.window)

    def encode(
        self, pairs: Sequence[Pair]
    ) -> tuple[list[EncodedGroup], dict[MediaKey, MediaFeature]]:
        """Stages 2 to 4 alone: load, prepare and encode; what training and `preprocess` use."""
        if self._lists is not None:
            return self._lists.encode(pairs)
        everything = Prepared()
        for window in self._windows(pairs, CallOptions()):
            everything.add(window)
        return everything.groups, everything.features

    @property
    def trains_packed(self) -> bool:
        """Whether `logits_with_gradients` runs this model."""
        return self._packed is not None

    def logits_with_gradients(
        self, groups: Sequence[EncodedGroup], features: Mapping[MediaKey, MediaFeature]
    ) -> Tensor:
        """Raw logits (num_documents, num_labels) of encoded pairs, packed, for training."""
        assert self._packed is not None, "asked of models with trains_packed"
        device = next(self._model.parameters()).device
        return self.head.to_logits(self._packed.states_with_gradients(groups, features, device))

    def answers(self, pairs: Sequence[Pair]) -> AnswerTally:
        """How many windows of these pairs a model that writes orders answers with one."""
        assert isinstance(self._lists, PermutingLine), "asked of models that write orders"
        return self._lists.answers(pairs)

    def explain(self, pairs: Sequence[Pair], options: CallOptions | None = None) -> PlanReport:
        """What scoring these pairs would compute, as one window; nothing is run."""
        groups, features = self.encode(pairs)
        device = next(self._model.parameters()).device
        return self._engine.explain(groups, features, (options or CallOptions()).budget, device)

    # ------------------------------------------------------------ stages

    def _prepare(
        self, handful: Sequence[Pair | DocumentError], memo: SourceMemo, options: CallOptions
    ) -> Prepared:
        """Stages 2 to 4 for a handful of pairs. What was decoded is let go at the end."""
        loaded = self._loader.load(handful, options, memo)
        failed = {error.index: error for error in loaded if isinstance(error, DocumentError)}
        good = [pair for pair in loaded if isinstance(pair, LoadedPair)]
        groups, features, refused = self._encode(good, options)
        return Prepared(
            indices=[pair.index for pair in loaded],
            groups=groups,
            features=features,
            failed={**failed, **refused},
            cut_s={pair.index: seconds for pair in good if (seconds := cut_seconds(pair))},
        )

    def _encode(
        self, pairs: Sequence[LoadedPair], options: CallOptions
    ) -> tuple[list[EncodedGroup], dict[MediaKey, MediaFeature], dict[int, DocumentError]]:
        """Stages 3 and 4 at once; pair by pair only when one fails, to find and name it."""
        try:
            features = self.encoder.features_of(pairs)
            return self.encoder.encode(pairs, features), features, {}
        except MMRerankError:
            pass  # raised again below, with the pair's name
        encoded: list[EncodedGroup] = []
        features = {}
        failed: dict[int, DocumentError] = {}
        for pair in pairs:
            try:
                own = self.encoder.features_of([pair])
                encoded += self.encoder.encode([pair], own)
                features.update(own)
            except MMRerankError as error:
                failed[pair.index] = self._named(error, pair, options)
        return encoded, features, failed

    def _named(self, error: MMRerankError, pair: LoadedPair, options: CallOptions) -> DocumentError:
        """The error with the name of the side it lies in; raised where the options say so."""
        query, document = options.names(Pair(pair.index, Document(()), Document(())))
        is_query = self._fails_alone(replace(pair, document=LoadedDocument(())))
        named = type(error)(f"{query if is_query else document}: {error}")
        named.__cause__ = error.__cause__
        if options.on_error == "raise" or (is_query and options.query_must_load):
            raise named
        return DocumentError(pair.index, named)

    def _fails_alone(self, pair: LoadedPair) -> bool:
        try:
            self.encoder.encode([pair], self.encoder.features_of([pair]))
        except MMRerankError:
            return True
        return False

    def _run(self, window: Prepared, options: CallOptions) -> dict[int, Score | DocumentError]:
        """Stages 5 to 8: plan, run, head, activation."""
        groups, features = window.groups, window.features
        results: dict[int, Score | DocumentError] = {}
        device = next(self._model.parameters()).device
        batches = self._engine.run(
            groups, features, budget=options.budget, device=device, should_stop=options.should_stop
        )
        for rows, states in batches:
            with torch.inference_mode():
                logits = self.head.to_logits(states)
            documents = [
                ReadDocument(
                    index, group.num_tokens, group.num_truncated, window.cut_s.get(index, 0.0)
                )
                for group in (groups[row] for row in rows)
                for index in group.indices
            ]
            results.update(self._results_of(documents, logits, options))
        return results

    def _results_of(
        self, documents: Sequence[ReadDocument], logits: Tensor, options: CallOptions
    ) -> dict[int, Score | DocumentError]:
        with torch.inference_mode():
            # Half-precision logits move in coarse steps: the activation works on float32.
            logits = logits.float()
            values = self._activate(logits, options)
        return results_of(documents, logits, values, options)

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
