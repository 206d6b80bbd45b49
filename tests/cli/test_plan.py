"""`selectllm plan` as a user calls it: everything that a comparison takes, and nothing is sent."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiktoken
from jsonschema import Draft202012Validator
from statsmodels.stats.power import TTestPower

from selectllm.report.schemas import schema
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import RATED, SUITE, assert_refused, files, write_suite
from tests.support.provider_server import Answer, ProviderServer, completion

PRICED = {"name": "m", "id": "openai/m", "price": {"input": 2, "output": 10}, "max_tokens": 100}
TWO = "prompts: [short@1] -> prompts: [short@1, rank@1]"
AB = ("--for", "ab", "--a", "short@1", "--b", "rank@1")


def model(entry: dict[str, object], **more: object) -> str:
    return f"mock/first -> {json.dumps({**entry, **more})}"


def plan(selectllm: Command, suite: Path, *options: object) -> Any:
    """The plan as JSON, once it keeps to its schema."""
    outcome = selectllm("plan", suite, "--json", *options)
    assert outcome.code == 0, outcome.err
    Draft202012Validator(schema("plan")).validate(outcome.json)
    return outcome.json


def told(selectllm: Command, suite: Path, *options: object) -> str:
    """The plan as people read it, on one line."""
    outcome = selectllm("plan", suite, *options)
    assert outcome.code == 0, outcome.err
    return " ".join(outcome.out.split())


def big_pool(count: int, **columns: object) -> list[dict[str, Any]]:
    rows = [{**row, **columns} for row in pool_rows(count)]
    write_jsonl(Path("pool.jsonl"), rows)
    return rows


# --- clusters and calls


def test_calls_are_clusters_x_orders_x_repeats_x_pairs(selectllm: Command, pool_file: Path) -> None:
    suite = write_suite(TWO, RATED, "orders: 3", "repeats: 2")
    found = plan(selectllm, suite)
    assert found["clusters"] | {"flat": 0} == {
        **{"asked": 8, "pool": 8, "counted": 8, "flat": 0, "whole": 0, "unrated": 0},
        **{"groups": None, "items": 40, "to_rate": 0},
    }
    assert [pair["decisions"] for pair in found["pairs"]] == [8 * 3 * 2] * 2
    assert found["total"]["decisions"] == found["total"]["calls"] == 8 * 3 * 2 * 2
    assert found["total"]["calls_most"] == 3 * found["total"]["calls"]
    assert "8 clusters x 3 orders x 2 repeats x 2 pairs = 96" in told(selectllm, suite)


def test_a_limit_is_of_the_clusters_that_the_pool_gives(
    selectllm: Command, pool_file: Path
) -> None:
    suite = write_suite(RATED, "size: 5} -> size: 5, limit: 3}")
    assert plan(selectllm, suite)["clusters"]["asked"] == 3
    found = plan(selectllm, suite, "--limit", 5)["clusters"]
    assert (found["asked"], found["pool"]) == (5, 8)


def test_the_pool_gives_clusters_by_group_and_by_file(selectllm: Command, pool_file: Path) -> None:
    rows = [{**row, "topic": "a" if n < 12 else "b"} for n, row in enumerate(pool_rows())]
    write_jsonl(Path("pool.jsonl"), rows)
    suite = write_suite(RATED, "size: 5} -> size: 5, group: topic, limit: 4}")
    found = plan(selectllm, suite)
    assert found["clusters"]["pool"] == math.ceil(12 / 5) + math.ceil(28 / 5)
    assert found["clusters"]["groups"] == 2
    assert any("independent of each other" in line for line in found["assumptions"])
    assert selectllm("eval", write_suite(RATED), "-o", "run").code == 0
    suite = write_suite("{by: random, size: 5} -> {file: run/clusters.json, limit: 4}")
    found = plan(selectllm, suite)["clusters"]
    assert (found["asked"], found["pool"], found["flat"]) == (4, 8, None)


def test_flat_clusters_are_not_counted(selectllm: Command, tmp_path: Path) -> None:
    big_pool(40, rating=3)
    found = plan(selectllm, write_suite(RATED), "--for", "ab")
    assert (found["clusters"]["counted"], found["clusters"]["flat"]) == (0, 8)
    assert found["power"]["detectable"] is None
    assert (found["reach"]["possible"], found["reach"]["asked"]) == (False, None)
    assert found["spread"]["source"] == "assumption"


def test_only_the_arms_are_planned(selectllm: Command, pool_file: Path) -> None:
    models = "[mock/first] -> [mock/first, mock/random]"
    suite = write_suite(TWO, RATED, models)
    assert len(plan(selectllm, suite, "--for", "ab")["pairs"]) == 4
    found = plan(selectllm, suite, *AB, "--model", "mock/first")
    assert found["arms"] == ["short@1 + mock/first", "rank@1 + mock/first"]
    assert [pair["prompt"] for pair in found["pairs"]] == ["short@1", "rank@1"]
    swap = ("--from", "mock/random", "--to", "mock/first", "--prompt", "rank@1")
    found = plan(selectllm, suite, "--for", "swap", *swap)
    assert found["arms"] == ["rank@1 + mock/random", "rank@1 + mock/first"]
    found = plan(
        selectllm, suite, "--for", "ab", "--a", "strategy:longest", "--b", "rank@1+mock/first"
    )
    assert found["arms"] == ["strategy:longest", "rank@1 + mock/first"]
    assert found["total"]["decisions"] == 8


def test_a_prompt_that_is_too_long_is_counted_and_never_sent(
    selectllm: Command, pool_file: Path
) -> None:
    rows = pool_rows()
    rows[7]["instruction"] = "word " * 3000
    write_jsonl(Path("pool.jsonl"), rows)
    suite = write_suite(RATED, model(PRICED, context=2000))
    pair = plan(selectllm, suite)["pairs"][0]
    assert (pair["decisions"], pair["too_long"], pair["calls"]) == (8, 1, 7)
    assert "1 prompt longer than the model's context" in told(selectllm, suite)


# --- replies that are there


def test_recorded_and_cached_replies_cost_nothing(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    entry = model(PRICED, api_base=server.base_url)
    suite = write_suite(TWO, RATED, entry)
    assert plan(selectllm, suite)["total"]["known"] == 0
    first = write_suite(RATED, entry, path="first.yaml")
    assert selectllm("eval", first, "-o", "run", "--limit", 3, "--record", "pack").code == 0
    asked = server.count
    cached = plan(selectllm, suite)
    assert [pair["known"] for pair in cached["pairs"]] == [3, 0]
    assert cached["total"]["calls"] == 8 + 5
    recorded = plan(
        selectllm, write_suite(TWO, RATED, entry, "replies: pack"), "--cache", "empty-cache"
    )
    assert [pair["known"] for pair in recorded["pairs"]] == [3, 0]
    assert plan(selectllm, first, "--limit", 3)["total"]["usd"] == 0.0
    assert server.count == asked


def test_a_decision_whose_second_reply_is_missing_is_still_to_be_asked(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    entry = model(PRICED, api_base=server.base_url)
    server.queue(*[Answer(200, completion("no idea"))] * 8)
    assert selectllm("eval", write_suite(RATED, entry, "reask: 0"), "-o", "run").code == 0
    asked = server.count
    pair = plan(selectllm, write_suite(RATED, entry, "reask: 0"))["pairs"][0]
    assert (pair["known"], pair["calls"]) == (8, 0)
    pair = plan(selectllm, write_suite(RATED, entry, "reask: 2"))["pairs"][0]
    assert (pair["known"], pair["calls"], pair["calls_most"]) == (0, 8, 16)
    assert server.count == asked


def test_scripted_models_are_asked_anew_and_cost_nothing(
    selectllm: Command, pool_file: Path
) -> None:
    suite = write_suite(RATED, "mock/first -> mock/oracle")
    assert selectllm("eval", suite, "-o", "run", "--record", "pack").code == 0
    suite = write_suite(RATED, "mock/first -> mock/oracle", "replies: pack")
    pair = plan(selectllm, suite)["pairs"][0]
    assert (pair["known"], pair["calls"], pair["usd"]) == (0, 8, 0.0)


# --- tokens, money, time


def recorded_prompts(run: str = "run") -> list[dict[str, Any]]:
    return [row for row in read_jsonl(Path(run) / "decisions.jsonl")[1:] if "model" in row]


def test_usd_is_exact_for_a_priced_model_and_a_pilot(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    there = model(PRICED, api_base=server.base_url)
    suite = write_suite(RATED, there)
    assert selectllm("eval", suite, "-o", "run", "--limit", 4).code == 0
    # The same model elsewhere: nothing is cached, the pilot knows how long its replies are.
    suite = write_suite(RATED, model(PRICED))
    found = plan(selectllm, suite, "--pilot", "run", "-j", 2)
    pair = found["pairs"][0]
    assert (pair["known"], pair["calls"], pair["pace"]["source"]) == (0, 8, "pilot")
    assert (pair["pace"]["tokens_out"], pair["tokens_out"]) == (5.0, 40)
    assert pair["price"] == {"input": 2.0, "output": 10.0, "source": "suite"}
    assert pair["usd"] == pytest.approx((pair["tokens_in"] * 2 + 40 * 10) / 1e6, rel=1e-12)
    seconds = [row["attempts"][0]["seconds"] for row in recorded_prompts()]
    assert pair["hours"] == pytest.approx(8 * np.mean(seconds) / 2 / 3600)
    assert pair["usd_most"] > pair["usd"]
    assert found["price_table"] is None


def test_prompt_tokens_are_those_that_a_run_estimates(selectllm: Command, pool_file: Path) -> None:
    suite = write_suite(RATED)
    pair = plan(selectllm, suite)["pairs"][0]
    assert selectllm("eval", suite, "-o", "run").code == 0
    ran = sum(row["attempts"][0]["tokens_in"] for row in recorded_prompts())
    assert (pair["tokens_in"], pair["tokens_by"]) == (ran, "estimate")


def test_a_known_tokenizer_counts_and_others_are_said_to_be_estimated(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    entries = [
        {"name": "g", "id": "openai/gpt-4o-mini", "api_base": server.base_url},
        {"name": "x", "id": "openai/x", "price": {"input": 1, "output": 1}},
    ]
    suite = write_suite(RATED, f"[mock/first] -> {json.dumps(entries)}")
    found = plan(selectllm, suite)
    known, unknown = found["pairs"]
    assert (known["tokens_by"], unknown["tokens_by"]) == ("o200k_base", "estimate")
    assert any(line.startswith("prompt tokens of x are") for line in found["assumptions"])
    assert selectllm("eval", write_suite(RATED, model(entries[0])), "-o", "run").code == 0
    encoding = tiktoken.get_encoding("o200k_base")
    messages = [message for seen in server.requests for message in seen.body["messages"]]
    texts = sum(len(encoding.encode_ordinary(message["content"])) for message in messages)
    assert texts < known["tokens_in"] < texts + 20 * len(server.requests)


def test_a_price_of_the_table_names_the_table_and_its_age(
    selectllm: Command, pool_file: Path
) -> None:
    suite = write_suite(RATED, "mock/first -> openai/gpt-4o-mini")
    found = plan(selectllm, suite)
    price = found["pairs"][0]["price"]
    assert price["source"] == "litellm"
    assert found["price_table"]["newest_model"] > "2024"
    text = told(selectllm, suite)
    assert f"litellm {found['price_table']['version']}, which carries no date" in text


def test_what_is_not_priced_is_said_and_never_0(selectllm: Command, pool_file: Path) -> None:
    entries = ["mock/first", {"name": "x", "id": "openai/never-heard-of"}]
    suite = write_suite(RATED, f"[mock/first] -> {json.dumps(entries)}")
    found = plan(selectllm, suite)
    assert [pair["usd"] for pair in found["pairs"]] == [0.0, None]
    assert (found["total"]["usd"], found["total"]["usd_most"]) == (None, None)
    assert "not priced: short@1 + x" in told(selectllm, suite)


def test_replies_of_unknown_length_are_assumed_aloud(selectllm: Command, pool_file: Path) -> None:
    suite = write_suite(TWO, RATED, model(PRICED))
    found = plan(selectllm, suite)
    short, rank = (pair["pace"] for pair in found["pairs"])
    assert (short["source"], short["tokens_out"]) == ("assumption", 8 * 2 + 16)
    assert rank["tokens_out"] == 8 * 5 + 16  # a ranking names all five
    assert any("short@1 + m: replies of 32 tokens" in line for line in found["assumptions"])
    assert "taken for granted" in told(selectllm, suite)


# --- ratings


def test_without_a_utility_every_item_is_to_be_rated(selectllm: Command, pool_file: Path) -> None:
    options = ("--raters", 3, "--rating-cost", 0.25)
    found = plan(selectllm, write_suite(TWO), *AB, *options)
    needed = found["ratings"]
    assert (needed["items"], needed["ratings"], needed["usd"]) == (40, 120, 30.0)
    # 8 clusters of 5, 2 picked: 2 * 2 * (1 - 2 / 5) = 2.4 items each.
    assert needed["differing"] == {
        **{"items": 19, "ratings": 57, "usd": 14.25, "source": "independent picks"}
    }
    assert any("upper bound for arms that agree" in line for line in found["assumptions"])
    assert found["spread"]["source"] == "assumption"
    assert "40 items x 3 raters = 120 ratings, 30.00 USD" in told(
        selectllm, write_suite(TWO), *AB, *options
    )


def test_a_pilot_says_how_many_items_differ(selectllm: Command, pool_file: Path) -> None:
    models = "[mock/first] -> [mock/first, mock/random]"
    suite = write_suite(models)
    assert selectllm("eval", suite, "-o", "pilot").code == 0
    picks: dict[int, list[set[str]]] = {}
    for row in recorded_prompts("pilot"):
        picks.setdefault(row["cluster"], []).append(set(row["picks"]))
    differ = sum(len(a ^ b) for a, b in picks.values())
    found = plan(selectllm, suite, "--pilot", "pilot")
    assert found["ratings"]["differing"] == {
        **{"items": differ, "ratings": differ, "usd": None, "source": "pilot"}
    }
    assert found["spread"]["source"] == "assumption"


def test_only_items_without_a_value_are_to_be_rated(selectllm: Command, pool_file: Path) -> None:
    rows = [{"id": row["id"], "value": row["rating"]} for row in pool_rows()]
    write_jsonl(Path("half.jsonl"), rows[:25])
    imported = "utilities: [{name: r, source: import, file: half.jsonl, range: [1, 5]}]"
    found = plan(selectllm, write_suite(imported), "--for", "ab")
    assert (found["ratings"]["items"], found["clusters"]["items"]) == (15, 40)
    assert found["clusters"]["unrated"] > 0
    assert any("not fully rated" in line for line in found["assumptions"])
    write_jsonl(Path("half.jsonl"), rows)
    found = plan(selectllm, write_suite(imported), "--for", "ab")
    assert (found["ratings"]["items"], found["ratings"]["differing"]) == (0, None)


# --- what it can show


def test_the_spread_of_random_picks_and_what_it_detects(
    selectllm: Command, pool_file: Path
) -> None:
    found = plan(selectllm, write_suite(RATED), "--for", "ab")
    spread, power = found["spread"], found["power"]
    assert spread["source"] == "random picks"
    test = TTestPower()
    assert test.power(power["detectable"] / spread["sd"], 8, 0.05) == pytest.approx(0.8, abs=1e-9)
    needed = test.solve_power(0.1 / spread["sd"], alpha=0.05, power=0.8)
    assert power["for_margin"] == math.ceil(needed)
    one = plan(selectllm, write_suite(RATED), "--for", "regress")["power"]
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


def test_the_spread_of_a_pilot_is_that_of_its_pairs(selectllm: Command, pool_file: Path) -> None:
    suite = write_suite(RATED, "[mock/first] -> [mock/first, mock/random, mock/oracle]")
    assert selectllm("eval", suite, "-o", "pilot").code == 0
    found = plan(selectllm, suite, "--for", "ab", "--pilot", "pilot")
    expected = np.std(differences("pilot", "mock/first", "mock/random"), ddof=1)
    assert found["spread"]["source"] == "pilot"
    assert found["spread"]["sd"] == pytest.approx(expected, rel=1e-9)
    named = ("--a", "mock/random", "--b", "mock/oracle")
    found = plan(selectllm, suite, "--for", "ab", "--pilot", "pilot", *named)
    expected = np.std(differences("pilot", "mock/random", "mock/oracle"), ddof=1)
    assert found["spread"]["sd"] == pytest.approx(expected, rel=1e-9)
    assert not any("pilot" in line for line in found["assumptions"])


def test_where_a_pilot_is_not_what_is_planned_that_is_said(
    selectllm: Command, pool_file: Path
) -> None:
    suite = write_suite(RATED, "[mock/first] -> [mock/first, mock/random]")
    assert selectllm("eval", suite, "-o", "pilot").code == 0
    assert selectllm("eval", write_suite(RATED), "-o", "single").code == 0
    wide = write_suite(TWO, RATED, "size: 5 -> size: 10", "picks: 2 -> picks: 3")
    found = plan(selectllm, wide, *AB, "--pilot", "pilot")
    said = "\n".join(found["assumptions"])
    assert "the pilot has no rank@1 + mock/first" in said
    assert "the pilot's clusters (2 of 5)" in said
    found = plan(selectllm, suite, "--pilot", "single")
    assert "the pilot has one pair only" in "\n".join(found["assumptions"])
    assert found["spread"]["source"] == "random picks"


def test_a_suite_out_of_reach_is_told_plainly(selectllm: Command, tmp_path: Path) -> None:
    big_pool(1000)
    suite = write_suite(RATED, "size: 5} -> size: 5, limit: 15}")
    found = plan(selectllm, suite, "--for", "regress")["reach"]
    assert (found["word"], found["possible"]) == ("pass", False)
    assert 60 < found["zeros"] < 100
    text = told(selectllm, suite, "--for", "regress")
    assert f"even if every d were 0, `pass` needs {found['least']} counted clusters" in text
    assert f"raise clusters.limit to {found['asked']} or more" in text
    assert "identical picks in all clusters pass outright" in text
    found = plan(selectllm, suite, "--for", "regress", "--limit", found["asked"])["reach"]
    assert found["possible"]


def test_a_pool_that_is_too_small_is_told_plainly(selectllm: Command, pool_file: Path) -> None:
    text = told(selectllm, write_suite(RATED), "--for", "ab")
    assert "`equivalent` needs" in text
    assert "the pool gives 8 at most: add items, or make clusters.size smaller" in text


def test_the_reach_is_what_ab_then_says_of_arms_that_pick_alike(
    selectllm: Command, tmp_path: Path
) -> None:
    big_pool(700)
    suite = write_suite(TWO, RATED)
    least = plan(selectllm, suite, *AB)["reach"]["least"]
    for limit, word in ((least - 3, "inconclusive"), (least + 3, "equivalent")):
        planned = plan(selectllm, suite, *AB, "--limit", limit)["reach"]
        outcome = selectllm("ab", suite, *AB[2:], "--limit", limit, "--json", "-o", word)
        assert [verdict["word"] for verdict in outcome.json["verdicts"]] == [word]
        assert planned["possible"] == (word == "equivalent")


@pytest.mark.parametrize("pool", [700, 760])
def test_sequential_is_offered_from_150_counted_clusters_on(
    selectllm: Command, tmp_path: Path, pool: int
) -> None:
    big_pool(pool)
    suite = write_suite(TWO, RATED)
    found = plan(selectllm, suite, *AB)
    assert (found["sequential"] is not None) == (found["clusters"]["counted"] >= 150)
    assert (pool == 760) == (found["sequential"] is not None)
    assert plan(selectllm, suite)["sequential"] is None


# --- swap


def test_swap_needs_clusters_for_each_share_to_be_retained(
    selectllm: Command, pool_file: Path
) -> None:
    suite = write_suite(RATED, "[mock/first] -> [mock/first, mock/oracle]")
    arms = ("--from", "mock/oracle", "--to", "mock/first")
    found = plan(selectllm, suite, "--for", "swap", *arms)
    assert (found["swap"]["captured"], found["swap"]["source"]) == (0.3, "assumption")
    shares = [row["retain"] for row in found["swap"]["retain"]]
    clusters = [row["clusters"] for row in found["swap"]["retain"]]
    assert shares == [0.9, 0.8, 0.7]
    assert clusters == sorted(clusters, reverse=True)
    assert any("captures 0.3" in line for line in found["assumptions"])
    more = plan(selectllm, suite, "--for", "swap", *arms, "--retain", 0.5)["swap"]["retain"]
    assert [row["retain"] for row in more] == [0.9, 0.8, 0.7, 0.5]


def test_swap_takes_the_incumbent_from_the_pilot(selectllm: Command, pool_file: Path) -> None:
    suite = write_suite(RATED, "[mock/first] -> [mock/first, mock/oracle]")
    assert selectllm("eval", suite, "-o", "pilot").code == 0
    arms = ("--from", "mock/oracle", "--to", "mock/first", "--pilot", "pilot")
    found = plan(selectllm, suite, "--for", "swap", *arms)["swap"]
    assert (found["source"], found["captured"]) == ("pilot", pytest.approx(1.0))
    first = found["retain"][0]
    needed = TTestPower().solve_power(
        0.1 / first["sd"], alpha=0.05, power=0.8, alternative="larger"
    )
    assert first["clusters"] == math.ceil(needed)
    text = told(selectllm, suite, "--for", "swap", *arms)
    assert "captures 1.00 in the pilot" in text
    assert f"retain 90 % {first['clusters']} counted clusters show" in text


# --- nothing happens, and what is refused


def test_nothing_is_written_or_sent(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(TWO, RATED, model(PRICED, api_base=server.base_url))
    before = files()
    assert selectllm("plan", suite, *AB).code == 0
    assert files() == before
    assert server.count == 0


def test_strategies_alone_need_no_calls(selectllm: Command, pool_file: Path) -> None:
    Path("suite.yaml").write_text(
        SUITE.replace("prompts: [short@1]\nmodels: [mock/first]", "strategies: [longest]"),
        encoding="utf-8",
    )
    found = plan(selectllm, Path("suite.yaml"))
    assert (found["pairs"], found["total"]["calls"], found["total"]["usd"]) == ([], 0, 0.0)
    assert selectllm("plan", "suite.yaml").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--a", "short@1", "--b", "rank@1"), ("--a goes with --for ab",)),
        (("--for", "ab", "--a", "short@1"), ("--a needs --b",)),
        (("--for", "swap", "--to", "mock/first"), ("--to needs --from",)),
        (("--for", "ab", "--from", "a", "--to", "b"), ("--from goes with --for swap",)),
        (("--for", "ab", "--a", "short@1", "--b", "short@1"), ("twice",)),
        (("--for", "ab", "--a", "nope", "--b", "short@1"), ("'nope'", "short@1")),
        (("--for", "swap", "--from", "mock/frist", "--to", "mock/first"), ("did you mean",)),
        (("--rating-cost", "nan"), ("--rating-cost",)),
        (("--pilot", "nowhere"), ("nowhere",)),
    ],
)
def test_what_cannot_be_planned_is_refused(
    selectllm: Command, pool_file: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    outcome = selectllm("plan", write_suite(TWO, RATED), *options)
    assert_refused(outcome, *words)


def test_an_unfinished_pilot_is_refused(selectllm: Command, pool_file: Path) -> None:
    suite = write_suite(RATED)
    assert selectllm("eval", suite, "-o", "pilot").code == 0
    Path("pilot/results.json").unlink()
    assert_refused(selectllm("plan", suite, "--pilot", "pilot"), "pilot", "not finished")


def test_it_stands_beside_the_everyday_verbs(selectllm: Command) -> None:
    outcome: Outcome = selectllm("--help")
    everyday = outcome.out.partition("More")[0]
    assert "plan" in everyday
