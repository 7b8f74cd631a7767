"""CrossEncoder: the peer's signatures, translated to the Pipeline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn
from tqdm.auto import tqdm

from mmrerank.cross_encoder import calls, evaluating, fitting
from mmrerank.cross_encoder.arguments import checked_arguments
from mmrerank.cross_encoder.backends import check_device, read_backend
from mmrerank.cross_encoder.building import HubOptions, Wishes, best_device, build, load_options
from mmrerank.cross_encoder.legacy import init_arguments, predict_arguments
from mmrerank.cross_encoder.sizes import DEFAULT_BATCH_SIZE, budget_of, num_bytes_of
from mmrerank.cross_encoder.stored import Stored
from mmrerank.engine import EngineCaches, PlanReport
from mmrerank.errors import InputError
from mmrerank.heads import Activation
from mmrerank.inputs import iter_pairs
from mmrerank.media import MediaPolicy
from mmrerank.pipeline import CallOptions, Pipeline, rank_names
from mmrerank.results import Ranking, rank_scores
from mmrerank.specs import SpecOverrides
from mmrerank.training.cards import CrossEncoderModelCardData
from mmrerank.types import DocumentError, Pair, Score

__all__ = ["CrossEncoder"]

logger = logging.getLogger(__name__)

OnError = Literal["raise", "record"]


class CrossEncoder(Stored):
    """Scores how well a query and a document match; both may be text, image, audio, video or a mix.

    model_name_or_path: a folder, a hub id, or None for the embedded model.
    processor: name or path of a processor folder, where the checkpoint's files do not say (or
    wrongly say)
    how it scores. media_policy: what may be opened. fast_decode: large pictures and clips are
    shrunk while they are decoded, as far as the model would shrink them anyway; quicker, and scores
    move a little. sound_of_video: a clip's sound track is scored with it, where the model takes
    sound. media_cache, prefix_cache: how much is kept between calls of what media have become in
    their towers, and of the beginnings of prompts, in bytes or as "2GiB"; 0 keeps nothing. They are
    emptied when weights change. weight_cache: how much memory a second copy of the weights may
    take, in the order in which a processor multiplies them; quicker by some hundredths, and for
    models with more there is none. scale: of the scores: "native" as the checkpoint has it, "logit"
    any number, "probability" 0 to 1. cutoff_layer: for models that can score after an earlier
    layer, which one. The other arguments are those of the peer: modules, device,
    prompts, default_prompt_name, cache_folder, trust_remote_code, revision, local_files_only,
    token, model_kwargs, processor_kwargs, config_kwargs, num_labels, max_length, activation_fn,
    keep_in_fp32_modules, and backend: "torch", or "openvino" for text encoders of the BERT kind on
    a processor, with the extra of that name. OpenVINO then runs the encoder, converted in memory
    from the weights as they are, at the first call and after each change of them; scores are those
    of torch. Its options are model_kwargs={"ov_config": {...}}. Head, training and saving stay
    torch's: save_pretrained writes no OpenVINO files. On another device torch runs the model.

    Raises CheckpointError when the checkpoint cannot be had or is no reranker, SpecError for a
    wrong
    processor, InputError for an unknown default prompt, EngineError for a model or device that the
    backend does not take, MissingExtra for a backend that is not installed.
    """

    model_type = "CrossEncoder"
    default_huggingface_organization = "cross-encoder"
    model_card_data_class = CrossEncoderModelCardData
    evaluate = evaluating.evaluate
    fit = fitting.fit
    old_fit = fitting.old_fit
    smart_batching_collate = fitting.smart_batching_collate
    smart_batching_collate_text_only = fitting.smart_batching_collate_text_only

    @init_arguments
    @checked_arguments
    def __init__(
        self,
        model_name_or_path: str | None = None,
        *,
        modules: Sequence[nn.Module] | Mapping[str, nn.Module] | None = None,
        device: str | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        cache_folder: str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        model_card_data: Any = None,
        backend: str = "torch",
        num_labels: int | None = None,
        max_length: int | None = None,
        activation_fn: Activation | None = None,
        keep_in_fp32_modules: Sequence[str] | None = None,
        processor: str | Path | None = None,
        media_policy: MediaPolicy | None = None,
        fast_decode: bool | None = None,
        sound_of_video: bool | None = None,
        scale: Literal["native", "logit", "probability"] = "native",
        cutoff_layer: int | None = None,
        media_cache: int | str = "256MiB",
        prefix_cache: int | str = "256MiB",
        weight_cache: int | str = "512MiB",
    ) -> None:
        openvino, model_kwargs = read_backend(backend, model_kwargs)
        if openvino is not None:
            device = "cpu" if device is None else device
            check_device(device)
        wishes = Wishes(
            hub=HubOptions(cache_folder, revision, local_files_only, token),
            options=load_options(
                model_kwargs, processor_kwargs, config_kwargs, num_labels, trust_remote_code
            ),
            user=SpecOverrides(
                processor,
                max_length=max_length,
                prompts=prompts,
                default_prompt_name=default_prompt_name,
                fast_decode=fast_decode,
                sound_of_video=sound_of_video,
                scale=scale,
                cutoff_layer=cutoff_layer,
            ),
        )
        built = build(model_name_or_path, modules, wishes)
        super().__init__(*built.modules)
        self._spec = built.spec
        self._pipeline: Pipeline | None = None
        self._openvino = openvino
        self._caches = EngineCaches(
            num_bytes_of(media_cache, "media_cache"),
            num_bytes_of(prefix_cache, "prefix_cache"),
            num_bytes_of(weight_cache, "weight_cache"),
        )
        self.media_policy = media_policy or MediaPolicy.from_environment()
        self.prompts: dict[str, str] = dict(built.spec.prompts)
        self.default_prompt_name = built.spec.default_prompt_name
        self.trust_remote_code = trust_remote_code
        self.model_card_data = model_card_data or CrossEncoderModelCardData(
            local_files_only=local_files_only
        )
        self.activation_fn = activation_fn or built.activation
        self.keep_in_fp32_modules: list[str] = []
        saved_fp32 = built.saved.get("keep_in_fp32_modules", [])
        self.set_keep_in_fp32_modules(
            saved_fp32 if keep_in_fp32_modules is None else keep_in_fp32_modules
        )
        if "device_map" not in model_kwargs:
            self.move(device or best_device())
        self.eval()
        if openvino is not None:
            check_device(self.device)
            _ = self.pipeline  # refuses what OpenVINO does not take, now and not at the first call

    # ------------------------------------------------------------ scoring

    @predict_arguments
    @checked_arguments
    def predict(
        self,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress_bar: bool | None = None,
        activation_fn: Activation | None = None,
        apply_softmax: bool | None = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | list[str] | None = None,
        pool: dict[str, Any] | None = None,
        chunk_size: int | None = None,
        *,
        instruction: str | Sequence[str] | None = None,
        on_error: OnError = "raise",
        should_stop: Callable[[], bool] | None = None,
        return_details: bool = False,
        calibrated: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Score pairs.

        inputs: one pair (query, document) or a list of pairs. instruction: one for all, or one a
        pair;
        prompt and prompt_name are the peer's way to say the same. batch_size: most pairs in one
        batch; left out, the tokens of a batch alone are bounded, by what is quick on the device and
        fits it.
        calibrated: the probabilities that `calibrate` fitted, in place of the activation.
        on_error: "record" gives NaN in the place of a pair that could not be scored, "raise" the
        error.
        A listwise model scores pairs in a row with equal query and instruction as one list: their
        scores depend on each other.
        Returns float32 (num_pairs,), or (num_pairs, num_labels), or a scalar for one pair: numpy by
        default, tensor(s) with convert_to_tensor or convert_to_numpy=False; with return_details a
        tuple
        of that and a list of details.
        Raises InputError, MediaError or UnsupportedModality, each naming the pair and the part.
        """
        parsed = calls.parse_inputs(inputs, self, on_error)
        pairs = calls.with_instructions(
            parsed.pairs, instruction, self._resolve_prompt(prompt, prompt_name)
        )
        options = CallOptions(
            budget=budget_of(batch_size),
            activation=self.activation_for(activation_fn, calibrated),
            apply_softmax=bool(apply_softmax),
            on_error=on_error,
            should_stop=should_stop,
        )
        call = calls.Call(
            pairs, options, calls.known_options(kwargs, self.predict), show_progress_bar
        )
        results = self._score(call, device, pool, chunk_size)
        scores = calls.as_arrays(
            results,
            self.num_labels,
            self.device,
            to_numpy=convert_to_numpy,
            to_tensor=convert_to_tensor,
        )
        scores = scores[0] if parsed.is_single else scores
        return (
            (scores, calls.details(results, is_single=parsed.is_single))
            if return_details
            else scores
        )

    @predict_arguments
    @checked_arguments
    def rank(
        self,
        query: Any,
        documents: Iterable[Any],
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress_bar: bool | None = None,
        activation_fn: Activation | None = None,
        device: str | list[str] | None = None,
        pool: dict[str, Any] | None = None,
        chunk_size: int | None = None,
        *,
        instruction: str | None = None,
        on_error: OnError = "raise",
        should_stop: Callable[[], bool] | None = None,
        calibrated: bool = False,
        **kwargs: Any,
    ) -> Ranking:
        """Order documents for a query, best first; equal scores keep the order given.

        With a listwise model a score depends on the other documents and on their order.
        Returns a list of {"corpus_id", "score"} dicts, with "text" (the document as given) when
        asked for.
        With on_error="record" a document that could not be scored stands last with NaN and "error".
        Raises ValueError for a model of several labels, else as `predict`; a bad query always
        raises.
        """
        if self.num_labels != 1:
            raise InputError(
                "CrossEncoder.rank() only works for models with num_labels=1. "
                "Consider using CrossEncoder.predict() with input pairs instead."
            )
        given = calls.listed(documents)
        parsed = calls.parse_ranking(query, given, self, on_error)
        pairs = calls.with_instructions(
            parsed, instruction, self._resolve_prompt(prompt, prompt_name)
        )
        options = CallOptions(
            budget=budget_of(batch_size),
            activation=self.activation_for(activation_fn, calibrated),
            on_error=on_error,
            should_stop=should_stop,
            names=rank_names,
            query_must_load=True,
        )
        call = calls.Call(pairs, options, calls.known_options(kwargs, self.rank), show_progress_bar)
        results = self._score(call, device, pool, chunk_size)
        return rank_scores(results, documents=given if return_documents else None, top_k=top_k)

    @checked_arguments
    def score_stream(
        self,
        pairs: Iterable[Any],
        *,
        instruction: str | Iterable[str | None] | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        activation_fn: Activation | None = None,
        on_error: OnError = "record",
        should_stop: Callable[[], bool] | None = None,
        calibrated: bool = False,
    ) -> Iterator[Score | DocumentError]:
        """Score an endless iterable of pairs, in order, with bounded memory.

        A listwise model gives the scores of a list (see `predict`) when the next one begins.
        Gives a Score (value after the activation) or, with on_error="record", a DocumentError in
        its place. instruction: one for all, or an iterable that is read along with the pairs.
        """
        options = CallOptions(
            budget=budget_of(batch_size),
            activation=self.activation_for(activation_fn, calibrated),
            on_error=on_error,
            should_stop=should_stop,
        )
        prompt = self._resolve_prompt(None, None)
        parsed = iter_pairs(pairs, takes_media=self.supports_media)
        instructed = calls.instructed_stream(parsed, instruction, prompt)
        return self.pipeline.score_stream(calls.raising(instructed, on_error), options)

    def _score(
        self, call: calls.Call, device: Any, pool: dict[str, Any] | None, chunk_size: int | None
    ) -> list[Score | DocumentError]:
        if pool is not None or isinstance(device, list):
            from mmrerank.cross_encoder import pools

            return pools.score(self, call, device, pool, chunk_size)
        if device is not None:
            self.move(device)
        return self.score_call(call)

    def score_call(self, call: calls.Call) -> list[Score | DocumentError]:
        """Score one translated call in this process, without dropout whatever the mode was."""
        self.eval()
        pipeline = self._pipeline_for(call.overrides)
        results = pipeline.score_stream(call.pairs, call.options)
        # None shows the bar on a terminal, and only for work that takes a while.
        hidden = None if call.show_progress_bar is None else not call.show_progress_bar
        delay = 1.0 if call.show_progress_bar is None else 0.0
        return list(
            tqdm(
                results,
                total=len(call.pairs),
                desc="Pairs",
                disable=hidden,
                delay=delay,
                leave=False,
            )
        )

    def explain_plan(
        self, inputs: Any, prompt: str | None = None, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> PlanReport:
        """What `predict` would compute for these pairs: tokens, those saved, batches, cache hits.

        Media are read and prepared; the model is not run. More pairs than a window holds are looked
        at as if they were one.
        """
        parsed = calls.parse_inputs(inputs, self, "raise")
        pairs = calls.with_instructions(parsed.pairs, None, self._resolve_prompt(prompt, None))
        self.eval()
        return self.pipeline.explain(
            [pair for pair in pairs if isinstance(pair, Pair)],
            CallOptions(budget=budget_of(batch_size)),
        )

    def _pipeline_for(self, overrides: Mapping[str, Any]) -> Pipeline:
        """The data line of one call: the model's own, unless the call changes something of the
        spec.
        """
        spec = calls.spec_with(self._spec, overrides)
        return self.pipeline if spec is self._spec else self._make_pipeline(spec)

    @checked_arguments
    def preprocess(self, inputs: Any, prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Pairs to the features that `forward` takes: ids, mask, media tensors, and the peer's
        bookkeeping.

        Rows are padded on the left for language models, on the right for the others. Raises
        InputError for a listwise model.
        """
        self.refuse_listwise("prepared")
        parsed = calls.parse_inputs(inputs, self, "raise")
        pairs = calls.with_instructions(parsed.pairs, None, prompt)
        pipeline = self._pipeline_for(calls.known_options(kwargs, self.preprocess))
        return calls.features_of(
            pipeline, [pair for pair in pairs if isinstance(pair, Pair)], self.transformer
        )
