"""Rows of query and document to padded tensors, and the forward pass used in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen2_5OmniThinkerForConditionalGeneration

from .features import log_mel, num_audio_tokens, patchify, resize_frames
from .model import MERGE, PATCH_PX
from .tokenizer import token_id

__all__ = ["Batch", "Media", "Row", "collate", "forward_scores", "tower_states"]

POSITIONS_PER_SECOND = 4
_WRAP = {
    "image": ("<|vision_bos|>", "<|IMAGE|>", "<|vision_eos|>"),
    "video": ("<|vision_bos|>", "<|VIDEO|>", "<|vision_eos|>"),
    "audio": ("<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"),
}


@dataclass(frozen=True, eq=False, slots=True)
class Media:
    """One prepared medium: resized frames (n, 3, h, w) uint8, or log-mel (80, n) float32."""

    kind: Literal["image", "video", "audio"]
    array: np.ndarray

    @classmethod
    def from_frames(cls, frames: np.ndarray) -> Media:
        """Prepare frames (num_frames, height, width, 3); one frame is a picture."""
        return cls("image" if len(frames) == 1 else "video", resize_frames(frames))

    @classmethod
    def from_samples(cls, samples: np.ndarray) -> Media:
        """Prepare a sound (num_samples,) float32 at 16 kHz."""
        return cls("audio", log_mel(samples))

    @property
    def grid(self) -> tuple[int, int, int]:
        """Return tokens in time, rows and columns."""
        if self.kind == "audio":
            return num_audio_tokens(self.array.shape[1]), 1, 1
        steps = (len(self.array) + 1) // 2
        side = PATCH_PX * MERGE
        return steps, self.array.shape[2] // side, self.array.shape[3] // side

    @property
    def num_tokens(self) -> int:
        """Count the tokens that stand for the medium."""
        steps, rows, columns = self.grid
        return steps * rows * columns


Part = str | Media


@dataclass(frozen=True, slots=True)
class Row:
    """One query and document; parts are joined as the chat template does."""

    query: str | Media
    document: tuple[Part, ...]
    label: float
    instruction: str = ""
    seconds_per_grid: float = 1.0
    learns_caption: bool = False
    never_said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Left-padded rows. `media` are distinct; `media_at[i]` is the flat token index that state
    `state_of[i]` of the joined tower outputs goes to."""

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    media: list[Media]
    media_at: Tensor
    state_of: Tensor
    labels: Tensor
    caption_mask: Tensor
    never_said: Tensor


def _render(part: Part) -> str:
    if isinstance(part, str):
        return part
    begin, token, end = _WRAP[part.kind]
    return begin + token * part.num_tokens + end


def _texts(row: Row) -> tuple[str, str]:
    """Return the rendered row up to the document, and the document's text."""
    lead = f"{row.instruction}\n" if row.instruction else ""
    head = f"<|im_start|>user\n{lead}query: {_render(row.query)}\ndocument: "
    return head, "".join(_render(part) for part in row.document)


def _positions(row: Row, ids: np.ndarray, media_ids: frozenset[int]) -> np.ndarray:
    """Return the (3, num_tokens) rotary positions, as the model's get_rope_index gives them."""
    media = [part for part in (row.query, *row.document) if isinstance(part, Media)]
    positions = np.empty((3, len(ids)), dtype=np.int64)
    at, follow = 0, 0
    for one in media:
        while int(ids[at]) not in media_ids:
            positions[:, at] = follow
            at, follow = at + 1, follow + 1
        count = one.num_tokens
        block = _media_positions(one, row.seconds_per_grid) + follow
        positions[:, at : at + count] = block
        at, follow = at + count, int(block.max()) + 1
    positions[:, at:] = np.arange(follow, follow + len(ids) - at)
    return positions


def _media_positions(media: Media, seconds_per_grid: float) -> np.ndarray:
    steps, rows, columns = media.grid
    if media.kind == "audio":
        return np.broadcast_to(np.arange(steps), (3, steps))
    time, row, column = np.indices((steps, rows, columns)).reshape(3, -1)
    pace = seconds_per_grid * POSITIONS_PER_SECOND if media.kind == "video" else 1.0
    return np.stack([(time * pace).astype(np.int64), row, column])


def collate(rows: Sequence[Row], tokenizer: PreTrainedTokenizerFast) -> Batch:
    """Tokenize, pad on the left and index the media of the rows."""
    texts = [_texts(row) for row in rows]
    tail = "<|im_end|>\n<|im_start|>assistant\n"
    encoded = tokenizer.backend_tokenizer.encode_batch(
        [head + body + tail for head, body in texts], add_special_tokens=False
    )
    width, count = max(len(one.ids) for one in encoded), len(rows)
    ids = np.full((count, width), tokenizer.pad_token_id, dtype=np.int64)
    mask = np.zeros((count, width), dtype=np.int64)
    positions = np.ones((3, count, width), dtype=np.int64)
    captions = np.zeros((count, width), dtype=bool)
    special = frozenset(token_id(tokenizer, token) for _, token, _ in _WRAP.values())
    for i, (row, one) in enumerate(zip(rows, encoded, strict=True)):
        start = width - len(one.ids)
        ids[i, start:], mask[i, start:] = one.ids, 1
        positions[:, i, start:] = _positions(row, ids[i, start:], special)
        if row.learns_caption:
            begin, end = len(texts[i][0]), len(texts[i][0]) + len(texts[i][1])
            inside = [begin < stop <= end for _, stop in one.offsets]
            captions[i, start:] = inside
    media, media_at, state_of = _index_media(rows, ids, special)
    return Batch(
        torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(positions), media,
        torch.from_numpy(media_at), torch.from_numpy(state_of),
        torch.tensor([row.label for row in rows]), torch.from_numpy(captions),
        torch.from_numpy(_never_said(rows, tokenizer)),
    )  # fmt: skip


def _never_said(rows: Sequence[Row], tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """Return ids (num_rows, most) left out of each row's caption loss, padded with <|AUDIO|>."""
    filler = token_id(tokenizer, "<|AUDIO|>")
    most = max(len(row.never_said) for row in rows)
    ids = np.full((len(rows), 2 * most), filler, dtype=np.int64)
    for i, row in enumerate(rows):
        tokens = [form for word in row.never_said for form in (word, f"\u0120{word}")]
        ids[i, : len(tokens)] = tokenizer.convert_tokens_to_ids(tokens) if tokens else []
    return ids


def _index_media(
    rows: Sequence[Row], ids: np.ndarray, special: frozenset[int]
) -> tuple[list[Media], np.ndarray, np.ndarray]:
    """List distinct media, vision first, and map each media token to its tower state."""
    used = [p for row in rows for p in (row.query, *row.document) if isinstance(p, Media)]
    distinct = list({id(one): one for one in used}.values())
    distinct.sort(key=lambda one: one.kind == "audio")
    starts, total = {}, 0
    for one in distinct:
        starts[id(one)] = total
        total += one.num_tokens
    media_at = np.flatnonzero(np.isin(ids.reshape(-1), list(special)))
    ranges = [np.arange(starts[id(one)], starts[id(one)] + one.num_tokens) for one in used]
    state_of = np.concatenate(ranges) if ranges else np.zeros(0, dtype=np.int64)
    return distinct, media_at, state_of


def tower_states(
    model: Qwen2_5OmniThinkerForConditionalGeneration, media: Sequence[Media]
) -> Tensor:
    """Run both towers; vision media come first. Returns (num_media_tokens, hidden_size)."""
    states = []
    vision = [patchify(one.array) for one in media if one.kind != "audio"]
    if vision:
        pixels = torch.from_numpy(np.concatenate([patches for patches, _ in vision]))
        grid = torch.tensor([shape for _, shape in vision])
        states.append(model.model.visual(pixels, grid_thw=grid).pooler_output)
    sounds = [one.array for one in media if one.kind == "audio"]
    if sounds:
        frames = torch.from_numpy(np.concatenate(sounds, axis=1))
        lengths = torch.tensor([sound.shape[1] for sound in sounds])
        states.append(model.model.audio_tower(frames, feature_lens=lengths).last_hidden_state)
    return torch.cat([state.float() for state in states])


def forward_scores(
    model: Qwen2_5OmniThinkerForConditionalGeneration, batch: Batch, yes_no: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Score the rows.

    Returns logit(yes) - logit(no), (num_rows,); the mean caption loss, 0 without a caption; and the
    tower states of `batch.media`, (num_media_tokens, hidden_size), empty without media.
    """
    embeds = model.get_input_embeddings()(batch.input_ids)
    states = embeds.new_zeros(0, embeds.shape[-1])
    if batch.media:
        states = tower_states(model, batch.media)
        flat = embeds.view(-1, embeds.shape[-1])
        placed = states[batch.state_of].to(flat.dtype)
        embeds = flat.index_copy(0, batch.media_at, placed).view_as(embeds)
    hidden = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        use_cache=False,
    ).last_hidden_state
    rows = model.lm_head.weight[list(yes_no)]
    pair = hidden[:, -1].float() @ rows.float().T  # (num_rows, 2)
    targets = batch.caption_mask[:, 1:]
    caption_loss = hidden.new_zeros((), dtype=torch.float32)
    if bool(targets.any()):
        logits = model.lm_head(hidden[:, :-1][targets]).float()
        logits = logits.scatter(1, batch.never_said[targets.nonzero()[:, 0]], -1e4)
        caption_loss = torch.nn.functional.cross_entropy(logits, batch.input_ids[:, 1:][targets])
    return pair[:, 0] - pair[:, 1], caption_loss, states
