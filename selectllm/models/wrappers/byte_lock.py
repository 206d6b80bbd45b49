"""Locks between processes: one byte of a file each, which the kernel frees when its holder dies.

They hold between processes, not inside one: whoever takes a byte twice in a process has it twice.
On Windows there are none, and every byte seems free.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from pathlib import Path

from selectllm.core.errors import CacheError

if sys.platform != "win32":
    import fcntl

_guard = threading.Lock()
# One descriptor per lock file and process, never closed: closing any descriptor of a file drops
# every lock that the process holds on it.
_descriptors: dict[Path, int] = {}

_FLOCK = {
    "linux": (("type", "whence", "start", "len", "pid"), "hhqqi4x"),
    "darwin": (("start", "len", "pid", "type", "whence"), "qqihh"),
}
"""The fields of `struct flock` and how they lie there, by platform."""


def take(lock_file: Path, offset: int) -> bool:
    """Whether the byte at `offset` was free; it is this process's now.

    Raises CacheError where the file cannot be locked.
    """
    if sys.platform == "win32":
        return True
    descriptor = _descriptor(lock_file)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        raise _unusable(lock_file, error) from None
    return True


def release(lock_file: Path, offset: int) -> None:
    """Free a byte that this process holds."""
    if sys.platform != "win32":
        fcntl.lockf(_descriptor(lock_file), fcntl.LOCK_UN, 1, offset)


def holder(lock_file: Path, offset: int) -> int | None:
    """The id of the other process that holds a byte, 0 if it cannot be seen from here.

    None if it is free, or ours, or the system does not tell.
    """
    form = _FLOCK.get(sys.platform)
    if sys.platform == "win32" or form is None:
        return None
    names, layout = form
    asked = {"type": fcntl.F_WRLCK, "whence": os.SEEK_SET, "start": offset, "len": 1, "pid": 0}
    given = struct.pack(layout, *(asked[name] for name in names))
    try:
        told = fcntl.fcntl(_descriptor(lock_file), fcntl.F_GETLK, given)
    except OSError:
        return None
    found = dict(zip(names, struct.unpack(layout, told), strict=True))
    return None if found["type"] == fcntl.F_UNLCK else max(0, found["pid"])


def _descriptor(lock_file: Path) -> int:
    with _guard:
        if lock_file not in _descriptors:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
            try:
                _descriptors[lock_file] = os.open(lock_file, flags, 0o600)
            except OSError as error:
                raise _unusable(lock_file, error) from None
        return _descriptors[lock_file]


def _unusable(lock_file: Path, error: OSError) -> CacheError:
    return CacheError(
        f"{lock_file}: cannot be locked ({error.strerror}); check the folder and its permissions, "
        "or name another with `cache`",
        argument="cache",
    )
