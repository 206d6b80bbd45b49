"""Code of the user's own: `module:attr` wherever a built-in name can stand.

A `Port` is such a place. Its code is an installed module's, or one beside the file that names it;
what goes wrong in it becomes one of our errors, with the line where it happened.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from selectllm.core.errors import SelectLLMError, UsageError
from selectllm.core.modules import load_code
from selectllm.core.names import closest, unknown
from selectllm.core.types import empty

T = TypeVar("T")
REFERENCE = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""The pattern of `module:attr`."""

Hear = Callable[[str, str], object]
_HEAR: ContextVar[Hear | None] = ContextVar("who hears of code of the user's", default=None)

# What code of the user's can raise by mistake; our own errors pass as they are. A SystemExit in it
# is one as well: it would end the program that asks.
_MISTAKES = (Exception, SystemExit)


@dataclass(frozen=True, slots=True)
class Port(Generic[T]):
    """A place that takes a built-in name or `module:attr`.

    `what`: what is named, for messages. `is_one`: whether an object can take that place; `kind`
    says what it has to be, and `contract` where that is written. `known`: the built-in ones by
    name; `forms`: names of others, with a part for the user to fill in. `error`: raised for what
    cannot be used.
    """

    what: str
    kind: str
    contract: str
    is_one: Callable[[object], bool] = callable
    known: Mapping[str, T] = field(default_factory=empty)
    forms: tuple[str, ...] = ()
    error: type[UsageError] = UsageError

    @property
    def names(self) -> tuple[str, ...]:
        """Every built-in name, for messages."""
        return (*self.known, *self.forms)


@dataclass(frozen=True, slots=True)
class Plugin(Generic[T]):
    """What a name stands for. `code_sha256`: of its code, None for a built-in one.

    What is remembered of such code is kept under this: an edit makes it other code.
    """

    object: T
    code_sha256: str | None = None


def is_reference(name: str) -> bool:
    """Whether `name` has the form `module:attr`."""
    return re.match(REFERENCE, name) is not None


def find(port: Port[T], name: str, *folders: Path | None) -> Plugin[T]:
    """What `name` stands for: a built-in one, or code of the user's (see `load`).

    `folders`: where that code may be, None for nowhere. Raises the port's error with the closest
    match for a name that is neither.
    """
    if name in port.known:
        return Plugin(port.known[name])
    if not is_reference(name):
        raise port.error(unknown(port.what, name, port.names))
    return load(port, name, *folders)


def load(port: Port[T], reference: str, *folders: Path | None) -> Plugin[T]:
    """The object that `reference` names: of an installed module, or of one in one of `folders`.

    Raises the port's error for a module that is not there or does not import, an attribute that
    it has not, and an object of another kind.
    """
    module, _, attr = reference.partition(":")
    cannot = f"{port.what} {reference!r} cannot be used"
    try:
        code = load_code(module, *(folder for folder in folders if folder is not None))
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise port.error(f"{cannot} ({_mistake(error)}). Correct its module") from None
        if port.names:
            listing = unknown(port.what, reference, port.names)
            raise port.error(f"{listing}. If it is your own: {error}") from None
        hint = "Install its module, or put it beside the suite"
        raise port.error(f"{cannot} ({error}). {hint}") from None
    except SelectLLMError:
        raise
    except _MISTAKES as error:
        raise port.error(f"{cannot} ({_mistake(error)}). Correct its module") from error
    try:
        one: T = getattr(code.module, attr)
    except AttributeError:
        match = closest(attr, [name for name in vars(code.module) if not name.startswith("_")])
        hint = f"Did you mean {match!r}?" if match else "Correct the name"
        lacks = f"module {module!r} has no attribute {attr!r}"
        raise port.error(f"{cannot} ({lacks}). {hint}") from None
    if not port.is_one(one):
        raise port.error(
            f"{port.what} {reference!r} is of the type {type(one).__name__}, not {port.kind}. "
            f"See {port.contract}"
        )
    if (hear := _HEAR.get()) is not None:
        hear(reference, getattr(code.module, "__file__", None) or f"module {module}")
    return Plugin(one, code.sha256)


@contextmanager
def announcing(hear: Hear) -> Iterator[None]:
    """While it lasts, `hear` is told the name and the file of code of the user's that is used."""
    before = _HEAR.set(hear)
    try:
        yield
    finally:
        _HEAR.reset(before)


@contextmanager
def calling(name: str, error: type[SelectLLMError] = UsageError) -> Iterator[None]:
    """While code of the user's runs: what it raises by mistake becomes `error`, with its place."""
    try:
        yield
    except SelectLLMError:
        raise
    except _MISTAKES as mistake:
        raise error(f"{name} failed: {_mistake(mistake)}") from mistake


def _mistake(error: BaseException) -> str:
    """A mistake in words, with the line where it was made, which a SyntaxError says itself."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if not frame.filename.startswith("<frozen")]
    where = f" ({places[-1].filename}:{places[-1].lineno})"
    return f"{type(error).__name__}: {error}{'' if isinstance(error, SyntaxError) else where}"
