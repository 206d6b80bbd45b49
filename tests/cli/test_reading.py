"""What a user's own files need on the command line: --map, --turns, and advice that works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import OUT, write_suite

TEXTS = [f"Explain in {n} sentences what a river is good for." for n in range(2, 14)]
FOREIGN = [{"status": "done", "words": text, "reply": "Water."} for text in TEXTS]
CHAT = {
    "messages": [
        {"role": "system", "content": "Answer like a pirate."},
        {"role": "user", "content": "Name two uses of a river."},
        {"role": "assistant", "content": "Arr, two."},
        {"role": "user", "content": "Now in rhyme."},
        {"role": "assistant", "content": "A rhyme."},
    ]
}
LONGEST = ("--budget", "2", "--strategy", "longest")


def advised(err: str) -> list[str]:
    """The arguments that an error advises."""
    found = re.search(r"--map (\S+)", err)
    assert found, err
    return shlex.split(found[0])


@pytest.mark.parametrize(
    "arguments",
    [
        ("select", "own.jsonl", *LONGEST),
        ("prompts", "render", "short@1", "own.jsonl"),
        ("prompts", "diff", "short@1", "criteria@1", "--pool", "own.jsonl"),
    ],
)
def test_the_advice_to_map_a_column_works_as_it_stands(
    selectllm: Command, arguments: tuple[str, ...]
) -> None:
    write_jsonl(Path("own.jsonl"), FOREIGN)
    refused = selectllm(*arguments)
    assert refused.code == 2
    assert "instruction=words" in refused.err
    followed = selectllm(*arguments, *advised(refused.err))
    assert followed.code == 0, followed.err


def test_a_suite_is_told_what_to_write_into_it(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), FOREIGN)
    suite = write_suite()
    for verb in ("eval", "plan"):
        refused = selectllm(verb, suite)
        assert refused.code == 2
        assert "columns: {instruction: words}" in refused.err
        assert "--map" not in refused.err
    write_suite("columns: {instruction: words}")
    assert selectllm("eval", suite).code == 0


def test_a_nested_column_is_mapped_and_selected(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{"item": {"q 1": text}} for text in TEXTS])
    refused = selectllm("select", "pool.jsonl", *LONGEST)
    assert "--map 'instruction=item.q 1'" in refused.err
    assert selectllm("select", "pool.jsonl", *LONGEST, "--map", "instruction=item.q 1").code == 0
    assert all(row["item"]["q 1"] in TEXTS for row in read_jsonl(OUT))


@pytest.mark.parametrize(
    ("turns", "shown", "hidden"),
    [
        ((), ["Now in rhyme.", "Answer like a pirate.", "Arr, two."], ["A rhyme."]),
        (("--turns", "first"), ["Name two uses"], ["Now in rhyme.", "pirate"]),
        (("--turns", "all"), ["pirate", "Name two uses", "Now in rhyme."], ["A rhyme."]),
    ],
)
def test_which_turns_a_model_is_shown(
    selectllm: Command, turns: tuple[str, ...], shown: list[str], hidden: list[str]
) -> None:
    write_jsonl(Path("chat.jsonl"), [CHAT] * 3)
    rendered = selectllm("prompts", "render", "criteria@1", "chat.jsonl", *turns)
    assert rendered.code == 0, rendered.err
    assert "3 of 3 chats have several user turns" in rendered.err
    assert all(text in rendered.out for text in shown)
    assert not any(text in rendered.out for text in hidden)


def test_a_suite_says_which_turns_are_shown(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [CHAT | {"id": str(n)} for n in range(10)])
    suite = write_suite("columns: {turns: first}")
    done = selectllm("eval", suite, "-o", "run")
    assert done.code == 0, done.err
    assert "10 of 10 chats have several user turns. The first one is shown" in done.err
    assert selectllm("utility", "ask", "run", "-o", "sheet.csv").code == 0
    assert "Now in rhyme" not in Path("sheet.csv").read_text("utf-8-sig")
    described = Path("run/run.json")  # as 0.2.0 wrote it, which knew no turns but the first
    described.write_text(described.read_text("utf-8").replace('"turns": "first"', ""), "utf-8")
    assert selectllm("utility", "ask", "run", "-o", "again.csv").code == 0
    suite = write_suite("columns: {turns: frist}")
    refused = selectllm("eval", suite)
    assert refused.code == 2
    assert "turns: frist" in refused.err
    assert "'first'" in refused.err


class TestTestFiles:
    """Test items beside a pool, each file with names of its own."""

    POOL: list[dict[str, Any]] = [
        {"id": f"p{n}", "words": text, "reply": "Water."} for n, text in enumerate(TEXTS)
    ]
    MAPPED = ("--map", "instruction=words", "--map", "response=reply")
    KNN = ("--k", "2", "--answer", "rouge-l")

    @pytest.mark.parametrize(("asked", "answered"), [("words", "reply"), ("prompt", "completion")])
    def test_they_are_called_like_the_pool_s_or_like_ours(
        self, selectllm: Command, asked: str, answered: str
    ) -> None:
        write_jsonl(Path("pool.jsonl"), self.POOL)
        tests = [{asked: f"What is lake {n} good for?", answered: "Swimming."} for n in range(5)]
        write_jsonl(Path("test.jsonl"), tests)
        knn = ("utility", "knn", "pool.jsonl", "--test", "test.jsonl", *self.KNN)
        done = selectllm(*knn, *self.MAPPED)
        assert done.code == 0, done.err

    def test_they_are_mapped_apart_from_the_pool_s(self, selectllm: Command) -> None:
        write_jsonl(Path("pool.jsonl"), self.POOL)
        tests = [{"ask": f"What is lake {n} good for?", "say": "Swimming."} for n in range(5)]
        write_jsonl(Path("test.jsonl"), tests)
        knn = ("utility", "knn", "pool.jsonl", "--test", "test.jsonl", *self.KNN, *self.MAPPED)
        unnamed = selectllm(*knn)
        assert unnamed.code == 2
        assert "--test-map instruction=ask" in unnamed.err
        half = selectllm(*knn, "--test-map", "instruction=ask")
        assert (half.code, "--test-map response=COL" in half.err) == (2, True)
        wrong = selectllm(*knn, "--test-map", "instruction=asks")
        assert "--test-map instruction=asks" in wrong.err
        assert "Did you mean 'ask'?" in wrong.err
        mapped = ("--test-map", "instruction=ask", "--test-map", "response=say")
        assert selectllm(*knn, *mapped).code == 0

    @pytest.mark.parametrize(
        "verb",
        [
            "utility student pool.jsonl",
            "student train pool.jsonl -o trained",
            "student compare sets --pool pool.jsonl",
            "utility validate suite.yaml",
        ],
    )
    def test_verbs_that_train_take_the_same_option(self, selectllm: Command, verb: str) -> None:
        shown = " ".join(selectllm(*verb.split(), "--help").out.split())
        assert "--test-map NAME=COL" in shown

    def test_a_suite_names_their_columns_in_the_entry(self, selectllm: Command) -> None:
        write_jsonl(Path("pool.jsonl"), [{**row, "response": "a"} for row in pool_rows(10)])
        tests = [{"frage": f"Which lake is number {n}?", "response": "b"} for n in range(5)]
        write_jsonl(Path("test.jsonl"), tests)
        entry = "{name: knn, source: knn, test: test.jsonl, k: 2, answer: rouge-l%s}"
        refused = selectllm("eval", write_suite(f"utilities: [{entry % ''}]"))
        assert refused.code == 2
        assert "test.jsonl:1: no column holds the instruction" in refused.err
        assert "columns: {instruction: frage}" in refused.err
        assert "entry of knn" in refused.err
        named = entry % ", columns: {instruction: frage}"
        assert selectllm("eval", write_suite(f"utilities: [{named}]")).code == 0


class TestEncoders:
    """The encoder that a suite names, and what it is not made for."""

    def test_a_suite_names_an_encoder_and_the_call_another(self, selectllm: Command) -> None:
        write_jsonl(Path("pool.jsonl"), pool_rows(12))
        Path("empty").mkdir()
        suite = write_suite("by: random -> by: diverse", "encoder: empty")
        refused = selectllm("eval", suite)
        assert refused.code == 2
        assert "empty" in refused.err
        assert "encoder" in refused.err
        done = selectllm("eval", suite, "--encoder", "all-MiniLM-L6-v2", "-o", "run")
        assert done.code == 0, done.err

    def test_items_in_a_script_that_the_encoder_does_not_know_are_told_once(
        self, selectllm: Command
    ) -> None:
        rows = [{"instruction": f"Назови {n} цветов радуги."} for n in range(12)]
        write_jsonl(Path("pool.jsonl"), rows)
        done = selectllm("select", "pool.jsonl", "--budget", "2", "--strategy", "k-center")
        assert done.code == 0, done.err
        assert done.err.count("Cyrillic") == 1
        assert "--encoder" in done.err
        quiet = selectllm("select", "pool.jsonl", *LONGEST, "-o", "other.jsonl")
        assert "Cyrillic" not in quiet.err
