"""LogitScore: the relevance score of a language model is the logit of one token, or of one minus
another.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["LogitScore"]


class LogitScore(nn.Module):
    """The logit of `true_token_id`, minus that of `false_token_id` unless that is None.

    Names, defaults and saved config are those of sentence-transformers' module of the same name. It
    has
    no weights of its own: `score` reads the two rows it needs from the model's output layer at each
    call,
    so an in-place change of that layer is seen at once.
    """

    num_labels = 1
    config_keys = ("true_token_id", "false_token_id", "module_input_name")

    def __init__(
        self,
        true_token_id: int,
        false_token_id: int | None = None,
        module_input_name: str = "causal_logits",
    ) -> None:
        super().__init__()
        self.true_token_id = true_token_id
        self.false_token_id = false_token_id
        self.module_input_name = module_input_name

    def score(
        self, states: Tensor, output_layer: nn.Linear, *, softcap: float | None = None
    ) -> Tensor:
        """Logits from the states at the scoring positions.

        states: (num_pairs, hidden_size). output_layer: the model's lm_head, weight (vocab_size,
        hidden_size).
        softcap: some models squash their logits to ±softcap; None for the others.
        Returns (num_pairs, 1) float32.
        """
        rows = [self.true_token_id] + ([] if self.false_token_id is None else [self.false_token_id])
        logits = _rows_of(output_layer, states, rows)
        if softcap is not None:
            logits = torch.tanh(logits / softcap) * softcap
        return logits[:, :1] if self.false_token_id is None else logits[:, :1] - logits[:, 1:]

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The peer's form: reads the full logits (batch, tokens, vocab_size), writes `scores`
        (batch, 1).

        Rows must be padded on the left, so that the last position is a real token.
        """
        logits = features[self.module_input_name][:, -1]
        scores = logits[:, self.true_token_id]
        if self.false_token_id is not None:
            scores = scores - logits[:, self.false_token_id]
        features["scores"] = scores.unsqueeze(1)
        return features

    def get_config_dict(self) -> dict[str, Any]:
        """What is saved as config.json of the module."""
        return {key: getattr(self, key) for key in self.config_keys}

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"true_token_id={self.true_token_id}, false_token_id={self.false_token_id}"


def _rows_of(output_layer: nn.Linear, states: Tensor, rows: list[int]) -> Tensor:
    """(num_pairs, num_rows) float32: the output layer for some rows of the vocabulary."""
    if type(output_layer) is not nn.Linear:  # an adapter around it has more than a weight
        whole: Tensor = output_layer(states.to(output_layer.weight.dtype))
        return whole[:, rows].float()
    # (1 or 2, hidden_size); the other vocabulary rows are never computed
    weight = output_layer.weight[rows]
    bias = None if output_layer.bias is None else output_layer.bias[rows].float()
    # Half precision moves a logit of 8 in steps of 0.06: two rows cost nothing in float32.
    return torch.nn.functional.linear(states.float(), weight.float(), bias)
