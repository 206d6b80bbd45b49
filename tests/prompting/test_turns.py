"""Prompts that show whole conversations: every turn, byte for byte, never as a template."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import PromptError
from selectllm.core.types import ChatItem, Item, Turn
from selectllm.evaluation.audit.copies import paraphrased
from selectllm.prompting.metering import MOST_CHARACTERS
from selectllm.prompting.parts import PartedPrompt
from selectllm.prompting.prompt import is_plain, render
from tests.support.prompt_files import HEAD, load_text

EACH = "{% for turn in item.turns %}<{{ turn.role }}>{{ turn.text }}{% else %}-{% endfor %}"
WHOLE = f"{HEAD}{{% block user %}}{{% for item in items %}}{EACH}|{{% endfor %}}{{% endblock %}}"
TURNS = (Turn("system", "Be brief."), Turn("user", "Name a fish."), Turn("assistant", "Pike."))
TALK = ChatItem("a", "Name a fish.", turns=TURNS)
SINGLE = Item("b", "Sing.")


def shown(folder: Path, body: str, *items: Item) -> str:
    prompt = load_text(folder, f"{HEAD}{{% block user %}}{body}{{% endblock %}}")
    return render(prompt, items, 1)[-1]["content"]


def test_a_prompt_shows_every_turn_with_its_role(tmp_path: Path) -> None:
    prompt = load_text(tmp_path, WHOLE)
    (message,) = render(prompt, (TALK, SINGLE), 1)
    assert message["content"] == "<system>Be brief.<user>Name a fish.<assistant>Pike.|-|"
    assert prompt.shows == ("turns",)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text()), max_size=5))
def test_turns_stand_byte_for_byte_and_are_never_a_template(turns: list[tuple[str, str]]) -> None:
    turns = [*turns, ("user", "{{ k }}{% for x in y %}")]
    item = ChatItem("a", "i", turns=tuple(Turn(*turn) for turn in turns))
    with TemporaryDirectory() as folder:
        (message,) = render(load_text(Path(folder), WHOLE), (item,), 1)
    assert message["content"] == "".join(f"<{role}>{text}" for role, text in turns) + "|"


def test_a_prompt_that_shows_turns_is_rendered_anew_for_every_question(tmp_path: Path) -> None:
    prompt = load_text(tmp_path, WHOLE)
    assert not is_plain(prompt)
    other = ChatItem("c", "Name a fish.", turns=TURNS[1:])
    asked = PartedPrompt(prompt, 1)
    texts = ["".join(map(str, asked.of([item])[0][1])) for item in (TALK, other)]
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    "expression",
    [
        "item.turns[0].text.__class__",
        "item.turns[0]._replace(role='x')",
        "item.turns[0]._asdict()",
        "item.turns[0].__class__",
        "item.turns.__getitem__(0)",
        "item.turns[0].speaker",
    ],
)
def test_a_template_reaches_nothing_behind_a_turn(tmp_path: Path, expression: str) -> None:
    with pytest.raises(PromptError, match=r"v1\.jinja:6"):
        shown(tmp_path, f"{{% for item in items %}}{{{{ {expression} }}}}{{% endfor %}}", TALK)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{{ item.turns | length }}", "3"),
        ("{{ item.turns[-1].text }}", "Pike."),
        ("{{ item.turns | map(attribute='role') | join(' ') }}", "system user assistant"),
        ("{% for t in item.turns if t.role == 'user' %}{{ t.text }}{% endfor %}", "Name a fish."),
        ("{{ item.turns | selectattr('role', 'eq', 'user') | list | length }}", "1"),
    ],
)
def test_turns_can_be_chosen_from_and_counted(tmp_path: Path, body: str, text: str) -> None:
    assert shown(tmp_path, f"{{% for item in items %}}{body}{{% endfor %}}", TALK) == text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{{ items[0].turns * 10000000 }}", "would make a text or a list"),
        ("{{ (items[0].turns | tojson) * 1000000 }}", "would make a text or a list"),
        (
            "{% for a in items[0].turns * 200 %}{% for b in items[0].turns * 2000 %}{{ b.text }}"
            "{% endfor %}{% endfor %}",
            "takes more than 500,000 steps",
        ),
    ],
)
def test_what_is_made_of_turns_is_counted(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(PromptError, match=words):
        shown(tmp_path, body, TALK)


def test_a_long_conversation_may_be_shown_whole(tmp_path: Path) -> None:
    long = ChatItem("a", "i", turns=(Turn("user", "x" * (2 * MOST_CHARACTERS)),))
    prompt = load_text(tmp_path, WHOLE)
    assert len(render(prompt, (long,), 1)[0]["content"]) > 2 * MOST_CHARACTERS


def test_another_instruction_stands_in_its_turn_too() -> None:
    asked = TALK.asking(paraphrased(TALK.instruction))
    assert asked.instruction != TALK.instruction
    assert [turn.text for turn in asked.turns] == ["Be brief.", asked.instruction, "Pike."]
    several = ChatItem("a", "User: A.\n\nUser: B.", turns=(Turn("user", "A."), Turn("user", "B.")))
    assert [turn.text for turn in several.asking("C").turns] == ["A.", "C"]
    assert SINGLE.asking("C") == Item("b", "C")
