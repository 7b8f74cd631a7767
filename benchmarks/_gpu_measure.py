"""What is measured of a call beside its time: memory, how busy the device is, the best batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks._measure import peak_bytes_of

__all__ = ["busy_share", "device_facts", "device_peak_bytes", "fastest_batch_size"]


def device_facts(device: torch.device) -> dict[str, object]:
    """Name, memory and software of a GPU; nothing of a processor, which is described elsewhere."""
    if device.type != "cuda":
        return {}
    properties = torch.cuda.get_device_properties(device)
    return {
        "gpu": properties.name,
        "gpu_memory_gb": round(properties.total_memory / 1e9, 1),
        "cuda": torch.version.cuda,
    }


def device_peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """Memory of the device that a call takes at its peak, beside the weights."""
    if device.type != "cuda":
        return peak_bytes_of(call)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    return torch.cuda.max_memory_allocated(device) - before


def busy_share(call: Callable[[], object], device: torch.device) -> float | None:
    """Share of a call's time in which the device computes or copies; None without a GPU.

    What is missing to 1 is waiting: for tokenising, for launches, for the result.
    """
    if device.type != "cuda":
        return None
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        start_s = time.perf_counter()
        call()
        torch.cuda.synchronize(device)
        taken_s = time.perf_counter() - start_s
    events = [event for event in profiler.key_averages() if event.device_type != DeviceType.CPU]
    return sum(event.self_device_time_total for event in events) / 1e6 / taken_s


def fastest_batch_size(call: Callable[[int], object], sizes: Sequence[int]) -> int:
    """The size that `call` is fastest with, each tried twice; a size that memory is too small for
    is left out.

    Raises the device's error when memory is too small for all.
    """
    seconds: dict[int, float] = {}
    error: torch.OutOfMemoryError | None = None
    for size in sizes:
        try:
            call(size)  # what is made once, such as kernels, is not part of the time
            start_s = time.perf_counter()
            call(size)
            seconds[size] = time.perf_counter() - start_s
        except torch.OutOfMemoryError as raised:
            error = raised
    if error is not None and not seconds:
        raise error
    return min(seconds, key=lambda size: seconds[size])
