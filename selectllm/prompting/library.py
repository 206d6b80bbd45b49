"""Versioned prompts: folders of `<name>/v<N>.jinja`, and the lock of what was released.

A folder's LOCK.yaml holds the sha256 of every released version, which never changes again: an
edit is a new version. A `name@version` thus stands for one content, here and elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from selectllm.core.errors import PromptError
from selectllm.core.files import write_text
from selectllm.core.names import unknown
from selectllm.core.yaml_text import YamlFault, load_yaml
from selectllm.prompting.prompt import Prompt, parse_prompt, with_parent

LOCK = "LOCK.yaml"
LOCK_HEADER = "# sha256 of every released version; an edit is a new version (prompts new NAME)\n"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_LATEST = re.compile(r"(?<![\w@/.-])([a-z0-9][a-z0-9_-]*)@latest(?![\w@/.-])")
_FILE = re.compile(r"v([1-9][0-9]*)\.jinja")


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of prompts: its files and its lock, both by `name@version`."""

    files: Mapping[str, Traversable]
    locks: Mapping[str, str]
    bundled: bool

    @classmethod
    def open(cls, root: Traversable, *, bundled: bool = False) -> _Folder:
        if not root.is_dir():
            raise PromptError(
                f"{root}: this folder of prompts does not exist. To make one, run: selectllm init"
            )
        files = {
            f"{folder.name}@{match[1]}": file
            for folder in root.iterdir()
            if _NAME.fullmatch(folder.name) and folder.is_dir()
            for file in folder.iterdir()
            if (match := _FILE.fullmatch(file.name))
        }
        return cls(files, _read_lock(root.joinpath(LOCK)), bundled)

    def read(self, ref: str, base: Path) -> Prompt:
        """One file; code that it names may lie in `base` as well.

        Raises PromptError if it is malformed, or locked with other bytes.
        """
        file, locked = self.files[ref], self.locks.get(ref)
        data, (name, version) = file.read_bytes(), _key(ref)
        if locked not in (None, hashlib.sha256(data).hexdigest()):
            changed = f"{file}: {ref} was changed after its release ({LOCK})"
            new = f"run selectllm prompts new {name} --from {file}"
            if locked in _with_other_line_ends(data):
                raise PromptError(
                    f"{changed}. Only its line ends differ, which git can cause. Write `prompts/** "
                    f"-text` into .gitattributes and check {file.name} out again (in its folder: "
                    f"git rm --cached {file.name}, then git checkout HEAD -- {file.name}). If you "
                    f"meant the change, {new}"
                )
            raise PromptError(
                f"{changed}. An edit needs a new version. To keep the edit, {new}. Then restore "
                "this file"
            )
        prompt = parse_prompt(data, str(file), name, version, (base,))
        return replace(prompt, bundled=self.bundled, locked=locked is not None)


def _with_other_line_ends(data: bytes) -> set[str]:
    """The hashes that `data` has with the line ends of Unix and of Windows."""
    unix = data.replace(b"\r\n", b"\n")
    return {hashlib.sha256(each).hexdigest() for each in (unix, unix.replace(b"\n", b"\r\n"))}


def _read_lock(file: Traversable) -> Mapping[str, str]:
    if not file.is_file():
        return {}
    try:
        locks = load_yaml(file.read_bytes().decode("utf-8")) or {}
    except (YamlFault, UnicodeDecodeError) as error:
        raise PromptError(f"{file} is not YAML ({error}). Restore it") from None
    if not isinstance(locks, dict) or {*map(type, locks), *map(type, locks.values())} - {str}:
        raise PromptError(f"{file} must map name@version to sha256. Restore it")
    return locks


def _key(ref: str) -> tuple[str, int]:
    """What refs are sorted by; anything but a number sorts first."""
    name, _, version = ref.partition("@")
    return name, int(version) if version.isdecimal() else 0


def is_path(ref: str) -> bool:
    """Whether `ref` names the file of a prompt, rather than a `name@version`."""
    return ref.startswith(("./", "/")) or ref.endswith(".jinja")


class PromptLibrary:
    """The bundled prompts and those of one folder, usually a workspace's.

    A `name@version` stands for one content only: where two folders have it, their bytes agree.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Raises PromptError if `directory` does not exist or its LOCK.yaml is malformed."""
        folders = [_Folder.open(resources.files("selectllm.prompts"), bundled=True)]
        self._folders = folders if directory is None else [*folders, _Folder.open(directory)]

    @property
    def refs(self) -> tuple[str, ...]:
        """Every `name@version`, by name and number."""
        return tuple(sorted({ref for folder in self._folders for ref in folder.files}, key=_key))

    def versions(self, name: str) -> tuple[str, ...]:
        """Every `name@version` of one name, by number."""
        return tuple(ref for ref in self.refs if _key(ref)[0] == name)

    def numbered(self, text: str) -> str:
        """`text` with the number of every `NAME@latest`: the newest version, locked or not.

        `text`: a reference, or what holds some, such as PROMPT+MODEL; an unknown name stays.
        """
        return _LATEST.sub(lambda found: (found[0], *self.versions(found[1]))[-1], text)

    def newer(self, prompt: Prompt) -> str | None:
        """The newest version of the prompt's name if that is a later one, else None."""
        newest = self.versions(prompt.name)[-1:] if prompt.version else ()
        return newest[0] if newest and _key(newest[0])[1] > prompt.version else None

    def list(self) -> tuple[Prompt, ...]:
        """Every version of every prompt, by name and number. Raises as `load` does."""
        return tuple(_read_agreed(ref, self._folders, Path()) for ref in self.refs)

    def load(self, ref: str, base: Path | None = None) -> Prompt:
        """The prompt that `ref` names: `name@3`, `name@latest`, or a path.

        A path starts with `./` or `/` or ends in `.jinja`; it is relative to `base` (default: the
        current folder). Raises PromptError for an unknown or versionless name, a malformed file,
        a released version whose bytes changed, and a `name@version` with two contents.
        """
        base = base or Path()
        if is_path(ref):
            return self._load_path(base / ref, base)
        ref = self.numbered(ref)
        name, _, version = ref.partition("@")
        versions = self.versions(name)
        if versions and not version:
            raise PromptError(f"{ref!r} names no version. Write {name}@latest or {versions[-1]}")
        elif ref not in versions:
            raise PromptError(unknown("prompt", ref, self.refs))
        return _read_agreed(ref, self._folders, base)

    def _load_path(self, path: Path, base: Path) -> Prompt:
        if not path.is_file():
            raise PromptError(f"{path} does not exist")
        place = path.resolve()
        version = _FILE.fullmatch(place.name)
        if version and _NAME.fullmatch(place.parent.name):
            ref = f"{place.parent.name}@{version[1]}"
            alone = _Folder({ref: place}, _read_lock(place.parent.parent / LOCK), bundled=False)
            return _read_agreed(ref, [*self._folders, alone], base)
        return parse_prompt(path.read_bytes(), str(path), path.stem, 0, (base,))


def _read_agreed(ref: str, folders: Sequence[_Folder], base: Path) -> Prompt:
    """The one content that all folders with `ref` hold; PromptError where they differ."""
    first, *others = (folder.read(ref, base) for folder in folders if ref in folder.files)
    for other in others:
        if other.sha256 != first.sha256:
            raise PromptError(
                f"{other.path}: there is already a different {ref}, {first.path}. To keep this "
                f"file as a new version, run: selectllm prompts new {first.name} --from "
                f"{other.path}. Then remove this file"
            )
    return first


def lock(directory: Path) -> tuple[str, ...]:
    """Adds every version not yet locked to the folder's LOCK.yaml; returns their refs.

    Existing entries stay as they are. Raises PromptError, and writes nothing, if any prompt of the
    folder does not load.
    """
    library, folder = PromptLibrary(directory), _Folder.open(directory)
    locks = {**folder.locks, **{ref: library.load(ref).sha256 for ref in folder.files}}
    ordered = {ref: locks[ref] for ref in sorted(locks, key=_key)}
    write_text(directory / LOCK, LOCK_HEADER + yaml.safe_dump(ordered, sort_keys=False, width=120))
    return tuple(ref for ref in ordered if ref not in folder.locks)


def check(directory: Path) -> list[str]:
    """Everything wrong in a folder of prompts, one sentence each; empty when all is well.

    Malformed files, released versions that changed or vanished, versions that shadow a bundled
    one with other bytes, and `.jinja` files that no reference can reach.
    """
    library, folder, problems = PromptLibrary(directory), _Folder.open(directory), []
    for ref in sorted(folder.files, key=_key):
        try:
            library.load(ref)
        except PromptError as error:
            problems.append(str(error))
    problems += [
        f"{directory / LOCK}: {ref} is locked, but its file is missing. Restore it"
        for ref in folder.locks
        if ref not in folder.files
    ]
    strays = sorted(set(directory.glob("**/*.jinja")) - set(folder.files.values()))
    return problems + [f"{file} has no version. Call it NAME/vN.jinja" for file in strays]


def new_version(directory: Path, name: str, source: Path | None = None) -> Path:
    """Writes the next version of `name` into `directory` and returns its path.

    It starts as a copy of `source`, else of the latest version, else of the shortest bundled
    prompt; `parent` in its front matter names the version before it, or the one it was copied
    from. Raises PromptError for an unusable name or a malformed start.
    """
    if not _NAME.fullmatch(name):
        raise PromptError(f"prompt name {name!r} must be lower-case letters, digits, - and _")
    library = PromptLibrary(directory)
    versions = library.versions(name)
    if source is None:
        draft = library.load(versions[-1] if versions else "short@latest")
    elif source.is_file():
        # Read without regard to locks: this is how an edited release becomes a new version.
        draft = parse_prompt(source.read_bytes(), str(source), name, version=0)
    else:
        raise PromptError(f"{source} does not exist")
    parent = versions[-1] if versions else draft.parent if source else draft.ref
    target = directory / name / f"v{next_number(directory, name)}.jinja"
    write_text(target, with_parent(draft, parent))
    return target


def next_number(directory: Path, name: str) -> int:
    """The number of the next version of `name` in `directory`.

    Released ones count though their file is gone: a number never stands for two texts.
    """
    known = {*PromptLibrary(directory).versions(name), *_Folder.open(directory).locks}
    return max((_key(ref)[1] for ref in known if _key(ref)[0] == name), default=0) + 1
