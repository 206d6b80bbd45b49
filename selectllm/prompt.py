"""Versioned prompts: files, their lock, and the messages that one cluster is shown as.

A prompt is `<name>/v<N>.jinja`: YAML front matter between two lines `---`, then the Jinja blocks
`system` (optional) and `user`. A template sees `items` (each `.label .instruction .input`), `k`
and `m`, and is the same text on every machine: no includes, no randomness, nothing appended and
nothing stripped. Whitespace is the template's own to control (`{%-`), which cannot reach items.
"""

from __future__ import annotations

import hashlib
import operator
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import ascii_uppercase
from typing import Any, get_args

import yaml
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2 import meta as jinja_meta
from jinja2 import nodes as jinja
from jinja2.sandbox import ImmutableSandboxedEnvironment

from selectllm.errors import PromptError
from selectllm.files import write_text
from selectllm.names import unknown
from selectllm.types import Item, LabelKind, Message, ReplyKind

ROLES = ("system", "user")
SEES = "a prompt sees items (each label, instruction, input), k and m"
REQUIRED = ("description", "reply", "labels")
FRONT_MATTER = (*REQUIRED, "parent", "notes")
CHOICES = {"reply": get_args(ReplyKind), "labels": get_args(LabelKind)}
LOCK = "LOCK.yaml"
LOCK_HEADER = "# sha256 of every released version; an edit is a new version (prompts new NAME)\n"

_FRONT = re.compile(r"\A---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*\r?\n", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_FILE = re.compile(r"v([1-9][0-9]*)\.jinja")
# What a template can raise while it runs; each is a mistake in the template, never in an item.
_RUN_ERRORS = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt.

    `version`: 1, 2, ...; 0 for a draft, a file that is not called `<name>/v<N>.jinja`.
    `reply`, `labels`: how the candidates are labelled and what form the reply takes.
    `sha256`: of the file's bytes; results are keyed by it. `source`: the same bytes as text.
    `parent`: the `name@version` that it was made from. `locked`: LOCK.yaml holds its hash.
    """

    name: str
    version: int
    description: str
    reply: ReplyKind
    labels: LabelKind
    source: str = field(repr=False)
    sha256: str
    path: str
    parent: str | None = None
    notes: str | None = None
    bundled: bool = False
    locked: bool = False

    @property
    def ref(self) -> str:
        """`name@version`, or `name@draft`."""
        return f"{self.name}@{self.version or 'draft'}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a template sees of one item."""

    label: str
    instruction: str
    input: str


def labels_for(prompt: Prompt, m: int) -> tuple[str, ...]:
    """The labels of `m` candidates in shown order: 1..m, or A..Z.

    Raises PromptError when letters do not suffice.
    """
    if prompt.labels == "numbers":
        return tuple(str(number) for number in range(1, m + 1))
    if m > len(ascii_uppercase):
        raise PromptError(f"{prompt.ref}: letters label at most 26 candidates, not {m}; show fewer")
    return tuple(ascii_uppercase[:m])


def render(prompt: Prompt, items: Sequence[Item], k: int) -> tuple[Message, ...]:
    """The chat messages that show `items`, in this order, and ask for `k` of them.

    Item text stands in them byte for byte and is never read as a template. A system message that
    comes out blank is left out. Raises PromptError when k is not in 1..m, the labels do not
    suffice, or the template fails; the message names its file and line.
    """
    m, k = len(items), operator.index(k)  # in a list numpy 2 writes np.int64(2)
    if not 1 <= k <= m:
        raise PromptError(f"{prompt.ref}: cannot pick {k} of {m} candidates; k must be 1 to m")
    candidates = tuple(
        Candidate(label, item.instruction, item.input)
        for label, item in zip(labels_for(prompt, m), items, strict=True)
    )
    template, path = _compile(prompt.source, prompt.path), prompt.path
    context = {"items": candidates, "k": k, "m": m}
    texts = {r: _run(template, r, context, path) for r in ROLES if r in template.blocks}
    return tuple(Message(role=r, content=t) for r, t in texts.items() if t.strip() or r == "user")


def _run(template: Template, block: str, context: Mapping[str, Any], path: str) -> str:
    try:
        return "".join(template.blocks[block](template.new_context(dict(context))))
    except _RUN_ERRORS as error:
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == "<template>"]
        line = template.get_corresponding_lineno(lines[-1])
        hint = f"; {SEES}" if isinstance(error, UndefinedError) else ""
        raise PromptError(f"{path}:{line}: {error}{hint}") from error


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
)
# The same cluster must give the same bytes every time: what draws at random is taken away.
del _ENVIRONMENT.globals["lipsum"], _ENVIRONMENT.filters["random"]


@lru_cache(maxsize=512)
def _compile(source: str, path: str) -> Template:
    """The template of a prompt file. Raises PromptError with file and line."""
    front = _front(source, path)
    # A comment as tall as the front matter keeps the line numbers true to the file.
    body = "{#" + "\n" * front.group().count("\n") + "#}" + source[front.end() :]
    try:
        tree = _ENVIRONMENT.parse(body)
        _check_tree(tree, path)
        undeclared = jinja_meta.find_undeclared_variables(tree) - {"items", "k", "m"}
        template = _ENVIRONMENT.from_string(body)
    except TemplateSyntaxError as error:
        raise PromptError(f"{path}:{error.lineno}: {error.message}") from error
    for name in tree.find_all(jinja.Name):
        if name.name in undeclared:
            raise PromptError(f"{path}:{name.lineno}: {name.name!r} is undefined; {SEES}")
    return template


def _check_tree(tree: jinja.Template, path: str) -> None:
    """Raises PromptError unless the file is a `user` and perhaps a `system` block and no more."""
    for node in tree.find_all((jinja.Extends, jinja.Include, jinja.Import, jinja.FromImport)):
        word = "import" if isinstance(node, jinja.FromImport) else type(node).__name__.lower()
        raise PromptError(f"{path}:{node.lineno}: {word} is not allowed; a prompt is one file")
    for block in tree.find_all(jinja.Block):
        if block.name not in ROLES:
            raise PromptError(f"{path}:{block.lineno}: {unknown('block', block.name, ROLES)}")
    if not any(isinstance(node, jinja.Block) and node.name == "user" for node in tree.body):
        raise PromptError(f"{path}: no block 'user'; add {{% block user %}} ... {{% endblock %}}")
    for top in tree.body:
        parts = top.nodes if isinstance(top, jinja.Output) else [top]
        blank = all(isinstance(each, jinja.TemplateData) and each.data.isspace() for each in parts)
        if not blank and not isinstance(top, jinja.Block):
            raise PromptError(f"{path}:{top.lineno}: what stands outside the blocks is never sent")


def _front(source: str, path: str) -> re.Match[str]:
    if (front := _FRONT.match(source)) is None:
        raise PromptError(f"{path}:1: no front matter; begin with ---, {', '.join(REQUIRED)}, ---")
    return front


def _front_matter(source: str, path: str) -> dict[str, Any]:
    """The checked front matter: known keys, texts as values, reply and labels of known kinds."""
    try:
        values = yaml.safe_load(_front(source, path)["yaml"])
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else 1
        problem = getattr(error, "problem", None) or error
        raise PromptError(f"{path}:{line}: front matter is not YAML: {problem}") from error
    if not isinstance(values, dict):
        raise PromptError(f"{path}:2: front matter must be keys with values; add `reply: indices`")
    for key, value in values.items():
        if key not in FRONT_MATTER:
            raise PromptError(f"{path}: {unknown('front matter key', str(key), FRONT_MATTER)}")
        if not isinstance(value, str) or not value.strip():
            raise PromptError(f"{path}: {key} must be a text, not {value!r}")
        if value not in CHOICES.get(key, (value,)):
            raise PromptError(f"{path}: {unknown(f'{key} kind', value, CHOICES[key])}")
    if missing := [key for key in REQUIRED if key not in values]:
        raise PromptError(f"{path}: front matter has no {missing[0]}; add `{missing[0]}: ...`")
    return values


def _parse(data: bytes, path: str, name: str, version: int) -> Prompt:
    """The prompt in a file's bytes, its template compiled once so that mistakes show on load."""
    try:
        source = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PromptError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from error
    front = _front_matter(source, path)
    _compile(source, path)
    sha256 = hashlib.sha256(data).hexdigest()
    return Prompt(**front, name=name, version=version, source=source, sha256=sha256, path=path)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of prompts: its files and its lock, both by `name@version`."""

    files: Mapping[str, Traversable]
    locks: Mapping[str, str]
    bundled: bool

    @classmethod
    def open(cls, root: Traversable, *, bundled: bool = False) -> _Folder:
        if not root.is_dir():
            raise PromptError(f"{root}: no such folder of prompts; `selectllm init` makes one")
        files = {
            f"{folder.name}@{match[1]}": file
            for folder in root.iterdir()
            if _NAME.fullmatch(folder.name) and folder.is_dir()
            for file in folder.iterdir()
            if (match := _FILE.fullmatch(file.name))
        }
        return cls(files, _read_lock(root.joinpath(LOCK)), bundled)

    def read(self, ref: str) -> Prompt:
        """One file. Raises PromptError if it is malformed, or locked with other bytes."""
        file, locked = self.files[ref], self.locks.get(ref)
        data, (name, version) = file.read_bytes(), _key(ref)
        if locked not in (None, hashlib.sha256(data).hexdigest()):
            raise PromptError(
                f"{file}: {ref} was changed after its release ({LOCK}); an edit is a new version: "
                f"run `selectllm prompts new {name} --from {file}`, then restore this file"
            )
        prompt = _parse(data, str(file), name, version)
        return replace(prompt, bundled=self.bundled, locked=locked is not None)


def _read_lock(file: Traversable) -> Mapping[str, str]:
    if not file.is_file():
        return {}
    try:
        locks = yaml.safe_load(file.read_bytes()) or {}
    except yaml.YAMLError as error:
        raise PromptError(f"{file}: not YAML; restore it") from error
    if not isinstance(locks, dict) or {*map(type, locks), *map(type, locks.values())} - {str}:
        raise PromptError(f"{file}: must map name@version to sha256; restore it")
    return locks


def _key(ref: str) -> tuple[str, int]:
    """What refs are sorted by; anything but a number sorts first."""
    name, _, version = ref.partition("@")
    return name, int(version) if version.isdecimal() else 0


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
        return tuple(sorted({ref for each in self._folders for ref in each.files}, key=_key))

    def versions(self, name: str) -> tuple[str, ...]:
        """Every `name@version` of one name, by number."""
        return tuple(ref for ref in self.refs if _key(ref)[0] == name)

    def list(self) -> tuple[Prompt, ...]:
        """Every version of every prompt, by name and number. Raises as `load` does."""
        return tuple(_read_agreed(ref, self._folders) for ref in self.refs)

    def load(self, ref: str, base: Path | None = None) -> Prompt:
        """The prompt that `ref` names: `name@3`, `name@latest`, or a path.

        A path starts with `./` or `/` or ends in `.jinja`; it is relative to `base` (default: the
        current folder). Raises PromptError for an unknown or versionless name, a malformed file,
        a released version whose bytes changed, and a `name@version` with two contents.
        """
        if ref.startswith(("./", "/")) or ref.endswith(".jinja"):
            return self._load_path((base or Path()) / ref)
        name, _, version = ref.partition("@")
        versions = self.versions(name)
        if versions and version == "latest":
            ref = versions[-1]
        elif versions and not version:
            raise PromptError(f"{ref!r} names no version; write {name}@latest or {versions[-1]}")
        elif ref not in versions:
            raise PromptError(unknown("prompt", ref, self.refs))
        return _read_agreed(ref, self._folders)

    def _load_path(self, path: Path) -> Prompt:
        if not path.is_file():
            raise PromptError(f"{path}: no such prompt file")
        place = path.resolve()
        version = _FILE.fullmatch(place.name)
        if version and _NAME.fullmatch(place.parent.name):
            ref = f"{place.parent.name}@{version[1]}"
            alone = _Folder({ref: place}, _read_lock(place.parent.parent / LOCK), bundled=False)
            return _read_agreed(ref, [*self._folders, alone])
        return _parse(path.read_bytes(), str(path), name=path.stem, version=0)


def _read_agreed(ref: str, folders: Sequence[_Folder]) -> Prompt:
    """The one content that all folders with `ref` hold; PromptError where they differ."""
    first, *others = (each.read(ref) for each in folders if ref in each.files)
    for other in others:
        if other.sha256 != first.sha256:
            raise PromptError(
                f"{other.path}: {ref} already stands for {first.path}, whose bytes differ; run "
                f"`selectllm prompts new {first.name} --from {other.path}`, then remove this file"
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
        f"{directory / LOCK}: {ref} is locked but its file is missing; restore it"
        for ref in folder.locks
        if ref not in folder.files
    ]
    strays = sorted(set(directory.glob("**/*.jinja")) - set(folder.files.values()))
    return problems + [f"{file}: no name@version; call it <name>/v<N>.jinja" for file in strays]


def new_version(directory: Path, name: str, source: Path | None = None) -> Path:
    """Writes the next version of `name` into `directory` and returns its path.

    It starts as a copy of `source`, else of the latest version, else of the shortest bundled
    prompt; `parent` in its front matter names the version before it, or the one it was copied
    from. Raises PromptError for an unusable name or a malformed start.
    """
    if not _NAME.fullmatch(name):
        raise PromptError(f"prompt name {name!r} must be lower-case letters, digits, - and _")
    library, locks = PromptLibrary(directory), _Folder.open(directory).locks
    versions = library.versions(name)
    if source is None:
        draft = library.load(versions[-1] if versions else "short@latest")
    elif source.is_file():
        # Read without regard to locks: this is how an edited release becomes a new version.
        draft = _parse(source.read_bytes(), str(source), name, version=0)
    else:
        raise PromptError(f"{source}: no such prompt file")
    parent = versions[-1] if versions else draft.parent if source else draft.ref
    number = max((_key(ref)[1] for ref in {*versions, *locks} if _key(ref)[0] == name), default=0)
    target = directory / name / f"v{number + 1}.jinja"
    write_text(target, _with_parent(draft, parent))
    return target


def _with_parent(draft: Prompt, parent: str | None) -> str:
    """The source with `parent` in its front matter; every other line as it was."""
    front = _front(draft.source, draft.path)
    head = re.sub(r"^parent:.*\r?\n", "", front["yaml"], flags=re.MULTILINE)
    end = "\r\n" if "\r\n" in front.group() else "\n"
    head += f"parent: {parent}{end}" if parent else ""
    return draft.source[: front.start("yaml")] + head + draft.source[front.end("yaml") :]
