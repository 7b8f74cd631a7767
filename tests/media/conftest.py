"""Decoders and a web server on this machine for the media tests."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from mmrerank.media.backend import decoder_backend
from mmrerank.media.connect import close_connections
from tests.media.serving import Names, WebServer


@pytest.fixture
def torchcodec_loads() -> None:
    """Skips, in words, where torchcodec finds no FFmpeg."""
    if decoder_backend() != "torchcodec":
        pytest.skip("needs FFmpeg libraries: run `make system`")


@pytest.fixture
def web() -> Iterator[WebServer]:
    close_connections()
    server = WebServer()
    yield server
    close_connections()
    server.close()


@pytest.fixture
def no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test if anything tries to connect."""

    def refuse(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"connected to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    close_connections()
    yield Names(monkeypatch)
    close_connections()
