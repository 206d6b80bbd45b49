"""A real local server with OpenAI's files and batches, Anthropic's message batches, and calls.

    with BatchServer() as server:
        spec = ModelSpec(name="m", id="openai/m", api_base=server.base_url)

A batch is answered when it is created, unless `hold` is set: then it is under way until that is
cleared. `spoil` changes the answers of a batch before they are handed out; `ends_as` is the status
that the next batches end with. `before` and `after` are called with the name of each step (upload,
create, list, status, results, call), so that a test can kill the client there or answer with an
error.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Self

from aiohttp import web

from tests.support.provider_server import choose_two, completion, error

Row = dict[str, Any]
Lines = list[bytes]


def moody(messages: Sequence[Any]) -> str:
    """Two picks that depend on the question; a third of the questions must be asked again."""
    number = int(hashlib.sha256(json.dumps(messages[-1]).encode()).hexdigest(), 16)
    first_time = not any(message["role"] == "assistant" for message in messages)
    if first_time and number % 3 == 0:
        return "I like them all."
    first = number % 5
    return f"[{first + 1}, {(first + 1 + number // 5 % 4) % 5 + 1}]"


@dataclass
class Made:
    """A batch as the server has it. `lines`: its answers; `errors`: those of its error file."""

    id: str
    rows: list[Row]
    file: str | None = None
    metadata: Row | None = None
    status: str = "completed"
    lines: Lines = field(default_factory=list)
    errors: Lines = field(default_factory=list)
    created: float = field(default_factory=time.time)

    @property
    def ids(self) -> list[str]:
        return [row["custom_id"] for row in self.rows]


def nothing(step: str) -> web.Response | None:
    return None


class BatchServer:
    """The server; a context manager. Everything that it was told can be looked at from outside."""

    def __init__(self, reply: Callable[[Any], str] = choose_two) -> None:
        self.reply = reply
        self.hold = False
        self.ends_as = "completed"
        self.spoil: Callable[[Made], None] = lambda made: None
        self.before: Callable[[str], web.Response | None] = nothing
        self.after: Callable[[str], web.Response | None] = nothing
        self.batches: list[Made] = []
        self.files: dict[str, bytes] = {}
        self.steps: list[str] = []
        self.headers: list[tuple[str, dict[str, str]]] = []
        self.calls = 0
        self._port = 0

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        return f"{self.root}/v1"

    @property
    def asked(self) -> Counter[str]:
        """How often each question was in a batch."""
        return Counter(each for made in self.batches for each in made.ids)

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        assert site._server is not None
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        for prefix, chat in (("/v1", "/v1/chat/completions"), ("/openai", None)):
            app.router.add_post(f"{prefix}/files", self._step("upload", self._upload))
            app.router.add_get(
                f"{prefix}/files/{{id}}/content", self._step("results", self._content)
            )
            app.router.add_post(f"{prefix}/batches", self._step("create", self._create))
            app.router.add_get(f"{prefix}/batches", self._step("list", self._list))
            app.router.add_get(f"{prefix}/batches/{{id}}", self._step("status", self._status))
            if chat:
                app.router.add_post(chat, self._step("call", self._chat))
        messages = "/v1/messages"
        app.router.add_post(messages, self._step("call", self._message))
        app.router.add_post(f"{messages}/batches", self._step("create", self._create_messages))
        app.router.add_get(f"{messages}/batches", self._step("list", self._list_messages))
        app.router.add_get(f"{messages}/batches/{{id}}", self._step("status", self._status))
        app.router.add_get(
            f"{messages}/batches/{{id}}/results", self._step("results", self._results)
        )
        return app

    def _step(
        self, name: str, handle: Callable[[web.Request], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handled(request: web.Request) -> web.StreamResponse:
            self.steps.append(name)
            self.headers.append((name, {k.lower(): v for k, v in request.headers.items()}))
            early = await asyncio.to_thread(self.before, name)
            if early is not None:
                return early
            answer = await handle(request)
            late = await asyncio.to_thread(self.after, name)
            if late is not None:
                return late
            if isinstance(answer, web.StreamResponse):
                return answer
            if isinstance(answer, bytes):
                return web.Response(body=answer)
            return web.json_response(answer)

        return handled

    # --- OpenAI

    async def _chat(self, request: web.Request) -> Row:
        self.calls += 1
        return self._completion(await request.json())

    def _completion(self, body: Row) -> Row:
        text = str([message["content"] for message in body["messages"]])
        tokens = max(len(text) // 4, len(text.split()))
        usage = {"prompt_tokens": tokens, "completion_tokens": 5, "total_tokens": tokens + 5}
        answer = completion(self.reply(body["messages"]), usage=usage)
        if body.get("logprobs"):
            first = _listed(text)
            answer["choices"][0]["message"]["content"] = first["token"]
            answer["choices"][0]["logprobs"] = {"content": [first], "refusal": None}
        return answer

    async def _upload(self, request: web.Request) -> Row:
        form = await request.post()
        assert form["purpose"] == "batch"
        file = form["file"]
        assert isinstance(file, web.FileField)
        name = f"file-{len(self.files)}"
        self.files[name] = file.file.read()
        return {"id": name, "object": "file", "purpose": "batch", "filename": file.filename}

    async def _create(self, request: web.Request) -> Row:
        told = await request.json()
        rows = [json.loads(line) for line in self.files[told["input_file_id"]].splitlines()]
        made = self._made(rows, told["input_file_id"], told.get("metadata"))
        made.lines = [
            _line(
                custom_id=row["custom_id"],
                response={"status_code": 200, "body": self._completion(row["body"])},
                error=None,
            )
            for row in rows
        ]
        self.spoil(made)
        return self._row(made)

    def _made(self, rows: list[Row], file: str | None = None, metadata: Any = None) -> Made:
        made = Made(f"batch_{len(self.batches)}", rows, file, metadata, self.ends_as)
        self.batches.append(made)
        return made

    def _row(self, made: Made) -> Row:
        status = "in_progress" if self.hold else made.status
        row: Row = {
            "id": made.id,
            "object": "batch",
            "status": status,
            "input_file_id": made.file,
            "metadata": made.metadata,
            "request_counts": {"total": len(made.rows), "completed": 0, "failed": 0},
        }
        if status == "failed":
            said = {"code": "invalid_json_line", "message": "This line is not JSON.", "line": 1}
            row["errors"] = {"object": "list", "data": [said]}
        elif not self.hold:
            row["output_file_id"] = f"out-{made.id}" if made.lines else None
            row["error_file_id"] = f"err-{made.id}" if made.errors else None
        return row

    async def _list(self, request: web.Request) -> Row:
        rows = [self._row(made) for made in reversed(self.batches)]
        return {"object": "list", "data": rows, "has_more": False}

    async def _status(self, request: web.Request) -> Any:
        for made in self.batches:
            if made.id == request.match_info["id"]:
                return self._message_row(made) if "messages" in request.path else self._row(made)
        return web.json_response(error("No such batch."), status=404)

    async def _content(self, request: web.Request) -> bytes:
        kind, _, name = request.match_info["id"].partition("-")
        made = next(made for made in self.batches if made.id == name)
        return b"\n".join(made.lines if kind == "out" else made.errors)

    # --- Anthropic

    async def _message(self, request: web.Request) -> Row:
        self.calls += 1
        return self._said(await request.json())

    def _said(self, body: Row) -> Row:
        text = str(body.get("system", "")) + str([each["content"] for each in body["messages"]])
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "served-model",
            "content": [{"type": "text", "text": self.reply(body["messages"])}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": max(1, len(text) // 4), "output_tokens": 5},
        }

    async def _create_messages(self, request: web.Request) -> Row:
        rows = (await request.json())["requests"]
        made = self._made(rows)
        made.lines = [
            _line(
                custom_id=row["custom_id"],
                result={"type": "succeeded", "message": self._said(row["params"])},
            )
            for row in rows
        ]
        self.spoil(made)
        return self._message_row(made)

    def _message_row(self, made: Made) -> Row:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["processing" if self.hold else "succeeded"] = len(made.rows)
        return {
            "id": made.id,
            "type": "message_batch",
            "processing_status": "in_progress" if self.hold else "ended",
            "request_counts": counts,
            "created_at": datetime.fromtimestamp(made.created, UTC).isoformat(),
            "results_url": None if self.hold else f"{self.base_url}/messages/batches/{made.id}",
        }

    async def _list_messages(self, request: web.Request) -> Row:
        return {"data": [self._message_row(m) for m in reversed(self.batches)], "has_more": False}

    async def _results(self, request: web.Request) -> bytes:
        made = next(made for made in self.batches if made.id == request.match_info["id"])
        return b"\n".join(made.lines)


def _line(**row: Any) -> bytes:
    return json.dumps(row).encode()


def _listed(text: str) -> Row:
    """A first token, and the letters in its place; order and odds depend on the question."""
    rarer = sha256(text.encode()).digest()[0] / 256
    letters = sorted("ABCDE", key=lambda letter: sha256(f"{letter}{text}".encode()).digest())
    top = [
        {"token": letter, "logprob": -1.0 - rarer - place, "bytes": None}
        for place, letter in enumerate(letters)
    ]
    return {**top[0], "top_logprobs": top}
