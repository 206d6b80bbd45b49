"""One version of a prompt: its file, and the messages that one cluster is shown as.

A file is YAML front matter between two lines `---`, then the Jinja blocks `system` and `user`.
`user` may stand alone; so may `system`, whose text is then the one user message, as in the paper's
prompt, which stood in the system role alone: many providers (Anthropic, Gemini) and chat templates
take no conversation without a user's turn. A template sees `items` (each `.label .instruction
.input`, and `.response` for ratings of answered items), `k`, `m` and the prompt's own variables,
and is the same text on every machine: no includes, no randomness, nothing appended and nothing
stripped. What one render may do and make is limited (metering.py).
Whitespace is the template's own to control (`{%-`), which cannot reach items. Which file a name
stands for is the matter of library.py.
"""

from __future__ import annotations

import hashlib
import math
import operator
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path
from string import ascii_uppercase
from typing import Any, get_args

from jinja2 import Template, TemplateError, TemplateSyntaxError, Undefined, UndefinedError
from jinja2 import meta as jinja_meta
from jinja2 import nodes as jinja
from jinja2.runtime import Context

from selectllm.core.errors import PromptError
from selectllm.core.names import unknown
from selectllm.core.shown import capital, excerpt, shortened
from selectllm.core.types import Item, LabelKind, Message, ReplyKind
from selectllm.core.yaml_text import YamlFault, load_yaml
from selectllm.prompting.metering import metered
from selectllm.prompting.replies.formats import load_reply_format
from selectllm.prompting.sandbox import Sandbox
from selectllm.prompting.variables import CONTEXT, Value, Variables, read_variables, settled

ROLES = ("system", "user")
SEES = "a prompt sees items (each label, instruction, input, response if it has one), k and m"
REQUIRED = ("description", "reply", "labels")
FRONT_MATTER = (*REQUIRED, "variables", "parent", "notes", "search", "verdict")
LABELS = get_args(LabelKind)
WRITTEN = ("label", "instruction", "input")
OF_THE_LOOP = ("index", "index0", "revindex", "revindex0", "first", "last", "length")
REMEMBERING = (
    *(jinja.Assign, jinja.AssignBlock, jinja.CallBlock, jinja.FilterBlock, jinja.Macro),
    *(jinja.Getitem, jinja.Call),
)
"""What could take an item's text elsewhere, or make something of it."""
MESSAGE = 300  # characters of what Jinja and Python say of a mistake

_FRONT = re.compile(r"\A---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*\r?\n", re.DOTALL | re.MULTILINE)
# A key and its value, which may go on in lines that are indented.
_OF_ONE_VERSION = re.compile(r"^(?:parent|search|verdict):.*\r?\n(?:[ \t]+.*\r?\n)*", re.MULTILINE)
# What a template can raise while it runs; each is a mistake in the template, never in an item.
_RUN_ERRORS = (
    *(TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(RecursionError, MemoryError),
)
# What Jinja and Python raise on loading a template that is too deep, too long, or holds a number of
# thousands of digits.
_TOO_MUCH = (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt.

    `version`: 1, 2, ...; 0 for a draft, a file that is not called `<name>/v<N>.jinja`.
    `reply`, `labels`: how the candidates are labelled and what form the reply takes.
    `sha256`: of the file's bytes; results are keyed by it. `source`: the same bytes as text.
    `parent`: the `name@version` that it was made from. `locked`: LOCK.yaml holds its hash.
    `search`, `verdict`: how `optimize` found it, and what came of it against `parent`.
    `variables`: names that its template reads, with the values that each can take.
    `folders`: where code of the user's own that `reply` names may be.
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
    search: str | None = None
    verdict: str | None = None
    variables: Variables = ()
    bundled: bool = False
    locked: bool = False
    folders: tuple[Path, ...] = field(default=(), repr=False)

    @property
    def ref(self) -> str:
        """`name@version`, or `name@draft`."""
        return f"{self.name}@{self.version or 'draft'}"

    @property
    def shows_responses(self) -> bool:
        """Whether its template reads items' responses, so that each item shown must have one."""
        tree = _ENVIRONMENT.parse(_body(self.source, self.path))
        fields = {node.attr for node in tree.find_all(jinja.Getattr)}
        return "response" in fields | {node.value for node in tree.find_all(jinja.Const)}


@dataclass(slots=True)  # frozen takes four times as long to make; a template changes nothing
class Candidate:
    """What a template sees of one item; `response` is undefined where the item has none."""

    label: str
    instruction: str
    input: str
    response: str | Undefined


def labels_for(prompt: Prompt, m: int) -> tuple[str, ...]:
    """The labels of `m` candidates in shown order: 1..m, or A..Z.

    Raises PromptError when letters do not suffice.
    """
    if prompt.labels == "numbers":
        return _numbers(m)
    if m > len(ascii_uppercase):
        raise PromptError(f"{prompt.ref}: letters label at most 26 candidates, not {m}. Show fewer")
    return tuple(ascii_uppercase[:m])


@lru_cache(maxsize=64)
def _numbers(m: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, m + 1))


def settings_of(prompt: Prompt) -> Mapping[str, Value]:
    """Every variable of `prompt` with its default, which is what `render` shows."""
    return {name: values[0] for name, values in prompt.variables}


def all_settings(prompt: Prompt) -> tuple[Mapping[str, Value], ...]:
    """Every combination of the values of the prompt's variables, the defaults first.

    The last variable changes fastest. One empty combination where there are no variables.
    """
    names = [name for name, _ in prompt.variables]
    combinations = product(*(values for _, values in prompt.variables))
    return tuple(dict(zip(names, values, strict=True)) for values in combinations)


def render(prompt: Prompt, items: Sequence[Item], k: int) -> tuple[Message, ...]:
    """The chat messages that show `items`, in this order, and ask for `k` of them.

    The prompt's variables have their defaults (`with_settings` gives them other values). Item text
    stands in the messages byte for byte and is never read as a template. A system message that
    comes out blank is left out; a system block without a user block is the user message. Raises
    PromptError when k is not in 1..m, the labels do not suffice, or the template fails, as it does
    on the response of an item that has none (absent or blank); the message names its file and line.
    """
    m, k = len(items), operator.index(k)  # in a list numpy 2 writes np.int64(2)
    if not 1 <= k <= m:
        raise PromptError(
            f"{prompt.ref}: cannot pick {k} of {m} candidates. The number of picks must be from 1 "
            f"to {m}"
        )
    candidates = []
    given = 0  # characters
    for label, item in zip(labels_for(prompt, m), items, strict=True):
        candidates.append(Candidate(label, item.instruction, item.input, _response(item)))
        given += len(item.instruction) + len(item.input) + len(item.response or "")
    settings, path = settings_of(prompt), prompt.path
    template = _compile(prompt.source, path, tuple(settings))
    context = {**_GLOBALS, "items": tuple(candidates), "k": k, "m": m, **settings}
    # Blocks read it, and write nothing into it. `shared`: with no more globals than are in it.
    shared = template.new_context(context, shared=True)
    with metered(given):
        texts = {r: _run(template, r, shared, path) for r in ROLES if r in template.blocks}
    if "user" not in texts:
        return (Message(role="user", content=texts["system"]),)
    return tuple(Message(role=r, content=t) for r, t in texts.items() if t.strip() or r == "user")


def is_plain(prompt: Prompt) -> bool:
    """Whether the template does nothing with its items but write them out, one after the other.

    Then what it says beside their texts depends on which of them have an input, and on nothing
    else of them. False where that is not sure.
    """
    tree = _ENVIRONMENT.parse(_body(prompt.source, prompt.path))
    loops = [node for node in tree.find_all(jinja.For) if _loops_over_items(node)]
    written = {id(part) for output in tree.find_all(jinja.Output) for part in output.nodes}
    written |= {id(choice.test) for choice in tree.find_all(jinja.If)}
    each = {loop.target.name for loop in loops if isinstance(loop.target, jinja.Name)}
    plain = {
        id(node.node)
        for node in tree.find_all(jinja.Getattr)
        if (id(node) in written and node.attr in WRITTEN) or node.attr in OF_THE_LOOP
    } | {id(loop.iter) for loop in loops}
    names = [name for name in tree.find_all(jinja.Name) if name.ctx == "load"]
    used = [name for name in names if name.name in {*each, "items", "loop"}]
    return not any(tree.find_all(REMEMBERING)) and all(id(name) in plain for name in used)


def _loops_over_items(loop: jinja.For) -> bool:
    over = isinstance(loop.iter, jinja.Name) and loop.iter.name == "items"
    return over and loop.test is None and not loop.recursive


def _response(item: Item) -> str | Undefined:
    if not item.response or item.response.isspace():
        return _ENVIRONMENT.undefined(hint=f"item {item.id!r} has no 'response'")
    return item.response


def _run(template: Template, block: str, context: Context, path: str) -> str:
    try:
        return _ENVIRONMENT.concat(template.blocks[block](context))
    except _RUN_ERRORS as error:
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == "<template>"]
        line = template.get_corresponding_lineno(lines[-1] if lines else 1)
        hint = f". {capital(SEES)}" if isinstance(error, UndefinedError) else ""
        raise PromptError(f"{path}:{line}: {excerpt(str(error), MESSAGE)}{hint}") from error


_ENVIRONMENT = Sandbox(plain=Candidate)
_GLOBALS = dict(_ENVIRONMENT.globals)


@lru_cache(maxsize=512)
def _compile(source: str, path: str, variables: tuple[str, ...]) -> Template:
    """The template of a prompt file, which reads `variables`. Raises PromptError with its place."""
    body = _body(source, path)
    try:
        tree = _ENVIRONMENT.parse(body)
        _check_tree(tree, path)
        read = jinja_meta.find_undeclared_variables(tree)
        template = _ENVIRONMENT.from_string(body)
    except TemplateSyntaxError as error:
        message = excerpt(error.message or "", MESSAGE)
        raise PromptError(f"{path}:{error.lineno}: {message}") from error
    except _TOO_MUCH as error:
        raise PromptError(
            f"{path}:{_longest_line(body)}: the template is nested too deeply, or holds a number "
            "of too many digits. Make it simpler"
        ) from error
    for name in tree.find_all(jinja.Name):
        if name.name in read - CONTEXT - {*variables}:
            raise PromptError(f"{path}:{name.lineno}: {name.name!r} is undefined. {capital(SEES)}")
    # The labels of candidates follow that variable, whether or not the template speaks of them.
    for variable in variables:
        if variable not in read | {"labels"}:
            raise PromptError(
                f"{path}: nothing in the template reads the variable {variable!r}. Leave it out"
            )
    return template


def _longest_line(body: str) -> int:
    """The line that such a mistake most likely stands in."""
    lines = body.split("\n")
    return 1 + max(range(len(lines)), key=lambda number: len(lines[number]))


def _body(source: str, path: str) -> str:
    """The template of a prompt file, its line numbers true to the file."""
    front = _front(source, path)
    # A comment as tall as the front matter stands for it.
    return "{#" + "\n" * front.group().count("\n") + "#}" + source[front.end() :]


def _check_tree(tree: jinja.Template, path: str) -> None:
    """Raises PromptError unless the file is a `user` or a `system` block, or both, and no more."""
    for node in tree.find_all((jinja.Extends, jinja.Include, jinja.Import, jinja.FromImport)):
        word = "import" if isinstance(node, jinja.FromImport) else type(node).__name__.lower()
        raise PromptError(
            f"{path}:{node.lineno}: {word} is not allowed, because a prompt is one file"
        )
    for block in tree.find_all(jinja.Block):
        if block.name not in ROLES:
            raise PromptError(f"{path}:{block.lineno}: {unknown('block', block.name, ROLES)}")
    for number in tree.find_all(jinja.Const):
        if isinstance(number.value, float) and math.isinf(number.value):
            raise PromptError(f"{path}:{number.lineno}: a number is too large. Make it smaller")
    if not any(isinstance(node, jinja.Block) for node in tree.body):
        raise PromptError(
            f"{path}: there is no block 'user'. Add {{% block user %}} ... {{% endblock %}}"
        )
    for top in tree.body:
        parts = top.nodes if isinstance(top, jinja.Output) else [top]
        blank = all(isinstance(part, jinja.TemplateData) and part.data.isspace() for part in parts)
        if not blank and not isinstance(top, jinja.Block):
            raise PromptError(
                f"{path}:{top.lineno}: what stands outside the blocks is never sent. Move it into "
                "{% block user %} ... {% endblock %}, or remove it"
            )


def _front(source: str, path: str) -> re.Match[str]:
    if (front := _FRONT.match(source)) is None:
        raise PromptError(
            f"{path}:1: there is no front matter. Begin the file with ---, {', '.join(REQUIRED)}, "
            "---"
        )
    return front


def _front_matter(source: str, path: str) -> dict[str, Any]:
    """The checked front matter: known keys, texts, variables, reply and labels of known kinds."""
    try:
        values = load_yaml(_front(source, path)["yaml"])
    except YamlFault as fault:
        line = fault.line + 1
        raise PromptError(f"{path}:{line}: front matter is not YAML: {fault.reason}") from None
    if not isinstance(values, dict):
        raise PromptError(f"{path}:2: front matter must be keys with values. Add `reply: indices`")
    for key, value in values.items():
        if key not in FRONT_MATTER:
            raise PromptError(f"{path}: {unknown('front matter key', str(key), FRONT_MATTER)}")
        if key == "variables":
            continue
        if not isinstance(value, str) or not value.strip():
            raise PromptError(f"{path}: {key} must be a text, not {shortened(value)}")
        if key == "labels" and value not in LABELS:
            raise PromptError(f"{path}: {unknown('labels kind', value, LABELS)}")
    values = _with_variables(values, path) if "variables" in values else values
    if missing := [key for key in REQUIRED if key not in values]:
        raise PromptError(f"{path}: front matter has no {missing[0]}. Add `{missing[0]}: ...`")
    return values


def _with_variables(values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Front matter with its variables read, and `labels` as the variable of that name has it."""
    variables = read_variables(values["variables"], path)
    labels = next((given[0] for name, given in variables if name == "labels"), None)
    if labels is None:
        return {**values, "variables": variables}
    if (said := values.get("labels", labels)) != labels:
        raise PromptError(
            f"{path}: labels is {said!r}, but the variable 'labels' begins with {labels!r}. Leave "
            "the key labels out"
        )
    return {**values, "variables": variables, "labels": labels}


def parse_prompt(
    data: bytes, path: str, name: str, version: int, folders: tuple[Path, ...] = ()
) -> Prompt:
    """The prompt in a file's bytes, its template compiled once so that mistakes show on load.

    `folders`: where a form of reply of the user's own may be, besides the file's own.

    Raises PromptError, with file and line, for bytes, front matter or a template that is malformed.
    """
    try:
        source = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PromptError(f"{path}:{line} is not UTF-8. Save the file as UTF-8") from error
    front = _front_matter(source, path)
    folders = tuple(dict.fromkeys([Path(path).parent, *folders]))
    try:
        load_reply_format(front["reply"], folders)
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from error.__cause__
    _compile(source, path, tuple(name for name, _ in front.get("variables", ())))
    return Prompt(
        **front,
        name=name,
        version=version,
        source=source,
        sha256=hashlib.sha256(data).hexdigest(),
        path=path,
        folders=folders,
    )


def with_parent(prompt: Prompt, parent: str | None) -> str:
    """The source of `prompt` with `parent` in its front matter; every other line as it was.

    But for `search` and `verdict`, which hold of that one version and of no copy.
    """
    front = _front(prompt.source, prompt.path)
    head = _OF_ONE_VERSION.sub("", front["yaml"])
    end = "\r\n" if "\r\n" in front.group() else "\n"
    head += f"parent: {parent}{end}" if parent else ""
    return prompt.source[: front.start("yaml")] + head + prompt.source[front.end("yaml") :]


def with_settings(prompt: Prompt, settings: Mapping[str, Value]) -> Prompt:
    """A draft of `prompt` whose variables are settled: as in `settings`, the others as by default.

    Its file is that of `prompt` but for one value instead of many in the front matter; `render`
    shows what the same template says with these settings. Raises PromptError for a name that is no
    variable, and for a value that is not among those declared.
    """
    chosen = dict(settings_of(prompt))
    declared = dict(prompt.variables)
    for name, value in settings.items():
        if name not in declared:
            raise PromptError(f"{prompt.path}: {unknown('variable', name, declared)}")
        if value not in declared[name]:
            values = ", ".join(repr(value) for value in declared[name])
            raise PromptError(f"{prompt.path}: {name} cannot be {value!r}. Its values are {values}")
        chosen[name] = declared[name][declared[name].index(value)]  # True, where 1 was said
    front = _front(prompt.source, prompt.path)
    start, end = front.span("yaml")
    source = prompt.source[:start] + settled(front["yaml"], chosen) + prompt.source[end:]
    data = source.encode("utf-8")
    rewritten = parse_prompt(data, prompt.path, prompt.name, 0, prompt.folders)
    if settings_of(rewritten) != chosen or len(all_settings(rewritten)) != 1:
        raise PromptError(f"{prompt.path}: its variables cannot be settled. Write them plainly")
    return rewritten
