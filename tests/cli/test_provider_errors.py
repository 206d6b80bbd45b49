"""Providers that fail (6), budgets (4), offline gaps (5), interrupts (130): nothing is lost."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, read_jsonl
from tests.support import forked
from tests.support.cli_files import (
    ASKING,
    AT_ONCE,
    KEY,
    LOG,
    OUT,
    assert_refused,
    at,
    files,
    select,
    served,
    statuses,
    write_suite,
)
from tests.support.provider_server import FAULTS, HTML, Answer, ProviderServer, completion, error


def always(answer: Answer) -> ProviderServer:
    """A server that never answers otherwise, until `state.respond` is None."""
    return ProviderServer(lambda *request: answer, reply=lambda messages: "[1]")


def logged() -> list[list[Any]]:
    """The attempts of every decision of a selection's log."""
    return [row["attempts"] for row in read_jsonl(LOG)[1:]]


def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- the provider failed: exit 6


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (FAULTS["401"], ("refused the key (HTTP 401): Incorrect API key provided.",)),
        (FAULTS["403"], ("refused the key (HTTP 403): Your organisation may not use",)),
        (FAULTS["404"], ("unknown model (HTTP 404): The model `nope` does not exist.",)),
        (FAULTS["quota"], ("quota is used up (HTTP 429): You exceeded", "Add credit")),
    ],
)
def test_what_no_call_can_get_past_ends_the_command_on_the_first_call(
    selectllm: Command, pool_file: Path, answer: Answer, words: tuple[str, ...]
) -> None:
    with always(answer) as server:
        suite = write_suite(served(server))
        assert_refused(selectllm("eval", suite, "-o", "run", "-j", 1), *words, code=6)
        assert server.count == 1
        assert not Path("run/results.json").exists()
        assert statuses(Path("run/decisions.jsonl")) == ["error"]
        assert_refused(select(selectllm, *at(server), "-j", 1), *words, code=6)
        assert server.count == 2
        assert (OUT.exists(), statuses(LOG)) == (False, ["error"])
        server.state.respond = None
        assert selectllm("eval", suite, "-o", "run").code == 0
        assert select(selectllm, *at(server)).code == 0
    assert len(read_jsonl(OUT)) == 8


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            Answer(502, HTML, {"Content-Type": "text/html", **AT_ONCE}),
            ("the provider is busy or failed (HTTP 502): 502 Bad Gateway nginx.",),
        ),
        (Answer(503, error("Overloaded."), AT_ONCE), ("(HTTP 503): Overloaded.",)),
        (FAULTS["429"], ("(HTTP 429): Rate limit reached.",)),
        (FAULTS["hang"], ("time-out", "No complete reply came within 0.1 s")),
        (FAULTS["cut at once"], ("the connection or the reply broke off",)),
        (FAULTS["cut"], ("the connection or the reply broke off",)),
        (FAULTS["not json"], ("the connection or the reply broke off", "not")),
        (FAULTS["truncated json"], ("the connection or the reply broke off", "not valid JSON")),
        (
            Answer(200, {**completion(usage=None), "choices": []}),
            ("the connection or the reply broke off",),
        ),
    ],
)
@pytest.mark.usefixtures("no_waiting")
def test_what_may_pass_is_tried_again_before_the_command_gives_up(
    selectllm: Command, pool_file: Path, answer: Answer, words: tuple[str, ...]
) -> None:
    with always(answer) as server:
        model = (*at(server), "--model-arg", "timeout=0.1" if answer.delay else "timeout=30")
        outcome = select(selectllm, *model, budget=1)
        assert_refused(outcome, "openai/m", server.base_url, "Gave up after", code=6)
        for word in words:
            assert word in outcome.err
        assert "<" not in outcome.err
        tries = logged()[0]
        assert len(tries) == server.count
        # What is asked too fast is tried for two minutes of waiting, everything else six times.
        patient = answer.status in (429, 503)
        assert len(tries) >= 8 if patient else len(tries) == 6
        assert {tried["status"] if "status" in tried else None for tried in tries} == {
            None if answer.delay or answer.cut else answer.status
        }
        assert (OUT.exists(), statuses(LOG)) == (False, ["error"])
        server.state.respond = None
        assert select(selectllm, *model, budget=1).code == 0
        assert statuses(LOG) == ["error", "ok"]
    assert len(read_jsonl(OUT)) == 1


def test_a_cluster_that_is_always_refused_stops_no_other(
    selectllm: Command, pool_file: Path
) -> None:
    moderated = "x/y requires moderation on A. Your input was flagged. No credits were charged."

    def respond(body: Any, headers: Any, n: int) -> Answer | None:
        flagged = "topic 7 " in body["messages"][-1]["content"]
        return Answer(403, error(moderated, code="403")) if flagged else None

    with ProviderServer(respond, reply=lambda messages: "[1]") as server:
        for _ in range(2):
            assert select(selectllm, *at(server), "-j", 2).code == 0
        assert server.count == 8
    assert sorted(statuses(LOG)) == ["ok"] * 7 + ["refused"]


def test_a_cluster_that_always_fails_stops_no_other_and_is_asked_last_again(
    selectllm: Command, pool_file: Path
) -> None:
    asked: list[bool] = []

    def respond(body: Any, headers: Any, n: int) -> Answer | None:
        asked.append("topic 7 " in body["messages"][-1]["content"])
        return Answer(400, error("Cannot be.")) if asked[-1] else None

    with ProviderServer(respond, reply=lambda messages: "[1]") as server:
        assert (
            select(selectllm, *at(server), "-j", 1, "--max-cost", 1, "--allow-unpriced").code == 6
        )
        assert (len(asked), sum(asked)) == (8, 1)
        # Of what is not decided, what failed before comes last.
        rows = LOG.read_text("utf-8").splitlines(keepends=True)
        failed = [row for row in rows if '"status":"error"' in row]
        LOG.write_text("".join([rows[0], *failed]), "utf-8")
        for entry in Path("cache/replies").rglob("*"):
            entry.unlink(missing_ok=True)
        asked.clear()
        assert select(selectllm, *at(server), "-j", 1).code == 6
        assert asked == [False] * 7 + [True]


def test_the_paid_part_of_a_question_that_fails_later_is_in_the_log(
    selectllm: Command, pool_file: Path
) -> None:
    price = ("--model-arg", "price={input: 10, output: 20}")
    with ProviderServer(reply=lambda messages: "no idea") as server:
        usage = {"prompt_tokens": 1500, "completion_tokens": 5, "total_tokens": 1505}
        server.queue(Answer(200, completion("hm", usage=usage)), FAULTS["400"])
        outcome = select(selectllm, *at(server), *price, budget=1)
        assert (outcome.code, server.count) == (6, 2)
    [[paid, failed]] = logged()
    assert (paid["reply"], paid["cost_usd"]) == ("hm", pytest.approx(0.0151))
    assert "kind" not in paid
    assert (failed["kind"], failed["status"], failed["reply"]) == ("request", 400, "")


def test_an_empty_reply_is_no_pick_and_its_price_is_in_the_log(
    selectllm: Command, pool_file: Path
) -> None:
    price = ("--model-arg", "price={input: 10, output: 20}")
    usage = {"prompt_tokens": 1500, "completion_tokens": 1024, "total_tokens": 2524}
    empty = Answer(200, completion("", finish_reason="length", usage=usage))
    with always(empty) as server:
        outcome = select(selectllm, *at(server), *price, "--reask", 0, budget=1)
        assert_refused(outcome, "for 1 of 1 picks", "was empty", "--max-filled 1", code=1)
        assert server.count == 1
    [[paid]] = logged()
    assert statuses(LOG) == ["invalid"]
    assert paid["cost_usd"] == pytest.approx((1500 * 10 + 1024 * 20) / 1e6)


def test_a_limit_holds_where_replies_are_of_thoughts_and_parts(
    selectllm: Command, pool_file: Path
) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Maybe [1]."}]},
        {"type": "text", "text": "[2]"},
    ]
    usage = {"prompt_tokens": 300, "completion_tokens": 5, "total_tokens": 1305}
    price = ("--model-arg", "price={input: 1.0, output: 10.0}", "--model-arg", "max_tokens=100")
    answer = Answer(200, completion(parts, usage=usage))  # type: ignore[arg-type]
    one = (300 + 10 * 1005) / 1e6  # what only the total counts is output
    with always(answer) as server:
        outcome = select(selectllm, *at(server), *price, "--max-cost", 3.5 * one)
        assert outcome.code == 4
        assert 2 <= server.count <= 4
    costs = [attempt["cost_usd"] for [attempt] in logged()]
    assert costs == [pytest.approx(one)] * server.count
    assert statuses(LOG) == ["ok"] * server.count


def test_a_reply_that_cannot_be_used_is_in_the_log_with_what_it_cost(
    selectllm: Command, pool_file: Path
) -> None:
    price = ("--model-arg", "price={input: 10, output: 20}")
    with always(FAULTS["no choices"]) as server:
        outcome = select(selectllm, *at(server), *price, budget=1)
        assert (outcome.code, server.count) == (6, 1)
    [[paid]] = logged()
    assert (paid["kind"], paid["status"]) == ("broken", 200)
    assert paid["cost_usd"] == pytest.approx((100 * 10 + 5 * 20) / 1e6)


@pytest.mark.usefixtures("no_waiting")
def test_a_failure_that_passes_in_time_is_no_failure(selectllm: Command, pool_file: Path) -> None:
    with ProviderServer(reply=lambda messages: "[1]") as server:
        server.queue(*[Answer(502, HTML, AT_ONCE)] * 5)
        assert select(selectllm, *at(server), "-j", 1, budget=1).code == 0
        assert (server.count, statuses(LOG)) == (6, ["ok"])


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("verb", ["select", "eval"])
def test_a_server_that_is_not_there_is_named(
    selectllm: Command, pool_file: Path, verb: str
) -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    if verb == "select":
        outcome = select(selectllm, "--model", "openai/m", "--api-base", url, "-j", 1)
        # The next one was begun while it waited for another try; the others were not tried in vain.
        assert statuses(LOG) == ["error", "error"]
    else:
        suite = write_suite(f"mock/first -> {{id: openai/m, api_base: '{url}'}}")
        outcome = selectllm("eval", suite, "-o", "run")
    words = ("the server cannot be reached", "connection refused", "or correct api_base")
    assert_refused(outcome, url, *words, code=6)
    assert not OUT.exists()
    assert not Path("run/results.json").exists()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (("--model", "m"), ("names no provider", "openai/m")),
        (("--model", "openai/m", "--api-base", "localhost:1"), ("is not an http(s) URL",)),
        (("--model", "hosted_vllm/m"), ("Set api_base or HOSTED_VLLM_API_BASE",)),
        (
            ("--model", "openai/m", "--model-arg", "api_key_env=NO_SUCH_KEY"),
            ("its key should be in NO_SUCH_KEY, which is not set",),
        ),
        (("--model", "openai/m", "--model-arg", "extra.stream=true"), ("extra.stream cannot",)),
        (("--model", "openai/m", "--model-arg", "timeout=-1"), ("timeout: -1 should be above 0",)),
    ],
)
def test_a_model_that_cannot_work_is_refused_before_anything_is_written(
    selectllm: Command, pool_file: Path, model: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_refused(select(selectllm, *model), *words)
    assert list(files()) == ["pool.jsonl"]


# --- keys and servers that are missing, before anything is embedded or asked


def nothing(*_: object, **__: object) -> None:
    raise AssertionError("too early")


@pytest.fixture
def unkeyed(monkeypatch: pytest.MonkeyPatch, server: ProviderServer) -> ProviderServer:
    """The server of all models of openai/, none of whose keys is set; nothing may be embedded."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("selectllm.data.encoders.SentenceEncoder.encode", nothing)
    return server


@pytest.mark.parametrize("by", ["random", "diverse"])
def test_a_key_that_is_not_set_is_named_before_anything_is_embedded_or_asked(
    selectllm: Command,
    pool_file: Path,
    unkeyed: ProviderServer,
    by: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("selectllm.models.providers.litellm.load_litellm", nothing)
    outcome = select(selectllm, "--model", "openai/m", "--by", by)
    assert_refused(outcome, "OPENAI_API_KEY is not set", "--model-arg api_key_env=NAME")
    assert not OUT.exists()
    clusters = f"random, size: 5 -> {by}, size: 5"
    suite = write_suite("mock/first -> {name: m, id: openai/m}", clusters)
    assert_refused(selectllm("eval", suite, "-o", "run"), "OPENAI_API_KEY is not set")
    assert unkeyed.count == 0


def test_with_a_key_missing_no_other_model_is_asked_either(
    selectllm: Command, pool_file: Path, unkeyed: ProviderServer
) -> None:
    other = json.dumps({"name": "served", "id": "openai/m", "api_base": unkeyed.base_url})
    suite = write_suite(f"mock/first -> {other}, {{name: m, id: groq/m}}")
    assert_refused(selectllm("eval", suite, "-o", "run"), "GROQ_API_KEY is not set")
    assert unkeyed.count == 0


def test_what_is_all_cached_needs_no_key_and_no_litellm(
    selectllm: Command,
    pool_file: Path,
    unkeyed: ProviderServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as keyed:
        keyed.setenv("OPENAI_API_KEY", KEY)
        assert select(selectllm, "--model", "openai/m").code == 0
    first = OUT.read_bytes()
    asked = unkeyed.count
    OUT.unlink()
    LOG.unlink()
    monkeypatch.setattr("selectllm.models.providers.litellm.load_litellm", nothing)
    assert select(selectllm, "--model", "openai/m").code == 0
    assert (OUT.read_bytes(), unkeyed.count) == (first, asked)


@pytest.mark.usefixtures("unkeyed")
def test_a_server_that_is_not_there_is_named_before_anything_is_embedded(
    selectllm: Command, pool_file: Path
) -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    there = ("--model", "openai/m", "--api-base", url, "--by", "diverse")
    words = ("the server cannot be reached", "connection refused", "or correct api_base")
    assert_refused(select(selectllm, *there), url, *words, code=6)
    assert_refused(select(selectllm, *there, "--offline", "--by", "random"), code=5)


# --- the budget: exit 4


def test_a_selection_stops_at_its_budget_and_a_rerun_goes_on(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    price = ("--model-arg", "price={input: 100, output: 200}", "--model-arg", "max_tokens=100")
    limited = (*at(server), *price, "-j", 1, "--max-cost", "0.15")
    outcome = select(selectllm, *limited)
    assert_refused(outcome, "--max-cost 0.15 USD reached", "Run the same command", code=4)
    paid = server.count
    assert 0 < paid < 8
    assert (OUT.exists(), statuses(LOG)) == (False, ["repaired"] * paid)
    assert select(selectllm, *at(server), *price).code == 0
    assert (server.count, len(read_jsonl(OUT))) == (8, 8)


def test_a_selection_by_a_model_without_a_price_needs_leave(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    outcome = select(selectllm, *at(server), "--max-cost", 1)
    assert_refused(outcome, "has no known price", "--allow-unpriced")
    assert (OUT.exists(), server.count) == (False, 0)
    assert select(selectllm, *at(server), "--max-cost", 1, "--allow-unpriced").code == 0


# --- offline: exit 5


def test_an_offline_selection_names_what_is_missing(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    outcome = select(selectllm, *at(server), "--offline")
    assert_refused(outcome, "8 of short@1 with openai/m", code=5)
    assert (OUT.exists(), server.count) == (False, 0)
    assert select(selectllm, *at(server)).code == 0
    OUT.unlink()
    LOG.unlink()
    assert select(selectllm, *at(server), "--offline").code == 0
    assert server.count == 8


def test_an_offline_selection_prints_the_command_that_records_it(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    outcome = select(selectllm, *at(server), "--offline")
    assert_refused(outcome, "selectllm select pool.jsonl", code=5)


def test_one_reply_that_is_missing_is_enough(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(served(server))
    assert selectllm("eval", suite, "-o", "first").code == 0
    with sqlite3.connect("cache/replies/cache.db") as database:
        database.execute("DELETE FROM Cache WHERE rowid = 3")
    database.close()
    outcome = selectllm("eval", suite, "-o", "run", "--offline")
    assert_refused(outcome, "1 of short@1 with m", "selectllm eval suite.yaml --record", code=5)
    assert not Path("run/results.json").exists()


def test_offline_needs_no_key(
    selectllm: Command, pool_file: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    suite = write_suite(served(server, api_key_env="MY_KEY"))
    assert selectllm("eval", suite, "-o", "first").code == 0
    monkeypatch.delenv("MY_KEY")
    assert selectllm("eval", suite, "-o", "again", "--offline").code == 0
    outcome = selectllm("eval", suite, "-o", "third")
    assert_refused(outcome, "its key should be in MY_KEY, which is not set")


# --- interrupts: exit 130


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals as POSIX has them")
@pytest.mark.parametrize(("verb", "number"), [("select", "SIGINT"), ("eval", "SIGTERM")])
def test_an_interrupted_command_keeps_what_is_in_flight_and_a_rerun_asks_none_of_it_again(
    selectllm: Command, pool_file: Path, verb: str, number: str
) -> None:
    heard = "default_int_handler" if number == "SIGINT" else "SIG_IGN"
    program = (
        f"import signal; signal.signal(signal.SIGINT, signal.{heard})\n"
        "from selectllm.cli import script; script()"
    )
    with ProviderServer(reply=lambda messages: "[1]", latency=1.0) as server:
        arguments = {
            "select": ("select", "pool.jsonl", "--budget", "8", *ASKING, *at(server)),
            "eval": ("eval", str(write_suite(served(server), "picks: 2 -> picks: 1"))),
        }[verb]
        arguments = (*arguments, "-o", str(OUT if verb == "select" else "run"), "-j", "3")
        log, result = {
            "select": (LOG, OUT),
            "eval": (Path("run/decisions.jsonl"), Path("run/results.json")),
        }[verb]
        process = forked.fork("-c", program, *arguments, loads=forked.ASKING)
        deadline = time.monotonic() + 300
        while server.count < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.Signals[number])
        assert process.wait() == 130, process.err
        told = process.err
        assert "Stopping. Waiting for replies that are still on their way" in told
        assert "Interrupted. Run the same command again to continue where it stopped" in told
        assert "Traceback" not in told
        assert not result.exists()
        sent = server.count
        assert statuses(log) == ["ok"] * sent
        assert 4 <= sent < 8
        outcome = selectllm(*arguments)
        assert outcome.code == 0, outcome.err
        assert result.exists()
        assert server.count == 8
