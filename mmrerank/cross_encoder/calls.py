"""The translation of one call: the user's arguments to pairs and options, scores to the types the
peer returns.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from mmrerank.cross_encoder.arguments import read_argument
from mmrerank.cross_encoder.transformer import Transformer
from mmrerank.errors import InputError, MMRerankError, WrongArgument, shorten
from mmrerank.inputs import ParsedPairs, parse_document, parse_pairs
from mmrerank.pipeline import CallOptions, OnError, Pipeline
from mmrerank.results import Detail, details_of
from mmrerank.specs import PixelBudget, ResolvedSpec
from mmrerank.types import DocumentError, Pair, Score

if TYPE_CHECKING:
    from mmrerank.cross_encoder.settings import Settings

__all__ = [
    "Call",
    "as_arrays",
    "details",
    "features_of",
    "instructed_stream",
    "known_options",
    "listed",
    "parse_inputs",
    "parse_ranking",
    "raising",
    "spec_with",
    "with_instructions",
]

Result = Score | DocumentError
_OPTIONS = ("processing_kwargs",)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of predict or rank. overrides: further arguments, checked by `known_options`."""

    pairs: Sequence[Pair | DocumentError]
    options: CallOptions
    overrides: Mapping[str, Any]
    show_progress_bar: bool | None = None


def parse_inputs(inputs: Any, model: Settings, on_error: OnError) -> ParsedPairs:
    """The argument of predict as pairs."""
    return parse_pairs(inputs, takes_media=model.supports_media, on_error=on_error)


def parse_ranking(
    query: Any, documents: Sequence[Any], model: Settings, on_error: OnError
) -> list[Pair | DocumentError]:
    """The arguments of rank as pairs. A bad query raises always: nothing could be scored."""
    takes_media = model.supports_media
    parsed = parse_document(query, where="query", takes_media=takes_media)
    pairs: list[Pair | DocumentError] = []
    for index, document in enumerate(documents):
        try:
            side = parse_document(document, where=f"documents[{index}]", takes_media=takes_media)
            pairs.append(Pair(index, parsed, side))
        except MMRerankError as error:
            if on_error == "raise":
                raise
            pairs.append(DocumentError(index, error))
    return pairs


def listed(documents: Any) -> list[Any]:
    """The documents of rank as a list, whatever gives them one after the other.

    Raises InputError for a single text or dict, which would fall apart into letters or keys.
    """
    if isinstance(documents, (str, bytes, Mapping)) or not isinstance(documents, Iterable):
        raise InputError(
            f"documents: got {type(documents).__name__} {shorten(documents)}; "
            "rank takes a list of documents, also for a single one"
        )
    return list(documents)


def with_instructions(
    pairs: Sequence[Pair | DocumentError],
    instruction: str | Iterable[str | None] | None,
    prompt: str | None,
) -> list[Pair | DocumentError]:
    """Give each pair its instruction: its own, else the call's, else the prompt; "" is none.

    Raises InputError unless there is one instruction a pair, or one for all.
    """
    if instruction is None or isinstance(instruction, str):
        return [_instructed(pair, instruction, prompt) for pair in pairs]
    given = list(itertools.islice(instruction, len(pairs) + 1))
    if len(given) != len(pairs):
        raise InputError(
            f"instruction: got {len(given)}{' or more' if len(given) > len(pairs) else ''} of them "
            f"for {len(pairs)} pairs; give one, or one a pair"
        )
    for place, own in enumerate(given):
        _check_instruction(own, place)
    return [_instructed(pair, own, prompt) for pair, own in zip(pairs, given, strict=True)]


def instructed_stream(
    pairs: Iterable[Pair | DocumentError],
    instruction: str | Iterable[str | None] | None,
    prompt: str | None,
) -> Iterator[Pair | DocumentError]:
    """The same for a stream; instructions are read one by one as the pairs come, and may go on.

    What is no instruction gives a DocumentError in the place of its pair. Raises InputError when
    there are fewer instructions than pairs.
    """
    is_one = instruction is None or isinstance(instruction, str)
    many: Iterator[Any] = itertools.repeat(instruction)
    many = many if is_one else iter(cast("Iterable[Any]", instruction))
    for place, pair in enumerate(pairs):
        try:
            own = next(many)
        except StopIteration:
            raise InputError(
                f"instruction: there are {place} of them and more pairs; give one, or one a pair"
            ) from None
        try:
            _check_instruction(own, place)
            yield _instructed(pair, own, prompt)
        except WrongArgument as error:
            yield DocumentError(place, error)


def _check_instruction(value: Any, place: int) -> None:
    if value is not None and not isinstance(value, str):
        raise WrongArgument(f"instruction[{place}] must be a string or None, got {shorten(value)}.")


def _instructed(
    pair: Pair | DocumentError, own: str | None, prompt: str | None
) -> Pair | DocumentError:
    chosen = own if own is not None else prompt
    if isinstance(pair, Pair) and pair.instruction is None and chosen:
        return replace(pair, instruction=chosen)
    return pair


def raising(
    pairs: Iterable[Pair | DocumentError], on_error: OnError
) -> Iterator[Pair | DocumentError]:
    """Pass pairs on; with on_error="raise" the first recorded error is raised."""
    for pair in pairs:
        if isinstance(pair, DocumentError) and on_error == "raise":
            raise pair.error
        yield pair


def known_options(kwargs: Mapping[str, Any], method: Callable[..., Any]) -> Mapping[str, Any]:
    """Refuse an option that nobody would read, naming the nearest one that `method` takes.

    Raises WrongArgument, which is a TypeError as Python's own.
    """
    for name in kwargs.keys() - set(_OPTIONS):
        known = [*_OPTIONS, *inspect.signature(method).parameters]
        hint = get_close_matches(name, known, n=1)
        raise WrongArgument(
            f"unknown option {shorten(name)}" + (f"; did you mean {hint[0]!r}?" if hint else "")
        )
    return kwargs


def spec_with(spec: ResolvedSpec, overrides: Mapping[str, Any]) -> ResolvedSpec:
    """The spec of one call: the peer's `processing_kwargs`, as far as they mean something here.

    text: max_length. image, video: min_pixels with max_pixels. Raises InputError for anything else.
    """
    changes = read_argument("processing_kwargs", overrides.get("processing_kwargs")) or {}
    for kind, values in changes.items():
        if kind == "text" and set(values) <= {"max_length", "truncation"} and _cuts(values):
            limit = values.get("max_length", spec.truncation.max_length)
            spec = replace(spec, truncation=replace(spec.truncation, max_length=limit))
        elif kind in ("image", "video") and set(values) == {"min_pixels", "max_pixels"}:
            pixels: dict[str, Any] = {kind: PixelBudget(**values)}
            spec = replace(spec, budget=replace(spec.budget, **pixels))
        else:
            raise InputError(
                f"processing_kwargs[{shorten(kind)}] = {shorten(values)}: known are text "
                "(max_length), and image and video (min_pixels together with max_pixels)"
            )
    return spec


def _cuts(values: Mapping[str, Any]) -> bool:
    """Whether `truncation` says what is done in any case; leaving it out does too."""
    return values.get("truncation", True) in (True, "longest_first")


def as_arrays(
    results: Sequence[Result], num_labels: int, device: Any, *, to_numpy: bool, to_tensor: bool
) -> Any:
    """Scores in the peer's types; NaN where a pair could not be scored.

    float32 (num_pairs,) or (num_pairs, num_labels); an empty call gives an empty array as the
    peer's.
    """
    if not results:
        return torch.tensor([], device=device) if to_tensor else (np.array([]) if to_numpy else [])
    shape = () if num_labels == 1 else (num_labels,)
    failed = np.full(shape, np.nan, dtype=np.float32)
    values = np.stack(
        [failed if isinstance(r, DocumentError) else np.asarray(r.value) for r in results]
    )
    if not to_tensor and to_numpy:
        return values
    tensor = torch.from_numpy(values).to(device)
    return tensor if to_tensor else list(tensor)


def details(results: Sequence[Result], *, is_single: bool) -> Detail | list[Detail]:
    """Details in the form of the scores: one for a single pair."""
    made = details_of(results)
    return made[0] if is_single else made


def features_of(
    pipeline: Pipeline, pairs: Sequence[Pair], transformer: Transformer
) -> dict[str, Any]:
    """Encoded pairs as the arguments of a module's forward, with the peer's bookkeeping keys."""
    groups, media = pipeline.encode(pairs)
    is_causal = transformer.transformer_task in ("text-generation", "any-to-any")
    features: dict[str, Any] = dict(pipeline.runner.inputs(groups, media, pad_left=is_causal))
    is_message = pipeline.spec.template.kind == "chat"
    features["modality"] = "message" if is_message else "text"
    for kind, name in (("image", "num_images_per_sample"), ("video", "num_videos_per_sample")):
        counts = [sum(span.key.modality == kind for span in group.media) for group in groups]
        if any(counts):
            features[name] = Tensor(counts).long()
    if is_causal:
        features["logits_to_keep"] = 1
    if pipeline.spec.encoder_decoder is not None:
        features["chunk_size"] = pipeline.spec.encoder_decoder.chunk_size
    return features
