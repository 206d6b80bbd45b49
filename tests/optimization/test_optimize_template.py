"""Any text becomes a prompt that shows exactly that text, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selectllm.core.errors import PromptError
from selectllm.core.types import Item
from selectllm.optimization.template import (
    Origin,
    check_rewritable,
    demonstration,
    system_text,
    with_demonstrations,
    with_system,
    written,
)
from selectllm.prompting.library import PromptLibrary
from selectllm.prompting.prompt import Prompt, parse_prompt, render, with_parent

HEAD = "---\ndescription: d\nreply: indices\nlabels: numbers\n---\n"
USER = (
    "{% block user %}\nPick {{ k }} of {{ m }}.\n"
    "{% for item in items %}\n[{{ item.label }}] {{ item.instruction }}\n{% endfor %}\n"
    "{% endblock %}\n"
)
SYSTEM = "{% block system %}\nYou choose.\n{%- endblock %}\n\n"
SHOWN = (Item("a", "one {{ k }}"), Item("b", "two\r\n"), Item("c", "{% three"))
WORDS = st.sampled_from(["{", "}", "{{", "{%", "{#", "#}", "-", "\r", "\n", " ", "'", "\\", "a"])
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])), st.lists(WORDS).map("".join)
).filter(str.strip)


def prompt(source: str = HEAD + SYSTEM + USER) -> Prompt:
    return parse_prompt(source.encode(), "prompts/mine/v1.jinja", "mine", 1)


def shown(made: Prompt, k: int = 2) -> list[tuple[str, str]]:
    return [(each["role"], each["content"]) for each in render(made, SHOWN, k)]


@given(text=TEXTS)
@example("{{ k }} {% endblock %} {# note #}")
@example("ends in a brace {")
@example("ends in braces {{ \n\n")
@example("\n\n  begins with white space")
@example("{\r{{\r\n{")
@example("{% raw %}{{ '{{' }}{% endraw %}")
@example("\u2028 and \x85 and \x1c\x1c")
@example("---\nreply: json\n---\n")
def test_the_file_that_is_written_shows_the_text_byte_for_byte(text: str) -> None:
    measured = with_system(prompt(), text)
    origin = Origin("mine@1", "new: {{ }}", "GEPA: seed 0, 'x' {{ }}", "better: +0.2 # so")
    file = written(measured, origin)
    made = parse_prompt(file.encode(), "prompts/mine/v2.jinja", "mine", 2)
    assert shown(made) == shown(measured) == [("system", text), shown(prompt())[1]]
    assert system_text(made) == text
    assert (made.parent, made.search) == ("mine@1", "GEPA: seed 0, 'x' {{ }}")
    assert (made.description, made.verdict) == ("new: {{ }}", "better: +0.2 # so")


@given(text=TEXTS)
def test_a_version_can_be_a_parent_again(text: str) -> None:
    made = with_system(with_system(prompt(), text), "Another text.")
    assert shown(made) == [("system", "Another text."), shown(prompt())[1]]


def test_plain_text_stands_in_the_file_as_it_is() -> None:
    made = with_system(prompt(), "First line.\n\nSecond line, 5 % of {it}.")
    assert "\nFirst line.\n\nSecond line, 5 % of {it}.\n{%- endblock %}\n" in made.source


def test_a_prompt_without_a_system_block_is_given_one() -> None:
    bare = prompt(HEAD + USER)
    assert system_text(bare) == ""
    assert shown(with_system(bare, "You choose.")) == [("system", "You choose."), *shown(bare)]


def test_the_same_text_is_the_prompt_itself() -> None:
    assert with_system(prompt(), "You choose.") == prompt()


COMPUTED = "guarded@1"  # its system text depends on a variable, which `optimize --grid` searches


def test_the_one_bundled_prompt_whose_system_text_is_computed_is_refused() -> None:
    with pytest.raises(PromptError, match="the system block is not a plain text"):
        system_text(PromptLibrary().load(COMPUTED))


@pytest.mark.parametrize("ref", sorted({*PromptLibrary().refs} - {COMPUTED}))
def test_every_other_bundled_prompt_can_be_rewritten(ref: str) -> None:
    bundled = PromptLibrary().load(ref)
    items = [Item("a", "one", response="x"), Item("b", "two", "more", response="y")]
    made = render(with_system(bundled, "Say {{ it }}."), items, 1)
    assert [each["content"] for each in made] == [
        "Say {{ it }}.",
        render(bundled, items, 1)[-1]["content"],
    ]


@pytest.mark.parametrize("inside", ["Pick {{ k }}.", "{% if k > 1 %}Many.{% endif %}", "{# a #}"])
def test_a_system_block_that_is_no_plain_text_is_refused_by_its_line(inside: str) -> None:
    computed = prompt(HEAD + SYSTEM.replace("You choose.", inside) + USER)
    with pytest.raises(PromptError, match=r"v1\.jinja:6: the system block is not a plain text"):
        system_text(computed)


def test_a_text_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(PromptError, match="not valid Unicode"):
        with_system(prompt(), "half a \ud800")


def test_what_front_matter_says_of_blocks_is_no_block() -> None:
    head = HEAD.replace("labels:", "notes: the {% block system %} says it {% endblock %}\nlabels:")
    speaking = prompt(head + SYSTEM + USER)
    check_rewritable(speaking)
    assert shown(with_system(speaking, "Other.")) == [("system", "Other."), shown(prompt())[1]]


def test_a_description_of_several_lines_is_replaced_whole() -> None:
    head = HEAD.replace("description: d", "description: >\n  all of\n  this")
    origin = Origin("mine@1", "Found.", "GEPA", "better")
    file = written(with_system(prompt(head + SYSTEM + USER), "Better."), origin)
    assert parse_prompt(file.encode(), "v2.jinja", "mine", 2).description == "Found."
    assert "all of" not in file


def test_a_copy_of_a_version_does_not_claim_its_search_and_verdict() -> None:
    file = written(with_system(prompt(), "Better."), Origin("mine@1", "Found.", "GEPA", "better"))
    made = parse_prompt(file.encode(), "prompts/mine/v2.jinja", "mine", 2)
    copied = with_parent(made, "mine@2")
    assert "parent: mine@2" in copied
    assert "search:" not in copied
    assert "verdict:" not in copied


def test_scores_have_no_demonstrations_since_their_scale_is_not_known() -> None:
    scoring = prompt(HEAD.replace("indices", "scores") + SYSTEM + USER)
    with pytest.raises(PromptError, match="asks for scores"):
        demonstration(scoring, SHOWN, 2, {"a": 1.0, "b": 3.0, "c": 2.0})


def test_demonstrations_show_a_cluster_and_the_best_picks_in_the_prompts_own_format() -> None:
    worked = demonstration(prompt(), SHOWN, 2, {"a": 1.0, "b": 3.0, "c": 2.0})
    assert worked.message == shown(prompt())[1][1]
    assert worked.reply == "[2, 3]"
    text = with_demonstrations("Choose well.", [worked, worked])
    assert text.startswith("Choose well.\n\n### Example 1: what is asked\n\nPick 2 of 3.")
    assert text.endswith("### Example 2: the best picks\n\n[2, 3]")
    assert shown(with_system(prompt(), text))[0] == ("system", text)
