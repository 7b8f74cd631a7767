"""How many operations a model's scores take at least, and how many a device can do in a second."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mmrerank.types import EncodedGroup

__all__ = ["num_flops", "peak_flops_per_s", "unique_parts"]

# Dense bf16 with float32 sums, operations a second. Source: NVIDIA's data sheets, whose figures
# with sparsity are halved. The first that is a word of the device's name counts.
_PEAKS: Sequence[tuple[str, float]] = (
    ("B200", 2_250e12),
    ("GH200", 989e12),
    ("H200 NVL", 835e12),
    ("H200", 989e12),
    ("H100 NVL", 835e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("H800", 989e12),
    ("H20", 148e12),
    ("A100", 312e12),
    ("A800", 312e12),
    ("A40", 150e12),
    ("A30", 165e12),
    ("A10G", 70e12),
    ("A10", 125e12),
    ("L40S", 362e12),
    ("L40", 181e12),
    ("L4", 121e12),
    ("RTX 5090", 210e12),
    ("RTX 4090", 165e12),
    ("RTX 3090", 71e12),
    ("RTX 6000 Ada", 364e12),
)


def peak_flops_per_s(device_name: str) -> float | None:
    """Operations a second that the device's maker states, or None for a device not in the table."""
    return next((peak for name, peak in _PEAKS if re.search(rf"\b{name}\b", device_name)), None)


def num_flops(model: Any, groups: Sequence[EncodedGroup]) -> float:
    """Operations of a vision-language model for these prompts, when nothing is computed twice.

    2 · parameters of the layers · distinct tokens, and attention; the tower for each distinct
    picture. The lookup of embeddings and the two rows of the output layer count as nothing.
    """
    parts = unique_parts(groups)
    num_tokens = sum(end - start for start, end in parts)
    num_seen = sum((end * (end + 1) - start * (start + 1)) // 2 for start, end in parts)
    text = model.get_decoder()
    config = text.config
    width = config.num_attention_heads * config.head_dim
    linear = 2 * _num_parameters(text, without="embed_tokens") * num_tokens
    # Two products, of queries with keys and of weights with values, each 2 operations a number.
    attention = 4 * config.num_hidden_layers * width * num_seen
    return float(linear + attention + _tower_flops(model, groups))


def unique_parts(groups: Sequence[EncodedGroup]) -> list[tuple[int, int]]:
    """[start, end) of what each prompt has that no prompt before it begins with.

    Counted here once more, beside the engine, whose count it checks.
    """
    rows = sorted(set(map(_symbols, groups)))
    parts, before = [], ()
    for row in rows:
        shared = 0
        while shared < min(len(row), len(before)) and row[shared] == before[shared]:
            shared += 1
        parts.append((shared, len(row)))
        before = row
    return parts


def _symbols(group: EncodedGroup) -> tuple[int, ...]:
    """Token ids; at media tokens numbers below 0 of the medium's content."""
    symbols = group.token_ids.tolist()
    for span in group.media:
        number = -1 - hash(span.key) % (1 << 60)
        symbols[span.start : span.start + span.length] = [number] * span.length
    return tuple(symbols)


def _tower_flops(model: Any, groups: Sequence[EncodedGroup]) -> float:
    lengths = {span.key: span.length for group in groups for span in group.media}
    if not lengths:
        return 0.0
    tower = model.model.visual
    config = tower.config
    merged = config.spatial_merge_size**2  # patches that become one token
    num_blocks = _num_parameters(tower, without="merger") - tower.pos_embed.weight.numel()
    num_mergers = sum(w.numel() for name, w in tower.named_parameters() if "merger" in name)
    patches = [length * merged for length in lengths.values()]
    linear = 2 * num_blocks * sum(patches) + 2 * num_mergers * sum(lengths.values())
    attention = 4 * config.depth * config.hidden_size * sum(number**2 for number in patches)
    return float(linear + attention)


def _num_parameters(module: Any, *, without: str) -> int:
    return sum(w.numel() for name, w in module.named_parameters() if without not in name)
