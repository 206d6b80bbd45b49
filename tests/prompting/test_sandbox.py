"""A stranger's template costs little: what it would do or make is counted before it is done."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import PromptError
from selectllm.core.types import Item
from selectllm.prompting.metering import MOST_CHARACTERS
from selectllm.prompting.prompt import render
from tests.support.prompt_files import HEAD, load_text

ITEMS = (Item("a", "Name a fish.", "In a lake"), Item("b", "Sing."))
LARGE = r"would make a text or a list of more than 1,000,\d\d\d characters"
STEPS = "takes more than 500,000 steps"
BITS = "would make a number of more than 10,000 bits"
ITSELF = "calls itself more than 50 levels deep"
TOO_DEEP = "nested too deeply, or holds a number of too many digits"
A_MILLION = "{% set s = 'a' * 900000 %}"
OFTEN = "{% for i in range(99999) %}"
DOUBLED = "{% set n = namespace(x=START) %}{% for i in range(99) %}{% set n.x = WHAT %}{% endfor %}"


def doubled(start: str, what: str, after: str = "") -> str:
    return DOUBLED.replace("START", start).replace("WHAT", what) + after


def shown(folder: Path, body: str) -> str:
    prompt = load_text(folder, f"{HEAD}{{% block user %}}\n{body}{{% endblock %}}")
    return render(prompt, ITEMS, 1)[-1]["content"]


COSTLY = {
    "a power": ("{{ 10 ** (10 ** 10) }}", BITS),
    "a square of squares": (doubled("2", "n.x * n.x"), BITS),
    "a text times a number": ("{{ 'a' * 10 ** 10 }}", LARGE),
    "a list times a number": ("{{ ([1] * 10 ** 9) | length }}", LARGE),
    "a width of %": ("{{ '%0999999999d' % 1 }}", LARGE),
    "a width of % among the values": ("{{ '%*d' % (999999999, 1) }}", LARGE),
    "a width of the filter format": ("{{ '%999999999s' | format('a') }}", LARGE),
    "a width of format": ("{{ '{:>999999999}'.format(1) }}", LARGE),
    "a width of format among the values": ("{{ '{:{}}'.format('x', 999999999) }}", LARGE),
    "center": ("{{ 'a' | center(999999999) }}", LARGE),
    "center of a text": ("{{ 'a'.center(999999999) }}", LARGE),
    "ljust": ("{{ 'a'.ljust(999999999) }}", LARGE),
    "rjust": ("{{ 'a'.rjust(999999999) }}", LARGE),
    "zfill": ("{{ 'a'.zfill(999999999) }}", LARGE),
    "tabs": ("{{ ('\t' * 1000).expandtabs(99999999) }}", LARGE),
    "indent": ("{{ ('a\n' * 1000) | indent(9999999) }}", LARGE),
    "indent by a text": ("{{ ('a\n' * 9999) | indent('b' * 9999) }}", LARGE),
    "wordwrap": ("{{ ('a ' * 99999) | wordwrap(1, wrapstring='b' * 999) }}", LARGE),
    "join": ("{{ range(99999) | join('b' * 9999) }}", LARGE),
    "join of a text": ("{{ ('b' * 9999).join(['a'] * 9999) }}", LARGE),
    "join of what is made on the way": (
        "{{ ('b' * 9999).join(range(9999) | map('string')) }}",
        LARGE,
    ),
    "replace": ("{{ ('a' * 9999) | replace('a', 'b' * 9999) }}", LARGE),
    "replace of nothing": ("{{ ('a' * 9999) | replace('', 'b' * 9999) }}", LARGE),
    "replace of a text": ("{{ ('a' * 9999).replace('a', 'b' * 9999) }}", LARGE),
    "translate": ("{{ ('a' * 9999).translate({97: 'b' * 9999}) }}", LARGE),
    "batch": ("{{ [1] | batch(999999999, 'x') | list | length }}", LARGE),
    "slice": ("{{ [1] | slice(99999999) | list | length }}", LARGE),
    "round": ("{{ 1.5 | round(99999999, 'ceil') }}", BITS),
    "JSON": ("{{ [[1]] | tojson(indent=999999999) }}", LARGE),
    "links": ("{{ ('a.com ' * 9999) | urlize(rel='b' * 9999) }}", LARGE),
    "bytes": ("{{ (5).to_bytes(999999999, 'big') }}", LARGE),
    "a sum of lists": ("{{ ([[1] * 99] * 999) | sum(start=[]) | length }}", LARGE),
    "doubling by ~": (doubled("'a'", "n.x ~ n.x"), LARGE),
    "doubling by +": (doubled("'a'", "n.x + n.x"), LARGE),
    "doubling a list": (doubled("[1]", "n.x + n.x"), STEPS),
    "lists of lists": (doubled("[1]", "[n.x, n.x]", "{{ n.x }}"), STEPS),
    "a comparison of lists of lists": (
        doubled("[1]", "[n.x, n.x]") + doubled("[1]", "[n.x, n.x]", "{{ n.x == n.x }}"),
        STEPS,
    ),
    "loops in loops": (OFTEN * 3 + "{% endfor %}" * 3, STEPS),
    "a loop that writes": (A_MILLION + OFTEN + "{{ s }}{% endfor %}", LARGE),
    "a loop that slices": (A_MILLION + OFTEN + "{% set t = s[::-1] %}{% endfor %}", STEPS),
    "a loop that searches": (A_MILLION + OFTEN + "{% if 'b' in s %}{% endif %}{% endfor %}", STEPS),
    "a loop that tests": (A_MILLION + OFTEN + "{% if s is upper %}{% endif %}{% endfor %}", STEPS),
    "a loop that filters": (A_MILLION + OFTEN + "{% set t = s | upper %}{% endfor %}", STEPS),
    "a filter for each": ("{{ range(99999) | map('center', 9999) | join }}", STEPS),
    "a macro that calls itself": (
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        ITSELF,
    ),
    "a block that shows itself": ("{{ self.user() }}", ITSELF),
    "a loop that calls itself": (
        "{% for i in range(99) recursive %}{{ loop(range(99)) }}{% endfor %}",
        ITSELF,
    ),
    "a number of thousands of digits": (f"{{{{ {'9' * 6000} }}}}", TOO_DEEP),
    "a number beyond all": ("{{ 1e999 }}", "a number is too large"),
    "brackets": (f"{{{{ {'(' * 5000}1{')' * 5000} }}}}", TOO_DEEP),
    "lists in lists, as written": (f"{{{{ {'[' * 500}{']' * 500} }}}}", TOO_DEEP),
    "sums": (f"{{{{ {'1+' * 5000}1 }}}}", TOO_DEEP),
    "conditions": ("{% if k %}" * 200 + "{% endif %}" * 200, TOO_DEEP),
    "not": (f"{{{{ {'not ' * 3000}1 }}}}", TOO_DEEP),
    "attributes": (f"{{{{ k{'.a' * 5000} }}}}", TOO_DEEP),
}


@pytest.mark.parametrize(("body", "said"), COSTLY.values(), ids=COSTLY)
def test_what_costs_too_much_is_an_error_with_its_line(
    tmp_path: Path, body: str, said: str
) -> None:
    with pytest.raises(PromptError, match=said) as caught:
        shown(tmp_path, body)
    assert "trial/v1.jinja:" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_the_line_is_that_of_what_costs(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"v1\.jinja:9: would make"):
        shown(tmp_path, "a\n\n{{ 'a' | center(10 ** 9) }}\n")


def test_nothing_is_computed_when_a_template_is_loaded(tmp_path: Path) -> None:
    for body, said in COSTLY.values():
        if said in (LARGE, STEPS, BITS, ITSELF):
            load_text(tmp_path, f"{HEAD}{{% block user %}}{body}{{% endblock %}}")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{{ 2 ** 10 }} {{ 'ab' * 3 }} {{ [1, 2] + [3] }} {{ 7 // 2 }}", "1024 ababab [1, 2, 3] 3"),
        ("{{ '%5.1f|%-3s|' % (2.25, 'a') }}", "  2.2|a  |"),
        ("{{ '{:>4}|{!r}|{n}'.format(7, 'x', n=1) }}", "   7|'x'|1"),
        ("{{ 'a' | center(5) }}|{{ 'b'.zfill(3) }}|{{ 'x\ny' | indent(2) }}", "  a  |00b|x\n  y"),
        ("{{ items | map(attribute='input') | select | join('; ') }}", "In a lake"),
        ("{{ items | map('attr', 'instruction') | first }}", "Name a fish."),
        ("{% for i in items %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/2 2/2 "),
        ("{% for i in range(3) if i %}{{ i }}{% else %}none{% endfor %}", "12"),
        (
            "{% for i in items | map('attr', 'label') %}{{ i ~ loop.last }} {% endfor %}",
            "1False 2True ",
        ),
        ("{% macro m(a, b=2) %}{{ a ~ b }}{% endmacro %}{{ m(1) }}{{ m(3, b='x') }}", "123x"),
        (
            "{% set n = namespace(x=0) %}{% for i in range(4) %}{% set n.x = n.x + i %}{% endfor %}"
            "{{ n.x }}",
            "6",
        ),
        (
            "{% for x in [[1, [2]], 3] recursive %}{{ loop(x) if x is iterable else x }}"
            "{% endfor %}",
            "123",
        ),
        ("{{ {'a': 1} | tojson }} {{ [3, 1] | sort }} {{ 1 < 2 <= 2 }}", '{"a": 1} [1, 3] True'),
        ("{% filter upper %}{{ items[1].instruction[:3] }}{% endfilter %}", "SIN"),
        ("{{ joiner(', ')() }}{{ missing | default('-') if missing is defined else 'no' }}", "no"),
    ],
)
def test_what_prompts_do_works_as_ever(tmp_path: Path, body: str, text: str) -> None:
    if "missing" in body:
        body = body.replace("missing", "items[0].response")
    assert shown(tmp_path, body) == text


@given(size=st.integers(1, 3))
def test_the_larger_the_items_the_more_may_be_made_of_them(size: int) -> None:
    with TemporaryDirectory() as folder:
        body = "{% for item in items %}{{ item.instruction | upper }}{% endfor %}"
        prompt = load_text(Path(folder), f"{HEAD}{{% block user %}}{body}{{% endblock %}}")
        item = Item("a", "x" * (size * MOST_CHARACTERS))
        assert render(prompt, (item, item), 1)[0]["content"] == 2 * item.instruction.upper()


ESCAPES = [
    "''.__class__",
    "''['__class__']",
    "'' | attr('__class__')",
    "items | map(attribute='__class__') | list",
    "items[0].__init__.__globals__",
    "(k).__class__.__base__.__subclasses__()",
    "self.__init__.__globals__",
    "self._TemplateReference__context.environment",
    "range.__globals__",
    "cycler.__init__.__globals__.os",
    "joiner.__init__.__globals__",
    "namespace.__init__.__globals__",
    "loop.__class__",
    "'{0.__class__}'.format(k)",
    "'{a.__class__}'.format_map({'a': k})",
    "'{0.__class__}' | format(k)",
    "['{0.__class__}'] | map('format', k) | list",
    "(items | groupby('label') | first).__class__",
    "dict.__subclasses__()",
    "dict.mro()",
    "[].append(1)",
    "{}.update({'a': 1})",
    "items | sort(attribute='__class__.__name__')",
    "items | sum(attribute='__class__')",
    "lipsum.__globals__",
    "config",
    "(items | map('format')).gi_frame",
]


HARMLESS = {"items | map(attribute='__class__') | list": "[Undefined, Undefined]"}


@pytest.mark.parametrize("expression", ESCAPES)
def test_a_template_reaches_nothing_but_what_it_is_given(tmp_path: Path, expression: str) -> None:
    body = "{% for x in [1] %}{{ " + expression + " }}{% endfor %}"
    if expression in HARMLESS:
        assert shown(tmp_path, body) == HARMLESS[expression]
        return
    with pytest.raises(PromptError, match=r"trial/v1\.jinja:"):
        shown(tmp_path, body)
