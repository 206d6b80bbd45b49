"""The pages of `view` over HTTP, to this machine alone: the standard library's server.

It listens on 127.0.0.1, answers GET alone, and only where the request names this server as its
host: a page of somebody else's, whose name was made to lead here, gets nothing.
"""

from __future__ import annotations

import errno
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from selectllm.core.errors import UsageError
from selectllm.jobs.viewing import ShownPage, View
from selectllm.report.html.runs_list import message_page

HOST = "127.0.0.1"
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the page itself has the rest
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Connection": "close",
}
"""Of every answer."""


class ViewServer(ThreadingHTTPServer):
    """Serves a View; one request is answered at a time."""

    daemon_threads = True

    def __init__(self, view: View, port: int) -> None:
        """Listen on `port` of 127.0.0.1 (0: any that is free).

        Raises UsageError if that port cannot be had.
        """
        self.view = view
        self.turn = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(_taken(port, error), argument="port") from None

    @property
    def url(self) -> str:
        """Where the list of runs is."""
        return f"http://{HOST}:{self.server_port}/"


def _taken(port: int, error: OSError | OverflowError) -> str:
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        why = "is used by another program"
    else:
        why = f"cannot be listened on ({getattr(error, 'strerror', None) or error})"
    return f"`port` {port} {why}. Choose another, such as --port {port + 1}, or --port 0 for any"


class _Handler(BaseHTTPRequestHandler):
    """A request. `timeout`: seconds after which a client that says nothing is left."""

    server: ViewServer
    server_version = "selectllm"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """The page that is asked for."""
        if self.headers.get_all("Host", []) not in self._own_hosts():
            self._send(
                ShownPage(421, message_page("This is not the address", _address(self.server)))
            )
            return
        with self.server.turn:
            answer = self.server.view.answer(self.path)
        self._send(answer)

    def _refuse(self) -> None:
        said = message_page("Nothing can be sent here", "This server only shows pages.")
        self._send(ShownPage(405, said), Allow="GET")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _own_hosts(self) -> list[list[str]]:
        port = self.server.server_port
        ends = (f":{port}", "") if port == 80 else (f":{port}",)  # 80 is left out by browsers
        return [[f"{name}{end}"] for name in (HOST, "localhost") for end in ends]

    def _send(self, answer: ShownPage, **headers: str) -> None:
        body = answer.page.encode("utf-8")
        self.send_response(HTTPStatus(answer.status))
        for name, value in {**HEADERS, **headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the terminal is the user's."""


def _address(server: ViewServer) -> str:
    return f"The runs are shown at {server.url} alone."
