"""plan: everything that a comparison takes, and nothing is sent."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pytest
import tiktoken
from jsonschema import Draft202012Validator

import selectllm as sl
from selectllm.core.errors import UsageError
from selectllm.jobs.comparing import ab
from selectllm.jobs.evaluating import EvaluatingArguments, evaluate
from selectllm.jobs.evaluation import Evaluation
from selectllm.jobs.planning import PlanArguments, plan
from selectllm.jobs.selection_plan import SelectionPlan
from selectllm.jobs.settings import SelectArguments
from selectllm.jobs.sync import finished
from selectllm.report.schemas import schema
from selectllm.stats.power import clusters_needed, detectable
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import RATED, SUITE, files, write_suite
from tests.support.provider_server import Answer, ProviderServer, completion

PRICED = {"name": "m", "id": "openai/m", "price": {"input": 2, "output": 10}, "max_tokens": 100}
TWO = "prompts: [short@1] -> prompts: [short@1, rank@1]"
AB: PlanArguments = {"kind": "ab", "a": "short@1", "b": "rank@1"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, outside any workspace, with pool.jsonl: 40 rated items."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", str(tmp_path / "cache"))
    write_jsonl(Path("pool.jsonl"), pool_rows())
    return tmp_path


def model(entry: dict[str, object], **more: object) -> str:
    return f"mock/first -> {json.dumps({**entry, **more})}"


RATER = "rating:quality@1+openai/m"


@pytest.mark.parametrize(
    ("asked", "selector", "calls"),
    [
        ({"prompt": "short@1", "model": "mock/first", "by": "random"}, "mock/first", 4),
        ({"strategy": RATER}, RATER, 40),
        ({"strategy": "longest"}, "longest", 0),
    ],
)
def test_a_selection_from_a_pool_is_planned_without_sending(
    asked: SelectArguments, selector: str, calls: int
) -> None:
    with sl.Session() as session:
        for pool in ("pool.jsonl", Path("pool.jsonl"), sl.load_pool("pool.jsonl").pool):
            for plan in (sl.plan, session.plan):
                ahead = plan(pool, budget=4, **asked)
                assert isinstance(ahead, SelectionPlan)
                assert (ahead.selector, ahead.items, ahead.calls) == (selector, 40, calls)
                assert ahead.usd == (None if selector == RATER else 0)
    assert list(Path().glob("*.jsonl")) == [Path("pool.jsonl")]


@pytest.mark.parametrize(
    ("planned", "asked", "argument"),
    [
        ("pool.jsonl", {"kind": "ab"}, "kind"),
        ("hf:some/pool", {"limit": 3}, "limit"),
        ("suite.yaml", {"budget": 3}, "budget"),
        ("suite", {"strategy": "longest"}, "strategy"),
        ("pool.jsonl", {"budget": 3}, "strategy"),
    ],
)
def test_what_belongs_to_the_other_kind_of_plan_is_refused(
    planned: str, asked: Any, argument: str
) -> None:
    with pytest.raises(UsageError) as refused:
        sl.plan(planned, **asked)
    assert refused.value.argument == argument


def planned(suite: Path, **arguments: Unpack[PlanArguments]) -> Any:
    """The plan as JSON, once it keeps to its schema."""
    content = json.loads(json.dumps(finished(plan(suite, **arguments)).results.to_json()))
    Draft202012Validator(schema("plan")).validate(content)
    return content


def told(suite: Path, **arguments: Unpack[PlanArguments]) -> str:
    """The plan as people read it, on one line."""
    return " ".join(finished(plan(suite, **arguments)).report().split())


def evaluated(
    suite: Path, out: str = "run", **arguments: Unpack[EvaluatingArguments]
) -> Evaluation:
    return finished(evaluate(suite, out=out, **arguments))


def big_pool(count: int, **columns: object) -> list[dict[str, Any]]:
    rows = [{**row, **columns} for row in pool_rows(count)]
    write_jsonl(Path("pool.jsonl"), rows)
    return rows


# --- clusters and calls


def test_a_plan_hands_to_its_session_what_is_a_session_s(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """folder, notes, watcher and engine go with a plan of a suite and with one of a pool."""
    write_suite(RATED)
    monkeypatch.chdir("/")
    notes: list[str] = []
    suite = folder / "suite.yaml"
    assert sl.plan(suite, folder=folder, notes=notes.append).calls == 8
    planned = sl.plan("pool.jsonl", budget=4, strategy="longest", folder=folder, engine=None)
    assert planned.calls == 0


def test_calls_are_clusters_x_orders_x_repeats_x_pairs() -> None:
    suite = write_suite(TWO, RATED, "orders: 3", "repeats: 2")
    content = planned(suite)
    assert content["clusters"] | {"flat": 0} == {
        **{"asked": 8, "pool": 8, "counted": 8, "flat": 0, "whole": 0, "unrated": 0},
        **{"groups": None, "effective_groups": None, "items": 40, "to_rate": 0},
    }
    assert [pair["decisions"] for pair in content["pairs"]] == [8 * 3 * 2] * 2
    assert content["total"]["decisions"] == content["total"]["calls"] == 8 * 3 * 2 * 2
    assert content["total"]["calls_most"] == 3 * content["total"]["calls"]
    assert "8 clusters x 3 orders x 2 repeats x 2 pairs make 96 decisions" in told(suite)


def test_a_limit_is_of_the_clusters_that_the_pool_gives() -> None:
    suite = write_suite(RATED, "size: 5} -> size: 5, limit: 3}")
    assert planned(suite)["clusters"]["asked"] == 3
    clusters = planned(suite, limit=5)["clusters"]
    assert (clusters["asked"], clusters["pool"]) == (5, 8)


def test_the_pool_gives_clusters_by_group_and_by_file() -> None:
    rows = [{**row, "topic": "a" if n < 12 else "b"} for n, row in enumerate(pool_rows())]
    write_jsonl(Path("pool.jsonl"), rows)
    content = planned(write_suite(RATED, "size: 5} -> size: 5, group: topic, limit: 4}"))
    assert content["clusters"]["pool"] == math.ceil(12 / 5) + math.ceil(28 / 5)
    assert content["clusters"]["groups"] == 2
    assert any("do not depend on each other" in line for line in content["assumptions"])
    evaluated(write_suite(RATED))
    suite = write_suite("{by: random, size: 5} -> {file: run/clusters.json, limit: 4}")
    clusters = planned(suite)["clusters"]
    assert (clusters["asked"], clusters["pool"], clusters["flat"]) == (4, 8, None)


def test_flat_clusters_are_not_counted() -> None:
    big_pool(40, rating=3)
    content = planned(write_suite(RATED), kind="ab")
    assert (content["clusters"]["counted"], content["clusters"]["flat"]) == (0, 8)
    assert content["power"]["detectable"] is None
    assert (content["reach"]["possible"], content["reach"]["asked"]) == (False, None)
    assert content["spread"]["source"] == "assumption"


def test_only_the_arms_are_planned() -> None:
    suite = write_suite(TWO, RATED, "[mock/first] -> [mock/first, mock/random]")
    assert len(planned(suite, kind="ab")["pairs"]) == 4
    content = planned(suite, **AB, model="mock/first")
    assert content["arms"] == ["short@1 + mock/first", "rank@1 + mock/first"]
    assert [pair["prompt"] for pair in content["pairs"]] == ["short@1", "rank@1"]
    content = planned(suite, kind="swap", from_="mock/random", to="mock/first", prompt="rank@1")
    assert content["arms"] == ["rank@1 + mock/random", "rank@1 + mock/first"]
    content = planned(suite, kind="ab", a="strategy:longest", b=["rank@1+mock/first"])
    assert content["arms"] == ["strategy:longest", "rank@1 + mock/first"]
    assert content["total"]["decisions"] == 8


def test_a_prompt_that_is_too_long_is_counted_and_never_sent() -> None:
    rows = pool_rows()
    rows[7]["instruction"] = "word " * 3000
    write_jsonl(Path("pool.jsonl"), rows)
    suite = write_suite(RATED, model(PRICED, context=2000))
    pair = planned(suite)["pairs"][0]
    assert (pair["decisions"], pair["too_long"], pair["calls"]) == (8, 1, 7)
    assert "1 prompt would be longer than the model's context" in told(suite)


# --- replies that are there


def test_recorded_and_cached_replies_cost_nothing(server: ProviderServer) -> None:
    entry = model(PRICED, api_base=server.base_url)
    suite = write_suite(TWO, RATED, entry)
    assert planned(suite)["total"]["known"] == 0
    first = write_suite(RATED, entry, path="first.yaml")
    evaluated(first, limit=3, record="pack")
    asked = server.count
    cached = planned(suite)
    assert [pair["known"] for pair in cached["pairs"]] == [3, 0]
    assert cached["total"]["calls"] == 8 + 5
    recorded = planned(write_suite(TWO, RATED, entry, "replies: pack"), cache=Path("empty-cache"))
    assert [pair["known"] for pair in recorded["pairs"]] == [3, 0]
    assert finished(plan(first, limit=3)).usd == 0.0
    assert server.count == asked


def test_a_decision_whose_second_reply_is_missing_is_still_to_be_asked(
    server: ProviderServer,
) -> None:
    entry = model(PRICED, api_base=server.base_url)
    server.queue(*[Answer(200, completion("no idea"))] * 8)
    evaluated(write_suite(RATED, entry, "reask: 0"))
    asked = server.count
    pair = planned(write_suite(RATED, entry, "reask: 0"))["pairs"][0]
    assert (pair["known"], pair["calls"]) == (8, 0)
    pair = planned(write_suite(RATED, entry, "reask: 2"))["pairs"][0]
    assert (pair["known"], pair["calls"], pair["calls_most"]) == (0, 8, 16)
    assert server.count == asked


def test_equal_questions_of_two_prompts_are_counted_as_they_are_asked(
    server: ProviderServer,
) -> None:
    """Once: a copy of a prompt asks what it asks, and each question has its reply in the cache."""
    copy = Path(str(resources.files("selectllm.prompts"))) / "short/v1.jinja"
    Path("copy.jinja").write_bytes(copy.read_bytes())
    entry = model(PRICED, api_base=server.base_url)
    both = "prompts: [short@1] -> prompts: [short@1, ./copy.jinja]"
    suite = write_suite(both, RATED, entry, "orders: 2")
    ahead = planned(suite)
    assert [pair["calls"] for pair in ahead["pairs"]] == [16, 0]
    assert ahead["total"]["calls"] == 16
    evaluated(suite)
    assert server.count == 16


def test_scripted_models_are_asked_anew_and_cost_nothing() -> None:
    evaluated(write_suite(RATED, "mock/first -> mock/oracle"), record="pack")
    suite = write_suite(RATED, "mock/first -> mock/oracle", "replies: pack")
    pair = planned(suite)["pairs"][0]
    assert (pair["known"], pair["calls"], pair["usd"]) == (0, 8, 0.0)


# --- tokens, money, time


def recorded_prompts(run: str = "run") -> list[dict[str, Any]]:
    return [row for row in read_jsonl(Path(run) / "decisions.jsonl")[1:] if "model" in row]


def test_usd_is_exact_for_a_priced_model_and_a_pilot(server: ProviderServer) -> None:
    evaluated(write_suite(RATED, model(PRICED, api_base=server.base_url)), limit=4)
    # The same model elsewhere: nothing is cached, the pilot knows how long its replies are.
    suite = write_suite(RATED, model(PRICED))
    content = planned(suite, pilot="run", concurrency=2)
    pair = content["pairs"][0]
    assert (pair["known"], pair["calls"], pair["pace"]["source"]) == (0, 8, "pilot")
    assert (pair["pace"]["tokens_out"], pair["tokens_out"]) == (5.0, 40)
    assert pair["price"] == {"input": 2.0, "output": 10.0, "source": "suite"}
    assert pair["usd"] == pytest.approx((pair["tokens_in"] * 2 + 40 * 10) / 1e6, rel=1e-12)
    seconds = [row["attempts"][0]["seconds"] for row in recorded_prompts()]
    assert pair["hours"] == pytest.approx(8 * np.mean(seconds) / 2 / 3600)
    assert pair["usd_most"] > pair["usd"]
    assert content["price_table"] is None


def test_prompt_tokens_are_those_that_a_run_estimates() -> None:
    suite = write_suite(RATED)
    pair = planned(suite)["pairs"][0]
    run = evaluated(suite)
    ran = sum(d.attempts[0].tokens_in or 0 for d in run.decisions if d.model)
    assert (pair["tokens_in"], pair["tokens_by"]) == (ran, "estimate")


def test_a_known_tokenizer_counts_and_others_are_said_to_be_estimated(
    server: ProviderServer,
) -> None:
    entries: list[dict[str, object]] = [
        {"name": "g", "id": "openai/gpt-4o-mini", "api_base": server.base_url},
        {"name": "x", "id": "openai/x", "price": {"input": 1, "output": 1}},
    ]
    content = planned(write_suite(RATED, f"[mock/first] -> {json.dumps(entries)}"))
    known, unknown = content["pairs"]
    assert (known["tokens_by"], unknown["tokens_by"]) == ("o200k_base", "estimate")
    assert any("prompt tokens of x are an estimate" in line for line in content["assumptions"])
    evaluated(write_suite(RATED, model(entries[0])))
    encoding = tiktoken.get_encoding("o200k_base")
    messages = [message for seen in server.requests for message in seen.body["messages"]]
    texts = sum(len(encoding.encode_ordinary(message["content"])) for message in messages)
    assert texts < known["tokens_in"] < texts + 20 * len(server.requests)


def test_a_price_of_the_table_names_the_table_and_its_age() -> None:
    suite = write_suite(RATED, "mock/first -> openai/gpt-4o-mini")
    content = planned(suite)
    assert content["pairs"][0]["price"]["source"] == "litellm"
    assert content["price_table"]["newest_model"] > "2024"
    version = content["price_table"]["version"]
    assert f"litellm {version}. The table has no date" in told(suite)


def test_what_is_not_priced_is_said_and_never_0() -> None:
    entries = ["mock/first", {"name": "x", "id": "openai/never-heard-of"}]
    suite = write_suite(RATED, f"[mock/first] -> {json.dumps(entries)}")
    content = planned(suite)
    assert [pair["usd"] for pair in content["pairs"]] == [0.0, None]
    assert (content["total"]["usd"], content["total"]["usd_most"]) == (None, None)
    assert finished(plan(suite)).usd is None
    assert "price of short@1 + x is not known" in told(suite)


def test_replies_of_unknown_length_are_assumed_aloud() -> None:
    suite = write_suite(TWO, RATED, model(PRICED))
    content = planned(suite)
    short, rank = (pair["pace"] for pair in content["pairs"])
    assert (short["source"], short["tokens_out"]) == ("assumption", 8 * 2 + 16)
    assert rank["tokens_out"] == 8 * 5 + 16  # a ranking names all five
    assert any("short@1 + m takes 32 tokens" in line for line in content["assumptions"])
    assert "These figures assume" in told(suite)


# --- ratings


def test_without_a_utility_every_item_is_to_be_rated() -> None:
    asked: PlanArguments = {**AB, "raters": 3, "rating_cost": 0.25}
    content = planned(write_suite(TWO), **asked)
    needed = content["ratings"]
    assert (needed["items"], needed["ratings"], needed["usd"]) == (40, 120, 30.0)
    # 8 clusters of 5, 2 picked: 2 * 2 * (1 - 2 / 5) = 2.4 items each.
    assert needed["differing"] == {
        **{"items": 19, "ratings": 57, "usd": 14.25, "source": "independent picks"}
    }
    assert any("picked independently" in line for line in content["assumptions"])
    assert content["spread"]["source"] == "assumption"
    assert "40 items x 3 raters = 120 ratings, 30.00 USD" in told(write_suite(TWO), **asked)


def test_a_pilot_says_how_many_items_differ() -> None:
    suite = write_suite("[mock/first] -> [mock/first, mock/random]")
    picks: dict[int, list[set[str]]] = {}
    for decision in evaluated(suite, out="pilot").decisions:
        if decision.model:
            picks.setdefault(decision.cluster, []).append(set(decision.picks))
    differ = sum(len(a ^ b) for a, b in picks.values())
    content = planned(suite, pilot="pilot")
    assert content["ratings"]["differing"] == {
        **{"items": differ, "ratings": differ, "usd": None, "source": "pilot"}
    }
    assert content["spread"]["source"] == "assumption"


def test_only_items_without_a_value_are_to_be_rated() -> None:
    rows = [{"id": row["id"], "value": row["rating"]} for row in pool_rows()]
    write_jsonl(Path("half.jsonl"), rows[:25])
    imported = "utilities: [{name: r, source: import, file: half.jsonl, range: [1, 5]}]"
    content = planned(write_suite(imported), kind="ab")
    assert (content["ratings"]["items"], content["clusters"]["items"]) == (15, 40)
    assert content["clusters"]["unrated"] > 0
    assert any("in which ratings are missing" in line for line in content["assumptions"])
    write_jsonl(Path("half.jsonl"), rows)
    content = planned(write_suite(imported), kind="ab")
    assert (content["ratings"]["items"], content["ratings"]["differing"]) == (0, None)


# --- what it can show


def test_the_spread_of_random_picks_and_what_it_detects() -> None:
    content = planned(write_suite(RATED), kind="ab")
    spread, power = content["spread"], content["power"]
    assert spread["source"] == "random picks"
    extreme = 1 / spread["scale"]
    assert power["detectable"] == detectable(spread["sd"], 8, 0.05, extreme=extreme)
    assert power["for_margin"] == clusters_needed(0.1, spread["sd"], 0.05, extreme=extreme)
    one = planned(write_suite(RATED), kind="regress")["power"]
    assert (one["sides"], one["for_equal"]) == (1, None)
    assert one["detectable"] < power["detectable"]


def differences(run: str, a: str, b: str) -> Sequence[float]:
    """The d of a run in captured units, computed anew from its decisions in one order."""
    utility = {row["id"]: row["rating"] for row in pool_rows()}
    gain: dict[str, dict[int, float]] = defaultdict(dict)
    headroom = {}
    for row in recorded_prompts(run):
        u = sorted(utility[item] for item in row["shown"])
        low, high = sum(u[:2]), sum(u[-2:])
        gain[row["model"]][row["cluster"]] = (sum(utility[item] for item in row["picks"]) - low) / (
            high - low
        )
        headroom[row["cluster"]] = (high - 2 * sum(u) / len(u)) / (high - low)
    scale = np.mean(list(headroom.values()))
    return [(gain[b][c] - gain[a][c]) / scale for c in gain[a]]


def test_the_spread_of_a_pilot_is_that_of_its_pairs() -> None:
    suite = write_suite(RATED, "[mock/first] -> [mock/first, mock/random, mock/oracle]")
    evaluated(suite, out="pilot")
    content = planned(suite, kind="ab", pilot="pilot")
    expected = np.std(differences("pilot", "mock/first", "mock/random"), ddof=1)
    assert content["spread"]["source"] == "pilot"
    assert content["spread"]["sd"] == pytest.approx(expected, rel=1e-9)
    content = planned(suite, kind="ab", pilot="pilot", a="mock/random", b="mock/oracle")
    expected = np.std(differences("pilot", "mock/random", "mock/oracle"), ddof=1)
    assert content["spread"]["sd"] == pytest.approx(expected, rel=1e-9)
    assert not any("pilot" in line for line in content["assumptions"])


def test_where_a_pilot_is_not_what_is_planned_that_is_said() -> None:
    suite = write_suite(RATED, "[mock/first] -> [mock/first, mock/random]")
    evaluated(suite, out="pilot")
    evaluated(write_suite(RATED), out="single")
    wide = write_suite(TWO, RATED, "size: 5 -> size: 10", "picks: 2 -> picks: 3")
    said = "\n".join(planned(wide, **AB, pilot="pilot")["assumptions"])
    assert "does not have rank@1 + mock/first" in said
    assert "2 of 5" in said
    suite = write_suite(RATED, "[mock/first] -> [mock/first, mock/random]")
    content = planned(suite, pilot="single")
    assert "The pilot has only one pair" in "\n".join(content["assumptions"])
    assert content["spread"]["source"] == "random picks"


def test_a_suite_out_of_reach_is_told_plainly() -> None:
    big_pool(1000)
    suite = write_suite(RATED, "size: 5} -> size: 5, limit: 15}")
    reach = planned(suite, kind="regress")["reach"]
    assert (reach["word"], reach["possible"]) == ("pass", False)
    assert 40 < reach["least"] < 60
    text = told(suite, kind="regress")
    assert f"`pass` needs {reach['least']} counted clusters" in text
    assert f"Raise clusters.limit to {reach['asked']} or more" in text
    assert "identical picks in all clusters pass outright" in text
    assert planned(suite, kind="regress", limit=reach["asked"])["reach"]["possible"]


def test_a_strict_guard_is_planned_as_strictly_as_regress_is_ruled() -> None:
    big_pool(1000)
    guard = "picks: 2 -> picks: 2\ngate: {severe: {strict: true}}"
    suite = write_suite(RATED, guard)
    assert "takes 149 counted clusters" in told(suite, kind="regress")
    suite = write_suite(RATED, guard, TWO)
    assert "takes 183 counted clusters" in told(suite, kind="regress")


def test_few_groups_say_little_and_that_is_said_first() -> None:
    write_jsonl(
        Path("pool.jsonl"), [r | {"topic": f"t{n % 4}"} for n, r in enumerate(pool_rows(400))]
    )
    suite = write_suite(RATED, "size: 5} -> size: 5, group: topic}")
    content = planned(suite, kind="regress")
    assert (content["clusters"]["counted"], content["clusters"]["groups"]) == (80, 4)
    assert content["power"]["detectable"] is None
    reach = content["reach"]
    assert not reach["possible"]
    assert reach["least"] == 20 * reach["groups"]
    text = told(suite, kind="regress")
    assert "based on the 4 groups, not on the clusters in them" in text
    assert "80 counted clusters in 4 groups are too few" in text
    assert f"needs {reach['least']:,} counted clusters in {reach['groups']} groups" in text
    assert "Raise clusters.limit, or add items of other groups" in text


def test_one_large_group_among_small_ones_is_told() -> None:
    topics = ["large" if n < 200 else f"t{n // 20}" for n in range(400)]
    write_jsonl(
        Path("pool.jsonl"),
        [r | {"topic": t} for r, t in zip(pool_rows(400), topics, strict=True)],
    )
    suite = write_suite(RATED, "size: 5} -> size: 5, group: topic}")
    found = planned(suite, kind="regress")["clusters"]
    assert (found["groups"], found["effective_groups"]) == (11, pytest.approx(80**2 / 1760))
    assert "they say only as much as 3 groups of one size" in told(suite, kind="regress")


def test_a_pool_that_is_too_small_is_told_plainly() -> None:
    text = told(write_suite(RATED), kind="ab")
    assert "`equivalent` needs" in text
    assert "The pool has only 8. Add items, or make clusters.size smaller" in text


def test_the_reach_is_what_ab_then_says_of_arms_that_pick_alike() -> None:
    big_pool(700)
    suite = write_suite(TWO, RATED)
    least = planned(suite, **AB)["reach"]["least"]
    for limit, word in ((least - 3, "inconclusive"), (least + 3, "equivalent")):
        possible = planned(suite, **AB, limit=limit)["reach"]["possible"]
        assert finished(ab(suite, a="short@1", b="rank@1", limit=limit, out=word)).word == word
        assert possible == (word == "equivalent")


@pytest.mark.parametrize("pool", [700, 760])
def test_sequential_is_offered_from_150_counted_clusters_on(pool: int) -> None:
    big_pool(pool)
    suite = write_suite(TWO, RATED)
    content = planned(suite, **AB)
    assert (content["sequential"] is not None) == (content["clusters"]["counted"] >= 150)
    assert (pool == 760) == (content["sequential"] is not None)
    assert planned(suite)["sequential"] is None


# --- swap


def test_swap_needs_clusters_for_each_share_to_be_retained() -> None:
    suite = write_suite(RATED, "[mock/first] -> [mock/first, mock/oracle]")
    arms: PlanArguments = {"kind": "swap", "from_": "mock/oracle", "to": "mock/first"}
    content = planned(suite, **arms)
    assert (content["swap"]["captured"], content["swap"]["source"]) == (0.3, "assumption")
    shares = [row["retain"] for row in content["swap"]["retain"]]
    clusters = [row["clusters"] for row in content["swap"]["retain"]]
    assert shares == [0.9, 0.8, 0.7]
    assert clusters == sorted(clusters, reverse=True)
    assert any("captures 0.3" in line for line in content["assumptions"])
    more = planned(suite, **arms, retain=0.5)["swap"]["retain"]
    assert [row["retain"] for row in more] == [0.9, 0.8, 0.7, 0.5]


def test_swap_takes_the_incumbent_from_the_pilot() -> None:
    suite = write_suite(RATED, "[mock/first] -> [mock/first, mock/oracle]")
    evaluated(suite, out="pilot")
    arms: PlanArguments = {"kind": "swap", "from_": "mock/oracle", "to": "mock/first"}
    content = planned(suite, **arms, pilot="pilot")
    swap, scale = content["swap"], content["spread"]["scale"]
    assert (swap["source"], swap["captured"]) == ("pilot", pytest.approx(1.0))
    first = swap["retain"][0]
    worst = (1 - scale + 0.9 * scale) / scale  # of x, in captured units
    needed = clusters_needed(0.1, first["sd"], 0.05, sides=1, extreme=worst)
    assert first["clusters"] == pytest.approx(needed, abs=1)
    text = told(suite, **arms, pilot="pilot")
    assert "captures 1.00 in the pilot" in text
    assert f"retain 90 % {first['clusters']} counted clusters show" in text


# --- strategies


def test_a_plan_counts_what_strategies_ask() -> None:
    entry = {"name": "m", "id": "openai/m", "price": {"input": 1, "output": 1}}
    strategies = "strategies: [longest, 'rating:quality@1+m', 'open-endedness:m']"
    suite = write_suite(f"mock/first -> {json.dumps(entry)}", strategies)
    content = planned(suite)
    assert {row["strategy"]: row["calls"] for row in content["strategies"]} == {
        "rating:quality@1+m": 40,
        "open-endedness:m": 120,
    }
    pairs = sum(row["calls"] for row in content["pairs"])
    assert finished(plan(suite)).calls == content["total"]["calls"] == pairs + 160 == 168
    assert content["total"]["usd"] > sum(row["usd"] for row in content["pairs"])
    shown = told(suite)
    assert "quality@1" in shown
    assert "open-endedness" in shown


def test_strategies_alone_need_no_calls() -> None:
    Path("suite.yaml").write_text(
        SUITE.replace("prompts: [short@1]\nmodels: [mock/first]", "strategies: [longest]"),
        encoding="utf-8",
    )
    content = planned(Path("suite.yaml"))
    assert (content["pairs"], content["total"]["calls"], content["total"]["usd"]) == ([], 0, 0.0)


# --- nothing happens, and what is refused


def test_nothing_is_written_or_sent(server: ProviderServer) -> None:
    suite = write_suite(TWO, RATED, model(PRICED, api_base=server.base_url))
    before = files()
    finished(plan(suite, **AB))
    assert files() == before
    assert server.count == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"a": "short@1", "b": "rank@1"}, "`a` goes with `kind` ab, not with `kind` eval"),
        ({"kind": "ab", "a": "short@1"}, "`a` needs `b`"),
        ({"kind": "swap", "to": "mock/first"}, "`to` needs `from_`"),
        ({"kind": "ab", "from_": "a", "to": "b"}, "`from_` goes with `kind` swap"),
        ({"kind": "ab", "a": "short@1", "b": "short@1"}, "twice"),
        ({"kind": "ab", "a": "nope", "b": "short@1"}, "'nope'.*short@1"),
        ({"kind": "swap", "from_": "mock/frist", "to": "mock/first"}, "Did you mean"),
        ({"kind": "agreement"}, "no kind 'agreement'"),
        ({"rating_cost": math.nan}, "`rating_cost`"),
        ({"retain": 1.5}, "`retain`"),
        ({"pilot": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_planned_is_refused(arguments: PlanArguments, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        finished(plan(write_suite(TWO, RATED), **arguments))


def test_an_unfinished_pilot_is_refused() -> None:
    suite = write_suite(RATED)
    evaluated(suite, out="pilot")
    Path("pilot/results.json").unlink()
    with pytest.raises(UsageError, match=r"pilot.*not finished"):
        finished(plan(suite, pilot="pilot"))


def test_a_suite_without_a_range_and_with_gaps_in_its_ratings_is_planned(folder: Path) -> None:
    rows = [row | {"rating": row["rating"] if n % 2 else None} for n, row in enumerate(pool_rows())]
    write_jsonl(Path("pool.jsonl"), rows)
    unranged = "utilities: [{name: rating, source: ratings, column: rating}]"
    content = planned(write_suite(TWO, unranged), **AB)
    assert content["ratings"]["items"] == 20
    assert content["clusters"]["asked"] == 8


def test_random_picks_may_be_an_arm_of_a_plan() -> None:
    arms: PlanArguments = {"kind": "ab", "a": "strategy:random", "b": "short@1"}
    assert planned(write_suite(RATED), **arms)["arms"][0] == "strategy:random"
