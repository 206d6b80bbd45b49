"""The variables of a prompt: names in its front matter, each with the values that can be tried.

`variables: {criteria: [true, false], reasons: [none, before, after]}` declares two; the first
value of each is its default. A released version has settled on one value each:
`variables: {criteria: false}`. The variable `labels` also sets how candidates are labelled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from keyword import iskeyword
from typing import Any, get_args

import yaml
from jinja2.defaults import DEFAULT_NAMESPACE

from selectllm.core.errors import PromptError
from selectllm.core.names import unknown
from selectllm.core.shown import shortened
from selectllm.core.types import LabelKind

Value = bool | int | float | str
Variables = tuple[tuple[str, tuple[Value, ...]], ...]
"""Every variable and its values, in the order of the file; the first value is the default."""

CONTEXT = frozenset({"items", "k", "m"})
"""What every template sees without declaring it."""
OFFERED = CONTEXT | {"annotated"}
"""The same with what a variable of that name stands in front of."""
_OF_JINJA = {*DEFAULT_NAMESPACE, "true", "false", "none", "loop", "self", "super", "caller"}
_LABELS = get_args(LabelKind)


def read_variables(declared: Any, path: str) -> Variables:
    """The variables that the front matter of the prompt file `path` declares.

    Raises PromptError for anything but names with a value or a list of different values each, for
    a name that a template cannot read or that already means something, and for `labels` of no
    known kind.
    """
    if not isinstance(declared, dict) or not declared:
        raise PromptError(
            f"{path}: variables must be names with their values, not {shortened(declared)}. Write "
            f"`variables: {{criteria: [true, false]}}` or leave it out"
        )
    return tuple(
        (_name(name, path), _values(name, given, path)) for name, given in declared.items()
    )


def _name(name: Any, path: str) -> str:
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
        raise PromptError(
            f"{path}: variables: {shortened(name)} is not a name. Use letters, digits and _, and "
            "no keyword of Python"
        )
    if name in CONTEXT | _OF_JINJA:
        raise PromptError(f"{path}: variables: {name!r} already means something. Rename it")
    return name


def _values(name: str, given: Any, path: str) -> tuple[Value, ...]:
    values = tuple(given) if isinstance(given, list) else (given,)
    if not values:
        raise PromptError(f"{path}: variable {name!r} has no values. List at least its default")
    for number, value in enumerate(values):
        if not isinstance(value, Value) or (isinstance(value, float) and not math.isfinite(value)):
            raise PromptError(
                f"{path}: variable {name!r}: {shortened(value)} is neither true or false nor a "
                "number nor a text. Put quotes around it to make it a text"
            )
        if value in values[:number]:  # 1, 1.0 and true are one value, as in any mapping
            raise PromptError(
                f"{path}: variable {name!r} has {shortened(value)} twice. Leave one out"
            )
        if name == "labels" and value not in _LABELS:
            raise PromptError(f"{path}: variables: {unknown('labels kind', str(value), _LABELS)}")
    return values


def settled(front: str, settings: Mapping[str, Value]) -> str:
    """The YAML `front` with each variable's values replaced by its one value in `settings`.

    A key `labels` beside the variables follows the variable of that name. Every other character
    stays as it was.
    """
    node = yaml.compose(front, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)  # parse_prompt has read it
    spans = sorted(_spans(node, settings), key=lambda span: span[0], reverse=True)
    for start, end, value in spans:  # from the back, so that places before stay true
        front = f"{front[:start]}: {_scalar(value)}{front[end:]}"
    return front


def _spans(
    node: yaml.MappingNode, settings: Mapping[str, Value]
) -> Iterator[tuple[int, int, Value]]:
    """From the end of each key to the end of its value, and what the value shall be."""
    for key, value in node.value:
        if key.value == "variables":
            for name, values in value.value:
                yield name.end_mark.index, _end(values), settings[name.value]
        elif key.value == "labels" and "labels" in settings:
            yield key.end_mark.index, _end(value), settings["labels"]


def _end(node: yaml.Node) -> int:
    """Where `node` ends; a list of lines would else reach down to whatever comes after it."""
    listed = isinstance(node, yaml.SequenceNode) and not node.flow_style
    return int(node.value[-1].end_mark.index if listed else node.end_mark.index)


def _scalar(value: Value) -> str:
    """`value` as YAML in one line, at home in a flow mapping too."""
    plain = _dumped(value, None)
    return plain if len(plain.splitlines()) == 1 else _dumped(value, '"')


def _dumped(value: Value, style: str | None) -> str:
    text: str = yaml.safe_dump(
        [value], default_style=style, default_flow_style=True, allow_unicode=True, width=2**30
    )
    return text.removesuffix("\n")[1:-1]
