"""What an encoder-decoder's decoder starts from and looks at, and what becomes of its state."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import pad

from mmrerank.errors import CheckpointError, shorten
from mmrerank.models.architectures import DECODER_SCALE

__all__ = ["decoder_scale", "decoder_start_id", "pooled"]


def decoder_start_id(model: Any) -> int:
    """The token that stands in front of the decoder's first word.

    Older files name it in config.json, newer ones in generation_config.json; without either it is
    the padding token, as these models are trained.
    Raises CheckpointError where there is none of the three.
    """
    for config in (model.config, model.generation_config):
        named = getattr(config, "decoder_start_token_id", None)
        if named is not None:
            return int(named)
    if model.config.pad_token_id is None:
        raise CheckpointError(
            f"{shorten(model.name_or_path)}: nothing says which token its decoder starts from. Put "
            '"decoder_start_token_id" into its config.json.'
        )
    return int(model.config.pad_token_id)


def decoder_scale(config: Any) -> float:
    """What a decoder state is multiplied by before the output layer reads it.

    Raises CheckpointError for an architecture of which that is not known.
    """
    if config.model_type not in DECODER_SCALE:
        raise CheckpointError(
            f"encoder-decoders of model_type {shorten(config.model_type)} are not known here, so "
            "their logits could be wrong. Known: "
            f"{', '.join(sorted(DECODER_SCALE))}."
        )
    field = DECODER_SCALE[config.model_type]
    is_scaled = bool(field) and getattr(config, field)
    return float(config.d_model**-0.5) if is_scaled else 1.0


def pooled(states: Tensor, mask: Tensor, chunk_size: int | None) -> tuple[Tensor, Tensor]:
    """An encoder's states as means of `chunk_size` tokens in a row; a last chunk may have fewer.

    states: (rows, tokens, hidden_size). mask: (rows, tokens), 1 for tokens and 0 for padding behind
    them. chunk_size: None leaves both as they are.
    Returns (rows, chunks, hidden_size) and (rows, chunks).
    """
    if chunk_size is None:
        return states, mask
    num_rows, num_tokens, hidden_size = states.shape
    missing = -num_tokens % chunk_size
    chunks = pad(states, (0, 0, 0, missing)).reshape(num_rows, -1, chunk_size, hidden_size)
    counted = pad(mask, (0, missing)).reshape(num_rows, -1, chunk_size)
    # Not multiplied by the mask: the state of padding may be no number.
    sums = chunks.masked_fill(counted.unsqueeze(-1) == 0, 0.0).sum(dim=2)
    sizes = counted.sum(dim=2)
    means = sums / sizes.clamp(min=1).unsqueeze(-1)
    return means.to(states.dtype), (sizes > 0).to(mask.dtype)
