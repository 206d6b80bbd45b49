"""A hub on 127.0.0.1 with one data set, a gated one and one that takes no questions; or none."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

COMMIT = "a" * 40
_REFUSALS = {
    "/org/gated/": (401, "GatedRepo"),
    "/org/secret/": (401, "RepoNotFound"),
    "/resolve/v9/": (404, "RevisionNotFound"),
}


@dataclass
class HubServer:
    """Serves `files` (path to content) as the data set org/name; `asked` holds every request."""

    files: Mapping[str, bytes]
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                hub.asked.append((self.command, path))
                status, headers, body = hub.response(path)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = answer

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def response(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body, as the hub would answer."""
        for part, (status, code) in _REFUSALS.items():
            if part in path:
                return status, {"X-Error-Code": code}, b"{}"
        if "/resolve/" in path:
            content = self.files.get(path.split("/", 6)[6])
            if content is not None:
                return 200, {"ETag": _digest(content), "X-Repo-Commit": COMMIT}, content
        elif "/revision/" in path:
            return _json({"id": "org/name", "sha": COMMIT})
        elif "/tree/" in path and (found := self._tree(path.partition("/tree/")[2])):
            return _json(found)
        return 404, {"X-Error-Code": "EntryNotFound"}, b"{}"

    def _tree(self, place: str) -> list[dict[str, Any]]:
        """What a folder holds; folders in it are told for the top one alone."""
        _, _, folder = place.partition("/")
        files = [name for name in self.files if name.rpartition("/")[0] == folder]
        folders = {name.split("/")[0] for name in self.files if "/" in name} if not folder else ()
        return [
            {"type": "file", "path": n, "size": len(self.files[n]), "oid": _digest(self.files[n])}
            for n in files
        ] + [{"type": "directory", "path": name, "oid": _digest(b"")} for name in folders]


def without_hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """No hub and an empty `cache`: as with HF_HUB_OFFLINE=1 and HF_HOME before the first import."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))


def _digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _json(value: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()
