"""Locks between processes: one byte of a file each, which the kernel frees when its holder dies.

They hold between processes, not inside one: whoever takes a byte twice in a process has it twice.
On Windows there are none, and every byte seems free.
"""

from __future__ import annotations

import os
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
