"""Jobs that are interrupted: while they ask, in good order; while they compute, at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


@contextlib.contextmanager
def terminable(task: asyncio.Task[Any]) -> Iterator[list[int]]:
    """While it lasts SIGTERM does to `task` what Ctrl-C does: the first one cancels it.

    A further one raises KeyboardInterrupt where the program is. What came is in the list. Does
    nothing outside of the main thread, and where somebody else listens to SIGTERM.
    """
    came: list[int] = []
    usual = signal.SIG_DFL
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not usual:
        yield came
        return
    loop = asyncio.get_running_loop()

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(task.cancel)  # which also wakes a loop that sleeps

    signal.signal(signal.SIGTERM, stop)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, usual)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """While it lasts Ctrl-C and SIGTERM raise KeyboardInterrupt where the program is.

    An event loop would only cancel the job at its next `await`, which computing does not reach.
    Does nothing outside of the main thread, and where somebody else listens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with contextlib.ExitStack() as before:
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if _is_ours(handler):
                signal.signal(number, signal.default_int_handler)
                before.callback(signal.signal, number, handler)
        yield


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """While it lasts Ctrl-C waits; then it raises KeyboardInterrupt. Keep it to milliseconds.

    For what would complain if it was thrown away half made, such as an event loop.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


def _is_ours(handler: Any) -> bool:
    """Whether a handler is that of the event loop's runner, or `terminable`'s."""
    of_runner = getattr(getattr(handler, "func", None), "__self__", None)
    return isinstance(of_runner, asyncio.Runner) or getattr(handler, "__module__", "") == __name__


@contextlib.contextmanager
def all_stays() -> Iterator[None]:
    """While it lasts nothing searches for garbage.

    For work that makes millions of objects which all stay: each search would go over all of them,
    in vain.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
