"""Code of the user's own: `module:attr` wherever a built-in name can stand.

A `Port` is such a place. Its code is an installed module's, or one beside the file that names it;
what goes wrong in it becomes one of our errors, with the line where it happened.
"""

from __future__ import annotations

import hashlib
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from selectllm.core.errors import SelectLLMError, UsageError
from selectllm.core.names import closest, unknown
from selectllm.core.types import empty

T = TypeVar("T")
REFERENCE = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""The pattern of `module:attr`."""

# What code of the user's can raise by mistake; our own errors pass as they are. A SystemExit in it
# is one as well: it would end the program that asks.
_MISTAKES = (Exception, SystemExit)

_LOADED: dict[str, str] = {}
"""The sha256 of the code that was loaded last, by the name of its module."""

_BESIDE: dict[str, ModuleType] = {}
"""The module that was loaded last of a file in a folder, by its name."""


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


def is_reference(name: str) -> bool:
    """Whether `name` has the form `module:attr`."""
    return re.match(REFERENCE, name) is not None


def find(port: Port[T], name: str, base: Path | None = None) -> T:
    """What `name` stands for: a built-in one, or code of the user's (see `load`).

    Raises the port's error with the closest match for a name that is neither.
    """
    if name in port.known:
        return port.known[name]
    if not is_reference(name):
        raise port.error(unknown(port.what, name, port.names))
    return load(port, name, base)


def load(port: Port[T], reference: str, base: Path | None = None) -> T:
    """The object that `reference` names: of an installed module, or of one in the folder `base`.

    Raises the port's error for a module that is not there or does not import, an attribute that
    it has not, and an object of another kind.
    """
    module, _, attr = reference.partition(":")
    cannot = f"{port.what} {reference!r} cannot be used"
    try:
        with importable(base):
            loaded = _loaded(module, base)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise port.error(f"{cannot} ({_mistake(error)}); correct its module") from None
        if port.names:
            listing = unknown(port.what, reference, port.names)
            raise port.error(f"{listing}. Of your own: {error}") from None
        hint = "install its module, or put it beside the suite"
        raise port.error(f"{cannot} ({error}); {hint}") from None
    except SelectLLMError:
        raise
    except _MISTAKES as error:
        raise port.error(f"{cannot} ({_mistake(error)}); correct its module") from error
    try:
        one: T = getattr(loaded, attr)
    except AttributeError as error:
        match = closest(attr, [name for name in vars(loaded) if not name.startswith("_")])
        hint = f"did you mean {match!r}?" if match else "correct the name"
        raise port.error(f"{cannot} ({error}); {hint}") from None
    if not port.is_one(one):
        raise port.error(
            f"{port.what} {reference!r} is no {port.kind} but {type(one).__name__}; "
            f"see {port.contract}"
        )
    return one


@contextmanager
def importable(folder: Path | None) -> Iterator[None]:
    """While modules are looked for in `folder` as well, after all other places."""
    if folder is None:
        yield
        return
    place = str(folder.resolve())
    invalidate_caches()  # a module may have been written a moment ago
    sys.path.append(place)
    try:
        yield
    finally:
        sys.path.remove(place)


@contextmanager
def calling(name: str, error: type[SelectLLMError] = UsageError) -> Iterator[None]:
    """While code of the user's runs: what it raises by mistake becomes `error`, with its place."""
    try:
        yield
    except SelectLLMError:
        raise
    except _MISTAKES as mistake:
        raise error(f"{name} failed: {_mistake(mistake)}") from mistake


def source_sha256(reference: str) -> str | None:
    """The hex sha256 of the file of a module that was loaded, None if it has no file.

    What is remembered of such code is kept under this: an edit makes it other code. Code that the
    module takes from elsewhere is not covered.
    """
    return _LOADED.get(reference.partition(":")[0])


def _loaded(name: str, base: Path | None) -> ModuleType:
    """The module, of the file as it is now if it lies in `base`; one of an edit is another."""
    file = None if base is None else base.resolve() / f"{name}.py"
    if base is None and name in _BESIDE:
        return _BESIDE[name]  # a prompt's own form of reply is asked for again without its folder
    if file is None or not file.is_file():
        module = import_module(name)
        own = getattr(module, "__file__", None)
        if own is not None and name not in _LOADED:
            with suppress(OSError):  # of a zip file: it has no file of its own
                _LOADED[name] = hashlib.sha256(Path(own).read_bytes()).hexdigest()
        return module
    code = file.read_bytes()
    sha256 = hashlib.sha256(code).hexdigest()
    # Two folders may have a module of one name, and neither is an installed one of that name.
    private = f"_selectllm_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}_{sha256}_{name}"
    if private not in sys.modules:
        module = ModuleType(private)
        module.__file__ = str(file)
        sys.modules[private] = module
        try:
            exec(compile(code, file, "exec"), module.__dict__)
        except BaseException:
            del sys.modules[private]
            raise
    _LOADED[name] = sha256
    _BESIDE[name] = sys.modules[private]
    return sys.modules[private]


def _mistake(error: BaseException) -> str:
    """A mistake in words, with the line where it was made, which a SyntaxError says itself."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if not frame.filename.startswith("<frozen")]
    where = f" ({places[-1].filename}:{places[-1].lineno})"
    return f"{type(error).__name__}: {error}{'' if isinstance(error, SyntaxError) else where}"
