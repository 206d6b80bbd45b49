"""Standard output and standard error as they are: closed, cut off, full, of few characters.

What a command has found out, and its exit code, must not depend on who reads along.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import Any, TextIO

from selectllm.core.errors import UsageError

ESCAPED = "selectllm.escaped"
"""The error handler that writes what an encoding lacks as \\uXXXX: JSON stays JSON, ids stay."""


class Unwritable(UsageError):
    """Standard output takes no more."""


class Patient(io.RawIOBase):
    """A stream on `raw`. A reader that is gone is no fault of what is computed.

    `told`: whether anything else, such as a full disk, is raised (once), as Unwritable.
    """

    def __init__(self, raw: Any, *, told: bool) -> None:
        self._raw = raw
        self._told = told
        self.gone = False

    def write(self, data: Any) -> int:
        """Write, or swallow what nobody can have."""
        if not self.gone:
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[self._raw.write(rest) or 0 :]
            except OSError as error:
                self.gone = True
                if self._told and not isinstance(error, BrokenPipeError):
                    raise Unwritable(
                        f"Standard output cannot be written ({error.strerror}). Make room or write "
                        "to another place, and run the same command again."
                    ) from None
        return len(data)

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """Of what is below."""
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        """Whether somebody may look."""
        return bool(self._raw.isatty())


def patient(stream: TextIO | None, *, told: bool) -> TextIO:
    """`stream` without its ways to fail; what is not a stream of the system's is left as it is."""
    codecs.register_error(ESCAPED, _escaped)
    if stream is None:  # closed: the next file to be opened must not take its number
        return open(os.devnull, "w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = getattr(stream.buffer, "raw", stream.buffer)  # the latter where Python does not buffer
    inner: Any = Patient(raw, told=told)
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
    return io.TextIOWrapper(
        inner if raw is stream.buffer else io.BufferedWriter(inner),
        encoding=stream.encoding,
        errors=ESCAPED,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def prepare() -> None:
    """Make standard output and standard error patient."""
    sys.stdout, sys.stderr = patient(sys.stdout, told=True), patient(sys.stderr, told=False)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    data = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (data[place : place + 2].hex() for place in range(0, len(data), 2))
    return "".join(f"\\u{pair}" for pair in pairs), error.end
