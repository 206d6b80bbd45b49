"""What a suite says of its pool's columns: the pool that it reads, and the words of its errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from selectllm.core.errors import UsageError
from selectllm.core.types import Pool
from selectllm.data.columns import remapped
from selectllm.data.hub import located
from selectllm.data.pool import load_pool
from selectllm.evaluation.suite import Suite

_PLAIN = re.compile(r"[A-Za-z_][\w.-]*")


def suite_pool(suite: Suite, in_place: Path | None = None) -> Pool:
    """The pool of a suite, its notes in a suite's words. `in_place`, raises: as `load_pool`."""
    with suite_words():
        path = located(suite.folder, suite.pool)
        pool = load_pool(path, columns=suite.columns, in_place=in_place).pool
    return replace(pool, notes=tuple(map(_in_suite, pool.notes)))


@contextmanager
def suite_words() -> Iterator[None]:
    """While a suite is read: errors say what to write in it, not what to give as an argument."""
    try:
        yield
    except UsageError as error:
        error.args = (_in_suite(str(error)), *error.args[1:])
        raise


def _in_suite(text: str) -> str:
    return remapped(text, lambda _, field, column: f"`columns: {{{field}: {_quoted(column)}}}`")


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
