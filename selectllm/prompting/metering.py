"""What a template may still do and make: counted before each thing is done, never measured after.

No clock and no process: the same template with the same items always ends the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import Any

from jinja2 import TemplateRuntimeError
from jinja2.utils import Namespace

MOST_STEPS = 500_000
"""Steps of one render: a turn of a loop, a call, an operator, 64 characters that are made."""
MOST_CHARACTERS = 1_000_000
"""Characters that one render may make, beside ten times those of the items that it shows."""
MOST_BITS = 10_000
"""Of a whole number: about 3,000 digits."""
MOST_DEPTH = 50
"""Of lists in lists, and of calls in calls."""

_CHARACTERS_A_STEP = 64
_SPEC = re.compile(
    r"\{[^{}]{0,200}:([^{}]{0,200})|%(?:\([^)]{0,200}\))?[-#0 +]{0,9}([\d.*]{0,200})"
)
_DIGITS = re.compile(r"\d+")
_NESTED = re.compile(r"\{[^{}]{0,200}:[^{}]{0,200}\{|%[^a-zA-Z%]{0,200}\*")


class TooCostly(TemplateRuntimeError):
    """A template would do or make more than a prompt may."""


class RenderMeter:
    """What one render may still do: `steps` in all, and `size` characters made at once."""

    def __init__(self, given: int = 0) -> None:
        """`given`: characters of the items that it shows."""
        self.size = MOST_CHARACTERS + 10 * given
        self.steps = MOST_STEPS + self.size // _CHARACTERS_A_STEP
        self.depth = 0

    def step(self, count: int = 1) -> None:
        """Count steps that come next. Raises TooCostly if too few are left."""
        self.steps -= count
        if self.steps < 0:
            raise TooCostly(f"takes more than {MOST_STEPS:,} steps. Make the template simpler")

    def make(self, characters: int) -> None:
        """Count what is made next. Raises TooCostly if it is too large."""
        if characters > self.size:
            raise TooCostly(
                f"would make a text or a list of more than {self.size:,} characters. Make the "
                "template simpler"
            )
        self.step(1 + characters // _CHARACTERS_A_STEP)

    def turns(self, values: Iterable[Any]) -> Iterator[Any]:
        """`values`, each counted as it is asked for."""
        for value in values:
            self.steps -= 1  # as `step` does, at a third of the time
            if self.steps < 0:
                self.step()
            yield value

    def weigh(self, value: Any, depth: int = 0) -> int:
        """About how many characters `value` has as text. Raises TooCostly beyond the limits."""
        if isinstance(value, str | bytes):
            return len(value)
        if isinstance(value, int):
            return value.bit_length() // 3 + 1
        if isinstance(value, range):
            return 8 * len(value)
        if isinstance(value, Namespace):
            value = vars(value).get("_Namespace__attrs", {})
        if not isinstance(value, list | tuple | Mapping | Set | type({}.values())):
            return 20
        if depth > MOST_DEPTH:
            raise TooCostly(f"nests lists more than {MOST_DEPTH} deep. Make the template simpler")
        weight = 2
        for part in chain.from_iterable(value.items()) if isinstance(value, Mapping) else value:
            self.step()
            weight += 2 + self.weigh(part, depth + 1)
            if weight > self.size:
                self.make(weight)
        return weight

    def weigh_all(self, values: Iterable[Any]) -> int:
        """`weigh` of each, together."""
        return sum(self.weigh(value) for value in values)


_METER: ContextVar[RenderMeter | None] = ContextVar("meter", default=None)


@contextmanager
def metered(given: int) -> Iterator[None]:
    """While a template runs that shows `given` characters of items."""
    token = _METER.set(RenderMeter(given))
    try:
        yield
    finally:
        _METER.reset(token)


def meter() -> RenderMeter:
    """That of the template that runs now."""
    return _METER.get() or RenderMeter()


# --- what things come to, before they are made --------------------------------------------------


def of_operator(sign: str, left: Any, right: Any) -> int:
    """About how many characters `left sign right` has. Raises TooCostly for too large a number."""
    now = meter()
    if isinstance(left, int) and isinstance(right, int):
        bits = {
            "**": left.bit_length() * max(right, 0),
            "*": left.bit_length() + right.bit_length(),
        }
        _check_bits(bits.get(sign, 0))
        return 1
    if sign == "*":
        one, times = (right, left) if isinstance(left, int) else (left, right)
        return now.weigh(one) * max(_whole(times), 1)
    if sign == "%" and isinstance(left, str | bytes):
        return _of_format(left, right if isinstance(right, tuple) else (right,))
    return now.weigh(left) + now.weigh(right)


def of_filter(name: str, value: Any, *args: Any, **named: Any) -> int:
    """About how many characters the filter `name` makes of `value`."""
    given = (*args, *named.values())
    return _SIZES.get(name, _as_given)(value, given)


def of_method(name: str, owner: Any, *args: Any, **named: Any) -> int:
    """About how many characters a method of `owner`, something built in, makes."""
    given = (*args, *named.values())
    if name == "join":
        return _joined(given[0] if given else (), (owner,))
    if name == "zfill" or isinstance(owner, int | bytes):
        return _padded(owner, given)
    return _SIZES.get(_METHODS.get(name, name), _as_given)(owner, given)


def _whole(value: Any) -> int:
    return abs(value) if isinstance(value, int) else 0


def _check_bits(bits: int) -> None:
    if bits > MOST_BITS:
        raise TooCostly(f"would make a number of more than {MOST_BITS:,} bits. Make it smaller")


def _largest(values: Iterable[Any]) -> int:
    """The largest whole number, or length of a text, in `values`."""
    return max([0, *(len(v) if isinstance(v, str | bytes) else _whole(v) for v in values)])


def _as_given(value: Any, given: tuple[Any, ...]) -> int:
    return meter().weigh(value) + meter().weigh_all(given)


def _padded(value: Any, given: tuple[Any, ...]) -> int:
    return meter().weigh(value) + _largest(given)


def _a_line(value: Any, given: tuple[Any, ...]) -> int:
    """As much as `given` says for every line end, space and tab."""
    lines = 1 + sum(value.count(sign) for sign in "\n\r\t ") if isinstance(value, str) else 1
    return meter().weigh(value) + lines * max(_largest(given), 8)


def _wrapped(value: Any, given: tuple[Any, ...]) -> int:
    return meter().weigh(value) * (1 + _largest(v for v in given if isinstance(v, str)))


def _joined(values: Any, given: tuple[Any, ...]) -> int:
    count = len(values) if isinstance(values, Sized) else 1
    return meter().weigh(values) + count * _largest(v for v in given if isinstance(v, str | bytes))


def _replaced(value: Any, given: tuple[Any, ...]) -> int:
    old, new = (str(one) if isinstance(one, str | int) else "" for one in (*given, "", "")[:2])
    text = str(value) if isinstance(value, str | int) else ""
    return meter().weigh(value) + (text.count(old) if old else len(text) + 1) * len(new)


def _translated(value: Any, given: tuple[Any, ...]) -> int:
    tables = [list(one.values()) for one in given if isinstance(one, Mapping)]
    return meter().weigh(value) * max(1, *(_largest(t) if t else 1 for t in tables), 1)


def _filled(value: Any, given: tuple[Any, ...]) -> int:
    """Lists of as many as `given` says, of which the last is filled up."""
    return meter().weigh(value) + _largest(given[:1]) * (8 + meter().weigh_all(given[1:]))


def _rounded(value: Any, given: tuple[Any, ...]) -> int:
    _check_bits(4 * _largest(given))
    return 20


def _as_json(value: Any, given: tuple[Any, ...]) -> int:
    return meter().weigh(value) * (6 + _largest(given))


def _summed(value: Any, given: tuple[Any, ...]) -> int:
    lists = any(isinstance(one, list | tuple) for one in given)
    return meter().weigh(value) * (len(value) if lists and isinstance(value, Sized) else 1)


def _of_format(template: Any, given: tuple[Any, ...]) -> int:
    """What a text comes to with `given` in its fields, at the widths that it names."""
    text = template.decode("latin-1") if isinstance(template, bytes) else str(template)
    specs = [one or other for one, other in _SPEC.findall(text)]
    widths = [int(digits[:18]) for spec in specs for digits in _DIGITS.findall(spec)]
    if _NESTED.search(text):  # a width may stand among the values
        widths.append(_largest(one for one in given if isinstance(one, int)))
    widest = max([0, *widths, meter().weigh_all(given)])
    return len(text) + (text.count("{") + text.count("%")) * widest


_SIZES: Mapping[str, Callable[[Any, tuple[Any, ...]], int]] = {
    "center": _padded,
    "indent": _a_line,
    "wordwrap": _wrapped,
    "urlize": _wrapped,
    "join": _joined,
    "replace": _replaced,
    "translate": _translated,
    "batch": _filled,
    "slice": _filled,
    "round": _rounded,
    "tojson": _as_json,
    "sum": _summed,
    "format": _of_format,
}
"""What filters make that make more than they are given."""

_METHODS = {
    **dict.fromkeys(["ljust", "rjust"], "center"),
    "expandtabs": "indent",
    "format_map": "format",
}
"""Methods that make as much as a filter."""
