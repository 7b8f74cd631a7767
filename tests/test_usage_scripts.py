"""Usage scripts written for the peer run unchanged but for the import, with the same output.

Every script runs twice: as written, and with its import line pointing to sentence-transformers.
Hub ids resolve to tiny checkpoints in a hub cache of this test's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from tests import checkpoints

SCRIPTS = Path(__file__).parent / "usage_scripts"
OURS = "from mmrerank import"
PEERS = "from sentence_transformers import"

# name of the run: (script, value that is put in the place of the image)
RUNS = {
    "text_predict_and_rank": ("text_predict_and_rank.py", None),
    "nli_labels": ("nli_labels.py", None),
    "sigmoid_activation": ("sigmoid_activation.py", None),
    "device_cpu": ("device_cpu.py", None),
    "multimodal_rank, path": ("multimodal_rank.py", "{path}"),
    "multimodal_rank, URL": ("multimodal_rank.py", "{url}"),
}

# One process for all runs of one library: importing it costs far more than a script.
_RUNNER = """
import contextlib, io, json, runpy, sys, traceback
results = {}
for name, argv in json.loads(sys.argv[1]).items():
    sys.argv, output, error = argv, io.StringIO(), None
    try:
        with contextlib.redirect_stdout(output):
            runpy.run_path(argv[0], run_name="__main__")
    except BaseException:
        error = traceback.format_exc()
    results[name] = {"stdout": output.getvalue(), "error": error}
print(json.dumps(results))
"""


@dataclass(frozen=True)
class Workplace:
    """A hub cache, a picture on disk and the same picture on a server of this machine."""

    cache_dir: Path
    picture: Path
    picture_url: str
    scratch: Path


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    root = tmp_path_factory.mktemp("usage_scripts")
    repositories = {
        "cross-encoder/ms-marco-MiniLM-L6-v2": checkpoints.build_bert(root / "bert"),
        "cross-encoder/nli-deberta-v3-base": checkpoints.build_deberta_v2_nli(root / "nli"),
        "Qwen/Qwen3-VL-Reranker-2B": checkpoints.build_qwen3_vl(root / "vl"),
    }
    cache_dir = root / "home" / "hub"
    checkpoints.lay_out_hub_cache(cache_dir, repositories)
    picture = _draw(root / "served" / "shapes.png")
    with _Server(picture.parent) as port:
        yield Workplace(cache_dir, picture, f"http://127.0.0.1:{port}/{picture.name}", root)


@pytest.fixture(scope="session")
def peer_runs(workplace: Workplace) -> dict[str, dict[str, Any]]:
    return _run_all(workplace, PEERS)


@pytest.fixture(scope="session")
def our_runs(workplace: Workplace) -> dict[str, dict[str, Any]]:
    return _run_all(workplace, OURS)


@pytest.mark.parametrize("name", RUNS)
def test_script_runs_with_the_peer(name: str, peer_runs: dict[str, dict[str, Any]]) -> None:
    assert _output(peer_runs[name])


@pytest.mark.parametrize("name", RUNS)
def test_script_prints_the_same_with_either_import(
    name: str, our_runs: dict[str, dict[str, Any]], peer_runs: dict[str, dict[str, Any]]
) -> None:
    _assert_same(_output(our_runs[name]), _output(peer_runs[name]))


def test_every_script_is_run() -> None:
    assert {script for script, _ in RUNS.values()} == {path.name for path in SCRIPTS.glob("*.py")}


def _run_all(workplace: Workplace, import_line: str) -> dict[str, dict[str, Any]]:
    folder = workplace.scratch / import_line.split()[1]
    folder.mkdir()
    for script in SCRIPTS.glob("*.py"):
        source = script.read_text(encoding="utf-8")
        assert source.count(OURS) == 1
        (folder / script.name).write_text(source.replace(OURS, import_line), encoding="utf-8")
    images = {"{path}": str(workplace.picture), "{url}": workplace.picture_url, None: None}
    runs = {
        name: [str(folder / script), *filter(None, [images[image]])]
        for name, (script, image) in RUNS.items()
    }
    environment = {
        **checkpoints.hub_environment(workplace.cache_dir),
        "MMRERANK_MEDIA_ALLOW_PRIVATE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", _RUNNER, json.dumps(runs)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _output(run: dict[str, Any]) -> Any:
    assert run["error"] is None, run["error"]
    return json.loads(run["stdout"])


def _assert_same(ours: Any, peers: Any) -> None:
    """Equal structure and strings, floats within 1e-5."""
    if isinstance(peers, dict):
        assert ours.keys() == peers.keys()
        for key, value in peers.items():
            _assert_same(ours[key], value)
    elif isinstance(peers, list):
        assert len(ours) == len(peers)
        for our_item, peer_item in zip(ours, peers, strict=True):
            _assert_same(our_item, peer_item)
    elif isinstance(peers, float):
        assert ours == pytest.approx(peers, abs=1e-5, rel=1e-5)
    else:
        assert ours == peers


def _draw(path: Path) -> Path:
    picture = Image.new("RGB", (96, 64), "white")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((8, 16, 40, 48), fill="blue")
    pen.ellipse((52, 16, 84, 48), fill="green")
    path.parent.mkdir(parents=True)
    picture.save(path)
    return path


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """No request log in the test output."""


class _Server:
    """Serves one folder on a free port of 127.0.0.1 for the length of a `with`."""

    def __init__(self, folder: Path) -> None:
        handler = partial(_QuietHandler, directory=str(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        return self._server.server_port

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
