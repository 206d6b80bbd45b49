"""`selectllm optimize`: what it finds, confirms, writes and refuses."""

from __future__ import annotations

import json
import signal
import time
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
from tests.support import forked
from tests.support.cli_files import assert_refused, files
from tests.support.optimize_cases import (
    BETTER,
    HEAD,
    PLANTED,
    TEACHERS,
    Scripted,
    make_suite,
    proposal,
    served,
)
from tests.support.provider_server import FAULTS, Answer, ProviderServer

pytestmark = pytest.mark.usefixtures("few_resamples")

USELESS = proposal("You choose with great care.")
SILENT = "mock/reply:I would rather not."
SEARCH = ("--budget", 90, "-o", "out", "--quiet")
RUN = ("optimize", "suite.yaml", *SEARCH)


def decided(path: str = "out/decisions.jsonl") -> list[dict[str, Any]]:
    """The decisions in a log, without its manifest."""
    rows: list[dict[str, Any]] = read_jsonl(Path(path))[1:]
    return rows


def told(path: str = "out/optimize.json") -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def request_texts(server: ProviderServer) -> list[str]:
    return [json.dumps(seen.body, sort_keys=True) for seen in server.requests]


def test_the_planted_phrase_is_found_confirmed_and_written_as_it_was_measured(
    selectllm: Command,
) -> None:
    scripted = Scripted("I would rather not.", USELESS, proposal(BETTER))
    with ProviderServer(reply=scripted) as server:
        make_suite(selectllm, model=served(server))
        done = selectllm(*RUN, "--json")
        assert done.code == 0, done.err
        confirmed = [text for text in request_texts(server) if PLANTED in text]
    assert done.json == told()
    Draft202012Validator(schema("optimize")).validate(done.json)
    assert done.json["kind"] == "search"
    assert done.json["verdict"]["word"] == "better"
    assert done.json["written"] == "mine@2"
    assert done.json["search"]["failed"] == 1
    assert done.json["captured"]["confirmation"]["winner"]["estimate"] == 1.0

    new = PromptLibrary(Path("prompts")).load("mine@2")
    assert new.parent == "mine@1"
    assert new.verdict is not None
    assert new.verdict.startswith("better against mine@1: +0.9")
    items = [Item(row["id"], row["instruction"]) for row in read_jsonl(Path("pool.jsonl"))]
    by_id = {item.id: item for item in items}
    for decision in decided("out/confirmation/decisions.jsonl"):
        if decision.get("prompt") == "mine@draft":
            shown = render(new, [by_id[item_id] for item_id in decision["shown"]], 1)
            assert any(json.dumps(shown[0]["content"])[1:-1] in text for text in confirmed)
            assert any(json.dumps(shown[1]["content"])[1:-1] in text for text in confirmed)


def test_confirmation_clusters_are_never_seen_by_the_search(selectllm: Command) -> None:
    with ProviderServer(reply=Scripted(proposal(BETTER))) as server:
        make_suite(selectllm, model=served(server))
        assert selectllm(*RUN, "--demonstrations", 2).code == 0
        taught = " ".join(text for text in request_texts(server) if TEACHERS in text)
    held_out = read_clusters(Path("out/confirmation/clusters.json"))
    searched = {decision["cluster"] for decision in decided()}
    assert not searched & {cluster.id for cluster in held_out}
    rows = {row["id"]: row["instruction"] for row in read_jsonl(Path("pool.jsonl"))}
    unseen = {rows[member] for cluster in held_out for member in cluster.members}
    seen = {rows[item_id] for decision in decided() for item_id in decision["shown"]}
    assert not [topic for topic in unseen - seen if f"\\n{topic}\\n" in taught]


def test_a_search_never_takes_more_decisions_than_its_budget(selectllm: Command) -> None:
    with ProviderServer(reply=Scripted(USELESS, proposal(BETTER))) as server:
        make_suite(selectllm, model=served(server))
        assert selectllm(*RUN, "--budget", 50).code == 0
    assert told()["search"]["decisions"] <= 50
    # What is measured of both on the training clusters comes on top, and is told beforehand.
    most = 50 + 2 * told()["splits"]["training"]
    assert told()["search"]["decisions"] <= len(decided()) <= most


def test_what_is_going_to_be_asked_is_told_beforehand(selectllm: Command) -> None:
    make_suite(selectllm)
    done = selectllm(*RUN[:-1], "--teacher", SILENT)
    for fact in (
        *("mine@1 with mock/first", "mock/reply:", "18 training, 12 validation, 30 confirmation"),
        *("at most 90 decisions", "at most 36 more", "at most 120 more"),
    ):
        assert fact in done.err, fact


def test_of_a_confirmation_that_ends_early_all_figures_are_of_the_same_clusters(
    selectllm: Command,
) -> None:
    with ProviderServer(reply=Scripted(proposal(BETTER))) as server:
        make_suite(selectllm, clusters=400, model=served(server))
        done = selectllm(*RUN, "--budget", 300)
    assert done.code == 0, done.err
    asked, there = told()["confirmed_on"], told()["splits"]["confirmation"]
    assert asked == 100 < there == 200
    assert "confirmation (100 of 200)" in done.out
    (longest,) = (c for c in told()["verdict"]["controls"] if c["strategy"] == "longest")
    assert told()["controls"]["confirmation"]["longest"] == longest["captured"]


def test_the_same_found_again_is_the_same_version(selectllm: Command) -> None:
    with ProviderServer(reply=Scripted(*[proposal(BETTER)] * 9)) as server:
        make_suite(selectllm, model=served(server))
        assert selectllm(*RUN).code == 0
        assert selectllm(*RUN, "--limit", 55, "-o", "other").code == 0
    assert told()["written"] == "mine@2"
    assert json.loads(Path("other/optimize.json").read_bytes())["written"] == "mine@2"
    assert not Path("prompts/mine/v3.jinja").exists()
    new = PromptLibrary(Path("prompts")).load("mine@2")
    assert new.description == "What mine@1 asks, under instructions that a search found."


def test_a_search_made_again_asks_nothing_and_finds_the_same(selectllm: Command) -> None:
    with ProviderServer(reply=Scripted(USELESS, proposal(BETTER))) as server:
        make_suite(selectllm, model=served(server))
        assert selectllm(*RUN).code == 0
        asked, before = server.count, files()
        assert selectllm(*RUN).code == 0
        assert selectllm(*RUN, "-o", "elsewhere").code == 0
        assert server.count == asked
    assert before == {name: data for name, data in files().items() if "elsewhere" not in name}
    for name in ("optimize.json", "winner.jinja", "confirmation/results.json"):
        assert Path("elsewhere", name).read_bytes() == Path("out", name).read_bytes()


def test_a_search_that_is_killed_goes_on_where_it_was(selectllm: Command) -> None:
    with ProviderServer(reply=Scripted(USELESS, proposal(BETTER)), latency=0.02) as server:
        make_suite(selectllm, model=served(server))
        running = forked.selectllm(*RUN, "-j", "1", loads=forked.SEARCHING)
        while server.count < 30 and running.poll() is None:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
        done = selectllm(*RUN)
        assert done.code == 0, done.err
        texts = request_texts(server)
    assert len(texts) - len(set(texts)) <= 1  # what was in flight when it was killed
    assert told()["written"] == "mine@2"


@pytest.mark.parametrize("teaching", [True, False], ids=["the teacher", "a decision"])
def test_a_failing_provider_is_no_score_and_ends_the_search(
    selectllm: Command, teaching: bool
) -> None:
    def failing(body: Any, headers: object, n: int) -> Answer | None:
        asked_to_teach = TEACHERS in json.dumps(body)
        return FAULTS["401"] if asked_to_teach is teaching and n >= 9 else None

    with ProviderServer(failing, reply=Scripted(proposal(BETTER))) as server:
        make_suite(selectllm, model=served(server))
        assert_refused(selectllm(*RUN), "HTTP 401", code=6)
        assert not Path("out/optimize.json").exists()
        assert {row["status"] for row in decided()} == {"ok"}
        server.state.respond = None
        done = selectllm(*RUN)
        assert done.code == 0, done.err
    assert told()["written"] == "mine@2"
    assert told()["search"]["failed"] == 0


def test_a_teacher_that_writes_nothing_usable_ends_the_search_in_order(
    selectllm: Command,
) -> None:
    make_suite(selectllm)
    done = selectllm(*RUN, "--teacher", SILENT)
    assert done.code == 3, done.err
    for words in ('{"new_instructions": "..."}', "I would rather not.", "--teacher"):
        assert words in done.err
    assert "5 of 5 proposals could not be used" in done.out
    assert "5 proposals in a row could not be used" in done.out
    assert "No version did better than the parent" in done.out
    assert "worth (kind: human; unvalidated)" in done.out
    assert "unknown (no reliability)" in done.out
    assert told()["verdict"] is None
    Draft202012Validator(schema("optimize")).validate(told())
    assert not Path("prompts/mine/v2.jinja").exists()
    assert not Path("out/confirmation").exists()


def test_a_version_that_does_no_better_in_validation_is_not_confirmed(selectllm: Command) -> None:
    make_suite(selectllm)
    done = selectllm(*RUN, "--teacher", f"mock/reply:{USELESS}")
    assert done.code == 0, done.err
    assert told()["search"]["failed"] == 0
    assert told()["search"]["proposals"] > 3
    assert told()["captured"]["training"]["winner"] == told()["captured"]["training"]["parent"]


class Slightly(Scripted):
    """Picks the best if told PLANTED, in half of the clusters."""

    def __call__(self, messages: Any) -> str:
        text = "\n".join(str(message["content"]) for message in messages)
        lucky = sum(map(ord, str(messages[-1]["content"]))) % 10 < 5
        return super().__call__(messages) if lucky or TEACHERS in text else "[1]"


def test_an_inconclusive_winner_is_kept_with_the_search_and_written_only_by_force(
    selectllm: Command,
) -> None:
    with ProviderServer(reply=Slightly(proposal(BETTER))) as server:
        make_suite(selectllm, clusters=40, model=served(server))
        done = selectllm(*RUN)
        assert done.code == 3, done.err
        assert "the verdict is inconclusive and --force was not given" in done.out
        assert not Path("prompts/mine/v2.jinja").exists()
        assert "verdict: 'inconclusive against mine@1:" in Path("out/winner.jinja").read_text(
            "utf-8"
        )
        forced = selectllm(*RUN[:-1], "--force")
        assert forced.code == 3
        assert "mine@2 is in prompts/mine/v2.jinja" in forced.err
    assert Path("prompts/mine/v2.jinja").read_bytes() == Path("out/winner.jinja").read_bytes()
    assert told()["written"] == "mine@2"


def test_demonstrations_are_of_training_clusters_and_stand_in_the_template(
    selectllm: Command,
) -> None:
    """The first example holds the planted phrase, which no teacher proposes."""
    with ProviderServer(reply=Scripted("I would rather not.")) as server:
        changed = HEAD + (
            "{% block user %}\nWe "
            + "{% for item in items %}\n=== [{{ item.label }}] ===\n{{ item.instruction }}\n"
            + "{% endfor %}\n{{ k }} of {{ m }}{% endblock %}\n"
        )
        make_suite(selectllm, prompt=changed, model=served(server))
        server.state.reply = by_examples
        done = selectllm(*RUN, "--demonstrations", 2)
        assert done.code == 0, done.err
    assert told()["search"]["demonstrations"] == 2
    text = told()["search"]["text"]
    assert "### Example 2: the best picks" in text
    rows = {row["instruction"]: row["id"] for row in read_jsonl(Path("pool.jsonl"))}
    held_out = read_clusters(Path("out/confirmation/clusters.json"))
    members = {member for cluster in held_out for member in cluster.members}
    shown = [line for line in text.split("\n") if line.startswith("Topic ")]
    assert len(shown) == 8
    assert not members & {rows[topic] for topic in shown}


def by_examples(messages: Any) -> str:
    """Picks the best candidate if shown examples, else the first; teaches nothing."""
    if any(TEACHERS in str(message["content"]) for message in messages):
        return "no"
    told_so = len(messages) > 1
    return Scripted()([{"content": f"{PLANTED if told_so else ''}\n{messages[-1]['content']}"}])


def test_the_guards_stand_before_and_after(selectllm: Command) -> None:
    with ProviderServer(reply=Scripted(proposal(BETTER))) as server:
        make_suite(selectllm, model=served(server))
        done = selectllm(*RUN)
    assert done.code == 0, done.err
    guards = told()["guards"]
    assert guards["parent"]["slots"]["counts"] == [60, 0, 0, 0]
    assert guards["winner"]["order_consistency"]["estimate"] == 1.0
    assert guards["winner"]["tokens_in"] > guards["parent"]["tokens_in"]
    assert told()["noise"]["pair"] == "mine@1 + m"
    controls = told()["controls"]
    assert sorted(controls) == ["confirmation", "training", "validation"]
    by_verdict = {each["strategy"]: each["captured"] for each in told()["verdict"]["controls"]}
    assert controls["confirmation"] == {"longest": by_verdict["longest"]}
    assert "longest alone" in done.out
    for words in ("training (18)", "validation (12)", "confirmation (30)", "60 0 0 0 (p < 0.001)"):
        assert words in done.out
    assert "noise floor" in done.out
    assert selectllm("verify", "out/confirmation").code == 0


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        (
            [("utilities: [{name: worth, source: ratings, column: worth}]\n", "")],
            (),
            "optimize needs a utility",
        ),
        ([("size: 4}", "size: 4, limit: 39}")], (), "needs 40 clusters"),
        ([], ("--budget", 31), "--budget 31: one round takes 32 decisions"),
        ([], ("--budget", 43, "--demonstrations", 1), "one round takes 44 decisions"),
        ([], ("--demonstrations", 19), "of which there are 18. Ask for that many at most"),
        ([], ("--teacher", "openai/gpt-4o"), "--teacher openai/gpt-4o: OPENAI_API_KEY is not set"),
        ([], ("--teacher", "gpt-4o"), "'gpt-4o' names no provider"),
        ([], ("--prompt", "other@1"), "--prompt 'other@1' is not in the suite"),
        ([("[mine@1]", "[./draft.jinja]")], (), "is a file without a version"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(
    selectllm: Command,
    monkeypatch: pytest.MonkeyPatch,
    changes: list[tuple[str, str]],
    arguments: tuple[object, ...],
    words: str,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    make_suite(selectllm, *changes)
    Path("draft.jinja").write_bytes(Path("prompts/mine/v1.jinja").read_bytes())
    before = files()
    assert_refused(selectllm(*RUN, *arguments), words)
    assert files() == before


def test_outside_a_workspace_there_is_nowhere_to_write(selectllm: Command) -> None:
    make_suite(selectllm)
    Path("prompts/LOCK.yaml").unlink()
    assert_refused(selectllm(*RUN), "optimize writes into prompts/ of a workspace")


def test_offline_a_missing_reply_is_told_with_the_command_that_gets_it(
    selectllm: Command,
) -> None:
    with ProviderServer() as server:
        make_suite(selectllm, model=served(server))
        done = selectllm(*RUN, "--offline")
        assert server.count == 0
    assert_refused(done, "reply of m. To ask for them, run: selectllm optimize ", code=5)
    assert "--offline" not in done.err.partition("run: ")[2]


def test_the_ceiling_on_cost_holds_for_task_and_teacher_together(selectllm: Command) -> None:
    with ProviderServer(reply=Scripted(USELESS, proposal(BETTER))) as server:
        priced = served(server) | {"price": {"input": 1.0, "output": 1.0}, "max_tokens": 100}
        make_suite(selectllm, model=priced)
        done = selectllm(*RUN, "--max-cost", 0.003)
        assert_refused(done, "--max-cost 0.003 USD reached", code=4)
        done = selectllm(*RUN, "--max-cost", 1)
        assert done.code == 0, done.err
    texts = request_texts(server)
    assert len(texts) == len(set(texts))
