"""Random weights that answer in permutations: which ones is the weights' own choice."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

__all__ = ["answer_in_permutations"]


def answer_in_permutations(
    model: Any, tokenizer: Any, num_prompts: list[int] | None = None
) -> None:
    """From now on a step of an answer may only go on with a permutation of the prompt's documents.

    Of the numbers that are left the model takes the one that its own logits prefer. num_prompts:
    grows by the number of prompts of each `generate`.
    """
    grammar = _Grammar(tokenizer, [] if num_prompts is None else num_prompts)
    model.register_forward_hook(grammar.constrain, with_kwargs=True)


class _Grammar:
    """`[a] > [b] > …` in the tokens of one tokenizer."""

    def __init__(self, tokenizer: Any, num_prompts: list[int]) -> None:
        self._tokenizer = tokenizer
        self._frame = tokenizer("[1] > [2] > [3] > [4]")["input_ids"]
        self._numbers = [tokenizer.convert_tokens_to_ids(str(number)) for number in range(1, 5)]
        assert [token for token in self._frame if token in self._numbers] == self._numbers
        self._left: list[list[int]] = []
        self._sizes: list[int] = []
        self._step = 0
        self._num_prompts = num_prompts

    def constrain(self, module: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        ids: Tensor = kwargs["input_ids"]
        if ids.shape[1] > 1:
            self._begin(ids)
        else:
            self._step += 1
            for left, token in zip(self._left, ids[:, 0].tolist(), strict=True):
                if token in left:
                    left.remove(token)
        for row, allowed in enumerate(self._allowed()):
            own = output.logits[row, -1]
            kept = own[allowed].clone()
            own.fill_(float("-inf"))
            own[allowed] = kept
        self._check(output.logits)

    def _begin(self, ids: Tensor) -> None:
        prompts = self._tokenizer.batch_decode(ids)
        self._sizes = [len(re.findall(r"(?m)^\[\d\]: ", prompt)) for prompt in prompts]
        self._left = [self._numbers[:size] for size in self._sizes]
        self._step = 0
        self._num_prompts.append(len(prompts))

    def _allowed(self) -> list[list[int]]:
        end = self._tokenizer.eos_token_id
        found = []
        for size, left in zip(self._sizes, self._left, strict=True):
            last = self._frame.index(self._numbers[size - 1]) + 1  # the bracket behind it
            due = self._frame[self._step] if self._step <= last else end
            found.append(left if due in self._numbers else [due])
        return found

    def _check(self, logits: Tensor) -> None:
        assert torch.isfinite(logits[:, -1]).any(dim=-1).all()
