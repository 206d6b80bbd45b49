"""The folder of a Ray that was started here, and what is left of those whose command was killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

MARK = "selectllm.lock"  # in the folder of a session; locked for as long as its command lives


def claim(folder: Path) -> IO[bytes] | None:
    """Mark a session's folder as that of this process, until the file is closed or it ends.

    None where files cannot be locked or written; the folder is nobody's then, and never swept.
    """
    if (lock := _flock()) is None:
        return None
    try:
        handle = open(folder / MARK, "wb")
    except OSError:
        return None
    lock(handle)
    return handle


def sweep(root: Path) -> None:
    """Remove the folders of sessions in `root` whose command is dead: they hold logs and sockets.

    Only those that `claim` has marked, and of this user.
    """
    if (lock := _flock()) is None:
        return
    for mark in root.glob(f"session_*/{MARK}"):
        folder = mark.parent
        if folder.is_symlink():
            continue
        try:
            if mark.stat().st_uid != os.getuid():
                continue
            with mark.open("rb") as handle:
                lock(handle)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its command lives, or it is being swept by another one
            continue


def _flock() -> Callable[[IO[bytes]], None] | None:
    """What locks a file or raises OSError; None on Windows, where Ray leaves other traces."""
    try:
        import fcntl
    except ImportError:
        return None
    return lambda handle: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
