"""YAML that strangers may have written: plain values, each key once, at a cost that is known.

As YAML 1.1 has it, merge keys (`<<: *base`) included. A key that stands twice in one mapping is an
error, for its first value would be lost. Aliases may not multiply a short text into a long one.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MOST_CHARACTERS = 500_000
"""Of a whole text."""
MOST_VALUES = 20_000
"""Of a text, values that aliases repeat counted each time."""
MOST_DEPTH = 40
"""Of lists and mappings in each other."""
MOST_DIGITS = 100
"""Of a number."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_LIKE_NUMBER = re.compile(r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d{1,4}")


class YamlFault(ValueError):
    """A text that is not such YAML: `line` (from 1) and `reason`."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class LikeNumber(str):
    """Text without quotes that is a number everywhere but in YAML 1.1, such as 1e-2."""


def load_yaml(text: str, *, like_numbers: bool = False) -> Any:
    """The value that `text` holds, texts of `like_numbers` as LikeNumber. Raises YamlFault."""
    if len(text) > MOST_CHARACTERS:
        raise YamlFault(1, f"longer than {MOST_CHARACTERS:,} characters. Is it the right file?")
    try:
        return yaml.load(text, Loader=_TellingLoader if like_numbers else _Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlFault(
            line, f"the character {error.character:#04x} is not allowed in YAML"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(mark.line + 1 if mark else 1, error.problem or "no value") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise YamlFault(1, " ".join(str(error).split())[:200]) from None


def as_number(value: Any) -> Any:
    """`value` with every LikeNumber in it as the number that it means."""
    if isinstance(value, LikeNumber):
        return float(value)
    if isinstance(value, dict):
        return {key: as_number(one) for key, one in value.items()}
    return [as_number(one) for one in value] if isinstance(value, list) else value


class _Loader(yaml.SafeLoader):
    """The limits; each is checked before what it limits is built."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A value, not deeper than MOST_DEPTH."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        aliased = self.anchors.get(event.anchor) if isinstance(event, yaml.AliasEvent) else None
        if aliased is not None and id(aliased) not in self._sizes:
            raise _fault("a value that holds itself", mark)
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise _fault(f"nested more than {MOST_DEPTH} deep", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if self._size(node) > MOST_VALUES:
            raise _fault(f"more than {MOST_VALUES:,} values, those of aliases included", mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        """A mapping whose keys stand once each."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _fault(f"the key {key.value[:60]!r} appears twice", key.start_mark)
                seen.add((key.tag, key.value))
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """A value; what it cannot be is told with its line."""
        if isinstance(node, yaml.ScalarNode):
            if node.tag in _NUMBERS and len(node.value) > MOST_DIGITS:
                raise _fault(f"a number of more than {MOST_DIGITS} digits", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, TypeError) as error:
            raise _fault(
                f"{str(node.value)[:60]!r} cannot be read ({error})", node.start_mark
            ) from None

    def _size(self, node: Any) -> int:
        """How many values `node` comes to where every alias is written out."""
        if id(node) not in self._sizes:
            parts = node.value if isinstance(node, yaml.CollectionNode) else []
            each = [one for part in parts for one in (part if isinstance(part, tuple) else (part,))]
            self._sizes[id(node)] = 1 + sum(self._size(one) for one in each)
        return self._sizes[id(node)]


class _TellingLoader(_Loader):
    """Tells apart the texts that are numbers elsewhere."""

    def construct_scalar(self, node: Any) -> Any:
        """A text."""
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        text = super().construct_scalar(node)
        return LikeNumber(text) if plain and _LIKE_NUMBER.fullmatch(node.value) else text


def _fault(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)
