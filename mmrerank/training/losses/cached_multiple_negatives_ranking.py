"""Many negatives in little memory: the loss of a large batch, a few pairs at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from mmrerank.errors import InputError
from mmrerank.training.losses.checks import SIGMOID
from mmrerank.training.losses.multiple_negatives_ranking import MultipleNegativesRankingLoss
from mmrerank.training.losses.random_state import RandomState
from mmrerank.training.scoring import pair_logits

__all__ = ["CachedMultipleNegativesRankingLoss"]


@dataclass(frozen=True, slots=True)
class _Pass:
    """Pairs that go through the model together, and the random numbers they met there."""

    pairs: Sequence[tuple[Any, Any]]
    state: RandomState


class CachedMultipleNegativesRankingLoss(MultipleNegativesRankingLoss):
    """The same loss, with memory for `mini_batch_size` pairs instead of all.

    The model runs twice: first without gradients to get all logits, the loss and its gradient at
    each logit; then, when `backward` is called, again a mini-batch at a time with the same random
    numbers. Time about +30 % for that.
    """

    uses_gradient_cache = True

    def __init__(
        self,
        model: Any,
        num_negatives: int | None = 4,
        scale: float = 10.0,
        activation_fn: nn.Module | None = SIGMOID,
        mini_batch_size: int = 32,
        show_progress_bar: bool = False,
    ) -> None:
        super().__init__(model, num_negatives, scale, activation_fn)
        if mini_batch_size < 1:
            raise InputError(f"mini_batch_size={mini_batch_size}: need 1 or more.")
        self.mini_batch_size = mini_batch_size
        self.show_progress_bar = show_progress_bar

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Tensor | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """As in MultipleNegativesRankingLoss. The scalar's `backward` may be called once."""
        pairs = self.candidate_pairs(inputs)
        passes: list[_Pass] = []
        found: list[Tensor] = []
        with torch.no_grad():
            for some in self._mini_batches(pairs):
                passes.append(_Pass(some, RandomState.of(self.model)))
                found.append(pair_logits(self.model, some, prompt=prompt, task=task).view(-1))
        logits = torch.cat(found)
        if not torch.is_grad_enabled():
            return self.loss_of(logits, len(inputs[0]))
        logits = logits.detach().requires_grad_()
        loss = self.loss_of(logits, len(inputs[0]))
        (gradient,) = torch.autograd.grad(loss, logits)
        loss = loss.detach().requires_grad_()
        again = partial(pair_logits, self.model, prompt=prompt, task=task)
        replay = partial(self._replay, passes, gradient, again)
        loss.register_hook(replay)  # type: ignore[no-untyped-call]
        return loss

    def _mini_batches(self, pairs: list[tuple[Any, Any]]) -> Iterator[list[tuple[Any, Any]]]:
        starts = range(0, len(pairs), self.mini_batch_size)
        for start in tqdm(starts, desc="Mini-batches", disable=not self.show_progress_bar):
            yield pairs[start : start + self.mini_batch_size]

    def _replay(
        self, passes: Sequence[_Pass], gradient: Tensor, logits_of: Any, outer: Tensor
    ) -> None:
        """Run the passes again with gradients. outer: the gradient that arrives at the loss."""
        start = 0
        for number, one in enumerate(passes, start=1):
            piece = gradient[start : start + len(one.pairs)]
            start += len(one.pairs)
            is_last = number == len(passes)
            with torch.enable_grad(), one.state.again(), self._gradients_sent(is_last):
                logits = logits_of(one.pairs).view(-1)
                if logits.requires_grad:  # not where all weights are frozen
                    torch.autograd.backward(logits, piece * outer)

    def _gradients_sent(self, is_last: bool) -> AbstractContextManager[Any]:
        """Between processes gradients are summed once, with the last pass."""
        if isinstance(self.model, DistributedDataParallel) and not is_last:
            return self.model.no_sync()
        return nullcontext()

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {**super().get_config_dict(), "mini_batch_size": self.mini_batch_size}
