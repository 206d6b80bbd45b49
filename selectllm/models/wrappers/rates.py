"""The rates that a user sets: calls and tokens a minute, kept without bursts over all processes.

A call starts when the one before it is far enough back: 60 s / `rpm` after it, and as long as the
tokens of the one before take at `tpm`. When the next may start stands in the file that all
processes of the workspace share.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time

from selectllm.core.stopping import rest
from selectllm.core.types import Reply
from selectllm.models.model import Model, Request
from selectllm.models.wrappers.shared_state import SharedState

MINUTE = 60.0
LATE = 0.05  # seconds by which a call that started late does not put off the next
LONGEST_REST = 1.0  # seconds after which a process looks again, for another may have given up


class Limited:
    """A model that is asked no faster than its settings `rpm` and `tpm` say.

    `where`: what the limits are of, such as an account's model at its endpoint; whoever asks there
    keeps them together. Tokens are counted as providers do: the prompt's, by an estimate, and all
    that the reply may have; once the reply is in, by what it had.
    """

    def __init__(self, inner: Model, state: SharedState, where: str) -> None:
        self._inner = inner
        self._state = state
        self._where = where
        self._order = asyncio.Lock()  # who comes first is served first
        self._asked = False

    async def complete(self, request: Request) -> Reply:
        """The inner model's reply, asked for when its turn has come."""
        spec = request.model
        tokens = request.tokens + request.max_tokens
        gaps = {}
        if spec.rpm is not None:
            gaps[f"{self._where} rpm"] = MINUTE / spec.rpm
        if spec.tpm is not None:
            gaps[f"{self._where} tpm"] = MINUTE * tokens / spec.tpm
        async with self._order:
            while (wait := self._take(gaps)) > 0:
                await rest(min(wait, LONGEST_REST))
            first, self._asked = not self._asked, True
            # It loads the client: calls that waited for that would be sent all at once.
            reply = await self._inner.complete(request) if first else None
        if reply is None:
            reply = await self._inner.complete(request)
        if spec.tpm is not None and reply.tokens_in is not None and reply.tokens_out is not None:
            more = reply.tokens_in + reply.tokens_out - tokens
            self._move(f"{self._where} tpm", MINUTE * more / spec.tpm)
        return reply

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()

    def _take(self, gaps: dict[str, float]) -> float:
        """Seconds until a call may start; 0: it starts now."""
        now = time.time()
        with self._state.transaction() as rows:
            nexts = {name: self._next(rows, name, now) for name in gaps}
            wait = max(0.0, max(nexts.values()) - now)
            if not wait:
                for name, gap in gaps.items():
                    rows.execute(
                        "INSERT INTO rates VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                        "next = excluded.next, taken = excluded.taken",
                        (name, max(nexts[name], now - LATE) + gap, now),
                    )
        return wait

    def _next(self, rows: sqlite3.Connection, name: str, now: float) -> float:
        """When the next call may start."""
        found = rows.execute("SELECT next, taken FROM rates WHERE name = ?", (name,)).fetchone()
        if found is None or found[1] > now + LATE:  # a clock was put back: what it said is void
            return now
        return float(found[0])

    def _move(self, name: str, seconds: float) -> None:
        """Put the next call off by so much, or forward."""
        with self._state.transaction() as rows:
            rows.execute("UPDATE rates SET next = next + ? WHERE name = ?", (seconds, name))
