"""One version of a prompt: its file, and the messages that one cluster is shown as.

A file is YAML front matter between two lines `---`, then the Jinja blocks `system` and `user`.
`user` may stand alone; so may `system`, whose text is then the one user message, as in the paper's
prompt, which stood in the system role alone: many providers (Anthropic, Gemini) and chat templates
take no conversation without a user's turn. A template sees `items` (each `.label .instruction
.input`, the `.turns` of a conversation, each `.role .text`, and `.response` for ratings of answered
items), `annotated` (items that are covered already), `k`, `m` and the prompt's own variables, and
is the same text on every machine: no includes, no randomness, nothing appended and nothing
stripped. What one render may do and make is limited (metering.py). Whitespace is the template's own
to control (`{%-`), which cannot reach items. Which file a name stands for is the matter of
library.py.
"""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from jinja2 import Undefined
from jinja2 import nodes as jinja

from selectllm.core.errors import PromptError
from selectllm.core.names import unknown
from selectllm.core.types import Item, LabelKind, Message, ReplyKind
from selectllm.prompting.metering import metered
from selectllm.prompting.replies.formats import ReplyFormat, load_reply_format, reply_format
from selectllm.prompting.replies.scale import SCALES, scale_of
from selectllm.prompting.template import (
    ENVIRONMENT,
    GLOBALS,
    NUMBERS,
    ROLES,
    Candidate,
    body_of,
    compiled,
    front_matter,
    front_of,
    written,
)
from selectllm.prompting.variables import Value, Variables, settled

WRITTEN = ("label", "instruction", "input")
SHOWN = ("instruction", "input", "response", "turns")
OF_THE_LOOP = ("index", "index0", "revindex", "revindex0", "first", "last", "length")
REMEMBERING = (
    *(jinja.Assign, jinja.AssignBlock, jinja.CallBlock, jinja.FilterBlock, jinja.Macro),
    *(jinja.Getitem, jinja.Call),
)
"""What could take an item's text elsewhere, or make something of it."""

# A key and its value, which may go on in lines that are indented.
_OF_ONE_VERSION = re.compile(r"^(?:parent|search|verdict):.*\r?\n(?:[ \t]+.*\r?\n)*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt.

    `version`: 1, 2, ...; 0 for a draft, a file that is not called `<name>/v<N>.jinja`.
    `reply`, `labels`: how the candidates are labelled and what form the reply takes.
    `sha256`: of the file's bytes; results are keyed by it. `source`: the same bytes as text.
    `parent`: the `name@version` that it was made from. `locked`: LOCK.yaml holds its hash.
    `search`, `verdict`: how `optimize` found it, and what came of it against `parent`.
    `variables`: names that its template reads, with the values that each can take.
    `scale`: the points on which a prompt with `reply: digit` puts an item, as written. `show`: how
    many candidates one question of a prompt with `reply: choice` has; `calls`: the questions that
    it asks about a cluster at most, None for two a candidate. `folders`: where code of the user's
    own that `reply` names may be. `annotated`: items that its template may show as covered already.
    `skipped`: labels left out before the first one that is used, so that 10 makes them begin with
    11, or K; an audit does it.
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
    scale: str | None = None
    show: int = 2
    calls: int | None = None
    variables: Variables = ()
    bundled: bool = False
    locked: bool = False
    folders: tuple[Path, ...] = field(default=(), repr=False)
    skipped: int = 0
    annotated: tuple[Item, ...] = field(default=(), repr=False)

    @property
    def ref(self) -> str:
        """`name@version`, or `name@draft`."""
        return f"{self.name}@{self.version or 'draft'}"

    @property
    def form(self) -> ReplyFormat:
        """The form that its reply takes."""
        return reply_format(self.reply, self.folders)

    @property
    def shows(self) -> tuple[str, ...]:
        """What its template reads of every item: some of instruction, input, response and turns."""
        tree = ENVIRONMENT.parse(body_of(self.source, self.path))
        read = {node.attr for node in tree.find_all(jinja.Getattr)}
        read |= {str(node.value) for node in tree.find_all(jinja.Const)}
        return tuple(name for name in SHOWN if name in read)

    @property
    def shows_responses(self) -> bool:
        """Whether its template reads items' responses, so that each item shown must have one."""
        return "response" in self.shows


def labels_for(prompt: Prompt, m: int) -> tuple[str, ...]:
    """The labels of `m` candidates in shown order: 1..m, or A..Z, after those that are skipped.

    Raises PromptError when letters do not suffice.
    """
    skipped = prompt.skipped
    if prompt.labels == "numbers":
        return _numbers(skipped, m)
    if skipped + m > len(ascii_uppercase):
        raise PromptError(f"{prompt.ref}: letters label at most 26 candidates, not {m}. Show fewer")
    return tuple(ascii_uppercase[skipped : skipped + m])


@lru_cache(maxsize=64)
def _numbers(skipped: int, m: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(skipped + 1, skipped + m + 1))


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
    candidates = [_seen(*pair) for pair in zip(labels_for(prompt, m), items, strict=True)]
    covered = tuple(_seen("", item) for item in prompt.annotated)
    given = sum(map(_characters, (*items, *prompt.annotated)))
    settings, path = settings_of(prompt), prompt.path
    template = compiled(prompt.source, path, tuple(settings))
    context = {**GLOBALS, "items": tuple(candidates), "k": k, "m": m, "annotated": covered}
    context |= settings
    # Blocks read it, and write nothing into it. `shared`: with no more globals than are in it.
    shared = template.new_context(context, shared=True)
    with metered(given):
        texts = {r: written(template, r, shared, path) for r in ROLES if r in template.blocks}
    if "user" not in texts:
        return (Message(role="user", content=texts["system"]),)
    return tuple(Message(role=r, content=t) for r, t in texts.items() if t.strip() or r == "user")


def first_question(prompt: Prompt, items: Sequence[Item], k: int) -> tuple[Message, ...]:
    """The messages of a question of `prompt` about a cluster of `items`. Raises as `render` does.

    All of them and `k` picks, or the first few that it shows at once, and one.
    """
    shows = prompt.form.shows
    if shows == "cluster":
        return render(prompt, items, k)
    return render(prompt, items[: 1 if shows == "item" else prompt.show], 1)


def is_plain(prompt: Prompt) -> bool:
    """Whether the template does nothing with its items but write them out, one after the other.

    Then what it says beside their texts depends on which of them have an input, and on nothing
    else of them. False where that is not sure.
    """
    tree = ENVIRONMENT.parse(body_of(prompt.source, prompt.path))
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


def _seen(label: str, item: Item) -> Candidate:
    return Candidate(label, item.instruction, item.input, _response(item), item.turns)


def _characters(item: Item) -> int:
    """How much of an item a template may write out."""
    own = len(item.instruction) + len(item.input) + len(item.response or "")
    return own + sum(len(turn.text) for turn in item.turns) if item.turns else own


def _response(item: Item) -> str | Undefined:
    if not item.response or item.response.isspace():
        return ENVIRONMENT.undefined(hint=f"item {item.id!r} has no 'response'")
    return item.response


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
    front = front_matter(source, path)
    folders = tuple(dict.fromkeys([Path(path).parent, *folders]))
    try:
        load_reply_format(front["reply"], folders)
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from error.__cause__
    _check_way(front, path, reply_format(front["reply"], folders))
    compiled(source, path, tuple(name for name, _ in front.get("variables", ())))
    return Prompt(
        **front,
        name=name,
        version=version,
        source=source,
        sha256=hashlib.sha256(data).hexdigest(),
        path=path,
        folders=folders,
    )


def _check_way(front: Mapping[str, Any], path: str, form: ReplyFormat) -> None:
    """Raise PromptError for a scale, `show` or `calls` that the form of reply has no use for."""
    reply = front["reply"]
    if form.shows == "item" and scale_of(front.get("scale", "")) is None:
        raise PromptError(
            f"{path}: `reply: {reply}` needs the scale that the model answers on, {SCALES}, and "
            f"scale is {front.get('scale')!r}. Add a line such as `scale: 1-5`"
        )
    if form.shows != "item" and "scale" in front:
        raise PromptError(f"{path}: scale goes with `reply: digit`, not with {reply}. Leave it out")
    if form.shows != "some" and (extra := [name for name in NUMBERS if name in front]):
        raise PromptError(
            f"{path}: {extra[0]} goes with `reply: choice`, which asks about a few candidates at a "
            f"time, not with {reply}. Leave it out"
        )
    if front.get("show", 2) < 2:
        raise PromptError(
            f"{path}: show: {front['show']} must be 2 or more, so that there is something "
            "to choose from"
        )
    if front.get("show", 2) > 2 and "calls" in front:
        raise PromptError(
            f"{path}: calls works only with `show: 2`. With more candidates, the number of "
            "questions follows from their number. Leave calls out"
        )


def with_parent(prompt: Prompt, parent: str | None) -> str:
    """The source of `prompt` with `parent` in its front matter; every other line as it was.

    But for `search` and `verdict`, which hold of that one version and of no copy.
    """
    front = front_of(prompt.source, prompt.path)
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
    front = front_of(prompt.source, prompt.path)
    start, end = front.span("yaml")
    source = prompt.source[:start] + settled(front["yaml"], chosen) + prompt.source[end:]
    data = source.encode("utf-8")
    rewritten = parse_prompt(data, prompt.path, prompt.name, 0, prompt.folders)
    if settings_of(rewritten) != chosen or len(all_settings(rewritten)) != 1:
        raise PromptError(
            f"{prompt.path}: the values of its variables cannot be replaced in the front "
            "matter. Write them without YAML anchors or tags, such as variables: "
            f"{{reasons: [none, before]}}"
        )
    return rewritten
