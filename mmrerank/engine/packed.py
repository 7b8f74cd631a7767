"""The packed runner: one row of unique tokens, without padding, each segment at its own place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmrerank.engine.attention import PACKED, LayerStates, PackedPlan
from mmrerank.engine.full_attention import FullAttention
from mmrerank.engine.fused import FastForwards
from mmrerank.engine.inputs import Positions, to_device
from mmrerank.engine.last_layer import LastLayer
from mmrerank.engine.media_states import MediaState
from mmrerank.engine.packing import PackedBatch
from mmrerank.engine.prefix_tree import PrefixTree, Segment
from mmrerank.heads import Head
from mmrerank.prompting import MediaFeature
from mmrerank.types import EncodedGroup, MediaKey

__all__ = ["PackedRunner", "Work", "packed_attention_of"]


@dataclass(frozen=True, slots=True)
class Work:
    """What a call gives the runner: the tree of its prompts, and what their media have become."""

    groups: Sequence[EncodedGroup]
    tree: PrefixTree
    features: Mapping[MediaKey, MediaFeature]
    media: Mapping[MediaKey, MediaState]


class PackedRunner:
    """Runs a batch of a prefix tree and reads the states that the head wants.

    text_model: the transformer that reads embeddings, without towers and head. placeholder_ids: the
    tokens that media stand at. last_layer: how to spare what no score needs, or None. fast: how to
    run the parts of the model without gradients.
    """

    def __init__(
        self,
        text_model: Any,
        head: Head,
        positions: Positions,
        *,
        placeholder_ids: Sequence[int],
        last_layer: LastLayer | None,
        fast: FastForwards,
    ) -> None:
        self.module: nn.Module = text_model
        self._model: Any = text_model
        self._head = head
        self._positions = positions
        self._placeholder_ids = np.asarray(sorted(placeholder_ids), dtype=np.int64)
        self._last_layer = last_layer
        self._fast = fast
        self._full = FullAttention()

    def run(
        self, work: Work, batch: PackedBatch, past: Mapping[int, LayerStates], device: Any
    ) -> tuple[Tensor, Mapping[int, LayerStates]]:
        """One forward pass, within `ready`.

        Returns (num_read, dim) in the order of the batch's prompts and what is read of them, and
        the keys and values of the segments that later batches need.
        """
        read_at = self._read_at(work, batch)
        if self._last_layer is None or not read_at:
            plan = PackedPlan(batch, past, full=self._full)
            hidden = self._forward(work, plan, device)
            return self._read(work, batch, hidden, read_at, device), plan.kept
        # Equal prompts are read at one place.
        places, back = np.unique(np.asarray(read_at, dtype=np.int64), return_inverse=True)
        plan = PackedPlan(batch, past, torch.from_numpy(places).to(device), self._full)
        states = self._forward(work, plan, device)
        return states[torch.from_numpy(back).to(device)], plan.kept

    @contextmanager
    def ready(self) -> Iterator[None]:
        """The model as `run` needs it, for one thread or several that run batches at once."""
        last_layer = self._last_layer.installed() if self._last_layer else nullcontext()
        with packed_attention_of(self._model.config), last_layer:
            yield

    def fast(self, device: Any) -> AbstractContextManager[None]:
        """Within it, and without gradients, layers run by the quicker library."""
        return self._fast.installed(device)

    def forget_weights(self) -> None:
        """The weights have changed, maybe in a way that torch does not count."""
        self._fast.linears.clear()

    def _forward(self, work: Work, plan: PackedPlan, device: Any) -> Tensor:
        """(num_tokens, hidden_size), or (num_read, hidden_size) where the last layer is spared."""
        inputs: dict[str, Any] = to_device(self._inputs(work, plan.batch), device)
        inputs |= self._embeds(work, plan.batch, inputs.pop("input_ids"))
        call: dict[str, Any] = {"use_cache": False, "packed": plan, **inputs}
        # What is added behind the last layer lies at media tokens, and no score is read there.
        added: Any = inputs.get("deepstack_visual_embeds", [])
        if added and plan.read_at is not None:
            call["deepstack_visual_embeds"] = added[: self._model.config.num_hidden_layers - 1]
        hidden: Tensor = self._model(**call).last_hidden_state[0]
        return hidden

    # ------------------------------------------------------------ what goes in

    def _inputs(self, work: Work, batch: PackedBatch) -> dict[str, Tensor]:
        segments = [work.tree.segments[place] for place in batch.spans]
        known: dict[int, Tensor] = {}
        positions = []
        for segment in segments:
            if segment.row not in known:
                known[segment.row] = self._positions.of(work.groups[segment.row], work.features)
            positions.append(known[segment.row][:, segment.start : segment.end])
        joined = torch.cat(positions, dim=1)[:, None]  # (num_axes, 1, num_tokens)
        ids = [_part(work.groups[segment.row].token_ids, segment) for segment in segments]
        inputs = {
            "input_ids": torch.from_numpy(np.concatenate(ids))[None],
            "position_ids": joined if len(joined) > 1 else joined[0],
        }
        types = [work.groups[segment.row].token_type_ids for segment in segments]
        parts = [
            _part(t, segment) for t, segment in zip(types, segments, strict=True) if t is not None
        ]
        if parts:
            inputs["token_type_ids"] = torch.from_numpy(np.concatenate(parts))[None]
        return inputs

    def _embeds(self, work: Work, batch: PackedBatch, ids: Tensor) -> dict[str, Any]:
        """Embeddings with the media in place, where there are any; else the ids alone."""
        found = [
            (start + span.start - segment.start, span.length, work.media[span.key])
            for place, (start, _) in batch.spans.items()
            for segment in [work.tree.segments[place]]
            for span in work.groups[segment.row].media
            if segment.start <= span.start < segment.end
        ]
        if not found:
            return {"input_ids": ids}
        is_media = torch.isin(ids[0], torch.from_numpy(self._placeholder_ids).to(ids.device))
        embeds = self._model.get_input_embeddings()(ids)
        states = torch.cat([state.embeds for *_, state in found])
        embeds = embeds.masked_scatter(is_media[None, :, None], states.to(embeds))
        inputs: dict[str, Any] = {"inputs_embeds": embeds}
        num_layers = max(len(state.layers) for *_, state in found)
        if num_layers:
            inputs["visual_pos_masks"] = is_media[None]
            inputs["deepstack_visual_embeds"] = [
                torch.cat(
                    [
                        state.layers[layer] if state.layers else torch.zeros_like(state.embeds)
                        for *_, state in found
                    ]
                ).to(embeds)
                for layer in range(num_layers)
            ]
        return inputs

    # ------------------------------------------------------------ what comes out

    def _read_at(self, work: Work, batch: PackedBatch) -> list[int]:
        """Places in the row that scores are read from, in the order of the batch's prompts."""
        return [
            self._place(work, batch, row, position)
            for row in batch.rows
            for position in work.groups[row].read_at
        ]

    def _place(self, work: Work, batch: PackedBatch, row: int, position: int) -> int:
        place = work.tree.locate(row, position)
        return batch.spans[place][0] + position - work.tree.segments[place].start

    def _read(
        self, work: Work, batch: PackedBatch, hidden: Tensor, read_at: Sequence[int], device: Any
    ) -> Tensor:
        if self._head.reads == "position":
            return hidden[list(read_at)]
        assert self._head.pool is not None
        lengths = [work.groups[row].num_tokens for row in batch.rows]
        spans = [batch.spans[work.tree.leaf_of[row]] for row in batch.rows]
        padded = nn.utils.rnn.pad_sequence([hidden[a:b] for a, b in spans], batch_first=True)
        columns = torch.arange(padded.shape[1], device=device)
        mask = columns[None, :] < torch.tensor(lengths, device=device)[:, None]
        return self._head.pool(padded, mask.long())


def _part(values: np.ndarray, segment: Segment) -> np.ndarray:
    return values[segment.start : segment.end]


@contextmanager
def packed_attention_of(config: Any) -> Iterator[None]:
    """The packed attention for the length of one forward pass; of the text model alone."""
    before = config._attn_implementation
    config._attn_implementation = PACKED
    try:
        yield
    finally:
        config._attn_implementation = before
