"""One process a device, each with its own copy of the model; chunks of pairs go out, results come
back.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.multiprocessing as multiprocessing

from mmrerank.cross_encoder.calls import Call
from mmrerank.errors import EngineError, WrongArgument
from mmrerank.pipeline import chunks_of_lists
from mmrerank.types import DocumentError, Pair, Score

if TYPE_CHECKING:
    from mmrerank.cross_encoder.stored import Stored

__all__ = ["score", "start", "stop"]

logger = logging.getLogger(__name__)

Result = Score | DocumentError
_CPU_WORKERS = 4


def start(model: Stored, target_devices: list[str] | None) -> dict[str, Any]:
    """Start the workers. The model moves to the CPU, so that each worker can take its own copy."""
    devices = [str(device) for device in target_devices or _all_devices()]
    logger.info("starting %d scoring processes on %s", len(devices), ", ".join(devices))
    model.to("cpu")
    model.share_memory()
    context = multiprocessing.get_context("spawn")
    pool: dict[str, Any] = {"input": context.Queue(), "output": context.Queue(), "processes": []}
    for device in devices:
        process = context.Process(
            target=_work, args=(device, model, pool["input"], pool["output"]), daemon=True
        )
        process.start()
        pool["processes"].append(process)
    return pool


def stop(pool: dict[str, Any] | None) -> None:
    """End the workers and close the queues."""
    if pool is None:
        raise WrongArgument("pool must be what start_multi_process_pool returned, got None.")
    for process in pool["processes"]:
        process.terminate()
    for process in pool["processes"]:
        process.join()
        process.close()
    pool["input"].close()
    pool["output"].close()


def score(
    model: Stored,
    call: Call,
    device: Any,
    pool: dict[str, Any] | None,
    chunk_size: int | None,
) -> list[Result]:
    """Score with a pool, started for this call alone when only devices are given.

    Lists of a listwise model stay whole, so one list is scored by one process.
    """
    if pool is None:
        pool = start(model, device)
        try:
            return score(model, call, None, pool, chunk_size)
        finally:
            stop(pool)
    size = chunk_size or max(1, min(len(call.pairs) // len(pool["processes"]) // 4 + 1, 5_000))
    if model.spec.listwise is not None:
        return _score_with(pool, call, chunks_of_lists(call.pairs, size))
    pairs = call.pairs
    return _score_with(pool, call, [pairs[at : at + size] for at in range(0, len(pairs), size)])


def _score_with(
    pool: dict[str, Any], call: Call, chunks: Sequence[Sequence[Pair | DocumentError]]
) -> list[Result]:
    for number, chunk in enumerate(chunks):
        pool["input"].put((number, Call(chunk, call.options, call.overrides, False)))
    answers: dict[int, Any] = {}
    while len(answers) < len(chunks):
        number, answer = _next_answer(pool)
        if isinstance(answer, Exception):
            raise answer
        answers[number] = answer
    return [result for number in range(len(chunks)) for result in answers[number]]


def _next_answer(pool: dict[str, Any]) -> tuple[int, Any]:
    while True:
        try:
            answer: tuple[int, Any] = pool["output"].get(timeout=5)
            return answer
        except queue.Empty:
            if not all(process.is_alive() for process in pool["processes"]):
                raise EngineError(
                    "a scoring process died; start a new pool and try again"
                ) from None


def _work(device: str, model: Stored, inputs: Any, outputs: Any) -> None:
    if device == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // _CPU_WORKERS))
    model.to(device)
    while True:
        number, call = inputs.get()
        try:
            outputs.put((number, model.score_call(call)))
        except Exception as error:  # the caller raises it: a worker has nobody to raise to
            outputs.put((number, error))


def _all_devices() -> list[str]:
    if torch.cuda.is_available():
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu"] * _CPU_WORKERS
