"""What stands in a prompt's file: its front matter, checked, and its template, compiled.

Every mistake is told with file and line when the file is loaded, or when the template runs.
"""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from jinja2 import Template, TemplateError, TemplateSyntaxError, Undefined, UndefinedError
from jinja2 import meta as jinja_meta
from jinja2 import nodes as jinja
from jinja2.runtime import Context

from selectllm.core.errors import PromptError
from selectllm.core.names import unknown
from selectllm.core.shown import capital, excerpt, shortened
from selectllm.core.types import LabelKind, Turn
from selectllm.core.yaml_text import YamlFault, load_yaml
from selectllm.prompting.sandbox import Sandbox
from selectllm.prompting.variables import OFFERED, read_variables

ROLES = ("system", "user")
SEES = (
    "a prompt sees items (each label, instruction, input, turns, response if it has one), "
    "annotated (items that are covered already), k and m"
)
REQUIRED = ("description", "reply", "labels")
NUMBERS = ("show", "calls")
FRONT_MATTER = (
    *(*REQUIRED, "scale", *NUMBERS, "variables"),
    *("parent", "notes", "search", "verdict"),
)
LABELS = get_args(LabelKind)
MESSAGE = 300  # characters of what Jinja and Python say of a mistake

_FRONT = re.compile(r"\A---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*\r?\n", re.DOTALL | re.MULTILINE)
# What a template can raise while it runs; each is a mistake in the template, never in an item.
_RUN_ERRORS = (
    *(TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(RecursionError, MemoryError),
)
# What Jinja and Python raise on loading a template that is too deep, too long, or holds a number of
# thousands of digits.
_TOO_MUCH = (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError)


@dataclass(slots=True)  # frozen takes four times as long to make; a template changes nothing
class Candidate:
    """What a template sees of one item; `response` is undefined where the item has none.

    `turns`: of its conversation, each with `role` and `text`; none where it is of no conversation.
    """

    label: str
    instruction: str
    input: str
    response: str | Undefined
    turns: tuple[Turn, ...] = ()


ENVIRONMENT = Sandbox(plain=Candidate)
GLOBALS = dict(ENVIRONMENT.globals)


@lru_cache(maxsize=512)
def compiled(source: str, path: str, variables: tuple[str, ...]) -> Template:
    """The template of a prompt file, which reads `variables`. Raises PromptError with its place."""
    body = body_of(source, path)
    try:
        tree = ENVIRONMENT.parse(body)
        _check_tree(tree, path)
        read = jinja_meta.find_undeclared_variables(tree)
        template = ENVIRONMENT.from_string(body)
    except TemplateSyntaxError as error:
        message = excerpt(error.message or "", MESSAGE)
        raise PromptError(f"{path}:{error.lineno}: {message}") from error
    except _TOO_MUCH as error:
        raise PromptError(
            f"{path}:{_longest_line(body)}: the template is nested too deeply, or holds a number "
            "of too many digits. Make it simpler"
        ) from error
    for name in tree.find_all(jinja.Name):
        if name.name in read - OFFERED - {*variables}:
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


def body_of(source: str, path: str) -> str:
    """The template of a prompt file, its line numbers true to the file."""
    front = front_of(source, path)
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


def front_of(source: str, path: str) -> re.Match[str]:
    """The front matter with its two lines, its text as group `yaml`. Raises PromptError."""
    if (front := _FRONT.match(source)) is None:
        raise PromptError(
            f"{path}:1: there is no front matter. Begin the file with ---, {', '.join(REQUIRED)}, "
            "---"
        )
    return front


def front_matter(source: str, path: str) -> dict[str, Any]:
    """The checked front matter: known keys, texts, variables, reply and labels of known kinds."""
    try:
        values = load_yaml(front_of(source, path)["yaml"])
    except YamlFault as fault:
        line = fault.line + 1
        raise PromptError(f"{path}:{line}: front matter is not YAML: {fault.reason}") from None
    if not isinstance(values, dict):
        raise PromptError(f"{path}:2: front matter must be keys with values. Add `reply: indices`")
    for key, value in values.items():
        if key not in FRONT_MATTER:
            raise PromptError(f"{path}: {unknown('front matter key', str(key), FRONT_MATTER)}")
        if key != "variables":
            _check_value(key, value, path)
    values = _with_variables(values, path) if "variables" in values else values
    if missing := [key for key in REQUIRED if key not in values]:
        raise PromptError(f"{path}: front matter has no {missing[0]}. Add `{missing[0]}: ...`")
    return values


def _check_value(key: str, value: object, path: str) -> None:
    if key in NUMBERS:
        if type(value) is not int or value < 1:
            raise PromptError(
                f"{path}: {key} must be a whole number above 0, not {shortened(value)}"
            )
    elif not isinstance(value, str) or not value.strip():
        raise PromptError(f"{path}: {key} must be a text, not {shortened(value)}")
    elif key == "labels" and value not in LABELS:
        raise PromptError(f"{path}: {unknown('labels kind', value, LABELS)}")


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


def written(template: Template, block: str, context: Context, path: str) -> str:
    """What one block says. Raises PromptError, with file and line, where the template fails."""
    try:
        return ENVIRONMENT.concat(template.blocks[block](context))
    except _RUN_ERRORS as error:
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == "<template>"]
        line = template.get_corresponding_lineno(lines[-1] if lines else 1)
        hint = f". {capital(SEES)}" if isinstance(error, UndefinedError) else ""
        raise PromptError(f"{path}:{line}: {excerpt(str(error), MESSAGE)}{hint}") from error
