"""Adaptive votes: further orders only where ballots disagree, and what the report says of it."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from selectllm.core.codec import seeded_hash
from selectllm.core.errors import BudgetReached, ModelError, ReplyMissing, SuiteError
from selectllm.core.files import read_json
from selectllm.core.types import Decision
from selectllm.evaluation.runs.verify import verification
from selectllm.jobs.evaluating import evaluate
from selectllm.jobs.named_model import named_model
from selectllm.jobs.options import ModelOptions
from selectllm.jobs.sync import finished
from selectllm.models.model import Vote
from selectllm.report.schemas import schema
from selectllm.selection.voting import asks_on, mean_overlap
from tests.conftest import Command, read_jsonl
from tests.support import forked
from tests.support.cli_files import RATED, at, served, write_suite
from tests.support.cli_files import select as chosen_by
from tests.support.provider_server import ProviderServer
from tests.support.runs import logged, planned

CLUSTERS = 8
ADAPTIVE = {"orders": [2, 5], "until": 0.8}
picks = st.sets(st.sampled_from("abcdef"), max_size=3)


@pytest.fixture(autouse=True)
def pool(forty: Path) -> Path:
    """pool.jsonl of 40 items in the current folder, and a cache of its own."""
    return forty


def swayed(messages: Any) -> str:
    """Two items by what they say; of every other cluster one of them by what is shown first."""
    text = messages[-1]["content"]
    shown = dict(re.findall(r"=== \[(\d)\] ===\nExplain topic (\d+)", text))
    best, second, *rest = sorted(shown, key=lambda label: seeded_hash(shown[label]))
    sure = seeded_hash(*sorted(shown.values())) % 2
    return f"[{best}, {second if sure else rest[seeded_hash(text) % 3]}]"


# --- when it ends


@given(st.lists(picks, min_size=2, max_size=5))
def test_the_overlap_is_the_mean_share_of_k_over_pairs_whatever_their_order(
    ballots: list[set[str]],
) -> None:
    overlap = mean_overlap(ballots, 3)
    shared = [len(a & b) / 3 for a, b in combinations(ballots, 2)]
    assert overlap == pytest.approx(fmean(shared)) == mean_overlap(ballots[::-1], 3)
    assert 0 <= overlap <= 1


def test_a_ballot_that_could_not_be_used_shares_nothing() -> None:
    assert mean_overlap(["ab", "ab"], 2) == 1.0
    assert mean_overlap(["ab", ""], 2) == 0.0


def _cast(*said: str) -> list[Decision]:
    return [Decision(0, n, 0, 0, tuple("abcd"), tuple(each), "ok") for n, each in enumerate(said)]


@pytest.mark.parametrize(
    ("ballots", "asked", "goes_on"),
    [
        ([], 0, True),
        (["ab"], 1, True),
        (["ab", "ab"], 2, False),
        (["ab", "cd"], 2, True),
        (["ab", "ac"], 2, True),
        (["ab", "cd", "ab"], 3, True),
        (["ab"], 2, False),  # one is missing: what they come to is not known
    ],
)
def test_a_further_order_is_asked_only_while_the_ballots_disagree(
    ballots: list[str], asked: int, goes_on: bool
) -> None:
    vote = Vote(orders=5, first=2, until=0.8)
    assert asks_on(vote, _cast(*ballots), asked, 2) is goes_on
    assert asks_on(vote.fixed, _cast(*ballots), asked, 2)


def test_an_order_is_asked_with_all_its_repeats() -> None:
    vote = Vote(orders=5, repeats=2, first=1, until=0.8)
    assert asks_on(vote, _cast("ab"), 1, 2)
    assert not asks_on(vote, _cast("ab", "ab"), 2, 2)
    assert asks_on(vote, _cast("ab", "cd", "ab"), 3, 2)


# --- what is asked


def test_a_simulated_picker_is_one_picker_under_both_votes() -> None:
    """An order bias alone makes ballots differ; the first ones are those of the fixed vote."""
    picker = '"id": "mock/skill:0.8,first:0.4"'
    both = (
        f'models: [{{"name": "a", {picker}, "vote": {{"orders": [2, 7], "until": 0.8}}}}, '
        f'{{"name": "f", {picker}, "vote": {{"orders": 7}}}}]'
    )
    finished(evaluate(write_suite(RATED, f"models: [mock/first] -> {both}"), out="run"))
    rows = logged()
    fixed = {row["cluster"]: row["attempts"] for row in rows if row["model"] == "f"}
    asked = {row["cluster"]: row["attempts"] for row in rows if row["model"] == "a"}
    assert len({len(attempts) for attempts in asked.values()}) > 1
    for cluster, attempts in asked.items():
        said = [attempt["reply"] for attempt in fixed[cluster]][: len(attempts)]
        assert [attempt["reply"] for attempt in attempts] == said


def test_its_ballots_are_the_first_ones_of_the_fixed_vote_and_end_where_they_agree() -> None:
    with ProviderServer(reply=swayed) as server:
        finished(evaluate(write_suite(served(server, vote={"orders": 5})), out="fixed"))
        paid = server.count
        finished(evaluate(write_suite(served(server, vote=ADAPTIVE)), out="adaptive"))
        assert server.count == paid == CLUSTERS * 5  # every reply was in the cache
    numbers = set()
    for fixed, row in zip(logged("fixed"), logged("adaptive"), strict=True):
        keys = [attempt["request_sha256"] for attempt in row["attempts"]]
        assert keys == [attempt["request_sha256"] for attempt in fixed["attempts"]][: len(keys)]
        assert row["ballots"] == len(keys)
        assert "ballots" not in fixed
        said = [_ids(attempt["reply"], n, fixed) for n, attempt in enumerate(fixed["attempts"])]
        ends = (n for n in range(2, 6) if n == 5 or mean_overlap(said[:n], 2) >= 0.8)
        assert row["ballots"] == next(ends)
        numbers.add(row["ballots"])
    assert len(numbers) > 1  # some agreed at once, some did not


def _ids(reply: str, order: int, row: dict[str, Any]) -> tuple[str, ...]:
    """The ids that a reply picks in one of the orders of a cluster of the run of seed 0."""
    from selectllm.selection.clustering.partition import show_order

    shown = show_order(tuple(sorted(row["shown"])), 0, row["cluster"], order)
    return tuple(shown[label - 1] for label in json.loads(reply))


def test_it_can_be_resumed_limited_by_cost_and_verified_and_keeps_to_its_schemas() -> None:
    price = {"input": 1000.0, "output": 1000.0}
    with ProviderServer(reply=swayed) as server:
        suite = write_suite(RATED, served(server, vote=ADAPTIVE, price=price, max_tokens=64))
        with pytest.raises(BudgetReached):
            finished(evaluate(suite, out="run", max_cost=2.0, concurrency=1))
        paid = server.count
        assert 0 < paid < CLUSTERS * 2
        finished(evaluate(suite, out="run"))
        assert server.count == sum(row["ballots"] for row in logged() if "ballots" in row)
    for row in read_jsonl(Path("run/decisions.jsonl")):
        Draft202012Validator(schema("decision")).validate(row)
    results = read_json(Path("run/results.json"))
    Draft202012Validator(schema("results")).validate(results)
    assert read_json(Path("run/run.json"))["manifest"]["models"]["m"]["vote"] == {
        "orders": [2, 5],
        "repeats": 1,
        "by": "borda",
        "until": 0.8,
    }
    assert not verification(Path("run")).differences


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_after_sigkill_no_ballot_is_paid_for_twice() -> None:
    with ProviderServer(reply=swayed, latency=0.05) as server:
        suite = write_suite(served(server, vote=ADAPTIVE))
        words = ("eval", str(suite), "-o", "run", "-j", "1", "--quiet")
        process = forked.selectllm(*words, loads=forked.ASKING)
        deadline = time.monotonic() + 300
        while server.count < CLUSTERS + 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        finished(evaluate(suite, out="run", concurrency=1))
        ballots = sum(row["ballots"] for row in logged())
        assert ballots <= server.count <= ballots + 1  # the one in flight came to nothing


def test_offline_the_first_ballots_are_missing_and_no_more_is_known(server: ProviderServer) -> None:
    suite = write_suite(served(server, vote=ADAPTIVE))
    with pytest.raises(ReplyMissing, match=f"{CLUSTERS * 2} of short@1 with m"):
        finished(evaluate(suite, out="run", offline=True))


def test_cache_explain_looks_for_the_ballots_that_are_asked(selectllm: Command) -> None:
    with ProviderServer(reply=swayed) as server:
        suite = write_suite(served(server, vote=ADAPTIVE))
        finished(evaluate(suite, out="run"))
        explained = selectllm("cache", "explain", suite, "--json").json["pairs"][0]
        assert (explained["questions"], explained["misses"]) == (server.count, [])


def test_select_votes_adaptively_too_by_an_argument_of_the_model(
    server: ProviderServer, selectllm: Command
) -> None:
    vote = ("--model-arg", "vote={orders: [2, 4], until: 0.9}")
    assert chosen_by(selectllm, *at(server), *vote, "-o", "chosen.jsonl").code == 0
    rows = read_jsonl(Path("chosen.jsonl.decisions.jsonl"))[1:]
    assert {row["ballots"] for row in rows} <= {2, 3, 4}
    assert server.count == sum(row["ballots"] for row in rows)


# --- what a plan says


def test_a_plan_says_at_least_and_at_most(server: ProviderServer) -> None:
    price = {"input": 1, "output": 2}
    least = planned(served(server, vote={"orders": 2}, price=price), "reask: 0")
    most = planned(served(server, vote={"orders": 5}, price=price), "reask: 0")
    both = planned(served(server, vote=ADAPTIVE, price=price), "reask: 0")
    assert both["calls"] == least["calls"] == CLUSTERS * 2
    assert both["calls_most"] == most["calls_most"] == CLUSTERS * 5
    assert both["usd_most"] == pytest.approx(most["usd_most"])
    assert both["further"] == CLUSTERS * 3
    assert "further" not in most


def test_a_plan_knows_which_ballots_were_cast_and_how_many_it_took(server: ProviderServer) -> None:
    with ProviderServer(reply=swayed) as swaying:
        vote = served(swaying, vote=ADAPTIVE)
        finished(evaluate(write_suite(vote, "size: 5 -> size: 5, limit: 4"), out="run"))
        rest = planned(vote, "reask: 0")
        mean = sum(row["ballots"] for row in logged()) / 4
    assert rest["known"] == 4
    assert rest["pace"]["asks"] == mean
    assert rest["calls"] == round(4 * mean)  # what the four known ones took
    assert rest["calls_most"] == 4 * 5


# --- what the report says


def evaluated_beside(server: ProviderServer, *votes: dict[str, Any]) -> Any:
    """The results of one model with each of `votes`, in the folder `run`."""
    entry = {"id": "openai/m", "api_base": server.base_url}
    models = [{"name": f"m{n}", **entry, "vote": vote} for n, vote in enumerate(votes)]
    finished(evaluate(write_suite(RATED, f"[mock/first] -> {json.dumps(models)}"), out="run"))
    return read_json(Path("run/results.json"))


def test_the_report_compares_with_the_fixed_vote_of_the_same_clusters(
    selectllm: Command,
) -> None:
    with ProviderServer(reply=swayed) as server:
        results = evaluated_beside(server, ADAPTIVE, {"orders": 5}, {"orders": 3})
        assert server.count == CLUSTERS * 5
    adaptive, fixed, other = results["pairs"]
    assert "vote" not in fixed
    assert "vote" not in other
    vote = adaptive["vote"]
    asked = sum(row["ballots"] for row in logged() if row["model"] == "m0")
    assert (vote["least"], vote["most"], vote["until"]) == (2, 5, 0.8)
    assert (vote["ballots"], vote["ballots_fixed"]) == (asked, CLUSTERS * 5)
    assert (vote["fixed"]["model"], vote["fixed"]["ballots"]) == ("m1", CLUSTERS * 5)
    same = [
        set(ours["picks"]) == set(theirs["picks"])
        for ours, theirs in zip(logged()[:CLUSTERS], logged()[CLUSTERS:], strict=False)
    ]
    assert vote["fixed"]["same"] == sum(same) / CLUSTERS
    captured = [pair["agreement"]["rating"]["captured"]["estimate"] for pair in (adaptive, fixed)]
    difference = vote["fixed"]["difference"]["rating"]
    assert difference["estimate"] == pytest.approx(captured[0] - captured[1])
    assert difference["low"] <= difference["estimate"] <= difference["high"]
    saved = CLUSTERS * 5 - asked
    for form in ("terminal", "markdown", "html"):
        text = told(selectllm, form)
        assert f"saved {saved} ballots" in text, form
        assert "The fixed vote m1 of 40 ballots picked the same in" in text, form


def test_without_the_fixed_vote_the_report_says_how_to_have_it(selectllm: Command) -> None:
    with ProviderServer(reply=swayed) as server:
        results = evaluated_beside(server, ADAPTIVE)
    assert "fixed" not in results["pairs"][0]["vote"]
    text = told(selectllm, "terminal")
    assert "add the model m0 to the suite once more" in text
    assert "vote: {orders: 5}" in text


def told(selectllm: Command, form: str) -> str:
    """The report of the run in a form, in one line."""
    if form == "html":
        assert selectllm("report", "run", "--html", "-o", "page.html").code == 0
        return " ".join(Path("page.html").read_text(encoding="utf-8").split())
    return " ".join(selectllm("report", "run", "--as", form).out.split())


# --- what is refused


@pytest.mark.parametrize(
    ("vote", "said"),
    [
        ({"orders": [2, 7]}, "until: 0.8"),
        ({"orders": 7, "until": 0.8}, "orders: [2, 7]"),
        ({"orders": [7, 2], "until": 0.8}, "LEAST below MOST"),
        ({"orders": [1, 7], "until": 0.8}, "One ballot agrees with itself"),
        ({"orders": [2, 7], "until": 1.5}, "should be at most 1"),
        ({"orders": [2, 7, 9], "until": 0.8}, "vote.orders"),
    ],
)
def test_a_vote_that_cannot_work_is_refused_with_what_to_write(
    server: ProviderServer, vote: dict[str, Any], said: str
) -> None:
    suite = write_suite(served(server, vote=vote))
    with pytest.raises(SuiteError) as refused:
        finished(evaluate(suite, out="run"))
    assert said in str(refused.value)
    assert server.count == 0
    with pytest.raises(ModelError):
        named_model("openai/m", ModelOptions(None, (f"vote={json.dumps(vote)}",)))
