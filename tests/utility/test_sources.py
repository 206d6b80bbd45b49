"""Sources of utilities in suites: code of the user's own, and numbers of which lower is better."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import RATED, assert_refused, write_suite

OWN = """
from selectllm import Utility

def by_words(pool, *, name, weight=1.0):
    values = {item.id: weight * len(item.text.split()) for item in pool.items}
    return Utility(name, "mine", "proxy", values, rater="words", reliability=0.81)

def a_number(pool, *, name):
    return 3

def failing(pool, *, name):
    return {}["nothing"]

def texts(pool, *, name):
    return Utility(name, "mine", "proxy", {pool.items[0].id: "high"})

def of_no_kind(pool, *, name):
    return Utility(name, "mine", "gold", {pool.items[0].id: 1.0})

def too_reliable(pool, *, name):
    return Utility(name, "mine", "proxy", {pool.items[0].id: 1.0}, reliability=1.7)

def of_others(pool, *, name):
    return Utility(name, "mine", "proxy", {"nobody": 1.0})

def of_some(pool, *, name):
    return Utility(name, "mine", "proxy", {pool.items[0].id: 1.0})

NO_FUNCTION = 3
"""


@pytest.fixture(autouse=True)
def beside_the_suite(selectllm: Command, pool_file: Path) -> Iterator[None]:
    """A pool, and words.py with sources of our own."""
    Path("words.py").write_text(OWN, encoding="utf-8")
    Path("broken.py").write_text("def thing(:\n", encoding="utf-8")
    before = list(sys.path)
    yield
    sys.modules.pop("words", None)
    assert sys.path == before


def run(selectllm: Command, *utilities: str) -> Outcome:
    suite = write_suite(f"utilities: [{', '.join(utilities)}]")
    return selectllm("eval", suite, "-o", "run", "--json", "--quiet")


def agreement(outcome: Outcome, name: str) -> Any:
    assert outcome.code == 0, outcome.err
    return outcome.json["pairs"][0]["agreement"][name]


def test_code_beside_the_suite_is_a_source_by_module_and_attribute(selectllm: Command) -> None:
    outcome = run(selectllm, "{name: words, source: 'words:by_words'}")
    assert agreement(outcome, "words")["kind"] == "proxy"
    (told,) = outcome.json["utilities"]
    assert (told["name"], told["source"], told["rater"]) == ("words", "words:by_words", "words")
    assert told["ceiling"] == pytest.approx(0.9)
    values = {
        row["id"]: row["values"]["words"] for row in read_jsonl(Path("run/utilities.jsonl"))[1:]
    }
    first = pool_rows()[0]
    assert values[first["id"]] == len(f"{first['instruction']}\n\n{first['input']}".split())
    assert selectllm("verify", "run").code == 0


def test_it_is_called_with_the_options_of_the_suite(selectllm: Command) -> None:
    plain = run(selectllm, "{name: words, source: 'words:by_words'}")
    few = "{name: words, source: 'words:by_words', options: {weight: -1}}"
    turned = selectllm("eval", write_suite(f"utilities: [{few}]"), "-o", "few", "--json", "--quiet")
    assert agreement(plain, "words") != agreement(turned, "words")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("source: 'words:by_words', options: {wieght: 2}", "'wieght'). Correct `options`"),
        ("source: 'words:a_number'", "words:a_number gave int. Return a selectllm.Utility"),
        ("source: 'words:failing'", "words:failing failed: KeyError: 'nothing' ("),
        ("source: 'words:texts'", "words:texts failed: TypeError"),
        (
            "source: 'words:of_no_kind'",
            "kind must be one of outcome, human, model, proxy, not 'gold'",
        ),
        ("source: 'words:too_reliable'", "reliability must be from 0 to 1, not 1.7"),
        ("source: 'broken:thing'", "cannot be used"),
        ("source: 'words:of_others'", "values for 1 ids that are not in the pool: 'nobody'"),
        ("source: 'words:of_some'", "no value for 39 of the 40 items"),
        ("source: 'words:NO_FUNCTION'", "of the type int, not function"),
        ("source: 'words:nothing'", "cannot be used"),
        ("source: 'no_such_module:thing'", "No module named 'no_such_module'"),
        ("source: 'ratngs'", "Did you mean 'ratings'?"),
        ("source: 'words:'", "utilities.0.source: 'words:' String should match"),
        ("source: 3", "utilities.0.source: 3 is none of ratings, knn, import"),
        ("source: student", "is source: import"),
        ("column: rating", "utilities.0.source' is missing"),
        ("source: 'words:by_words', option: {}", "unknown key 'utilities.0.option'"),
        ("source: 'words:by_words', options: {day: 2026-01-01}", "what JSON can carry"),
    ],
)
def test_what_cannot_be_used_is_refused(selectllm: Command, entry: str, words: str) -> None:
    assert_refused(run(selectllm, f"{{name: words, {entry}}}"), words)
    assert not Path("run").exists()


@pytest.mark.parametrize("source", ["column", "file", "code"])
def test_of_numbers_of_which_lower_is_better_the_sign_is_turned(
    selectllm: Command, source: str
) -> None:
    rows = [{**row, "loss": -row["rating"]} for row in pool_rows()]
    write_jsonl(Path("pool.jsonl"), rows)
    losses = [{"id": row["id"], "value": row["loss"]} for row in rows]
    write_jsonl(Path("losses.jsonl"), losses)
    Path("words.py").write_text(
        "from selectllm import Utility\n"
        "def losses(pool, *, name):\n"
        "    values = {item.id: item.row['loss'] for item in pool.items}\n"
        "    return Utility(name, 'mine', 'human', values)\n",
        encoding="utf-8",
    )
    entry = {
        "column": "source: ratings, column: loss, range: [-5, -1]",
        "file": "source: import, file: losses.jsonl, range: [-5, -1]",
        "code": "source: 'words:losses'",
    }[source]
    loss = f"{{name: loss, {entry}, higher_is_better: false}}"
    rated = RATED.partition("[")[2].rpartition("]")[0]
    outcome = run(selectllm, loss, rated)
    assert agreement(outcome, "loss") == agreement(outcome, "rating")


def test_which_way_is_better_is_no_question_of_a_proxy(selectllm: Command) -> None:
    near = "{name: near, source: knn, test: pool.jsonl, higher_is_better: false}"
    assert_refused(run(selectllm, near), "unknown key 'utilities.0.higher_is_better'")
