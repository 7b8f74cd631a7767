"""Random numbers as they stood, to run dropout a second time with the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["RandomState"]


@dataclass(frozen=True, slots=True)
class RandomState:
    """States of the generators of the CPU and of every device that a model is on."""

    states: Mapping[torch.device, Tensor]

    @classmethod
    def of(cls, model: nn.Module) -> RandomState:
        """How they stand now."""
        return cls._at({torch.device("cpu"), *(weight.device for weight in model.parameters())})

    @contextmanager
    def again(self) -> Iterator[None]:
        """Let the generators stand as they stood; afterwards as they do now."""
        now = self._at(self.states.keys())
        self._put()
        try:
            yield
        finally:
            now._put()

    @classmethod
    def _at(cls, devices: Iterable[torch.device]) -> RandomState:
        return cls({device: _get(device) for device in devices})

    def _put(self) -> None:
        for device, state in self.states.items():
            _set(device, state)


def _get(device: torch.device) -> Tensor:
    if device.type == "cpu":
        return torch.get_rng_state()
    # Apple's has one generator and takes no device.
    where = () if device.type == "mps" else (device,)
    state: Tensor = torch.get_device_module(device).get_rng_state(*where)
    return state


def _set(device: torch.device, state: Tensor) -> None:
    if device.type == "cpu":
        torch.set_rng_state(state)
        return
    where = () if device.type == "mps" else (device,)
    torch.get_device_module(device).set_rng_state(state, *where)
