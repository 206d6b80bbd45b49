"""Arguments of jobs held to what their signatures say, before a job begins.

A job is called from notebooks and scripts, where nothing checks types: a value of another kind is
one clear error that names the argument, not a traceback from wherever it is first used.
"""

from __future__ import annotations

import functools
import inspect
import os
import types
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from selectllm.core.errors import ArgumentError, UsageError
from selectllm.core.names import unknown
from selectllm.core.shown import shortened

if TYPE_CHECKING:
    from selectllm.jobs.session_settings import Settings

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")
Request = TypeVar("Request")

NUMBERS: Mapping[type, type] = {int: Integral, float: Real}
WORDS: Mapping[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    Path: "a path",
}
OF_A_SESSION = ("folder", "notes", "watcher", "engine")
"""What a job hands to its own session beside settings."""
OWN = frozenset(("pool",))
"""Arguments whose type the job itself explains better."""


def checked(
    job: Callable[Arguments, Coroutine[Any, Any, Value]],
) -> Callable[Arguments, Coroutine[Any, Any, Value]]:
    """`job`, which raises ArgumentError for arguments that its signature does not allow.

    Those of its keyword arguments that a TypedDict lists are told by that.
    """

    @functools.wraps(job)
    async def run(*arguments: Arguments.args, **options: Arguments.kwargs) -> Value:
        signature, hints = inspect.signature(job), hints_of(job)
        for name in options:
            if name not in hints:
                raise ArgumentError(
                    f"{job.__name__}: {unknown('argument', name, hints)}", argument=name
                )
        try:
            positional = signature.bind_partial(*arguments).arguments
            signature.bind(*arguments, **options)
        except TypeError as error:
            raise ArgumentError(f"{job.__name__}: {error}", argument=_lacking(error)) from None
        check({**positional, **options}, hints)
        return await job(*arguments, **options)

    return run


@functools.cache
def hints_of(job: Callable[..., Any]) -> Mapping[str, Any]:
    """Every argument that `job` takes by name, with its type."""
    hints = get_type_hints(job)
    hints.pop("return", None)
    for name, parameter in inspect.signature(job).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            (listed,) = get_args(hints.pop(name)) or (object,)
            # What a Session takes besides, it checks itself.
            hints = dict.fromkeys(OF_A_SESSION, Any) | get_type_hints(listed) | hints
    return hints


def parted(kind: type[Request], arguments: Mapping[str, Any]) -> tuple[Request, Settings]:
    """Keyword arguments of a job: its request, of the dataclass `kind`, and its session's own."""
    own = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    asked = {name: value for name, value in arguments.items() if name in own}
    rest = {name: value for name, value in arguments.items() if name not in own}
    return kind(**asked), cast("Settings", rest)


def _lacking(error: TypeError) -> str | None:
    """The argument that the words of `inspect` name, None if they name none."""
    _, quote, name = str(error).rpartition("argument: '")
    return name.rstrip("'") if quote else None


def check(values: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Raise UsageError for the first of `values` that is not of its type, or not text at all."""
    for name, value in values.items():
        hint = hints.get(name, Any)
        if name in OWN or fits(value, hint):
            _check_text(name, value, path=Path in _kinds(hint))
            continue
        words = " or ".join(dict.fromkeys(filter(None, map(_words, _kinds(hint)))))
        raise UsageError(
            f"`{name}` {shortened(value)} is {type(value).__name__}. Give {words or 'another'}",
            argument=name,
        )


def fits(value: object, hint: Any) -> bool:
    """Whether `value` is of the type `hint`; what is not known here fits."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return isinstance(value, tuple({type(each) for each in inner}))
    if origin is Sequence:
        items = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return items and all(fits(item, inner[0]) for item in value)  # type: ignore[attr-defined]
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            fits(key, inner[0]) and fits(item, inner[1]) for key, item in value.items()
        )
    if origin is Callable:
        return callable(value)
    if hint is Any or not isinstance(hint, type):
        return True
    if getattr(hint, "_is_protocol", False):
        return all(hasattr(value, name) for name in vars(hint) if not name.startswith("_"))
    if hint in NUMBERS:
        return isinstance(value, NUMBERS[hint]) and not isinstance(value, bool)
    return isinstance(value, hint)


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The types that a union allows, None left out."""
    union = get_origin(hint) in (Union, types.UnionType)
    kinds = get_args(hint) if union else (hint,)
    return tuple(kind for kind in kinds if kind is not type(None))


def _words(kind: Any) -> str:
    """What a type is called in a message."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(repr(each) for each in inner)
    if origin is Sequence:
        return f"a list, each {_words(inner[0])}"
    if origin is Mapping:
        return "a mapping"
    if origin is Callable:
        return "a function"
    return WORDS.get(kind) or f"a {getattr(kind, '__name__', kind)}"


def _check_text(name: str, value: object, *, path: bool) -> None:
    """Raise UsageError for text that no file name, or no UTF-8, can hold."""
    items = value if isinstance(value, list | tuple) else (value,)
    for text in (str(item) for item in items if isinstance(item, str | Path)):
        try:
            os.fsencode(text) if path else text.encode()
        except UnicodeEncodeError:
            problem = "holds half of a surrogate pair, which is not a character"
        else:
            if "\0" not in text:
                continue
            problem = "holds a NUL character"
        raise UsageError(f"`{name}` {shortened(text)}: {problem}. Correct it", argument=name)
