"""The command line's client: a service that is just being started is waited for, once."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from carom.client import Client
from carom.errors import CaromError


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_service_that_is_being_started_is_waited_for() -> None:
    port = free_port()
    client = Client(f"http://127.0.0.1:{port}", "key")
    started: list[HTTPServer] = []

    def start(_: float) -> None:
        """What happens meanwhile: `carom serve` has come so far."""
        started.append(HTTPServer(("127.0.0.1", port), Handler))
        threading.Thread(target=started[0].serve_forever, daemon=True).start()

    assert client.await_service(60.0, start)
    assert client.get("/v1/messages/x") == {}
    started[0].shutdown()
    started[0].server_close()


def test_patience_ends_and_the_call_says_what_is_wrong() -> None:
    client = Client(f"http://127.0.0.1:{free_port()}", "key")
    assert not client.await_service(0.0, pytest.fail)
    with pytest.raises(CaromError, match=r"no service at .* start it with `carom serve`"):
        client.get("/healthz")


def test_nobody_waits_for_a_service_elsewhere() -> None:
    assert Client("http://192.0.2.1:1", "key").await_service(60.0, pytest.fail)
