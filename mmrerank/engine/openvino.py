"""OpenVINO: an encoder compiled for this processor, and batches that run on it side by side."""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmrerank.engine.bert_trace import trace_encoder
from mmrerank.errors import EngineError, shorten
from mmrerank.extras import require
from mmrerank.locks import CopyableLock

__all__ = ["CompiledEncoder", "OpenVINO"]

# A core that works on a batch of its own waits for no other after each small operation.
_MOST_STREAMS = 4
_PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


class OpenVINO:
    """The backend of a model: what the user wants of it, and the encoder compiled last.

    Pipelines of one model share it, so that a changed setting compiles nothing anew. Copies and
    pickles leave the compiled encoder behind.

    config: options of OpenVINO's compile_model, which win over those chosen here. Raises
    MissingExtra where OpenVINO is not installed.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        _library()
        self._config = dict(config or {})
        self._compiled: tuple[Any, CompiledEncoder] | None = None
        self._lock = CopyableLock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_compiled": None}

    @property
    def num_streams(self) -> int:
        """Batches that run at a time: one a thread of torch, four at most, unless the user says."""
        said = self._config.get("NUM_STREAMS")
        if said is None and "PERFORMANCE_HINT" not in self._config:
            return min(torch.get_num_threads(), _MOST_STREAMS)
        return said if isinstance(said, int) and said > 0 else 1

    def encoder(self, text_model: Any, weights: object) -> CompiledEncoder:
        """The encoder with these weights, compiled where it was not.

        weights: their fingerprint. Raises EngineError when OpenVINO does not take the model.
        """
        with self._lock:
            if self._compiled is None or self._compiled[0] != weights:
                self._compiled = None  # before the new one: not both at once in memory
                self._compiled = weights, self._compile(text_model)
            return self._compiled[1]

    def forget(self) -> None:
        """Let go of the compiled encoder and the weights that it was made of."""
        with self._lock:
            self._compiled = None

    def _compile(self, text_model: Any) -> CompiledEncoder:
        options = self._options(next(text_model.parameters()).dtype)
        try:
            graph = _convert(trace_encoder(text_model))
            compiled = _library().Core().compile_model(graph, "CPU", options)
        except Exception as error:  # exporter and compiler raise whatever goes wrong within them
            kind = type(text_model).__name__
            raise EngineError(
                f"OpenVINO cannot compile this {kind} with {options}: {_reason(error)}. "
                "Check ov_config, or use backend='torch'."
            ) from error
        # OpenVINO reads some weights where torch has them, and does not count as their owner.
        held = [parameter.detach() for parameter in text_model.parameters()]
        return CompiledEncoder(compiled, held)

    def _options(self, dtype: torch.dtype) -> dict[str, Any]:
        chosen: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        if "PERFORMANCE_HINT" not in self._config:
            chosen["NUM_STREAMS"] = self.num_streams
        return {**chosen, **self._config}


class CompiledEncoder:
    """Starts batches, which run while the caller goes on, as many at a time as there are streams.

    Several threads may call: each batch has a request of its own. held: what has to stay in memory
    meanwhile.
    """

    def __init__(self, compiled: Any, held: Sequence[Tensor] = ()) -> None:
        self._compiled = compiled
        self._held = held
        self.num_streams = int(compiled.get_property("NUM_STREAMS"))
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def start(self, inputs: Sequence[np.ndarray]) -> Any:
        """A request that runs one batch; to be given to `finish`, or to `drop`."""
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        request.start_async(list(inputs))
        return request

    def finish(self, request: Any) -> np.ndarray:
        """What a batch has given, waited for. Raises EngineError where it failed."""
        try:
            request.wait()
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO could not run a batch: {_reason(error)}. Lower batch_size or "
                "max_length, or use backend='torch'."
            ) from error
        found = np.array(request.get_output_tensor(0).data)
        self._idle.put(request)
        return found

    def drop(self, request: Any) -> None:
        """Let a batch end that nobody wants any more.

        A request that is cancelled leaves its stream with shapes half set, and later batches fail.
        """
        try:
            request.wait()
        except RuntimeError:  # nobody asks how it ended, and the request goes with it
            return
        self._idle.put(request)


def _convert(traced: Any) -> Any:
    """OpenVINO's graph of a traced module. `openvino.convert_model` does the same ten times as
    slowly, and reports that it did to OpenVINO's makers.
    """
    decoder = _library("openvino.frontend.pytorch.ts_decoder").TorchScriptPythonDecoder(traced)
    frontend = _library("openvino.frontend").FrontEndManager().load_by_framework("pytorch")
    return frontend.convert(frontend.load(decoder))


def _library(module: str = "openvino") -> Any:
    return require(module, to='run a model with backend="openvino"', extra="openvino")


def _reason(error: Exception) -> str:
    """The last line of a message of OpenVINO's: those above say where in its sources it was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shorten(lines[-1] if lines else type(error).__name__, max_chars=400)
