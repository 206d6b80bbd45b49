"""A real local HTTP server that speaks enough of OpenAI, Ollama, Anthropic and Gemini to test on.

    with ProviderServer() as server:
        spec = ModelSpec(name="m", id="openai/m", api_base=server.base_url)

Every request gets a valid chat completion unless told otherwise: `server.queue(FAULTS["500"])`
scripts the next answers, `respond` decides per request, `reply` makes the text. It is a raw
HTTP/1.1 keep-alive parser on asyncio, cheap enough to answer thousands of calls; with
`process=True` it runs in a process of its own, so that a benchmark measures only its client.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import ssl
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

Reply = Callable[[Sequence[Mapping[str, Any]]], str]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer as told.

    `body`: JSON data, or bytes as they are. `delay`: seconds before the first byte. `drip`:
    seconds between single bytes of the body. `cut`: the connection is closed after this many
    bytes of the body; -1 closes it before the status line.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    cut: int | None = None


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; header names are lower-case, `raw` is the body as sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    raw: bytes = b""


Respond = Callable[[Any, Mapping[str, str], int], Answer | None]  # (json, headers, n from 0)


def choose_two(messages: Sequence[Mapping[str, Any]]) -> str:
    """The default reply."""
    return "[1, 2]"


def fingerprint(body: Any) -> str:
    """What tells one question from another: the sha256 of its messages."""
    return hashlib.sha256(json.dumps(body["messages"], sort_keys=True).encode()).hexdigest()


def completion(content: str | None = "[1, 2]", **changes: Any) -> dict[str, Any]:
    """An OpenAI chat completion; `changes` replace its fields, and those of its one choice."""
    choice = {
        "index": 0,
        "finish_reason": changes.pop("finish_reason", "stop"),
        "message": {"role": "assistant", "content": content, **changes.pop("message", {})},
    }
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "served-model",
        "service_tier": "default",
        "choices": [choice],
        "usage": {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105},
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def error(message: str, **fields: str) -> dict[str, Any]:
    """The body of an OpenAI error."""
    return {"error": {"message": message, "type": "error", "code": None, **fields}}


def echoing_key(request: Any, headers: Mapping[str, str], n: int) -> Answer:
    """A 401 that repeats the key it was sent, as real providers do."""
    key = headers.get("authorization") or headers.get("x-api-key") or headers.get("x-goog-api-key")
    return Answer(401, error(f"Incorrect API key provided: {key}.", code="invalid_api_key"))


def retry_after_date(seconds: float) -> Answer:
    """A 429 whose Retry-After is a date."""
    date = formatdate(time.time() + seconds, usegmt=True)
    return Answer(429, error("Rate limit reached."), {"Retry-After": date})


HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_OVERFLOW = "This model's maximum context length is 8192 tokens, your messages have 9000."
_QUOTA = "You exceeded your current quota, please check your plan and billing details."

FAULTS: Mapping[str, Answer] = {
    "401": Answer(401, error("Incorrect API key provided.", code="invalid_api_key")),
    "403": Answer(403, error("Your organisation may not use this model.")),
    "404": Answer(404, error("The model `nope` does not exist.", code="model_not_found")),
    "400": Answer(400, error("temperature must be below 2.")),
    "422": Answer(422, error("messages: field required.")),
    "context overflow": Answer(400, error(_OVERFLOW, code="context_length_exceeded")),
    "429": Answer(429, error("Rate limit reached.", code="rate_limit_exceeded")),
    "429 seconds": Answer(429, error("Rate limit reached."), {"Retry-After": "7"}),
    "429 cut": Answer(429, error("Rate limit reached."), {"Retry-After": "7"}, cut=9),
    "quota": Answer(429, error(_QUOTA, type="insufficient_quota", code="insufficient_quota")),
    "408": Answer(408, error("Request time-out.")),
    "409": Answer(409, error("Conflict.")),
    "500": Answer(500, error("The server had an error.")),
    "502 html": Answer(502, HTML, {"Content-Type": "text/html"}),
    "503": Answer(503, error("The server is overloaded.")),
    "529": Answer(529, error("Overloaded.", type="overloaded_error")),
    "hang": Answer(200, completion(), delay=600.0),
    "drip": Answer(200, completion(), drip=0.05),
    "cut": Answer(200, completion(), cut=40),
    "cut at once": Answer(200, completion(), cut=-1),
    "truncated json": Answer(200, json.dumps(completion()).encode()[:60]),
    "empty body": Answer(200, b""),
    "not json": Answer(200, HTML),
    "no choices": Answer(200, {**completion(), "choices": []}),
    "null content": Answer(200, completion(None)),
    "content filter": Answer(200, completion(None, finish_reason="content_filter")),
    "refusal": Answer(200, completion(None, message={"refusal": "I can't help with that."})),
    "length": Answer(200, completion("[1,", finish_reason="length")),
    "usage missing": Answer(200, completion(usage=None)),
    "few prompt tokens": Answer(
        200, completion(usage={"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17})
    ),
    "reasoning": Answer(200, completion("[3]", message={"reasoning_content": "Say [1] or [2]?"})),
}


class ProviderServer:
    """The server; a context manager. Safe to ask for counts from any thread.

    `latency`: seconds before every default answer. With `process=True`, `respond` and `reply`
    must be importable functions, and `requests` and `queue` are not to be had. `tls`: it speaks
    https with this. `journal`: it appends a line for every request as it arrives, `asked` and its
    fingerprint, and `answered` and the same once all bytes of its answer were handed to a
    connection that was open.
    """

    def __init__(
        self,
        respond: Respond | None = None,
        *,
        reply: Reply = choose_two,
        latency: float = 0.0,
        process: bool = False,
        tls: ssl.SSLContext | None = None,
        journal: Path | None = None,
    ) -> None:
        keep = not process
        self.state = _State(respond, reply, latency, keep=keep, tls=tls, journal=journal)
        self._process = process
        self._port = 0
        self._stop: Callable[[], None] = lambda: None

    @property
    def root(self) -> str:
        """http://127.0.0.1:PORT, for Ollama, Anthropic and Gemini; https with `tls`."""
        return f"{'http' if self.state.tls is None else 'https'}://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """The root and /v1, for OpenAI."""
        return f"{self.root}/v1"

    @property
    def requests(self) -> list[Seen]:
        """Every request so far."""
        return list(self.state.seen)

    @property
    def count(self) -> int:
        """How many requests arrived."""
        return int(self._stats()["count"])

    @property
    def peak(self) -> int:
        """The most requests that were in flight at once."""
        return int(self._stats()["peak"])

    def queue(self, *answers: Answer | Respond) -> None:
        """Script the next requests, one each; after them the default again."""
        self.state.scripted.extend(answers)

    def _stats(self) -> Mapping[str, int]:
        if not self._process:
            return self.state.stats
        with urllib.request.urlopen(f"{self.root}/stats", timeout=10) as response:
            return dict(json.load(response))

    def __enter__(self) -> Self:
        self._here, there = multiprocessing.Pipe()
        start = multiprocessing.get_context("spawn").Process if self._process else threading.Thread
        worker = start(target=_serve, args=(self.state, there), daemon=True)
        worker.start()
        self._stop = worker.join
        self._port = self._here.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._here.send("stop")
        self._stop()
        self._here.close()


@dataclass
class _State:
    """What the connections of one server share."""

    respond: Respond | None
    reply: Reply
    latency: float
    keep: bool
    tls: ssl.SSLContext | None = None
    journal: Path | None = None
    seen: list[Seen] = field(default_factory=list)
    open: set[asyncio.Transport] = field(default_factory=set)
    scripted: deque[Answer | Respond] = field(default_factory=deque)
    stats: dict[str, int] = field(default_factory=lambda: {"count": 0, "in_flight": 0, "peak": 0})

    def note(self, word: str, seen: Seen) -> None:
        if self.journal is not None:
            with self.journal.open("a", encoding="utf-8") as lines:
                lines.write(f"{word} {fingerprint(seen.body)}\n")

    def answer(self, seen: Seen) -> Answer:
        self.note("asked", seen)
        n = self.stats["count"]
        self.stats["count"] += 1
        if self.keep:
            self.seen.append(seen)
        scripted = self.scripted.popleft() if self.scripted else self.respond
        answer = scripted(seen.body, seen.headers, n) if callable(scripted) else scripted
        return answer or self._default(seen)

    def _default(self, seen: Seen) -> Answer:
        shape = next((make for end, make in _SHAPES.items() if seen.path.endswith(end)), None)
        if shape is None:
            return Answer(404, error(f"no such path: {seen.path}"))
        messages = seen.body.get("messages") or seen.body.get("contents") or []
        prompt = " ".join(str(m.get("content") or m.get("parts")) for m in messages)
        tokens = max(len(prompt) // 4, len(prompt.split()))
        return Answer(200, shape(self.reply(messages), tokens), delay=self.latency)


def _openai(text: str, tokens: int) -> dict[str, Any]:
    usage = {"prompt_tokens": tokens, "completion_tokens": 5, "total_tokens": tokens + 5}
    return completion(text, usage=usage)


def _ollama(text: str, tokens: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    counts = {"prompt_eval_count": tokens, "eval_count": 5}
    return {
        "model": "served-model",
        "message": message,
        "done": True,
        "done_reason": "stop",
    } | counts


def _ollama_text(text: str, tokens: int) -> dict[str, Any]:
    counts = {"prompt_eval_count": tokens, "eval_count": 5}
    return {"model": "served-model", "response": text, "done": True, "done_reason": "stop"} | counts


def _anthropic(text: str, tokens: int) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "served-model",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": tokens, "output_tokens": 5},
    }


def _gemini(text: str, tokens: int) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    usage = {"promptTokenCount": tokens, "candidatesTokenCount": 5, "totalTokenCount": tokens + 5}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": usage,
    }


_SHAPES: Mapping[str, Callable[[str, int], dict[str, Any]]] = {
    "/chat/completions": _openai,
    "/api/chat": _ollama,
    "/api/generate": _ollama_text,
    "/messages": _anthropic,
    ":generateContent": _gemini,
}


class _Connection(asyncio.Protocol):
    """One keep-alive connection: a request is read whole, then answered."""

    def __init__(self, state: _State) -> None:
        self._state = state
        self._buffer = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._state.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.open.discard(self._transport)
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._next()) is not None:
            self._handle(request)

    def _next(self) -> Seen | None:
        """The next whole request of the buffer, or None until more has come."""
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        size = int(headers.get("content-length", 0))
        if len(rest) < size:
            return None
        self._buffer = rest[size:]
        method, target, _ = first.split(" ")
        return Seen(method, urlsplit(target).path, headers, _json(rest[:size]), rest[:size])

    def _handle(self, seen: Seen) -> None:
        if seen.path == "/stats":
            self._transport.write(_wire(Answer(200, self._state.stats)))
            return
        answer = self._state.answer(seen)
        stats = self._state.stats
        stats["in_flight"] += 1
        stats["peak"] = max(stats["peak"], stats["in_flight"])
        loop = asyncio.get_running_loop()
        if answer.drip or answer.cut is not None:
            task = loop.create_task(self._slowly(answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif answer.delay:
            loop.call_later(answer.delay, self._send, seen, answer)
        else:
            self._send(seen, answer)

    def _send(self, seen: Seen, answer: Answer) -> None:
        self._state.stats["in_flight"] -= 1
        if not self._transport.is_closing():
            self._transport.write(_wire(answer))
            self._state.note("answered", seen)

    async def _slowly(self, answer: Answer) -> None:
        """An answer that drips, or breaks off."""
        try:
            await asyncio.sleep(answer.delay)
            head, _, body = _wire(answer).partition(b"\r\n\r\n")
            if answer.cut != -1:
                self._transport.write(head + b"\r\n\r\n")
                for byte in body[: answer.cut]:
                    self._transport.write(bytes([byte]))
                    await asyncio.sleep(answer.drip)
            if answer.cut is not None:
                self._transport.close()
        finally:
            self._state.stats["in_flight"] -= 1


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _wire(answer: Answer) -> bytes:
    """The bytes of an HTTP/1.1 response."""
    body = answer.body
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": len(payload)} | answer.headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} Scripted\r\n{lines}\r\n".encode("latin-1") + payload


def _serve(state: _State, pipe: Connection) -> None:
    """Serve until the other end of `pipe` says stop or is gone."""
    asyncio.run(_serve_until_told(state, pipe))


async def _serve_until_told(state: _State, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(state), "127.0.0.1", 0, ssl=state.tls)
    told = asyncio.Event()
    loop.add_reader(pipe.fileno(), told.set)
    pipe.send(server.sockets[0].getsockname()[1])
    await told.wait()
    loop.remove_reader(pipe.fileno())
    pipe.close()
    server.close()
    for _ in range(3):
        await asyncio.sleep(0)  # connections just accepted are made in the loop's next rounds
    for transport in tuple(state.open):
        transport.abort()
    await asyncio.sleep(0)  # the transports close in the loop's next round
