"""The engine of models whose answer is text: transformers' own generation, batch by batch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.interface import Batches, Engine, Features, ShouldStop
from mmrerank.engine.padded import PaddedRunner
from mmrerank.engine.report import PlanReport
from mmrerank.engine.run_padded import PaddedEngine
from mmrerank.errors import InputError
from mmrerank.types import EncodedGroup

__all__ = ["build_writing_engine"]

# On devices other than processors. A step of an answer costs about the same for one row and for
# many, so batches are larger than where states are read: 16 windows of 2,048 tokens, as the vendor
# of the first such family has them. Where that is too much, batches are halved.
_TOKENS = 32_768
# Of sampling. transformers warns of other values beside do_sample=False, and takes None for the
# checkpoint's own.
_UNUSED = {"temperature": 1.0, "top_p": 1.0, "top_k": 50}


def build_writing_engine(model: Any, padded: PaddedRunner, max_new_tokens: int) -> Engine:
    """An engine that gives, in place of states, the token ids that the model writes.

    padded: makes the model's inputs. Its batches are (num_prompts, num_new) int64; behind the end
    of an answer stand padding ids.
    """
    return _WritingEngine(PaddedEngine(_WritingRunner(model, padded, max_new_tokens)))


class _WritingRunner:
    """Greedy answers to a batch of prompts, which are padded on the left.

    So no prompt reads padding of another, and an answer does not depend on the company it is in.
    """

    def __init__(self, model: Any, padded: PaddedRunner, max_new_tokens: int) -> None:
        self._model = model
        self._padded = padded
        self._config = copy.deepcopy(model.generation_config)
        self._config.update(
            max_new_tokens=max_new_tokens,
            max_length=None,
            do_sample=False,
            num_beams=1,
            use_cache=True,  # the loaded config says no, for models that are read once
            pad_token_id=self._pad_id(),
            **_UNUSED,
        )

    def run(self, groups: Sequence[EncodedGroup], features: Features, device: Any) -> Tensor:
        """Returns (num_prompts, num_new) int64 token ids."""
        made = self._padded.inputs(groups, features, pad_left=True)
        inputs = {name: tensor.to(device) for name, tensor in made.items()}
        written: Tensor = self._model.generate(**inputs, generation_config=self._config)
        return written[:, inputs["input_ids"].shape[1] :]

    def _pad_id(self) -> int:
        """Of what stands behind an answer's end: any special token, so the first end token."""
        ends = self._config.eos_token_id
        if ends is None:
            return int(self._model.config.get_text_config().pad_token_id or 0)
        return int(ends[0] if isinstance(ends, list) else ends)


class _WritingEngine:
    """Padded batches of the size that suits writing; what it would compute cannot be told."""

    def __init__(self, rows: PaddedEngine) -> None:
        self._rows = rows

    def run(
        self,
        groups: Sequence[EncodedGroup],
        features: Features,
        *,
        budget: TokenBudget,
        device: Any,
        should_stop: ShouldStop = None,
    ) -> Batches:
        """See `Engine.run`; token ids stand in the place of states."""
        if budget.max_tokens is None and torch.device(device).type != "cpu":
            budget = TokenBudget(_TOKENS, budget.max_pairs)
        return self._rows.run(
            groups, features, budget=budget, device=device, should_stop=should_stop
        )

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget, device: Any
    ) -> PlanReport:
        """Raises InputError: which prompts come later depends on the answers to those before."""
        raise InputError(
            "explain_plan: this model writes the order of a few documents at a time, and its next "
            "prompt depends on that answer. What it would compute is not known before it is run."
        )
