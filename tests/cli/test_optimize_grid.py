"""`selectllm optimize --grid`: what it finds, explains, confirms, writes and refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from selectllm.core.types import Item
from selectllm.prompting.library import PromptLibrary
from selectllm.prompting.prompt import render
from selectllm.report.schemas import schema
from selectllm.selection.clustering.clusters_file import read_clusters
from tests.conftest import Command, read_jsonl
from tests.support.cli_files import assert_refused, files
from tests.support.optimize_cases import PLANTED, make_suite, served
from tests.support.optimize_cases import PROMPT as PLAIN
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.usefixtures("few_resamples")

VARIABLES = "variables: {hint: [none, vague, number]}\n"
PROMPT = (
    "---\ndescription: d\nreply: indices\nlabels: numbers\n" + VARIABLES + "---\n"
    "{% block user %}\nPick {{ k }} of {{ m }}.\n"
    "{% if hint == 'vague' %}\nChoose well.\n{% endif %}\n"
    "{% if hint == 'number' %}\nPlease " + PLANTED + ".\n{% endif %}\n"
    "{% for item in items %}\n=== [{{ item.label }}] ===\n{{ item.instruction }}\n{% endfor %}\n"
    "{%- endblock %}\n"
)
LARGER = (
    PROMPT.replace("labels: numbers\n", "")
    .replace("number]}", "number], labels: [numbers, letters], tone: [plain, kind]}")
    .replace("Pick", "Be {{ tone }}. Pick")
)
LETTERED = "mock/reply:[A]"
"""Its reply is invalid, and as good as random picks, unless candidates have letters."""
RUN = ("optimize", "suite.yaml", "--grid", "-o", "out")
SMALL = (*RUN, "--budget", 30, "--quiet")


def by_phrase(messages: Sequence[Mapping[str, Any]]) -> str:
    """Picks the best candidate if told PLANTED, else the first."""
    text = "\n".join(str(message["content"]) for message in messages)
    topics = re.findall(r"=== \[(\w+)\] ===\nTopic (\d+)", text)
    label, _ = max(topics, key=lambda topic: int(topic[1])) if PLANTED in text else topics[0]
    return f"[{label}]"


def first(messages: Sequence[Mapping[str, Any]]) -> str:
    """Picks the first candidate whatever it is told."""
    found = re.search(r"=== \[(\w+)\] ===", str(messages[-1]["content"]))
    assert found
    return f"[{found[1]}]"


def told() -> Any:
    return json.loads(Path("out/optimize.json").read_text(encoding="utf-8"))


def checked() -> Any:
    """What optimize.json says, held against its schema."""
    found = told()
    Draft202012Validator(schema("optimize")).validate(found)
    return found


def test_the_setting_that_plants_the_phrase_is_found_explained_confirmed_and_written(
    selectllm: Command,
) -> None:
    with ProviderServer(reply=by_phrase) as server:
        make_suite(selectllm, clusters=50, prompt=PROMPT, model=served(server))
        done = selectllm(*SMALL, "--budget", 60, "--json")
        sent = [request.body["messages"] for request in server.requests]
    assert done.code == 0, done.err
    assert done.json == checked()
    winner = next(s for s in done.json["settings"] if s["number"] == done.json["winner"])
    assert winner["settings"]["hint"] == "number"
    assert done.json["written"] == "mine@2"
    verdicts = done.json["confirmation"]["verdicts"]
    assert [each["word"] for each in verdicts] == ["better"]
    effects = {(each["variable"], each["value"]): each for each in done.json["effects"]}
    assert effects["hint", "number"]["p_holm"] < 0.05
    assert effects["hint", "number"]["effect"]["low"] > 0
    assert effects["hint", "vague"]["effect"]["estimate"] == 0
    assert effects["hint", "vague"]["p_holm"] == 1
    assert_written_as_measured(winner, sent)


def assert_written_as_measured(winner: Mapping[str, Any], sent: Sequence[object]) -> None:
    """mine@2 has the winner's settings as scalars, and shows what was sent for it."""
    new = PromptLibrary(Path("prompts")).load("mine@2")
    assert dict(new.variables) == {name: (value,) for name, value in winner["settings"].items()}
    assert new.parent == "mine@1"
    assert new.search is not None
    assert new.search.startswith("grid, seed 0, model m, 3 settings by successive halving (3 on 20")
    assert new.verdict is not None
    assert new.verdict.startswith("better against mine@1: +")
    rows = read_jsonl(Path("pool.jsonl"))
    items = {row["id"]: Item(row["id"], row["instruction"]) for row in rows}
    decisions = read_jsonl(Path("out/confirmation/decisions.jsonl"))[1:]
    measured = [each for each in decisions if each.get("prompt") == winner["prompt"]]
    assert len(measured) == 50
    for decision in measured:
        shown = render(new, [items[item_id] for item_id in decision["shown"]], 1)
        assert [dict(message) for message in shown] in sent


def test_rounds_are_balanced_and_never_touch_the_confirmation(selectllm: Command) -> None:
    make_suite(selectllm, prompt=LARGER, model=LETTERED)
    assert selectllm(*RUN, "--budget", 240, "--quiet").code in (0, 3)
    found = checked()
    rows = read_jsonl(Path("out/decisions.jsonl"))[1:]
    number = {each["sha256"]: each["number"] for each in found["settings"]}
    asked = {(number[row["prompt_sha256"]], row["cluster"]) for row in rows}
    assert asked == {
        (setting, cluster)
        for each in found["rounds"]
        for setting in each["settings"]
        for cluster in each["clusters"]
    }
    assert len(rows) == found["plan"]["decisions"] <= 240
    assert len(found["rounds"]) == 2
    for before, after in pairwise(found["rounds"]):
        assert set(after["settings"]) == {0, *before["survivors"]} < set(before["settings"])
        assert not set(after["clusters"]) & set(before["clusters"])
    assert set(found["finalists"]) <= set(found["rounds"][-1]["survivors"])
    held_out = read_clusters(Path("out/confirmation/clusters.json"))
    assert not {cluster.id for cluster in held_out} & {cluster for _, cluster in asked}
    assert selectllm("verify", "out/confirmation").code == 0


def test_the_plan_is_told_before_and_the_figures_after(selectllm: Command) -> None:
    make_suite(selectllm, prompt=LARGER, model=LETTERED)
    done = selectllm(*RUN, "--budget", 240)
    for fact in (
        *("12 settings of mine@1 with mock/reply:[A]", "2 rounds and 239 decisions"),
        *("Round 1 asks 12 settings about 10 clusters, in 120 decisions", "7 settings"),
        *("17 more clusters, in 119 decisions", "at most 240 more decisions"),
    ):
        assert fact in done.err, fact
    for words in (
        "settings, ordered by captured",
        "number, not none",
        "letters, not numbers",
        "noise floor",
    ):
        assert words in done.out, words


def test_a_grid_made_again_decides_nothing_anew_and_finds_the_same(selectllm: Command) -> None:
    make_suite(selectllm, prompt=PROMPT, model="mock/random")
    code, before = selectllm(*SMALL).code, files()
    assert selectllm(*SMALL).code == code
    assert files() == before
    assert selectllm(*SMALL, "-o", "elsewhere").code == code
    assert Path("elsewhere/optimize.json").read_bytes() == Path("out/optimize.json").read_bytes()


def test_where_no_setting_does_better_nothing_is_confirmed(selectllm: Command) -> None:
    make_suite(selectllm, prompt=LARGER)
    done = selectllm(*RUN, "--quiet")
    assert done.code == 0, done.err
    assert "No setting did better than the default one" in done.out
    found = checked()
    assert (found["finalists"], found["confirmation"], found["verdict"]) == ([], None, None)
    assert not Path("out/confirmation").exists()
    assert not Path("prompts/mine/v2.jinja").exists()


def test_an_inconclusive_finalist_is_written_only_by_force(selectllm: Command) -> None:
    make_suite(selectllm, prompt=LARGER, model=LETTERED)
    done = selectllm(*RUN, "--quiet")
    assert done.code == 3, done.err
    assert "the verdict is inconclusive and --force was not given" in done.out
    assert not Path("prompts/mine/v2.jinja").exists()
    assert selectllm(*RUN, "--quiet", "--force").code == 3
    assert Path("prompts/mine/v2.jinja").read_bytes() == Path("out/winner.jinja").read_bytes()


@pytest.mark.parametrize(
    ("prompt", "arguments", "words"),
    [
        (PLAIN, (), "--grid tries values of a prompt's variables, and this one has none"),
        (PROMPT, ("--teacher", "mock/first"), "--teacher and --grid"),
        (PROMPT, ("--demonstrations", 2), "--demonstrations and --grid"),
        (PROMPT, ("--budget", 14), "one round of all 3 settings takes 15 decisions"),
        (PROMPT, ("--limit", 39), "needs 40 clusters"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(
    selectllm: Command, prompt: str, arguments: tuple[object, ...], words: str
) -> None:
    make_suite(selectllm, prompt=prompt)
    before = files()
    assert_refused(selectllm(*RUN, *arguments), words)
    assert files() == before


def test_a_setting_that_cannot_be_shown_is_refused_before_anything_is_asked(
    selectllm: Command,
) -> None:
    make_suite(selectllm, ("size: 4", "size: 30"), clusters=300, prompt=LARGER)
    before = files()
    assert_refused(selectllm(*RUN), "letters label at most 26 candidates, not 30")
    assert files() == before


def test_offline_a_missing_reply_is_told_with_the_command_that_gets_it(
    selectllm: Command,
) -> None:
    with ProviderServer() as server:
        make_suite(selectllm, prompt=PROMPT, model=served(server))
        done = selectllm(*RUN, "--offline", "--quiet")
        assert server.count == 0
    assert_refused(done, "To ask for them, run: selectllm optimize", code=5)
