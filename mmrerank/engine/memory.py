"""How many tokens go through a model at once: what is quick on a device, and what fits it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch

from mmrerank.engine.budget import TokenBudget
from mmrerank.errors import EngineError

__all__ = ["CudaMeter", "MemoryMeter", "TokenLimit", "TooLarge", "attempt", "fitting_tokens"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
Probe = Callable[[int], object]

# On processors short rows are quicker than long ones, down to this: what a layer writes is still in
# the cache when the next one reads it. docs/experiments.md has the figures.
_CPU_TOKENS = 1_536
# On other devices that cannot be asked for their memory.
_OTHER_TOKENS = 8_192
_LEAST_TOKENS, _MOST_TOKENS = 1_024, 65_536
_PROBE_TOKENS = (256, 1_024)
_SHARE_OF_FREE = 0.5  # the rest is for what a probe does not see: caches, longer rows, other users


class MemoryMeter(Protocol):
    """Asks a device for its memory."""

    def free_bytes(self) -> int:
        """Bytes that can still be allocated."""

    def peak_bytes(self, call: Callable[[], object]) -> int:
        """Bytes that a call takes at its peak beside what was allocated before."""


class CudaMeter:
    """The memory of one CUDA device, as torch's allocator counts it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def free_bytes(self) -> int:
        """What the driver has left, and what torch holds without using it."""
        free, _ = torch.cuda.mem_get_info(self._device)
        held = torch.cuda.memory_reserved(self._device)
        return int(free + held - torch.cuda.memory_allocated(self._device))

    def peak_bytes(self, call: Callable[[], object]) -> int:
        """See `MemoryMeter.peak_bytes`."""
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        call()
        return int(torch.cuda.max_memory_allocated(self._device)) - before


def fitting_tokens(meter: MemoryMeter, probe: Probe) -> int:
    """Tokens of one batch that take half of the free memory.

    probe: runs a batch of so many tokens. Two sizes are run: their difference leaves out what any
    batch takes.
    """
    small, large = (meter.peak_bytes(lambda n=n: probe(n)) for n in _PROBE_TOKENS)  # type: ignore[misc]
    bytes_a_token = max(1.0, (large - small) / (_PROBE_TOKENS[1] - _PROBE_TOKENS[0]))
    tokens = int(_SHARE_OF_FREE * meter.free_bytes() / bytes_a_token)
    return min(max(tokens, _LEAST_TOKENS), _MOST_TOKENS)


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A batch did not fit into memory. num_parts: 1 when it cannot be made smaller."""

    num_tokens: int
    num_parts: int


def attempt(call: Callable[[], T], num_tokens: int, num_parts: int) -> T | TooLarge:
    """The result of a call, or TooLarge where memory did not suffice for it.

    A value and no exception: a traceback would keep alive what was computed before it.
    """
    try:
        return call()
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
    return TooLarge(num_tokens, num_parts)


def _is_out_of_memory(error: Exception) -> bool:
    # torch's own class is not raised by its processor's allocator, nor by all libraries under it.
    words = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        word in str(error).lower() for word in words
    )


class TokenLimit:
    """Most tokens of a batch, by device; less once memory has run out, and it stays so."""

    def __init__(self) -> None:
        self._measured: dict[torch.device, int] = {}
        self._learned: dict[torch.device, int] = {}
        self._alone: dict[torch.device, int] = {}

    def budget(self, wanted: TokenBudget, device: Any, probe: Probe | None = None) -> TokenBudget:
        """The budget of a call on a device. probe: see `fitting_tokens`; None measures nothing."""
        device = torch.device(device)
        most = wanted.max_tokens
        if most is None:
            if device not in self._measured and (device.type != "cuda" or probe is not None):
                self._measured[device] = _tokens_of(device, probe)
            most = self._measured.get(device, _OTHER_TOKENS)
        return replace(wanted, max_tokens=min(most, self._learned.get(device, most)))

    def shrink(self, failed: TooLarge, device: Any) -> None:
        """Halve after a batch that did not fit. Raises EngineError where one that cannot be split
        has failed twice in a row.
        """
        device = torch.device(device)
        if failed.num_parts == 1 and self._alone.get(device) == failed.num_tokens:
            raise EngineError(
                f"one prompt of {failed.num_tokens:,} tokens does not fit into the memory of "
                f"{device}. Lower max_length or the media budgets, load the model in half "
                'precision (model_kwargs={"dtype": "bfloat16"}), or take a larger device.'
            )
        if device not in self._alone:
            logger.warning(
                "a batch of %d tokens did not fit into the memory of %s: smaller batches from "
                "here on, with the same scores",
                failed.num_tokens,
                device,
            )
        if failed.num_parts > 1:
            half = max(1, failed.num_tokens // 2)
            self._learned[device] = min(half, self._learned.get(device, half))
        # What cannot be split is tried once more, when nothing is beside it.
        self._alone[device] = failed.num_tokens if failed.num_parts == 1 else 0
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _tokens_of(device: torch.device, probe: Probe | None) -> int:
    if device.type == "cpu":
        return _CPU_TOKENS
    if device.type == "cuda" and probe is not None:
        return fitting_tokens(CudaMeter(device), probe)
    return _OTHER_TOKENS
