"""Rendered prompts in parts: put together they are what was sent, whatever the items say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Item
from selectllm.prompting.library import PromptLibrary
from selectllm.prompting.parts import Parted, PartedPrompt
from selectllm.prompting.prompt import Prompt, is_plain, parse_prompt, render

HEAD = "---\ndescription: d\nreply: indices\nlabels: numbers\n---\n"
PROMPTS = {prompt.ref: prompt for prompt in PromptLibrary().list() if not prompt.shows_responses}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("1[]=\n"), max_size=12)
ITEMS = st.lists(st.tuples(TEXTS, TEXTS | st.just("")), min_size=3, max_size=6)


def prompt_of(user: str) -> Prompt:
    body = f"{{% block user %}}{user}{{% endblock %}}"
    return parse_prompt((HEAD + body).encode(), "p.jinja", "p", 0)


def joined(parted: Parted, items: list[Item]) -> list[tuple[str, str]]:
    texts = [(item.instruction, item.input) for item in items]
    return [
        (
            role,
            "".join(part if isinstance(part, str) else texts[part[0]][part[1]] for part in parts),
        )
        for role, parts in parted
    ]


def agrees(prompt: Prompt, parted: PartedPrompt, texts: list[tuple[str, str]]) -> None:
    items = [Item(str(n), *each) for n, each in enumerate(texts)]
    sent = [(message["role"], message["content"]) for message in render(prompt, items, 2)]
    assert joined(parted.of(items), items) == sent


@pytest.mark.parametrize("ref", PROMPTS)
@given(first=ITEMS, then=ITEMS)
def test_joined_the_parts_are_the_prompt(
    ref: str, first: list[tuple[str, str]], then: list[tuple[str, str]]
) -> None:
    parted = PartedPrompt(PROMPTS[ref], 2)
    agrees(PROMPTS[ref], parted, first)
    agrees(PROMPTS[ref], parted, then)  # with what the first question taught


def test_equal_questions_share_their_parts() -> None:
    parted = PartedPrompt(PROMPTS["criteria@1"], 2)
    one, two = ([Item(str(n), f"{word} {n}") for n in range(4)] for word in ("Say", "Write"))
    assert parted.of(one) is parted.of(two)


@pytest.mark.parametrize(
    "user",
    [
        "{% for item in items %}{{ item.instruction|upper }}{% endfor %}",
        "{% for item in items %}{{ item.instruction|length }}{% endfor %}",
        "{% for item in items %}{% if item.input|length > 3 %}x{% endif %}{% endfor %}",
        "{% for item in items %}{% if item.input == 'a' %}x{% endif %}{% endfor %}",
        "{% for item in items %}{% set x = item.input %}{{ x }}{% endfor %}",
        "{% for item in items if item.input %}{{ item.instruction }}{% endfor %}",
        "{% for item in items|reverse %}{{ item.instruction }}{% endfor %}",
        "{% for item in items %}{% filter upper %}{{ item.input }}{% endfilter %}{% endfor %}",
        "{% for item in items %}{{ loop.previtem.input }}{% endfor %}",
        "{% for item in items %}{{ item['input'] }}{% endfor %}",
        "{{ items[0].instruction }}{{ items|length }}",
        "{% for item in items %}{{ item.input if item.input else 'none' }}{% endfor %}",
        "{% for item in items %}{{ item.instruction ~ item.input }}{% endfor %}",
    ],
)
def test_a_template_that_does_more_with_items_is_not_plain(user: str) -> None:
    assert not is_plain(prompt_of(user))


@pytest.mark.parametrize(
    "user",
    [
        "{{ k }} of {{ m }}: {% for item in items %}{{ item.label }} {{ item.input }}{% endfor %}",
        "{% for i in items %}{{ loop.index }}{% if i.input %}+{% else %}-{% endif %}{% endfor %}",
        "{% for a in items %}{{ a.label }}{% endfor %}{% for b in items %}{{ b.input }}{%endfor%}",
    ],
)
@given(texts=ITEMS)
def test_a_template_that_writes_items_out_is_plain(user: str, texts: list[tuple[str, str]]) -> None:
    prompt = prompt_of(user)
    assert is_plain(prompt)
    parted = PartedPrompt(prompt, 2)
    agrees(prompt, parted, [("a", given) for _, given in texts])
    agrees(prompt, parted, texts)
