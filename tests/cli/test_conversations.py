"""Pools of chats from selection to training: no turn is lost, and what is left out is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from selectllm.data.pool import load_pool
from tests.conftest import Command, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused
from tests.support.pool_files import csv_table

TOLD = "conversations with more turns than a question and its answer"


def talk(number: int) -> list[dict[str, Any]]:
    """A conversation with a tool, six turns as they are read."""
    call = {"type": "function", "function": {"name": "look", "arguments": f'{{"n": {number}}}'}}
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"Name river {number}."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "Elbe."},
        {"role": "assistant", "content": f"River {number} is the Elbe."},
        {"role": "user", "content": f"And how long is river {number}, if I may ask you that?"},
    ]


def turns(number: int) -> list[list[str]]:
    call = f'[tool call: look {{"n": {number}}}]'
    said = [(turn["role"], turn["content"] or call) for turn in talk(number)]
    return [list(turn) for turn in said]


@pytest.fixture(autouse=True)
def talks(selectllm: Command) -> None:
    """In the current folder, six of them, answered beside their turns, in a table and in lines."""
    rows = [
        {"id": str(n), "messages": json.dumps(talk(n)), "response": f"Long ({n})."}
        for n in range(6)
    ]
    Path("pool.csv").write_bytes(csv_table(rows))
    write_jsonl(Path("pool.jsonl"), [row | {"messages": talk(int(row["id"]))} for row in rows])


def selected(selectllm: Command, pool: str = "pool.csv", *options: object) -> list[str]:
    """The ids of what is selected, in picks.jsonl."""
    words = ("--budget", 2, "--strategy", "longest", "-o", "picks.jsonl")
    outcome = selectllm("select", pool, *words, *options)
    assert outcome.code == 0, outcome.err
    assert "12 tool calls" not in outcome.err
    assert "6 tool calls" in outcome.err
    return [row["id"] for row in read_jsonl(Path("picks.jsonl"))]


@pytest.mark.parametrize("pool", ["pool.csv", "pool.jsonl"])
@pytest.mark.parametrize("shown", ["first", "last", "all"])
def test_picks_are_exported_with_every_turn_and_their_response(
    selectllm: Command, pool: str, shown: str
) -> None:
    ids = selected(selectllm, pool, "--turns", shown)
    outcome = selectllm("export", "picks.jsonl", "-o", "out", "--turns", shown)
    assert outcome.code == 0, outcome.err
    assert f"2 of 2 items are {TOLD}" in outcome.err
    (chat,) = Path("out/chat").iterdir()
    (sharegpt,) = Path("out/sharegpt").iterdir()
    for row, shared, name in zip(
        read_jsonl(chat), json.loads(sharegpt.read_text("utf-8")), ids, strict=True
    ):
        expected = turns(int(name))
        # The first question has an answer, after the tool's; the last one has none.
        place = slice(4, 5) if shown == "first" else slice(6, 6)
        expected[place] = [["assistant", f"Long ({name})."]]
        assert [[each["role"], each["content"]] for each in row["messages"]] == expected
        assert [each["value"] for each in shared["conversations"]] == [text for _, text in expected]


def test_only_what_has_no_place_for_turns_is_told(selectllm: Command) -> None:
    selected(selectllm)
    outcome = selectllm("export", "picks.jsonl", "-o", "out", "--layout", "chat")
    assert TOLD not in outcome.err
    write_jsonl(Path("short.jsonl"), [{"instruction": f"q{n}", "output": "r"} for n in range(4)])
    selectllm("select", "short.jsonl", "--budget", 2, "--strategy", "longest", "-o", "s.jsonl")
    assert TOLD not in selectllm("export", "s.jsonl", "-o", "other").err


def test_what_nobody_answered_is_exported_with_an_empty_turn_if_asked_for(
    selectllm: Command,
) -> None:
    write_jsonl(Path("pool.jsonl"), [{"id": str(n), "messages": talk(n)} for n in range(6)])
    selected(selectllm, "pool.jsonl")
    assert_refused(selectllm("export", "picks.jsonl", "-o", "out"), "have no response")
    done = selectllm("export", "picks.jsonl", "-o", "out", "--unanswered", "--layout", "chat")
    assert done.code == 0, done.err
    (chat,) = Path("out/chat").iterdir()
    assert {row["messages"][-1]["content"] for row in read_jsonl(chat)} == {""}
    assert {len(row["messages"]) for row in read_jsonl(chat)} == {7}


@pytest.mark.parametrize("to", ["label-studio", "argilla", "jsonl", "csv", "xlsx"])
def test_annotators_see_every_turn_where_the_tool_has_a_place_for_them(
    selectllm: Command, to: str
) -> None:
    selected(selectllm)
    outcome = selectllm("handover", "picks.jsonl", "--pool", "pool.csv", "--to", to)
    assert outcome.code == 0, outcome.err
    assert (TOLD in outcome.err) == (to in ("csv", "xlsx"))
    shown: list[Any] = []
    if to == "label-studio":
        shown = [
            task["data"] for task in json.loads(Path("picks.handover.json").read_text("utf-8"))
        ]
        config = ElementTree.parse("picks.handover.json.config.xml")
        (tag,) = config.iter("Paragraphs")
        assert (tag.get("value"), tag.get("nameKey"), tag.get("textKey")) == (
            "$turns",
            "role",
            "content",
        )
    elif to == "argilla":
        folder = Path("picks.handover.argilla")
        shown = [
            {"item_id": record["id"], **record["fields"]}
            for record in json.loads((folder / "records.json").read_text("ascii"))
        ]
        fields = json.loads((folder / ".argilla/settings.json").read_text("ascii"))["fields"]
        kinds = {field["name"]: field["settings"]["type"] for field in fields}
        assert kinds.pop("turns") == "chat"
        assert set(kinds.values()) == {"text"}
    elif to == "jsonl":
        shown = [{"item_id": row["id"], **row} for row in read_jsonl(Path("picks.handover.jsonl"))]
    for row in shown:
        said = [[turn["role"], turn["content"]] for turn in row["turns"]]
        name = row["item_id"]
        assert said == [*turns(int(name)), ["assistant", f"Long ({name})."]]


def test_a_question_and_its_answer_are_handed_over_as_before(selectllm: Command) -> None:
    short = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]
    write_jsonl(Path("pool.jsonl"), [{"id": str(n), "messages": short} for n in range(6)])
    words = ("--budget", 2, "--strategy", "longest", "-o", "picks.jsonl")
    assert selectllm("select", "pool.jsonl", *words).code == 0
    assert selectllm("handover", "picks.jsonl", "--to", "label-studio").code == 0
    assert "turns" not in Path("picks.handover.json").read_text("utf-8")
    assert "Paragraphs" not in Path("picks.handover.json.config.xml").read_text("utf-8")


def test_long_and_empty_turns_fit_argilla(selectllm: Command) -> None:
    long = [*talk(0)[:2], {"role": "the judge of all that was said", "content": "x" * 45_000}]
    long += [{"role": "assistant", "content": ""}, *talk(0)[4:]]
    write_jsonl(Path("pool.jsonl"), [{"id": str(n), "messages": long} for n in range(3)])
    words = ("--budget", 2, "--strategy", "longest", "-o", "picks.jsonl")
    assert selectllm("select", "pool.jsonl", *words).code == 0
    assert selectllm("handover", "picks.jsonl", "--to", "argilla").code == 0
    records = json.loads(Path("picks.handover.argilla/records.json").read_text("ascii"))
    for record in records:
        said = record["fields"]["turns"]
        assert all(0 < len(turn["content"]) <= 20_000 for turn in said)
        assert all(0 < len(turn["role"]) <= 20 and " " not in turn["role"] for turn in said)
        assert sum(turn["content"].count("x") for turn in said) == 45_000


def test_an_answer_of_an_annotator_is_the_last_turn_of_the_training_file(
    selectllm: Command,
) -> None:
    ids = selected(selectllm)
    assert selectllm("handover", "picks.jsonl", "--to", "jsonl").code == 0
    sheet = [{**row, "answer": "724 miles."} for row in read_jsonl(Path("picks.handover.jsonl"))]
    write_jsonl(Path("filled.jsonl"), sheet)
    done = selectllm("answers", "picks.jsonl", "filled.jsonl", "-o", "training.jsonl")
    assert done.code == 0, done.err
    for item in load_pool("training.jsonl").pool.items:
        assert item.id in ids
        assert [list(turn) for turn in item.turns] == [
            *turns(int(item.id)),
            ["assistant", "724 miles."],
        ]


def test_a_prompt_that_shows_turns_is_planned_and_sent_with_them(selectllm: Command) -> None:
    body = "{% for item in items %}[{{ item.label }}]{% for t in item.turns %} {{ t.role }}: "
    prompt = (
        "---\ndescription: d\nreply: indices\nlabels: numbers\n---\n{% block user %}"
        + body
        + "{{ t.text }}{% endfor %}{% endfor %}{% endblock %}"
    )
    Path("talks.jinja").write_text(prompt, "utf-8")
    rendered = selectllm("prompts", "render", "talks.jinja", "pool.csv", "--size", 2, "--k", 1)
    assert rendered.code == 0, rendered.err
    assert "tool: Elbe." in rendered.out
    words = ("--prompt", "./talks.jinja", "--budget", 2, "--by", "random", "--dry-run")
    planned = selectllm("select", "pool.csv", *words, "--model", "openai/gpt-4o-mini")
    assert "the turns of items" in planned.out + planned.err
    done = selectllm(
        "select", "pool.csv", *words[:-1], "--model", "mock/first", "-o", "picks.jsonl"
    )
    assert done.code == 0, done.err


@pytest.mark.parametrize("skip", [True, False])
def test_a_conversation_without_a_user_turn_stops_a_command_before_anything_is_asked(
    selectllm: Command, skip: bool
) -> None:
    rows = [{"id": str(n), "messages": talk(n)[:1] if n == 3 else talk(n)} for n in range(6)]
    write_jsonl(Path("pool.jsonl"), rows)
    words = ("--budget", 2, "--strategy", "longest", "-o", "picks.jsonl")
    outcome = selectllm("select", "pool.jsonl", *words, *(["--skip-bad"] if skip else []))
    if skip:
        assert outcome.code == 0, outcome.err
        (left,) = read_jsonl(Path("picks.jsonl.rejected.jsonl"))
        assert left["line"] == 4
        assert "no user turn" in left["reason"]
    else:
        assert_refused(outcome, "pool.jsonl:4: instruction is missing (messages has no user turn)")
        assert not Path("picks.jsonl").exists()
