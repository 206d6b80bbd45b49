"""What readers of pools yield: rows as they are, mended rows, rows that cannot be used."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from selectllm.core.errors import PoolError
from selectllm.core.shown import capital


class MendedRow(dict[str, Any]):
    """A row in which U+FFFD stands for each half of a surrogate pair that its file had."""


class BadRow(Exception):
    """One row that cannot be used, though the rows after it can.

    `reason` says what is wrong and with which value, `fix` what to do about it; `text` is the
    row as read, or None where the row could be decoded.
    """

    def __init__(self, reason: str, fix: str, text: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix
        self.text = text

    def at(self, place: str, *, of_file: bool = True) -> PoolError:
        """The error to raise when bad rows are not to be skipped; only those of a file can be."""
        how = " (select: `skip_bad`)" if of_file else ""
        return PoolError(f"{place}: {self.reason}. {capital(self.fix)} or leave the row out{how}")


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How a kind of file is read, what its rows are counted in, and whether `.gz` may follow.

    `notes`: what is said about a file that was read, such as which of its sheets it was.
    """

    read: Callable[[Path], Iterator[tuple[int, Any]]]
    unit: str
    zippable: bool = True
    notes: Callable[[Path], tuple[str, ...]] = lambda path: ()


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if its name ends in .gz."""
    zipped = path.suffix.lower() == ".gz"
    return cast("IO[bytes]", gzip.open(path, "rb") if zipped else path.open("rb"))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """While a file is read: what the system says of it as a PoolError that names it."""
    if path.is_dir():
        raise PoolError(f"{path} is a folder. Name a pool file in it")
    try:
        yield
    except FileNotFoundError:
        raise PoolError(f"{path} does not exist. Check the path") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise PoolError(f"{path} is broken gzip ({error}). Compress the file again") from None
    except OSError as error:
        reason = error.strerror or error
        raise PoolError(f"{path} cannot be read ({reason}). Check its permissions") from None
