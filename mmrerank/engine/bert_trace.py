"""An encoder of the BERT kind as a graph of tensors, for a runtime other than torch.

The graph is that of the few lines below, over the model's own submodules: the model's forward
chooses masks and attention by its settings, which a graph cannot.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["trace_encoder"]


def trace_encoder(text_model: Any) -> Any:
    """The traced `_Encoder.forward`, for any number of rows and tokens, with the model's present
    weights. The model itself is only read.
    """
    ids = torch.zeros(2, 7, dtype=torch.int64)
    lengths = torch.tensor([7, 5])
    example = (ids, torch.zeros_like(ids), torch.arange(7)[None], lengths, lengths - 1)
    modes = {module: module.training for module in text_model.modules()}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # torch names torch.export in its place, which takes ten times as long.
            warnings.filterwarnings("ignore", "`torch.jit.trace", FutureWarning)
            # Of an embedding's check that its padding id is within its table.
            warnings.filterwarnings("ignore", "Converting a tensor")
            encoder = _Encoder(text_model).eval()  # the model's submodules too
            trace: Any = torch.jit.trace  # has no types
            return trace(encoder, example, check_trace=False, strict=False)
    finally:
        for module, mode in modes.items():
            module.training = mode


class _Encoder(nn.Module):
    """Embeddings and layers of a model, the last one for the tokens that scores are read from."""

    def __init__(self, text_model: Any) -> None:
        super().__init__()
        self.embeddings = text_model.embeddings
        # ELECTRA's embeddings may be narrower than its layers.
        project = getattr(text_model, "embeddings_project", None)
        self.project = nn.Identity() if project is None else project
        self.layers = text_model.encoder.layer

    def forward(
        self, ids: Tensor, types: Tensor, positions: Tensor, lengths: Tensor, read_at: Tensor
    ) -> Tensor:
        """The states (rows, hidden_size) at one token of each row, in float32.

        ids, types: (rows, tokens), padded on the right; positions: (1, tokens), in a row from any
        number; lengths, read_at: (rows,).
        """
        embedded = self.embeddings(input_ids=ids, token_type_ids=types, position_ids=positions)
        hidden = self.project(embedded)
        is_padding = positions - positions[:, :1] >= lengths[:, None]
        # Half of the least number: what is added to a score must not become infinite.
        least = torch.finfo(hidden.dtype).min / 2
        bias = is_padding.to(hidden.dtype)[:, None, None] * least  # (rows, 1, 1, tokens)
        *others, last = self.layers
        for layer in others:
            hidden = _layer(layer, hidden, hidden, bias)
        at = read_at[:, None, None].expand(-1, -1, hidden.shape[2])
        return _layer(last, hidden.gather(1, at), hidden, bias)[:, 0].float()


def _layer(layer: Any, read: Tensor, hidden: Tensor, bias: Tensor) -> Tensor:
    """What a layer makes of the tokens `read` (rows, num_read, hidden_size), which attend to all of
    `hidden`: attention, residual and norm; MLP, residual and norm.
    """
    attention = layer.attention.self
    query, key, value = (
        states.unflatten(2, (-1, attention.attention_head_size)).transpose(1, 2)
        for states in (attention.query(read), attention.key(hidden), attention.value(hidden))
    )
    mixed = scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=attention.scaling)
    attended = layer.attention.output(mixed.transpose(1, 2).flatten(2), read)
    result: Tensor = layer.output(layer.intermediate(attended), attended)
    return result
