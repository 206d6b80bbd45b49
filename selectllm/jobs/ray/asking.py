"""Asking by actors: the innermost model of each lives in a worker, all wrappers in this process.

So the cache is looked up before anything is sent and written when a reply arrives, and rate
limits, retries and the budget hold over all workers. Replies travel a few at a time, which costs
a quarter of what a call of Ray's for each of them would.

A worker that dies takes along the calls that it had sent and not answered. Nobody knows what became
of them, which is the case of a connection that broke: each is a try that failed and may have been
billed, counted at most that, and is made again. What had arrived is kept and never asked again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from selectllm.core.errors import ProviderError, SelectLLMError
from selectllm.core.types import Reply
from selectllm.jobs.ray.cluster import Machines, died
from selectllm.models.model import Model, ModelSpec, Request
from selectllm.models.providers.providers import provider_of

if TYPE_CHECKING:
    from selectllm.models.connect import Connections

TOGETHER = 0.01  # seconds in which requests, and replies, gather before they are sent
CALLS = 64  # under way in one actor before another one is made
WORN = 2  # actors that ended one after another without a reply: the next one is the last

Outcome = Reply | SelectLLMError


class RemoteModel:
    """The provider's model of `spec`, asked from workers of the cluster.

    The key and base URL of the model go to the workers with it; what else its client reads from
    the environment, such as proxies, it reads on their machines. Raises what the model raises; a
    call that was lost with its worker is a retryable ProviderError of the kind `broken`, and an
    EngineError once several workers were lost one after another.
    """

    def __init__(
        self, spec: ModelSpec, shared: Connections, cluster: Callable[[], Machines]
    ) -> None:
        from selectllm.models.connect import innermost

        innermost(spec, shared)  # raises here what it would raise there
        self._cluster = cluster
        self._arguments = (spec, _environment_of(spec), shared.num_ctx)
        self._lines: list[_Line] = []
        self._worn = 0  # actors that ended one after another

    async def complete(self, request: Request) -> Reply:
        """The reply to one call."""
        line = self._line()
        outcome = await line.ask(_bare(request))
        if line.dead:
            self._forget(line)
        else:
            self._worn = 0
        if isinstance(outcome, Reply):
            return outcome
        raise outcome

    async def close(self) -> None:
        """Let the actors end."""
        lines, self._lines = self._lines, []
        for line in lines:
            line.close()
            self._cluster().end(line.actor)

    def _line(self) -> _Line:
        cluster = self._cluster()
        for dead in [line for line in self._lines if line.dead]:
            self._forget(dead)
        least = min(self._lines, key=lambda line: len(line.waiting), default=None)
        if least is None or (len(least.waiting) >= CALLS and len(self._lines) < cluster.cpus):
            actor = cluster.actor(
                Asker,
                *self._arguments,
                num_cpus=0,
                max_concurrency=1_000,
                scheduling_strategy="SPREAD",
            )
            least = _Line(actor, self._worn >= WORN)
            self._lines.append(least)
        return least

    def _forget(self, line: _Line) -> None:
        if line in self._lines:
            self._lines.remove(line)
            self._cluster().end(line.actor)
            self._worn += 1


class Asker:
    """In a worker: the model, and what has come of the requests that were handed to it."""

    def __init__(self, spec: ModelSpec, environment: dict[str, str], num_ctx: int | None) -> None:
        self._made = spec, environment, num_ctx
        self._model: Model | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._done: list[tuple[int, Outcome]] = []
        self._some = asyncio.Event()

    async def begin(self, requests: list[tuple[int, Request]], gone: list[int]) -> None:
        """Begin to ask `requests`; drop those that nobody waits for any more."""
        for number, request in requests:
            self._tasks[number] = asyncio.create_task(self._ask(number, request))
        for number in gone:
            if (task := self._tasks.get(number)) is not None:
                task.cancel()

    async def collect(self) -> list[tuple[int, Outcome]]:
        """What came of requests since the last time; waits until there is something."""
        await self._some.wait()
        await asyncio.sleep(TOGETHER)
        done, self._done = self._done, []
        self._some.clear()
        return done

    async def _ask(self, number: int, request: Request) -> None:
        try:
            outcome: Outcome = await self._opened().complete(request)
        except SelectLLMError as error:
            outcome = error.with_traceback(None)
            outcome.__cause__ = outcome.__context__ = None
        finally:
            del self._tasks[number]
        self._done.append((number, outcome))
        self._some.set()

    def _opened(self) -> Model:
        if self._model is None:
            from selectllm.models.connect import reached

            spec, environment, num_ctx = self._made
            self._model = reached(spec, environment, num_ctx)
        return self._model


@dataclass(eq=False)
class _Line:
    """One actor, and the requests that wait for it. `last`: if it dies, nothing is tried again."""

    actor: Any
    last: bool = False
    dead: bool = False
    waiting: dict[int, asyncio.Future[Outcome]] = field(default_factory=dict)
    _new: list[tuple[int, Request]] = field(default_factory=list)
    _gone: list[int] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)
    _sender: asyncio.Task[None] | None = None
    _collector: asyncio.Task[None] | None = None

    async def ask(self, request: Request) -> Outcome:
        """What came of one request."""
        number = next(self._numbers)
        self.waiting[number] = asyncio.get_running_loop().create_future()
        self._new.append((number, request))
        self._wake()
        try:
            return await self.waiting[number]
        except asyncio.CancelledError:
            self._gone.append(number)
            self._wake()
            raise
        finally:
            self.waiting.pop(number, None)

    def _wake(self) -> None:
        """See to it that what is new is sent, and what arrives is handed out."""
        if self._sender is None and not self.dead:
            self._sender = asyncio.create_task(self._send())
        if self._collector is None and not self.dead:
            self._collector = asyncio.create_task(self._collect())

    def close(self) -> None:
        """Stop to listen."""
        for task in (self._sender, self._collector):
            if task is not None:
                task.cancel()

    async def _send(self) -> None:
        """Hand over what has gathered."""
        await asyncio.sleep(TOGETHER)
        new, self._new = self._new, []
        gone, self._gone = self._gone, []
        self._sender = None
        await self._told(self.actor.begin.remote(new, gone))

    async def _collect(self) -> None:
        """Hand out what arrives, for as long as somebody waits."""
        while self.waiting and not self.dead:
            for number, outcome in await self._told(self.actor.collect.remote()) or ():
                if (waits := self.waiting.get(number)) is not None and not waits.done():
                    waits.set_result(outcome)
            await asyncio.sleep(0)  # who was answered is gone from `waiting` then
        self._collector = None

    async def _told(self, answer: Any) -> Any:
        """What the actor says; None if it is dead, which everybody who waits then hears."""
        from ray import exceptions

        try:
            return await answer
        except exceptions.RayTaskError:  # what the worker lacks, or a mistake of ours
            self._ended("of a mistake in it")
            raise
        except exceptions.RayError as error:
            self._ended(str(error))
        return None

    def _ended(self, reason: str) -> None:
        self.dead = True
        for waits in self.waiting.values():
            if not waits.done():  # an error of its own for each: who catches it adds its tries
                waits.set_result(died("asking", reason) if self.last else _lost())


def _lost() -> ProviderError:
    return ProviderError(
        "the worker that made the call has ended, so nobody knows whether it was answered.",
        retryable=True,
        kind="broken",
    )


def _bare(request: Request) -> Request:
    """The request without the items that it shows: they are in its messages."""
    return replace(request, question=replace(request.question, shown=(), folders=()))


def _environment_of(spec: ModelSpec) -> dict[str, str]:
    """The variables that hold the model's base URL and key, and no others."""
    provider = provider_of(spec)
    names = {*provider.base_variables, *provider.key_variables, spec.api_key_env or ""}
    return {name: os.environ[name] for name in names if name in os.environ}
