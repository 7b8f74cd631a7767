"""Pooling, Dense and LayerNorm: the module chain that some rerankers have after an encoder."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from mmrerank.errors import CheckpointError
from mmrerank.heads.activation import Activation, activation_name

__all__ = ["Dense", "LayerNorm", "Pooling", "PoolingMode"]

PoolingMode: TypeAlias = Literal[
    "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"
]
_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


class Pooling(nn.Module):
    """One vector a row from the states of its tokens.

    pooling_mode: "cls" first token, "lasttoken", "max", "mean", "mean_sqrt_len_tokens" (sum over
    the root
    of the count), "weightedmean" (weight 1, 2, 3, … by position). Several are joined in the order
    given.
    """

    config_keys = ("embedding_dimension", "pooling_mode", "include_prompt")

    def __init__(
        self,
        embedding_dimension: int,
        pooling_mode: PoolingMode | tuple[PoolingMode, ...] | list[PoolingMode] = "mean",
        include_prompt: bool = True,
    ) -> None:
        super().__init__()
        self.embedding_dimension = embedding_dimension
        self.modes = (pooling_mode,) if isinstance(pooling_mode, str) else tuple(pooling_mode)
        self.pooling_mode = self.modes[0] if len(self.modes) == 1 else list(self.modes)
        self.include_prompt = include_prompt
        for mode in self.modes:
            if mode not in _MODES:
                raise CheckpointError(f"pooling_mode {mode!r} is not one of {', '.join(_MODES)}")

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden: (rows, tokens, hidden_size); mask: (rows, tokens), 1 for real tokens, on either
        side.

        Returns (rows, hidden_size · number of modes).
        """
        return torch.cat([_pool(mode, hidden, mask) for mode in self.modes], dim=1)

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The peer's form: token_embeddings and attention_mask in, sentence_embedding out."""
        features["sentence_embedding"] = self.pool(
            features["token_embeddings"], features["attention_mask"]
        )
        return features

    def get_config_dict(self) -> dict[str, Any]:
        """What is saved as config.json of the module."""
        return {key: getattr(self, key) for key in self.config_keys}


def _pool(mode: str, hidden: Tensor, mask: Tensor) -> Tensor:
    rows = torch.arange(len(hidden), device=hidden.device)
    real = mask.to(hidden.dtype).unsqueeze(-1)  # (rows, tokens, 1)
    if mode == "cls":
        return hidden[rows, mask.long().argmax(dim=1)]
    if mode == "lasttoken":
        return hidden[rows, mask.shape[1] - 1 - mask.long().flip(1).argmax(dim=1)]
    if mode == "max":
        return hidden.masked_fill(real == 0, torch.finfo(hidden.dtype).min).max(dim=1).values
    if mode == "weightedmean":
        real = real * mask.cumsum(dim=1).to(hidden.dtype).unsqueeze(-1)
    total = (hidden * real).sum(dim=1)
    count = real.sum(dim=1).clamp(min=1e-9)
    return total / (count.sqrt() if mode == "mean_sqrt_len_tokens" else count)


class Dense(nn.Module):
    """A linear layer with an activation. activation_function: None = identity.

    use_residual: what comes in is added to what goes out, through a further linear layer where
    their sizes differ.
    """

    config_keys = (
        "in_features",
        "out_features",
        "bias",
        "activation_function",
        "module_input_name",
        "module_output_name",
        "use_residual",
    )

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation_function: Activation | None = nn.Tanh(),  # noqa: B008 - the peer's default, without state
        module_input_name: str = "sentence_embedding",
        module_output_name: str | None = None,
        use_residual: bool = False,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.bias = bias
        self.activation_function = (
            nn.Identity() if activation_function is None else activation_function
        )
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.module_input_name = module_input_name
        self.module_output_name = module_output_name or module_input_name
        self.use_residual = use_residual
        if use_residual and in_features != out_features:
            self.residual = nn.Linear(in_features, out_features, bias=False)

    def step(self, states: Tensor) -> Tensor:
        """states: (rows, in_features). Returns (rows, out_features)."""
        # States of a half-precision model meet weights that were stored in float32.
        states = states.to(self.linear.weight.dtype)
        output = self.activation_function(self.linear(states))
        if not self.use_residual:
            return output
        same_size = self.in_features == self.out_features
        return output + (states if same_size else self.residual(states))

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The peer's form: reads module_input_name, writes module_output_name."""
        features[self.module_output_name] = self.step(features[self.module_input_name])
        return features

    def get_config_dict(self) -> dict[str, Any]:
        """What is saved as config.json of the module."""
        config = {key: getattr(self, key) for key in self.config_keys}
        if not self.use_residual:
            del config["use_residual"]  # older readers do not know it
        return {**config, "activation_function": activation_name(self.activation_function)}


class LayerNorm(nn.Module):
    """Layer normalisation of the pooled vector."""

    config_keys = ("dimension",)

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.norm = nn.LayerNorm(dimension)

    def step(self, states: Tensor) -> Tensor:
        """states: (rows, dimension). Returns the same shape."""
        return self.norm(states.to(self.norm.weight.dtype))  # type: ignore[no-any-return]

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The peer's form: sentence_embedding in and out."""
        features["sentence_embedding"] = self.step(features["sentence_embedding"])
        return features

    def get_config_dict(self) -> dict[str, Any]:
        """What is saved as config.json of the module."""
        return {"dimension": self.dimension}
