"""The engine of packed rows: plan, run, give back states batch by batch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmrerank.caching import ByteLRU
from mmrerank.engine.attention import LayerStates
from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.interface import Batches, EngineCaches, Features, ShouldStop, check
from mmrerank.engine.lanes import lanes_on
from mmrerank.engine.media_states import MediaState, TowerRunner
from mmrerank.engine.memory import TokenLimit, TooLarge
from mmrerank.engine.packed import PackedRunner, Work
from mmrerank.engine.packing import PackedBatch, pack_batches
from mmrerank.engine.prefix_cache import (
    MIN_PREFIX_TOKENS,
    CachedPrefix,
    PrefixCache,
    known_places,
    places_to_keep,
)
from mmrerank.engine.prefix_tree import PrefixTree, build_tree, flat_tree
from mmrerank.engine.probe import run_tokens
from mmrerank.engine.report import PlanReport
from mmrerank.engine.rounds import next_round, run_round
from mmrerank.engine.weights import fingerprint
from mmrerank.errors import Stopped
from mmrerank.locks import CopyableLock
from mmrerank.types import EncodedGroup, MediaKey

__all__ = ["PackedEngine", "symbols_of"]


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
        self._limit = TokenLimit()
        self._lock = CopyableLock()

    def run(
        self,
        groups: Sequence[EncodedGroup],
        features: Features,
        *,
        budget: TokenBudget,
        device: Any,
        should_stop: ShouldStop = None,
    ) -> Batches:
        """See `Engine.run`."""
        check(should_stop)
        with self._lock, torch.inference_mode():
            self._forget_if_changed()
            weights = self._fingerprint
            media = self._media_states(features, device)
        waiting = list(range(len(groups)))
        while waiting:
            with self._lock:
                limits = self._limit.budget(
                    budget, device, partial(run_tokens, self._runner, device)
                )
                call = self._plan([groups[row] for row in waiting], limits, device)
            work = Work(call.groups, call.tree, features, media)
            done: set[int] = set()
            for places, states in self._run(call, work, weights, device, should_stop):
                rows = [waiting[place] for place in places]
                yield tuple(rows), states
                done.update(rows)
            waiting = [row for row in waiting if row not in done]

    def _run(
        self,
        call: _CallPlan,
        work: Work,
        weights: Any,
        device: Any,
        should_stop: ShouldStop,
    ) -> Batches:
        """The batches of a plan, up to the first that does not fit into memory."""
        wanted = call.wanted
        past: dict[int, LayerStates] = {
            place: prefix.part(call.tree.segments[place]) for place, prefix in call.known.items()
        }
        kept: dict[int, LayerStates] = {}
        due: set[int] = set()
        waiting: Sequence[PackedBatch] = call.batches
        while waiting:
            batches = next_round(waiting, device)
            outcomes = run_round(
                self._runner, work, batches, past, device, lock=self._lock, should_stop=should_stop
            )
            for batch, states in zip(batches, outcomes, strict=True):
                if isinstance(states, Tensor):
                    yield batch.rows, states
            for outcome in outcomes:
                if isinstance(outcome, Stopped):
                    raise outcome
                if isinstance(outcome, TooLarge):
                    past.clear()
                    if outcome.num_parts == 1:  # what else is on the device is ours alone
                        self._media.clear()
                        self._prefixes.clear()
                    self._limit.shrink(outcome, device)
                    return
            in_round = list(zip(batches, outcomes, strict=True))
            left = [batch for batch, outcome in in_round if outcome is None]
            waiting = [*left, *waiting[len(batches) :]]
            # A batch that was left may need what one behind it was to be the last to read.
            needed = {place for batch in left for unit in batch.units for place in unit.past}
            due |= {
                place for batch, outcome in in_round if outcome is not None for place in batch.drop
            }
            for place in due - needed:
                states_of_place = past.pop(place, None)
                if place in wanted and states_of_place is not None:
                    kept[place] = states_of_place
            due &= needed
        with self._lock:
            # Somebody may have trained meanwhile: what was made with other weights is not kept.
            if weights is not None and weights == fingerprint(self._model):
                self._keep(call, {**past, **kept})

    def states_with_gradients(
        self, groups: Sequence[EncodedGroup], features: Features, device: Any
    ) -> Tensor:
        """States (num_read, dim) in the order of the prompts, as one row, for training.

        Nothing is kept, and nothing that was kept is used. Dropout, where a model has it, falls
        alike on tokens that prompts share.
        """
        media = {}
        if self._towers is not None and features:
            media = self._towers.run_with_gradients(list(features.values()), device)
        tree = self._tree(groups)
        (batch,) = pack_batches(tree, len(groups), TokenBudget())
        with self._runner.ready():
            states, _ = self._runner.run(Work(groups, tree, features, media), batch, {}, device)
        owners = [row for row in batch.rows for _ in groups[row].read_at]
        return states[np.argsort(owners, kind="stable")]

    def _tree(
        self, groups: Sequence[EncodedGroup], cached: Sequence[CachedPrefix] = ()
    ) -> PrefixTree:
        """Of the prompts, then of the cached beginnings."""
        if not self._shares:
            return flat_tree([group.num_tokens for group in groups], [_name(g) for g in groups])
        own = [_symbols_to_share(group, place) for place, group in enumerate(groups)]
        return build_tree([*own, *(prefix.symbols for prefix in cached)])

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget, device: Any
    ) -> PlanReport:
        """What `run` would do now; nothing is computed."""
        with self._lock:
            self._forget_if_changed()
            call = self._plan(groups, self._limit.budget(budget, device), device)
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

    def _plan(self, groups: Sequence[EncodedGroup], budget: TokenBudget, device: Any) -> _CallPlan:
        num_lanes = lanes_on(device).num
        cached = self._prefixes.all() if self._shares else []
        tree = self._tree(groups, cached)
        if not self._shares:
            batches = pack_batches(tree, len(groups), budget, num_lanes=num_lanes)
            return _CallPlan(groups, tree, batches)
        known = known_places(tree, len(groups), cached)
        for prefix in {id(prefix): prefix for prefix in known.values()}.values():
            self._prefixes.touch(prefix)
        ends = places_to_keep(tree, len(groups)) if self._keeps_prefixes else []
        wanted = {place for end in ends for place in (*tree.chain(end), end)}
        batches = pack_batches(
            tree, len(groups), budget, known=known, wanted=wanted, num_lanes=num_lanes
        )
        return _CallPlan(groups, tree, batches, known, ends)

    @property
    def _keeps_prefixes(self) -> bool:
        return self._prefixes.max_bytes > 0 and self._fingerprint is not None

    def _keep(self, call: _CallPlan, kept: Mapping[int, LayerStates]) -> None:
        """Put the beginnings that are worth it into the cache, up to the first token that a head
        reads: that one is computed in any case, as is the last one of a prompt.
        """
        for end in call.ends:
            places = [*call.tree.chain(end), end]
            segment = call.tree.segments[end]
            is_scored = end in call.tree.leaf_of[: len(call.groups)]
            group = call.groups[segment.row]
            length = min(segment.end - is_scored, *group.read_at)
            if length < MIN_PREFIX_TOKENS or not all(place in kept for place in places):
                continue
            states = [
                _joined([kept[place][layer] for place in places], length)
                for layer in range(len(kept[end]))
            ]
            self._prefixes.put(CachedPrefix(symbols_of(group)[:length], states))

    def _forget_if_changed(self) -> None:
        now = fingerprint(self._model)
        if now is None or now != self._fingerprint:
            self._media.clear()
            self._prefixes.clear()
            self._runner.forget_weights()
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


def _name(group: EncodedGroup) -> Hashable:
    """Equal for prompts that are equal in all that a model reads of them."""
    types = None if group.token_type_ids is None else group.token_type_ids.tobytes()
    return group.token_ids.tobytes(), types, group.media


def _symbols_to_share(group: EncodedGroup, place: int) -> np.ndarray:
    """Symbols of a prompt; of one that is read at several places, only what stands in front of the
    first of them may be shared: all are then in a segment of its own.
    """
    symbols = symbols_of(group)
    if len(group.read_at) > 1:
        symbols[min(group.read_at) :] = np.iinfo(np.int64).min + place
    return symbols


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
