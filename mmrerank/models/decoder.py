"""What an encoder-decoder's first decoder step starts from, and what becomes of its state."""

from __future__ import annotations

from typing import Any

from mmrerank.errors import CheckpointError, shorten
from mmrerank.models.architectures import DECODER_SCALE

__all__ = ["decoder_scale", "decoder_start_id"]


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
