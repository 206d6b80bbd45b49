"""Modules of the user's own code: of each folder its own, as its files are now.

Python knows one module by a name for as long as it runs. Here two folders may each have a module
of one name, neither is an installed one of that name, and an edit is loaded anew.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

_LEFT: dict[str, ModuleType] = {}
"""What code of the folder that was loaded from last has imported of it, by name."""


@dataclass(frozen=True, slots=True)
class Code:
    """A module, and the hex sha256 of its source; None if it has no file.

    Of a module in a folder that is the sha256 of its file, or of all files of that folder that it
    imports, directly or not. Installed packages that it takes are not covered.
    """

    module: ModuleType
    sha256: str | None


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


def load_code(name: str, folder: Path | None) -> Code:
    """The module `name`: one in `folder`, a file or part of a package, else an installed one.

    Raises whatever its code raises, and ModuleNotFoundError if there is none.
    """
    top, _, rest = name.partition(".")
    sources = {} if folder is None else _sources(top, folder.resolve())
    if folder is None or not sources:
        with importable(folder):
            return _installed(name)
    sha256 = next(iter(sources.values()))
    if len(sources) > 1:
        sha256 = _sha256("".join([sha256, *sorted([*sources.values()][1:])]).encode())
    place = _sha256(str(folder.resolve()).encode())[:16]
    root = f"_selectllm_{place}_{sha256}_{top}"
    private = f"{root}.{rest}" if rest else root
    try:
        if private not in sys.modules:
            with _on_its_own(folder.resolve(), root):
                if root not in sys.modules:
                    _execute(root, next(iter(sources)), folder.resolve() / top)
                import_module(private)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(root):
            raise
        public = error.name.replace(root, top)
        raise ModuleNotFoundError(f"No module named {public!r}", name=public) from None
    return Code(sys.modules[private], sha256)


def _installed(name: str) -> Code:
    module = import_module(name)
    own = getattr(module, "__file__", None)
    with suppress(OSError):  # of a zip file: it has no file of its own
        return Code(module, None if own is None else _sha256(Path(own).read_bytes()))
    return Code(module, None)


def _sources(name: str, folder: Path) -> Mapping[Path, str]:
    """The files of the module or package `name` in `folder`, then those of what it imports there.

    Each with its sha256; empty if there is no such module.
    """
    sources: dict[Path, str] = {}
    waiting, known = [name], {name, "selectllm", *sys.stdlib_module_names}
    while waiting:
        stem = folder / waiting.pop(0)
        file = stem.with_name(f"{stem.name}.py")
        for path in [file] if file.is_file() else sorted(stem.rglob("*.py")):
            code = path.read_bytes()
            sources[path] = _sha256(code)
            new = [each for each in _imported(code) if each not in known]
            waiting += new
            known.update(new)
    return sources


def _imported(code: bytes) -> list[str]:
    """The top-level names that a source imports, in the order in which they stand."""
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


@contextmanager
def _on_its_own(folder: Path, root: str) -> Iterator[None]:
    """While code of `folder` is loaded: what it imports there is not another folder's."""
    for name, module in _LEFT.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]
    _LEFT.clear()
    before = {*sys.modules}
    try:
        with importable(folder):
            yield
    except BaseException:
        for name in [name for name in sys.modules if name.startswith(root)]:
            del sys.modules[name]
        raise
    finally:
        _LEFT.update(
            (name, module)
            for name, module in sys.modules.items()
            if name not in before
            and not name.startswith(root)
            and folder in Path(getattr(module, "__file__", None) or "/").parents
        )


def _execute(root: str, file: Path, package: Path) -> None:
    """Make the module `root` of a file, or of a package, which may have no file of its own."""
    spec: ModuleSpec | None
    if file.parent != package.parent and not (package / "__init__.py").is_file():
        spec = ModuleSpec(root, None, is_package=True)
        spec.submodule_search_locations = [str(package)]
        sys.modules[root] = module_from_spec(spec)
        return
    places = None if file.parent == package.parent else [str(package)]
    file = file if places is None else package / "__init__.py"
    spec = spec_from_file_location(root, file, submodule_search_locations=places)
    assert spec is not None  # it has a file of Python code
    module = sys.modules[root] = module_from_spec(spec)
    # Compiled here: an edit within a second would be taken for the file that was cached.
    exec(compile(file.read_bytes(), file, "exec"), module.__dict__)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
