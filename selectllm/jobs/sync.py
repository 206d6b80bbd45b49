"""A job without `await`: in an event loop of its own, or in a thread where one is running."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from selectllm.jobs.computing import terminable, uninterrupted
from selectllm.jobs.turns import standing_still

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")


def blocking(
    job: Callable[Arguments, Coroutine[Any, Any, Value]],
) -> Callable[Arguments, Value]:
    """`job` as a function that waits for it; see `finished`."""

    @functools.wraps(job)
    def run(*arguments: Arguments.args, **options: Arguments.kwargs) -> Value:
        return finished(job(*arguments, **options))

    return run


def finished(job: Coroutine[Any, Any, Value]) -> Value:
    """What `job` returns or raises; waits for it.

    Works in a script and in a notebook cell, in which a loop is running already: the job then has
    a thread and a loop of its own, and interrupting the cell cancels it.
    """
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        return _run(job)
    running: SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = SimpleQueue()

    async def known() -> Value:
        task = asyncio.current_task()
        assert task is not None
        running.put((asyncio.get_running_loop(), task))
        return await job

    with standing_still(here), ThreadPoolExecutor(1, thread_name_prefix="selectllm job") as pool:
        future = pool.submit(copy_context().run, _run, known())
        try:
            return future.result()
        except KeyboardInterrupt:
            loop, task = running.get()
            loop.call_soon_threadsafe(task.cancel)
            raise


def _run(job: Coroutine[Any, Any, Value]) -> Value:
    """As `asyncio.run`, which at its end writes out the repr of what its task returned.

    KeyboardInterrupt if the job was interrupted or terminated.
    """
    values: list[Value] = []
    terminated: list[int] = []

    async def keep() -> None:
        task = asyncio.current_task()
        assert task is not None
        with terminable(task) as came:
            try:
                values.append(await job)
            finally:
                terminated.extend(came)

    kept = keep()
    try:
        with contextlib.ExitStack() as opened:
            with uninterrupted():
                runner = opened.enter_context(asyncio.Runner())
            runner.run(kept)
    except asyncio.CancelledError:
        if terminated:
            raise KeyboardInterrupt from None
        raise
    finally:
        for begun in (kept, job):
            # Of what an interrupt did not let begin, Python would say that it was never awaited.
            if inspect.getcoroutinestate(begun) == inspect.CORO_CREATED:
                begun.close()
    return values[0]
