"""Modules of the user's own code: of each folder its own, as its files are now.

Python knows one module by a name for as long as it runs. Here two folders may each have a module
of one name, neither is an installed one of that name, and an edit is loaded anew. For that the
modules of a folder are loaded under names that only we use, and what they import, when they are
loaded or later, is looked for in their folder first.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from selectllm.core.allowed import how_to_allow, is_allowed
from selectllm.core.errors import UsageError
from selectllm.core.files import real

_PREFIX = "_selectllm_of_"
_NOT_BESIDE = frozenset({"selectllm", *sys.stdlib_module_names})
"""Names that code never imports of its folder: they mean the same to it as to us."""


@dataclass(frozen=True, slots=True)
class Code:
    """A module, and the hex sha256 of its source; None if it has no file.

    Of a module in a folder that is the sha256 of its file, or of all files of that folder that it
    imports, directly or not. Installed packages that it takes are not covered.
    """

    module: ModuleType
    sha256: str | None


def load_code(name: str, *folders: Path) -> Code:
    """The module `name`: of the first of `folders` that has it, else an installed one.

    One of Python's own is never what was meant: whatever it has, such as `os:system`, would be
    called with what a model writes. Raises whatever its code raises, and ModuleNotFoundError if
    there is none.
    """
    invalidate_caches()  # a module may have been written a moment ago
    top = name.partition(".")[0]
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        if _place(top, folder):
            return _of_folder(name, folder)
    if top in sys.stdlib_module_names:
        said = f"{name!r} is a module of Python's own, and only installed packages are used"
        raise ModuleNotFoundError(said, name=top)
    return _installed(name)


def _installed(name: str) -> Code:
    with _without_the_current_folder():
        module = import_module(name)
    own = getattr(module, "__file__", None)
    with suppress(OSError):  # of a zip file: it has no file of its own
        return Code(module, None if own is None else _sha256(Path(own).read_bytes()))
    return Code(module, None)


@contextmanager
def _without_the_current_folder() -> Iterator[None]:
    """`python -m` looks for modules there, too: what lies there by chance is not installed."""
    first = sys.path[0] if sys.path else None
    here = first is not None and os.path.abspath(first) == os.getcwd()
    if here:
        del sys.path[0]
    try:
        yield
    finally:
        if first is not None and here:
            sys.path.insert(0, first)


def _of_folder(name: str, folder: Path) -> Code:
    first, *others = _sources(name.partition(".")[0], folder).values()
    sha256 = _sha256("".join([first, *sorted(others)]).encode()) if others else first
    root = f"{_PREFIX}{_sha256(str(folder).encode())[:16]}_{sha256}"
    if root not in sys.modules:
        package = sys.modules[root] = ModuleType(root)
        package.__path__ = [str(folder)]
    try:
        return Code(import_module(f"{root}.{name}"), sha256)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(root):
            raise
        public = error.name.removeprefix(f"{root}.")
        raise ModuleNotFoundError(f"No module named {public!r}", name=public) from None


def _place(top: str, folder: Path) -> Path | None:
    """The file, or the folder, of the module or package `top` that lies in `folder`."""
    stem = folder / top
    if (stem / "__init__.py").is_file():
        return stem
    if (file := folder / f"{top}.py").is_file():
        return file
    # A folder of data may bear the name of an installed package.
    if stem.is_dir() and any(stem.glob("*.py")) and PathFinder.find_spec(top) is None:
        return stem
    return None


def _sources(name: str, folder: Path) -> Mapping[Path, str]:
    """The files of the module or package `name` in `folder`, then those of what it imports there.

    Each with its sha256.
    """
    sources: dict[Path, str] = {}
    waiting, known = [name], {name}
    while waiting:
        place = _place(waiting.pop(0), folder)
        for path in [] if place is None else sorted(place.rglob("*.py")) or [place]:
            code = path.read_bytes()
            sources[path] = _sha256(code)
            new = [each for each in _imported(code) if each not in known | _NOT_BESIDE]
            waiting += new
            known.update(new)
    return sources


def _imported(code: bytes) -> list[str]:
    """The top-level names that a source imports, each once."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError):
        return []  # its import will say so
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [
        node.module
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
    ]
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


class _Finder(MetaPathFinder):
    """Finds the modules of folders under our names for them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module of a folder, None for every other name."""
        if not fullname.startswith(_PREFIX) or not path:
            return None
        spec = self._found(fullname, path)
        if spec is not None and spec.origin is not None:
            _check_place(Path(spec.origin), fullname)
        return spec

    def _found(self, fullname: str, path: Sequence[str]) -> ModuleSpec | None:
        name = fullname.rpartition(".")[2]
        stem = Path(path[0]) / name
        if stem.is_dir() and not (stem / "__init__.py").is_file():
            if (file := stem.with_name(f"{name}.py")).is_file():
                return spec_from_file_location(fullname, file, loader=_Loader(fullname, str(file)))
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(stem)]
            return spec
        package = stem.is_dir()
        file = stem / "__init__.py" if package else stem.with_name(f"{name}.py")
        if not file.is_file():
            return None
        return spec_from_file_location(
            fullname,
            file,
            loader=_Loader(fullname, str(file)),
            submodule_search_locations=[str(stem)] if package else None,
        )


class _Loader(SourceFileLoader):
    """Loads a source as it is now, whose imports look in its folder first."""

    def get_code(self, fullname: str) -> CodeType:
        """Compiled here: Python's cache takes an edit within a second for what it was."""
        return compile(self.get_data(self.path), self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run the code with an `import` of its own."""
        root = sys.modules[module.__name__.split(".")[0]]
        own = {**vars(builtins), "__import__": _importing(root)}
        module.__dict__["__builtins__"] = own
        super().exec_module(module)


def _check_place(file: Path, fullname: str) -> None:
    """Raise UsageError for a file that a link brings in from where code may not come from."""
    [folder] = sys.modules[fullname.partition(".")[0]].__path__
    if not is_allowed(file, Path(folder)):
        there = real(file)
        raise UsageError(
            f"{file} is a link that leads out of {folder}, to {there}, and the code there would be "
            f"run. If you trust it, allow its folder: {how_to_allow(there.parent)} before the "
            "command. Or copy the file"
        )


def _importing(root: ModuleType) -> Callable[..., Any]:
    """`__import__` for modules of the folder that `root` stands for."""
    folder = Path(root.__path__[0])

    def own_import(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        top = name.partition(".")[0]
        if level or top in _NOT_BESIDE or not _place(top, folder):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = import_module(f"{root.__name__}.{name}")
        for part in fromlist or ():  # a name that is no attribute yet may be a module
            if part != "*" and not hasattr(module, part) and hasattr(module, "__path__"):
                with suppress(ModuleNotFoundError):
                    import_module(f"{module.__name__}.{part}")
        return module if fromlist else sys.modules[f"{root.__name__}.{top}"]

    return own_import


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


sys.meta_path.insert(0, _Finder())
