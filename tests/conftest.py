"""What holds for every test: no network, no skips in CI, hypothesis repeats its examples."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Read by libraries when they are imported, so set before any of them is.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))
# Threads that wait sleep. Else those of one worker spin on the cores that another one needs, and
# what takes a second takes ten (tests/engine computes with two threads in each worker).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Where Python files of checkpoints are copied to and run from: one place a process, not the user's.
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp(prefix="mmrerank-modules-")

import ipaddress
import socket
import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.media.serving import WebServer

# No deadline: on a shared machine a first example may take a second.
# Derandomized: a red run can be repeated.
settings.register_profile("mmrerank", deadline=None, derandomize=True)
settings.load_profile("mmrerank")

atexit.register(shutil.rmtree, os.environ["HF_MODULES_CACHE"], ignore_errors=True)

_NO_SKIPS = os.environ.get("MMRERANK_NO_SKIPS") == "1"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    parser.addoption(
        "--hide-torchcodec",
        action="store_true",
        help="run as where torchcodec is not installed; tests that need it are deselected",
    )
    # Not later, in pytest_configure: by then the conftest of a folder named on the command line may
    # have imported a library that took torchcodec in.
    config: Any = pluginmanager.get_plugin("pytestconfig")
    if "--hide-torchcodec" in config.invocation_params.args:
        assert "torchcodec" not in sys.modules
        sys.modules["torchcodec"] = None  # type: ignore[assignment]  # Python refuses the import


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("hide_torchcodec"):
        return
    if sys.modules.get("torchcodec", ...) is not None:
        raise pytest.UsageError("--hide-torchcodec acts on the command line only")
    # The peer then reads pictures by torchvision, which warns that torchcodec is to be used.
    config.addinivalue_line(
        "filterwarnings", "ignore:The image decoding and encoding capabilities:DeprecationWarning"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("hide_torchcodec"):
        return
    asking = [item for item in items if _needs_torchcodec(item)]
    config.hook.pytest_deselected(items=asking)
    items[:] = [item for item in items if item not in asking]


def _needs_torchcodec(item: pytest.Item) -> bool:
    """Whether a test says so, by the fixture or by the name of the decoder it is run with."""
    parameters = getattr(getattr(item, "callspec", None), "params", {}).values()
    names = [value for value in parameters if isinstance(value, str)]
    return "torchcodec" in names or "torchcodec_loads" in getattr(item, "fixturenames", ())


@pytest.fixture
def torchcodec_loads() -> None:
    """Skips, in words, where torchcodec finds no FFmpeg."""
    from mmrerank.media import decoder_backend

    if decoder_backend() != "torchcodec":
        pytest.skip("needs FFmpeg libraries: run `make system`")


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A web server on this machine; no connection of an earlier test is used again."""
    from mmrerank.media.connect import close_connections
    from tests.media.serving import WebServer

    close_connections()
    server = WebServer()
    yield server
    close_connections()
    server.close()


@pytest.fixture(autouse=True)
def _network_is_blocked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sockets reach this machine only; a test marked `network` is left alone."""
    if request.node.get_closest_marker("network"):
        return
    connect, connect_ex, getaddrinfo = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_remote(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_remote(self, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_local_name(host):
            raise socket.gaierror(socket.EAI_NONAME, f"tests do not resolve names: {host!r}")
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


def _refuse_remote(sock: socket.socket, address: Any) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        raise ConnectionRefusedError(f"tests do not reach the network: {address!r}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_local_name(host: Any) -> bool:
    """Numbers need no look-up, so only names other than this machine's are refused."""
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _no_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _no_skip(report)


def _no_skip(report: Any) -> Any:
    """Under MMRERANK_NO_SKIPS=1 a skipped test has failed; an expected failure has not."""
    if _NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"MMRERANK_NO_SKIPS=1 allows no skip: {reason}"
    return report
