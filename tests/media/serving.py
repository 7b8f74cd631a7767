"""A web server on this machine, and host names that lead nowhere else."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

__all__ = ["Answer", "Names", "WebServer", "reset"]

Answer = Callable[[BaseHTTPRequestHandler], None]


class WebServer:
    """Answers GET by a function a path, on 127.0.0.1.

    asked: the path of each request; headers: those of each request, by lower-case name.
    num_connections: how many were accepted.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.num_connections = 0
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(self.path)
                web.headers.append({name.lower(): text for name, text in self.headers.items()})
                web.answers[self.path.partition("?")[0]](self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self) -> tuple[socket.socket, Any]:
                web.num_connections += 1
                return super().get_request()

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that hangs up or does not trust us is part of the tests

        self._handler = Handler
        self._server = Server(("127.0.0.1", 0), Handler)
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def keep_connections(self) -> None:
        """Speak HTTP/1.1 from now on, which leaves connections open after an answer."""
        self._handler.protocol_version = "HTTP/1.1"

    def add(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        """Serve `body` at a path; header names with _ for -. Returns the URL."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            for name, value in {"Content_Length": str(len(body)), **headers}.items():
                request.send_header(name.replace("_", "-"), value)
            request.end_headers()
            request.wfile.write(body)

        self.answers[path] = answer
        return self.url + path

    def add_in_turn(self, path: str, *answers: Answer) -> str:
        """Serve one answer after the other at a path, the last one ever after."""
        left = list(answers)
        self.answers[path] = lambda request: (left.pop(0) if len(left) > 1 else left[0])(request)
        return self.url + path

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def reset(request: BaseHTTPRequestHandler) -> None:
    """Break the connection off at once, as a crashed server's machine does (RST)."""
    request.wfile.flush()
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(request.connection.detach())


class Names:
    """What host names resolve to in a test, and which addresses are connected to.

    Each address asked for leads to 127.0.0.1, at the port of `serve_at`: nothing leaves the
    machine, whatever the code does.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.num_asked = 0
        self.connected: list[str] = []
        self.timeouts_s: list[float | None] = []
        self.serve_at: int | None = None
        self.dead: set[str] = set()
        connect, names = socket.socket.connect, self

        def getaddrinfo(host: str, port: int, *rest: Any, **options: Any) -> list[Any]:
            if host not in names.answers:
                raise socket.gaierror(socket.EAI_NONAME, f"unknown: {host}")
            names.num_asked += 1
            turns = names.answers[host]
            found = turns.pop(0) if len(turns) > 1 else turns[0]
            return [
                (socket.AF_INET6, 1, 6, "", (text, port, 0, 0))
                if ":" in text
                else (socket.AF_INET, 1, 6, "", (text, port))
                for text in found
            ]

        def connect_here(self: socket.socket, address: Any) -> None:
            names.connected.append(address[0])
            names.timeouts_s.append(self.gettimeout())
            if address[0] in names.dead or self.family != socket.AF_INET:
                raise ConnectionRefusedError(111, "Connection refused")
            assert names.serve_at is not None, f"connected to {address}"
            connect(self, ("127.0.0.1", names.serve_at))

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(socket.socket, "connect", connect_here)

    def add(self, host: str, *turns: list[str]) -> None:
        """The addresses of a host; further lists are those of later look-ups."""
        self.answers[host] = list(turns)
