"""Long computing inside a job, which Ctrl-C ends at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """While it lasts Ctrl-C raises KeyboardInterrupt where the program is.

    An event loop would only cancel the job at its next `await`, which computing does not reach.
    Does nothing outside of the main thread, and where somebody else listens to Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    of_loop = signal.getsignal(signal.SIGINT)
    listener = getattr(getattr(of_loop, "func", None), "__self__", None)
    if not isinstance(listener, asyncio.Runner):
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, of_loop)
