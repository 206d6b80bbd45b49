"""Jobs asked in batches: the results are those of calls, and nothing is asked or paid for twice."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from selectllm.core.errors import UsageError
from selectllm.jobs.session import Session
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.batch_server import BatchServer, Made
from tests.support.cli_files import RATED, statuses, write_suite
from tests.support.provider_server import error

pytestmark = pytest.mark.usefixtures("quick")

FREE = {"price": {"input": 0, "output": 0}}
PRICED = {"price": {"input": 1000, "output": 1000}}  # USD a million tokens
CLAUDE = "anthropic/claude-3-haiku-20240307"


def suite_of(server: BatchServer, model: str, *changes: str, **settings: object) -> Path:
    write_jsonl(Path("pool.jsonl"), pool_rows(40))
    base = server.root if model.startswith(("anthropic", "azure")) else server.base_url
    entry = {"name": "m", "id": model, "api_base": base, **settings}
    return write_suite(f"mock/first -> {json.dumps(entry)}", RATED, *changes)


def results(folder: str) -> str:
    """The results without what the clock says."""
    text = (Path(folder) / "results.json").read_text(encoding="utf-8")
    assert '"seconds": ' in text
    return re.sub(r'"seconds": [0-9.e-]+', "", text)


def evaluated(selectllm: Command, suite: Path, *options: object, code: int = 0) -> Outcome:
    outcome = selectllm("eval", suite, "-o", "run", "--batch", *options)
    assert outcome.code == code, outcome.err
    return outcome


def noted(path: str = "run/batches.json") -> list[Any]:
    """The batches that a run's folder names."""
    return list(json.loads(Path(path).read_text(encoding="utf-8"))["batches"])


def journal() -> list[Path]:
    """The batches that are not collected yet."""
    return sorted(Path("cache/batches").glob("*.json"))


@pytest.mark.parametrize("model", ["openai/m", CLAUDE])
def test_the_results_of_batches_are_those_of_calls(
    selectllm: Command, batches: BatchServer, model: str
) -> None:
    suite = suite_of(batches, model, **FREE)
    evaluated(selectllm, suite)
    assert batches.calls == 0
    assert [len(made.rows) for made in batches.batches] == [8, batches.asked.total() - 8]
    plain = selectllm("eval", suite, "-o", "plain", "--cache", "other")
    assert plain.code == 0, plain.err
    assert batches.calls == batches.asked.total() > 8
    assert results("run") == results("plain")
    assert not journal()
    assert [row["id"] for row in noted()] == ["batch_0", "batch_1"]


@pytest.mark.parametrize("model", ["openai/m", CLAUDE])
def test_selections_and_comparisons_are_the_same_too(
    selectllm: Command, batches: BatchServer, model: str
) -> None:
    suite = suite_of(batches, model, "[short@1] -> [short@1, criteria@1]", **FREE)
    base = batches.root if model == CLAUDE else batches.base_url
    ab = ("ab", suite, "--a", "short@1", "--b", "criteria@1")
    dividing = ("--budget", 4, "--cluster-size", 5, "--by", "random")
    asking = ("--prompt", "short@1", "--model", model, "--api-base", base)
    pick = ("select", "pool.jsonl", *dividing, *asking)
    for batch, out in ((("--batch",), "in-batches"), (("--cache", "other"), "by-calls")):
        for words in ((*ab, "-o", out), (*pick, "-o", f"{out}.jsonl")):
            outcome = selectllm(*words, *batch)
            assert outcome.code in (0, 1, 3), outcome.err
    assert results("in-batches") == results("by-calls")
    assert Path("in-batches.jsonl").read_bytes() == Path("by-calls.jsonl").read_bytes()
    assert noted("in-batches.jsonl.decisions.batches.json")
    assert set(batches.asked.values()) == {1}


def test_without_waiting_the_same_command_collects(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m")
    batches.hold = True
    under_way = evaluated(selectllm, suite, "--no-wait", code=5)
    assert "batch_0 (8 questions of openai/m, in_progress)" in under_way.err
    assert "run the same command again" in under_way.err
    assert [row["status"] for row in noted()] == ["in_progress"]
    again = evaluated(selectllm, suite, "--no-wait", code=5)
    assert "batch_0" in again.err
    assert len(batches.batches) == 1
    batches.hold = False
    evaluated(selectllm, suite)
    assert set(batches.asked.values()) == {1}
    assert [row["status"] for row in noted()] == ["completed", "completed"]


def test_calls_are_refused_while_a_batch_of_the_run_is_under_way(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m")
    batches.hold = True
    evaluated(selectllm, suite, "--no-wait", code=5)
    refused = selectllm("eval", suite, "-o", "run")
    assert refused.code == 2
    assert "batch_0" in refused.err
    assert "--batch" in refused.err
    assert not batches.calls
    batches.hold = False
    batches.reply = lambda messages: "[1, 2]"
    evaluated(selectllm, suite)
    assert selectllm("eval", suite, "-o", "run").code == 0


def test_a_judge_rates_in_batches(selectllm: Command, batches: BatchServer) -> None:
    suite = suite_of(batches, "openai/m")
    batches.reply = lambda messages: f"[1]: {len(str(messages)) % 5 + 1}"
    judging = ("utility", "calibrate", suite, "--human", "rating", "--judge", "rating:quality@1+m")
    asked = selectllm(*judging, "--batch", "--json")
    assert asked.code == 0, asked.err
    assert not batches.calls
    assert set(batches.asked.values()) == {1}
    plain = selectllm(*judging, "--cache", "other", "--json")
    assert batches.calls == batches.asked.total()
    assert asked.out == plain.out


def test_strategies_that_ask_are_in_the_same_batch(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m", 'strategies: ["rating:quality@1+m"]')
    batches.reply = lambda messages: "3"
    batches.hold = True
    evaluated(selectllm, suite, "--no-wait", code=5)
    assert len(batches.batches[0].rows) == 8 + 40


@pytest.mark.parametrize(
    "strategy",
    ["token-uncertainty:m", "margin:m", "mean-entropy:m", "task-confidence:rating+m"],
)
def test_what_a_model_is_unsure_of_is_asked_in_batches(
    selectllm: Command, batches: BatchServer, strategy: str
) -> None:
    strategy = strategy.replace(":m", ":openai/m").replace("+m", "+openai/m")
    write_jsonl(Path("pool.jsonl"), pool_rows(40))
    pick = ("select", "pool.jsonl", "--budget", 4, "--strategy", strategy)
    asking = ("--api-base", batches.base_url, "--rounds", "rounds.jsonl")
    batches.hold = True
    under_way = selectllm(*pick, *asking, "-o", "in-batches.jsonl", "--batch", "--no-wait")
    assert under_way.code == 5, under_way.err
    batches.hold = False
    done = selectllm(*pick, *asking, "-o", "in-batches.jsonl", "--batch")
    assert done.code == 0, done.err
    (made,) = batches.batches
    assert (len(made.rows), batches.calls) == (40, 0)
    assert {row["body"]["top_logprobs"] for row in made.rows} == {20}
    plain = selectllm(*pick, *asking[:2], "-o", "by-calls.jsonl", "--cache", "other")
    assert plain.code == 0, plain.err
    assert batches.calls == 40
    assert Path("in-batches.jsonl").read_bytes() == Path("by-calls.jsonl").read_bytes()
    assert len(selectllm("rounds", "rounds.jsonl", "--json").json["rounds"]) == 1


def test_what_asks_one_after_another_cannot_be_done_in_batches(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m")
    Path("prompts").mkdir()
    with Session(batch=True, prompts=Path("prompts")) as session:
        with pytest.raises(UsageError, match="`batch`: this command"):
            session.optimize(suite)
    assert not batches.steps


def test_a_plan_says_what_batches_would_cost(selectllm: Command, batches: BatchServer) -> None:
    planned = selectllm("plan", suite_of(batches, "openai/m", **PRICED))
    said = re.search(r"with --batch, .* about ([0-9.]+) USD instead of ([0-9.]+)\.", planned.err)
    assert said is not None, planned.err
    assert float(said[1]) == pytest.approx(float(said[2]) / 2, abs=1e-4)
    assert "--batch" not in selectllm("plan", suite_of(batches, "ollama_chat/m", **PRICED)).err


def test_another_run_waits_for_the_same_batch(selectllm: Command, batches: BatchServer) -> None:
    suite = suite_of(batches, "openai/m")
    batches.hold = True
    evaluated(selectllm, suite, "--no-wait", code=5)
    other = selectllm("eval", suite, "-o", "other", "--batch", "--no-wait", "--limit", 4)
    assert other.code == 5
    batches.hold = False
    assert selectllm("eval", suite, "-o", "other", "--batch", "--limit", 4).code == 0
    evaluated(selectllm, suite)
    assert set(batches.asked.values()) == {1}


@pytest.mark.parametrize("model", ["openai/m", CLAUDE])
def test_a_batch_that_only_the_run_knows_is_waited_for_and_not_sent_again(
    selectllm: Command, batches: BatchServer, model: str
) -> None:
    """The cache was moved: what the run's folder says is under way is on its way all the same."""
    suite = suite_of(batches, model, **FREE)
    batches.hold = True
    evaluated(selectllm, suite, "--no-wait", code=5)
    shutil.rmtree("cache")
    evaluated(selectllm, suite, "--no-wait", code=5)
    assert len(batches.batches) == 1
    batches.hold = False
    evaluated(selectllm, suite)
    assert set(batches.asked.values()) == {1}
    assert noted()[0]["id"] == batches.batches[0].id
    assert journal() == []


def test_a_batch_of_other_questions_does_not_keep_the_run_from_asking(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m", **FREE)
    batches.hold = True
    evaluated(selectllm, suite, "--no-wait", code=5)
    shutil.rmtree("cache")
    batches.hold = False
    batches.batches[0].lines = [
        line.replace(b'"custom_id": "', b'"custom_id": "0') for line in batches.batches[0].lines
    ]
    evaluated(selectllm, suite)
    assert len(batches.batches) > 1
    assert journal() == []


def test_a_batch_that_the_provider_does_not_have_is_sent_again(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m", **FREE)
    batches.hold = True
    evaluated(selectllm, suite, "--no-wait", code=5)
    shutil.rmtree("cache")
    batches.batches.clear()
    batches.hold = False
    evaluated(selectllm, suite)
    assert set(batches.asked.values()) == {1}


def test_batches_cost_half(selectllm: Command, batches: BatchServer) -> None:
    suite = suite_of(batches, "openai/m", **PRICED)
    in_batches = evaluated(selectllm, suite)
    plain = selectllm("eval", suite, "-o", "plain", "--cache", "other")
    costs = [
        json.loads(Path(run, "results.json").read_text(encoding="utf-8"))["pairs"][0][
            "replay_cost_usd"
        ]
        for run in ("run", "plain")
    ]
    assert costs[0] == pytest.approx(costs[1] / 2)
    assert f"ost {costs[0]:.4f} USD" in in_batches.err
    assert f"ost {costs[1]:.4f} USD" in plain.err


def test_a_batch_holds_what_the_budget_has_room_for(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m", max_tokens=100, **PRICED)
    short = evaluated(selectllm, suite, "--max-cost", 0.5, code=4)
    assert "in a batch" in short.err
    assert 0 < len(batches.batches[0].rows) < 8
    rows = read_jsonl(Path("run/decisions.jsonl"))[1:]
    spent = sum(a["cost_usd"] for row in rows for a in row["attempts"])
    assert 0 < spent <= 0.5
    evaluated(selectllm, suite)
    assert set(batches.asked.values()) == {1}


def test_a_shared_budget_pays_for_batches(selectllm: Command, batches: BatchServer) -> None:
    suite = suite_of(batches, "openai/m", max_tokens=100, **PRICED)
    shared = ("--shared-budget", "team", "--max-cost")
    evaluated(selectllm, suite, *shared, 50)
    run = json.loads(Path("run/results.json").read_text(encoding="utf-8"))
    cost = run["pairs"][0]["replay_cost_usd"]
    stats = selectllm("cache", "stats", "--json").json
    assert stats["budgets"]["team"]["usd"] == pytest.approx(cost)
    more = selectllm("eval", suite, "-o", "more", "--seed", 7, "--batch", *shared, cost + 0.01)
    assert more.code == 4, more.err
    assert "Raise" in more.err


def test_a_batch_holds_what_a_shared_budget_has_room_for(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m", max_tokens=100, **PRICED)
    shared = ("--shared-budget", "team", "--max-cost")
    evaluated(selectllm, suite, *shared, 50)
    cost = selectllm("cache", "stats", "--json").json["budgets"]["team"]["usd"]
    before = len(batches.batches)
    more = selectllm("eval", suite, "-o", "more", "--seed", 7, "--batch", *shared, cost + 1)
    assert more.code == 4, more.err
    assert "The budget 'team' that this workspace shares has no room" in more.err
    sent = batches.batches[before:]
    assert 0 < len(sent[0].rows) < 8
    assert selectllm("cache", "stats", "--json").json["budgets"]["team"]["usd"] <= cost + 1


def test_a_batch_holds_no_more_than_the_provider_takes(
    selectllm: Command, batches: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selectllm.models.providers.batch_openai.OpenAIBatches.most", 3)
    evaluated(selectllm, suite_of(batches, "openai/m"))
    assert [len(made.rows) for made in batches.batches[:3]] == [3, 3, 2]
    assert set(batches.asked.values()) == {1}


def test_azure_is_asked_at_its_own_paths(
    selectllm: Command, batches: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_KEY", "azure-0123456789")
    suite = suite_of(
        batches, "azure/m", api_key_env="AZURE_KEY", extra={"api_version": "2024-10-21"}
    )
    evaluated(selectllm, suite)
    assert {headers["api-key"] for _, headers in batches.headers} == {"azure-0123456789"}
    assert not any("authorization" in headers for _, headers in batches.headers)
    row = json.loads(batches.files["file-0"].splitlines()[0])
    assert row["url"] == "/chat/completions"
    assert row["body"]["model"] == "m"
    assert set(batches.asked.values()) == {1}


def test_a_model_without_a_price_is_not_sent_under_a_limit(
    selectllm: Command, batches: BatchServer
) -> None:
    refused = evaluated(selectllm, suite_of(batches, "openai/m"), "--max-cost", 1, code=2)
    assert "no known price" in refused.err
    assert not batches.steps


@pytest.mark.parametrize(
    "settings",
    [
        {"id": "gemini/gemini-2.5-flash", "api_key_env": "SOME_KEY"},
        {"id": "hosted_vllm/m", "api_base": "http://127.0.0.1:9"},
        {"id": CLAUDE, "answer": "logprobs"},
    ],
    ids=["another provider", "vLLM", "log-probabilities"],
)
def test_a_model_without_batches_is_named_before_anything_is_sent(
    selectllm: Command,
    batches: BatchServer,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_KEY", "k" * 20)
    suite = suite_of(batches, "openai/m")
    entry = json.dumps({"name": "other", "structured": False, **settings})
    text = suite.read_text().replace("models: [", f"models: [{entry}, ")
    suite.write_text(text.replace("short@1", "best@1") if "answer" in settings else text)
    refused = evaluated(selectllm, suite, code=2)
    assert "'other'" in refused.err
    assert "--batch" in refused.err
    assert not batches.steps


def test_an_ordinary_run_tells_of_a_batch_for_the_same_questions(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m", **FREE)
    batches.hold = True
    evaluated(selectllm, suite, "--no-wait", code=5)
    told = selectllm("eval", suite, "-o", "plain")
    assert told.code == 0, told.err
    assert told.err.count("are in a batch that is under way") == 1
    assert "run it with --batch" in told.err
    again = selectllm("eval", suite, "-o", "another")
    assert "under way" not in again.err  # all from the cache
    other = selectllm("eval", suite, "-o", "seeded", "--seed", 7)
    assert "under way" not in other.err  # other questions


def test_sets_are_asked_in_batches(selectllm: Command, batches: BatchServer) -> None:
    sets = "sets: {budgets: [4, 8], seeds: [0, 1]}"
    suite = suite_of(batches, "openai/m", sets, "strategies: [random]", **FREE)
    done = selectllm("sets", suite, "-o", "in-batches", "--batch")
    assert done.code == 0, done.err
    assert batches.calls == 0
    assert len(batches.batches) <= 4  # of all sets together, round after round
    assert not journal()
    plain = selectllm("sets", suite, "-o", "plain", "--cache", "other")
    assert plain.code == 0, plain.err
    assert batches.calls
    kept = [
        [(row["selector"], row["budget"], row["seed"], row["ids"]) for row in rows[1:]]
        for rows in (read_jsonl(Path(out, "sets.jsonl")) for out in ("in-batches", "plain"))
    ]
    assert sorted(kept[0]) == sorted(kept[1])


def test_log_probabilities_come_back_in_batches(selectllm: Command, batches: BatchServer) -> None:
    suite = suite_of(batches, "openai/m", "short@1 -> best@1", answer="logprobs", **FREE)
    evaluated(selectllm, suite)
    (made,) = batches.batches
    assert {row["body"]["top_logprobs"] for row in made.rows} == {20}
    assert batches.calls == 0
    assert selectllm("eval", suite, "-o", "plain", "--cache", "other").code == 0
    assert batches.calls == len(made.rows)
    assert results("run") == results("plain")
    assert all(row["status"] == "ok" for row in read_jsonl(Path("run/decisions.jsonl"))[1:])


def test_offline_does_not_go_with_batches(selectllm: Command, batches: BatchServer) -> None:
    refused = evaluated(selectllm, suite_of(batches, "openai/m"), "--offline", code=2)
    assert "--batch" in refused.err


def test_what_needs_no_provider_is_answered_at_once(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m", "models: [ -> models: [mock/oracle, ")
    evaluated(selectllm, suite)
    assert batches.batches[0].rows
    assert results("run").count('"model":') == 2


def spoiled(made: Made) -> None:
    """The first batch comes back wrong in every way that there is."""
    if made.id != "batch_0":
        return
    kept = made.lines
    rows = [json.loads(line) for line in kept]
    late = {"custom_id": rows[1]["custom_id"], "response": None}
    busy = {"status_code": 429, "body": error("Rate limit reached.")}
    made.errors = [
        json.dumps({**late, "error": {"code": "batch_expired", "message": "Late."}}).encode(),
        json.dumps({"custom_id": rows[2]["custom_id"], "response": busy}).encode(),
        b"<html>",
        b'{"custom_id": 7}',
    ]
    unknown = json.dumps({**rows[4], "custom_id": "0" * 64}).encode()
    made.lines = [*kept[3:], kept[4], kept[4], unknown, b"\xff\xfe{", b"[]", b""]


def test_a_batch_that_comes_back_wrong_loses_nothing(
    selectllm: Command, batches: BatchServer
) -> None:
    batches.spoil = spoiled
    suite = suite_of(batches, "openai/m", **FREE)
    outcome = evaluated(selectllm, suite)
    assert "1 question without an answer; 2 questions that failed" in outcome.err
    assert "1 line for questions that were not asked" in outcome.err
    assert "2 lines that came twice; 4 lines that cannot be read" in outcome.err
    assert "3 questions will be asked again" in outcome.err
    first = batches.batches[0].ids
    assert [batches.asked[key] for key in first] == [2, 2, 2, 1, 1, 1, 1, 1]
    selectllm("eval", suite, "-o", "plain", "--cache", "other")
    assert results("run") == results("plain")


def expired(made: Made) -> None:
    if made.id == "batch_0":
        made.status = "expired"
        made.lines = made.lines[:5]


def test_what_an_expired_batch_answered_is_kept(selectllm: Command, batches: BatchServer) -> None:
    batches.spoil = expired
    outcome = evaluated(selectllm, suite_of(batches, "openai/m"))
    assert "expired) came back with 5 usable answers" in outcome.err
    assert sum(batches.asked[key] == 2 for key in batches.batches[0].ids) == 3


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_batch_that_ended_badly_is_told_and_the_same_command_goes_on(
    selectllm: Command, batches: BatchServer, status: str
) -> None:
    batches.ends_as = status

    def cut(made: Made) -> None:
        made.lines = [] if status == "failed" else made.lines[:-1]

    batches.spoil = cut
    suite = suite_of(batches, "openai/m")
    told = evaluated(selectllm, suite, code=6)
    assert f"batch_0 (8 questions of openai/m, {status}) failed" in told.err
    assert ("line 1: This line is not JSON" in told.err) == (status == "failed")
    assert ("7 answers" if status == "cancelled" else "0 answers") in told.err
    assert not journal()
    batches.ends_as, batches.spoil = "completed", lambda made: None
    evaluated(selectllm, suite)
    twice = sum(batches.asked[key] == 2 for key in batches.batches[0].ids)
    assert twice == (8 if status == "failed" else 1)


def test_what_is_never_answered_is_an_error_and_no_pick(
    selectllm: Command, batches: BatchServer
) -> None:
    def without_the_first(made: Made) -> None:
        first = batches.batches[0].ids[0]
        made.lines = [line for line in made.lines if first.encode() not in line]

    batches.spoil = without_the_first
    suite = suite_of(batches, "openai/m")
    told = evaluated(selectllm, suite, code=6)
    assert "1 of 8 decisions could not be made" in told.err
    assert "Gave up after 3 batches" in told.err
    assert batches.asked[batches.batches[0].ids[0]] == 3
    assert "error" in statuses(Path("run/decisions.jsonl"))
    assert not Path("run/results.json").exists()
    batches.spoil = lambda made: None
    evaluated(selectllm, suite)


PERMANENT = {
    401: ("Incorrect API key provided.", "refused the key", 6),
    404: ("The model `m` does not exist.", "unknown model", 6),
    400: ("temperature must be below 2.", "refused this request", 6),
}


@pytest.mark.parametrize("status", PERMANENT)
def test_a_permanent_fault_of_every_answer_is_told_once(
    selectllm: Command, batches: BatchServer, status: int
) -> None:
    said, words, code = PERMANENT[status]

    def refuse(made: Made) -> None:
        response = {"status_code": status, "body": error(said)}
        made.errors = [
            json.dumps({"custom_id": key, "response": response, "error": None}).encode()
            for key in made.ids
        ]
        made.lines = []

    batches.spoil = refuse
    told = evaluated(selectllm, suite_of(batches, "openai/m"), code=code)
    assert words in told.err
    assert said.rstrip(".") in told.err
    assert len(batches.batches) == 1


@pytest.mark.parametrize(
    ("step", "status", "words"),
    [
        ("upload", 404, "takes no batches"),
        ("upload", 401, "refused the key"),
        ("create", 400, "refused this request"),
        ("create", 429, "quota is used up"),
    ],
)
def test_a_service_that_refuses_is_told_and_nothing_is_left_over(
    selectllm: Command, batches: BatchServer, step: str, status: int, words: str
) -> None:
    quota = {"code": "insufficient_quota"} if status == 429 else {}

    def refuse(at: str) -> web.Response | None:
        answer = web.json_response(error("No, not today.", **quota), status=status)
        return answer if at == step else None

    batches.before = refuse
    suite = suite_of(batches, "openai/m")
    told = evaluated(selectllm, suite, code=6)
    assert words in told.err
    assert not journal()
    assert not batches.batches
    batches.before = lambda at: None
    evaluated(selectllm, suite)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("made", [True, False])
def test_a_batch_whose_creation_was_not_confirmed_is_looked_for(
    selectllm: Command, batches: BatchServer, made: bool
) -> None:
    refused: list[str] = []

    def fail_once(at: str) -> web.Response | None:
        if at != "create" or refused:
            return None
        refused.append(at)
        return web.json_response(error("Overloaded."), status=503)

    if made:
        batches.after = fail_once
    else:
        batches.before = fail_once
    evaluated(selectllm, suite_of(batches, "openai/m"))
    assert refused
    assert set(batches.asked.values()) == {1}


@pytest.mark.usefixtures("no_waiting")
def test_a_busy_service_is_asked_again(selectllm: Command, batches: BatchServer) -> None:
    busy = {step: 2 for step in ("upload", "status", "results")}

    def sometimes(at: str) -> web.Response | None:
        if not busy.get(at):
            return None
        busy[at] -= 1
        return web.json_response(error("Overloaded."), status=503)

    batches.before = sometimes
    evaluated(selectllm, suite_of(batches, "openai/m"))
    assert set(batches.asked.values()) == {1}


def test_a_journal_that_cannot_be_read_is_named(selectllm: Command, batches: BatchServer) -> None:
    suite = suite_of(batches, "openai/m")
    batches.hold = True
    evaluated(selectllm, suite, "--no-wait", code=5)
    (file,) = journal()
    file.write_text("{")
    told = evaluated(selectllm, suite, code=2)
    assert file.name in told.err
    assert "paid for twice" in told.err


def test_no_key_is_written(
    selectllm: Command, batches: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-planted-0123456789abcdef")
    batches.hold = True
    suite = suite_of(batches, "openai/m", api_key_env="MY_KEY")
    evaluated(selectllm, suite, "--no-wait", code=5)
    assert any("sk-planted" in str(headers) for _, headers in batches.headers)
    for path in (*Path("run").rglob("*"), *Path("cache").rglob("*")):
        assert path.is_dir() or b"sk-planted" not in path.read_bytes()
