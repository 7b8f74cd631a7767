"""One process that runs cases: a name a line in, a line of JSON out. It may die at any of them."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TextIO

__all__ = ["POLICIES"]

POLICIES = ("local", "server")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="for cases that are given by their path")
    parser.add_argument("--mode", choices=("load", "score"), default="load")
    parser.add_argument("--policy", choices=POLICIES, default="local")
    parser.add_argument("--backend", choices=("any", "pyav"), default="any")
    parser.add_argument("--warnings", choices=("record", "error"), default="record")
    options = parser.parse_args(argv)
    answers = _private_stdout()
    faulthandler.enable()
    socket.socket.connect = _refuse  # type: ignore[method-assign,assignment]
    if options.backend == "pyav":
        sys.modules["torchcodec"] = None  # type: ignore[assignment]
    leaked = _watch_warnings(options.warnings)
    ready = _judge(options, options.folder)
    _warm_up(ready)
    answers.write("ready\n")
    for line in sys.stdin:
        run = _made(ready, line.strip())
        answers.write("started\n")
        answers.write(json.dumps(_measured(run, leaked)) + "\n")


def _private_stdout() -> TextIO:
    """The pipe to the parent; what libraries print goes where errors go."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return answers


def _refuse(self: socket.socket, address: Any) -> NoReturn:
    raise ConnectionRefusedError(f"a case asked for {address!r}")


def _watch_warnings(how: str) -> list[str]:
    """The list that warnings which reach the user fall into; with "error" they are raised."""
    leaked: list[str] = []
    warnings.simplefilter("always" if how == "record" else "error")
    warnings.showwarning = lambda message, *rest, **_: leaked.append(repr(message)[:300])
    return leaked


def _judge(options: argparse.Namespace, folder: Path) -> Callable[[Any], Callable[[], Any]]:
    from mmrerank.media import MediaPolicy
    from tests.fuzzing.judging import judge_load, judge_score

    policy = MediaPolicy.local()
    if options.policy == "server":
        # Its limits; but cases that are given by their path are of interest too.
        policy = replace(MediaPolicy.server(), allow_local_files=True)
    if options.mode == "load":
        return lambda case: judge_load(case, folder, policy)
    from mmrerank import CrossEncoder

    model = CrossEncoder(device="cpu", media_policy=policy)
    return lambda case: judge_score(case, folder, model)


def _warm_up(ready: Callable[[Any], Callable[[], Any]]) -> None:
    """Libraries are loaded and files made before anything is measured."""
    from tests.fuzzing.cases import Case, fixtures

    for name in fixtures():
        ready(Case(name, "none"))()


def _made(ready: Callable[[Any], Callable[[], Any]], name: str) -> Callable[[], Any]:
    from tests.fuzzing.cases import Case

    return _SELF_TESTS[name] if name.startswith("self:") else ready(Case.read(name))


def _measured(run: Callable[[], Any], leaked: list[str]) -> dict[str, Any]:
    leaked.clear()
    noise = os.lseek(2, 0, os.SEEK_CUR) if _is_file(2) else 0
    before_kb = _memory_kb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to now
    start = time.perf_counter()
    found = run()
    taken_s = (time.perf_counter() - start) / found.num_calls
    extra_mb = (_memory_kb("VmHWM") - before_kb) * 1_024 / 1e6
    defects = [*found.defects, *(f"a warning leaked: {text}" for text in leaked)]
    printed = os.lseek(2, 0, os.SEEK_CUR) - noise if _is_file(2) else 0
    return {
        "result": found.result,
        "message": found.message[:600],
        "defects": defects,
        "taken_s": round(taken_s, 5),
        "extra_mb": round(extra_mb, 2),
        "printed_bytes": printed,
    }


def _is_file(descriptor: int) -> bool:
    try:
        os.lseek(descriptor, 0, os.SEEK_CUR)
    except OSError:
        return False
    return True


def _memory_kb(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {name}")


# ---------------------------------------------------------------- what the parent must notice


def _hang() -> NoReturn:
    while True:
        time.sleep(1)


def _crash() -> NoReturn:
    os.abort()


def _eat() -> Any:
    from tests.fuzzing.judging import Found

    return Found("value", str(len(bytearray(400_000_000))))


def _devour() -> NoReturn:
    kept = []
    while True:
        kept.append(bytearray(50_000_000))


def _warn() -> Any:
    from tests.fuzzing.judging import Found

    warnings.warn("of a library", UserWarning, stacklevel=1)
    return Found("value")


def _rest() -> Any:
    from tests.fuzzing.judging import Found

    return Found("value")


_SELF_TESTS: dict[str, Callable[[], Any]] = {
    "self:hang": _hang,
    "self:crash": _crash,
    "self:eat": _eat,
    "self:devour": _devour,
    "self:warn": _warn,
    "self:rest": _rest,
}


if __name__ == "__main__":
    main()
