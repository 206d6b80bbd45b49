"""Files written whole or not at all, and the JSON files of a run folder read back."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from selectllm.core.codec import load_json
from selectllm.core.errors import RunError


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[str]]:
    """A text file (UTF-8, line ends as given) that appears at `path` only if the block ends well.

    Written under a temporary name in the same folder, synced, then moved into place. Missing
    parent folders are made.
    """
    with replacing(path) as descriptor:
        with open(descriptor, "w", encoding="utf-8", newline="") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())


@contextlib.contextmanager
def replacing(path: Path, keep: Path | None = None) -> Iterator[int]:
    """The descriptor of a new file, which is moved to `path` if the block ends well.

    `keep`: where what is at `path` stays; None for nowhere.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    with contextlib.ExitStack() as undo:
        undo.callback(Path(name).unlink, missing_ok=True)
        # mkstemp makes files private; what a user asked for gets the usual mode.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        yield descriptor
        if keep is not None:
            os.link(path, keep)
        os.replace(name, path)
        undo.pop_all()


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder, which is moved to `path` if the block ends well; what was there is gone then.

    Its files are to be synced by who writes them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = partial(tempfile.mkdtemp, dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    new = Path(beside())
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, new, ignore_errors=True)
        umask = os.umask(0)
        os.umask(umask)
        new.chmod(0o777 & ~umask)
        yield new
        if path.exists():  # no folder is moved over another one that holds something
            old = Path(beside())
            undo.callback(shutil.rmtree, old, ignore_errors=True)
            path.replace(old)
            try:
                new.replace(path)
            except OSError:
                old.replace(path)
                raise
        else:
            new.replace(path)


def unwritable(path: Path, *, folder: bool = False) -> str | None:
    """Why nothing could be written there, as far as the file system tells; None: it could.

    That is a file, or a `folder`.
    """
    try:
        if path.exists() and path.is_dir() != folder:
            return "is a file" if folder else "is a folder"
        parent = path.absolute().parent
        while not parent.exists() and parent != parent.parent:
            parent = parent.parent
    except (OSError, ValueError) as error:
        return f"cannot be written ({getattr(error, 'strerror', None) or error})"
    if not parent.is_dir():
        return f"cannot be written, because {parent} is not a folder"
    if not os.access(parent, os.W_OK | os.X_OK):
        return f"cannot be written, because you may not write in the folder {parent}"
    return None


def real(path: Path | str) -> Path:
    """The file itself, whatever it is called.

    A link that leads back to itself stays one: whoever opens it tells.
    """
    return Path(os.path.realpath(path))


def cannot_hold(folder: Path, what: str, error: OSError) -> str:
    """That a cache cannot hold `what` and why, with what helps where there is no room."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    helps = ". Make room there, or choose another cache" if full else ""
    return f"{folder} cannot hold {what} ({error.strerror or error}){helps}"


def write_text(path: Path, text: str) -> None:
    """`atomic_write` for a text already at hand."""
    with atomic_write(path) as handle:
        handle.write(text)


def write_bytes(path: Path, content: bytes) -> None:
    """The same for bytes."""
    with replacing(path) as descriptor, open(descriptor, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def read_json(path: Path) -> dict[str, Any]:
    """One of a run folder's JSON files. Raises RunError if it is missing or damaged."""
    try:
        content = load_json(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{path} does not exist. Is the folder a finished run?") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read as JSON ({error})") from None
    if not isinstance(content, dict):
        raise RunError(f"{path} is not a JSON object")
    return content
