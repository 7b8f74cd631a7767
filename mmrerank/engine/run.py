"""The loops: plan, run, give back states batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mmrerank.caching import ByteLRU
from mmrerank.engine.attention import LayerStates
from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.media_states import MediaState, TowerRunner
from mmrerank.engine.packed import PackedRunner, Work
from mmrerank.engine.packing import PackedBatch, pack_batches
from mmrerank.engine.padded import PaddedRunner
from mmrerank.engine.plan import plan_batches
from mmrerank.engine.prefix_cache import (
    MIN_PREFIX_TOKENS,
    CachedPrefix,
    PrefixCache,
    known_places,
    places_to_keep,
)
from mmrerank.engine.prefix_tree import PrefixTree, build_tree, flat_tree
from mmrerank.engine.report import PlanReport
from mmrerank.engine.weights import fingerprint
from mmrerank.errors import Stopped
from mmrerank.locks import CopyableLock
from mmrerank.prompting import MediaFeature
from mmrerank.types import EncodedGroup, MediaKey

__all__ = ["Engine", "EngineCaches", "PackedEngine", "PaddedEngine"]

Features = Mapping[MediaKey, MediaFeature]
ShouldStop = Callable[[], bool] | None


@dataclass(frozen=True, slots=True)
class EngineCaches:
    """What is kept between calls; 0 keeps nothing.

    max_media_bytes: of tower states. max_prefix_bytes: of keys and values of prompts' beginnings.
    """

    max_media_bytes: int = 256 << 20
    max_prefix_bytes: int = 256 << 20


class Engine(Protocol):
    """The narrow waist: prompts in; batch by batch their places and states out."""

    def run(
        self,
        groups: Sequence[EncodedGroup],
        features: Features,
        *,
        budget: TokenBudget,
        device: Any,
        should_stop: ShouldStop = None,
    ) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Which prompts a batch held, and their states (num_documents, dim).

        Raises Stopped when `should_stop` answers True before a batch.
        """

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget
    ) -> PlanReport:
        """What `run` would do now; nothing is computed."""


class PaddedEngine:
    """One row a prompt, rows of similar length together. It runs every architecture.

    One thread at a time is on the model: some models keep positions of the last call on themselves.
    """

    def __init__(self, runner: PaddedRunner) -> None:
        self._runner = runner
        self._lock = CopyableLock()

    def run(
        self,
        groups: Sequence[EncodedGroup],
        features: Features,
        *,
        budget: TokenBudget,
        device: Any,
        should_stop: ShouldStop = None,
    ) -> Iterator[tuple[Sequence[int], Tensor]]:
        """See `Engine.run`."""
        for plan in plan_batches([group.num_tokens for group in groups], budget):
            _check(should_stop)
            with self._lock, torch.inference_mode():
                states = self._runner.run([groups[row] for row in plan.rows], features, device)
            yield plan.rows, states

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget
    ) -> PlanReport:
        """See `Engine.explain`; padding counts as computed."""
        plans = plan_batches([group.num_tokens for group in groups], budget)
        return PlanReport(
            runner="padded",
            num_prompts=len(groups),
            num_tokens=sum(group.num_tokens for group in groups),
            num_computed=sum(plan.num_tokens for plan in plans),
            num_cached=0,
            num_batches=len(plans),
            num_media=len(features),
            num_media_cached=0,
        )


class PackedEngine:
    """Rows of unique tokens: what prompts begin with in common is computed once, media too.

    shares: whether prompts may share their beginnings, as in models that read from left to right.
    towers: None for text models.
    """

    def __init__(
        self,
        model: nn.Module,
        runner: PackedRunner,
        towers: TowerRunner | None,
        *,
        shares: bool,
        caches: EngineCaches,
    ) -> None:
        self._model = model
        self._runner = runner
        self._towers = towers
        self._shares = shares
        self._media: ByteLRU[MediaKey, MediaState] = ByteLRU(
            caches.max_media_bytes, lambda state: state.num_bytes
        )
        self._prefixes = PrefixCache(caches.max_prefix_bytes)
        self._fingerprint: tuple[Any, ...] | None = None
        self._lock = CopyableLock()

    def run(
        self,
        groups: Sequence[EncodedGroup],
        features: Features,
        *,
        budget: TokenBudget,
        device: Any,
        should_stop: ShouldStop = None,
    ) -> Iterator[tuple[Sequence[int], Tensor]]:
        """See `Engine.run`."""
        _check(should_stop)
        with self._lock, torch.inference_mode():
            self._forget_if_changed()
            weights = self._fingerprint
            media = self._media_states(features, device)
            call = self._plan(groups, budget)
        wanted = call.wanted
        past: dict[int, LayerStates] = {
            place: prefix.part(call.tree.segments[place]) for place, prefix in call.known.items()
        }
        kept = dict(past)
        work = Work(groups, call.tree, features, media)
        for batch in call.batches:
            _check(should_stop)
            with self._lock, torch.inference_mode():
                states, made = self._runner.run(work, batch, past, device)
            past.update(made)
            kept.update(made)
            for place in batch.drop:
                past.pop(place, None)
                if place not in wanted:
                    kept.pop(place, None)
            yield batch.rows, states
        with self._lock:
            # Somebody may have trained meanwhile: what was made with other weights is not kept.
            if weights is not None and weights == fingerprint(self._model):
                self._keep(call, kept)

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget
    ) -> PlanReport:
        """What `run` would do now; nothing is computed."""
        with self._lock:
            self._forget_if_changed()
        call = self._plan(groups, budget)
        num_computed = sum(batch.num_tokens for batch in call.batches)
        return PlanReport(
            runner="packed",
            num_prompts=len(groups),
            num_tokens=sum(group.num_tokens for group in groups),
            num_computed=num_computed,
            num_cached=call.num_needed - num_computed,
            num_batches=len(call.batches),
            num_media=len(features),
            num_media_cached=sum(self._media.get(key) is not None for key in features),
        )

    def _plan(self, groups: Sequence[EncodedGroup], budget: TokenBudget) -> _CallPlan:
        if not self._shares:
            tree = flat_tree([group.num_tokens for group in groups])
            return _CallPlan(groups, tree, pack_batches(tree, len(groups), budget))
        cached = self._prefixes.all()
        tree = build_tree(
            [*(symbols_of(group) for group in groups), *(prefix.symbols for prefix in cached)]
        )
        known = known_places(tree, len(groups), cached)
        for prefix in {id(prefix): prefix for prefix in known.values()}.values():
            self._prefixes.touch(prefix)
        ends = places_to_keep(tree, len(groups)) if self._keeps_prefixes else []
        wanted = {place for end in ends for place in (*tree.chain(end), end)}
        batches = pack_batches(tree, len(groups), budget, known=known, wanted=wanted)
        return _CallPlan(groups, tree, batches, known, ends)

    @property
    def _keeps_prefixes(self) -> bool:
        return self._prefixes.max_bytes > 0 and self._fingerprint is not None

    def _keep(self, call: _CallPlan, kept: Mapping[int, LayerStates]) -> None:
        """Put the beginnings that are worth it into the cache, but for their last token.

        A score is read from the last token of a prompt, so that one is computed in any case.
        """
        for end in call.ends:
            places = [*call.tree.chain(end), end]
            segment = call.tree.segments[end]
            is_scored = end in call.tree.leaf_of[: len(call.groups)]
            length = segment.end - is_scored
            if length < MIN_PREFIX_TOKENS or not all(place in kept for place in places):
                continue
            states = [
                _joined([kept[place][layer] for place in places], length)
                for layer in range(len(kept[end]))
            ]
            self._prefixes.put(CachedPrefix(symbols_of(call.groups[segment.row])[:length], states))

    def _forget_if_changed(self) -> None:
        now = fingerprint(self._model)
        if now is None or now != self._fingerprint:
            self._media.clear()
            self._prefixes.clear()
            self._fingerprint = now

    def _media_states(self, features: Features, device: Any) -> dict[MediaKey, MediaState]:
        """States of all media of the call; those that are not held go through the towers."""
        if self._towers is None or not features:
            return {}
        states = {key: state for key in features if (state := self._media.get(key)) is not None}
        missing = [feature for key, feature in features.items() if key not in states]
        made = self._towers.run(missing, device)
        for key, state in made.items():
            self._media.get_or_make(key, lambda state=state: state)  # type: ignore[misc]
        return {**states, **made}


@dataclass(frozen=True, slots=True)
class _CallPlan:
    """What a call computes. known: places whose states are at hand. ends: see `places_to_keep`."""

    groups: Sequence[EncodedGroup]
    tree: PrefixTree
    batches: list[PackedBatch]
    known: Mapping[int, CachedPrefix] = field(default_factory=dict)
    ends: Sequence[int] = ()

    @property
    def wanted(self) -> set[int]:
        """Places whose states are kept beyond the call."""
        return {place for end in self.ends for place in (*self.tree.chain(end), end)}

    @property
    def num_needed(self) -> int:
        """Distinct tokens of the call's prompts."""
        leaves = self.tree.leaf_of[: len(self.groups)]
        needed = {place for leaf in leaves for place in (*self.tree.chain(leaf), leaf)}
        return sum(self.tree.segments[place].num_tokens for place in needed)


def _joined(parts: Sequence[tuple[Tensor, Tensor]], length: int) -> tuple[Tensor, Tensor]:
    """Keys and values of segments in a row, cut to the first `length` tokens."""
    keys, values = (torch.cat([part[i] for part in parts], dim=2) for i in (0, 1))
    return keys[:, :, :length].contiguous(), values[:, :, :length].contiguous()


def symbols_of(group: EncodedGroup) -> np.ndarray:
    """Token ids; at media tokens numbers below 0 that tell which medium and which of its tokens."""
    symbols = group.token_ids.copy()
    for span in group.media:
        # 40 bits of the content's hash and 22 of the place: two media never look alike here.
        number = int(span.key.digest[:10], 16) ^ (hash(span.key.budget) & 0xFF_FFFF_FFFF)
        places = np.arange(span.length, dtype=np.int64)
        symbols[span.start : span.start + span.length] = -1 - ((number << 22) + places)
    return symbols


def _check(should_stop: ShouldStop) -> None:
    if should_stop is not None and should_stop():
        raise Stopped("scoring was stopped by should_stop before all pairs were scored")
