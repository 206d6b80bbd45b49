"""`selectllm sets` as a user calls it: every selector's sets, kept, resumed, and compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from selectllm.evaluation.suite import load_suite
from selectllm.report.schemas import schema
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import AT_ONCE, assert_refused, files
from tests.support.made_vectors import random_vectors
from tests.support.provider_server import Answer, ProviderServer, error

SUITES = Path(__file__).parents[2] / "eval" / "suites"
SUITE: dict[str, Any] = {
    "name": "demo",
    "pool": "pool.jsonl",
    "utilities": [{"name": "rating", "source": "ratings", "column": "rating"}],
    "clusters": {"by": "diverse", "size": 5},
    "sets": {"budgets": [4, 8], "seeds": [0, 1], "category": "rating", "groups": 6},
    "prompts": ["short@1"],
    "models": ["mock/first"],
    "strategies": ["random", "longest", "k-center"],
}


NOTHING = "mock/reply:none of them"


@pytest.fixture(autouse=True)
def pool(selectllm: Command) -> list[dict[str, Any]]:
    """pool.jsonl and its vectors, in the current folder: nothing here embeds."""
    np.save("v.npy", random_vectors(40))
    write_jsonl(Path("pool.jsonl"), pool_rows())
    return pool_rows()


def suite(**changes: object) -> Path:
    """SUITE with other values; a suite is YAML, and JSON is YAML."""
    file = Path("suite.yaml")
    file.write_text(json.dumps({**SUITE, **changes}), encoding="utf-8")
    return file


def sets(selectllm: Command, *options: object, **changes: object) -> Outcome:
    return selectllm("sets", suite(**changes), "--vectors", "v.npy", "-o", "out", *options)


def found(selectllm: Command, *options: object, **changes: object) -> Any:
    """What is printed as JSON, once it keeps to its schema and stands in the folder too."""
    outcome = sets(selectllm, "--json", *options, **changes)
    assert outcome.code == 0, outcome.err
    Draft202012Validator(schema("sets")).validate(outcome.json)
    assert outcome.json == json.loads(Path("out/sets.json").read_text("utf-8"))
    return outcome.json


def kept(folder: str = "out") -> dict[tuple[str, int, int], list[str]]:
    """The ids of every finished set."""
    rows = read_jsonl(Path(folder, "sets.jsonl"))[1:]
    return {(row["selector"], row["budget"], row["seed"]): row["ids"] for row in rows}


def served(server: ProviderServer, **more: object) -> dict[str, object]:
    return {"name": "m", "id": "openai/m", "api_base": server.base_url, **more}


# --- the sets


def test_every_selector_has_a_set_of_n_items_at_every_budget_and_seed(
    selectllm: Command, pool: list[dict[str, Any]]
) -> None:
    found(selectllm)
    made = kept()
    assert len(made) == 4 * 2 * 2
    order = [row["id"] for row in pool]
    for (_, budget, _), ids in made.items():
        assert len(ids) == budget
        assert ids == sorted(set(ids), key=order.index)


def test_seeds_change_the_sets(selectllm: Command) -> None:
    rows = found(selectllm)["sets"]
    made = kept()
    for selector in ("short@1 + mock/first", "strategy:random", "strategy:k-center"):
        assert made[selector, 8, 0] != made[selector, 8, 1], selector
    own = {row["selector"]: row["self_overlap"]["mean"] for row in rows if row["budget"] == 8}
    assert max(own["strategy:random"], own["short@1 + mock/first"]) < 0.7
    assert own["strategy:longest"] > 0.8


def test_a_set_is_what_select_selects(selectllm: Command) -> None:
    found(selectllm)
    made = kept()
    of_prompt = ("--prompt", "short@1", "--model", "mock/first", "--cluster-size", 5)
    for options, selector in (
        (of_prompt, "short@1 + mock/first"),
        (("--strategy", "k-center"), "strategy:k-center"),
    ):
        select = ("select", "pool.jsonl", "--budget", 8, "--seed", 1, "--vectors", "v.npy")
        assert selectllm(*select, *options, "-o", f"{selector[:5]}.jsonl").code == 0
        selected = [row["id"] for row in read_jsonl(Path(f"{selector[:5]}.jsonl"))]
        assert made[selector, 8, 1] == selected


def test_selectors_that_pick_alike_overlap_fully(selectllm: Command) -> None:
    overlaps = found(selectllm, prompts=["short@1", "rank@1"], strategies=["first", "slot:1"])
    by_pair = {(each["a"], each["b"]): each["overlap"] for each in overlaps["overlaps"]}
    assert by_pair["short@1 + mock/first", "rank@1 + mock/first"] == 1.0
    assert by_pair["strategy:first", "strategy:slot:1"] == 1.0
    assert by_pair["short@1 + mock/first", "strategy:first"] < 0.6


def test_the_best_by_the_utility_capture_all_of_it(selectllm: Command) -> None:
    rows = found(selectllm, strategies=["oracle:rating", "random"], models=["mock/oracle"])["sets"]
    captured = {(row["selector"], row["budget"]): row["captured"]["rating"]["mean"] for row in rows}
    assert captured["strategy:oracle:rating", 4] == captured["strategy:oracle:rating", 8] == 1.0
    assert captured["strategy:random", 8] < captured["short@1 + mock/oracle", 8] <= 1.0


def test_the_same_inputs_give_the_same_bytes(selectllm: Command) -> None:
    found(selectllm)
    first = Path("out/sets.json").read_bytes()
    assert selectllm("sets", "suite.yaml", "--vectors", "v.npy", "-o", "again").code == 0
    assert Path("again/sets.json").read_bytes() == first


def test_gaps_are_filled_at_random_and_counted(selectllm: Command) -> None:
    results = found(selectllm, models=[NOTHING])
    row = next(r for r in results["sets"] if r["model"] and r["budget"] == 8)
    assert row["filled"] == {"mean": 8, "low": 8, "high": 8, "count": 2}
    assert row["calls"]["mean"] == 8 * 3  # asked again twice
    made = kept()
    name = row["selector"]
    assert made[name, 8, 0] != made[name, 8, 1]
    assert f"{name}: 8 of 8 only fill gaps, at random." in told(selectllm, models=[NOTHING])


def rated_or_picked(messages: Any) -> str:
    return "[1]: 5" if "Rate" in messages[-1]["content"] else "[1, 2]"


def test_what_a_set_cost_is_told_for_each_as_if_alone(selectllm: Command) -> None:
    rating = "rating:quality@1+m"
    with ProviderServer(reply=rated_or_picked) as server:
        model = served(server, price={"input": 1000, "output": 0})
        rows = found(selectllm, models=[model], strategies=["longest", rating])["sets"]
        # Items are rated once for all sets; each seed has clusters of its own, and what the larger
        # budget asks about them the first round of the smaller one has asked before.
        assert server.count == 40 + 2 * (8 + 2)
    spent = {(row["selector"], row["budget"]): row for row in rows}
    pair = spent["short@1 + m", 4]
    assert pair["calls"]["mean"] == 8 + 2  # a round of winners, then two clusters of four
    assert pair["cost_usd"]["mean"] == pytest.approx(pair["tokens_in"]["mean"] / 1000)
    assert pair["tokens_in"]["low"] > 0
    assert spent["short@1 + m", 8]["calls"]["mean"] == 8
    assert spent[f"strategy:{rating}", 4]["calls"]["mean"] == 40
    assert spent[f"strategy:{rating}", 8]["calls"]["mean"] == 40
    assert spent["strategy:longest", 8]["cost_usd"]["mean"] == 0


# --- what the command line says instead


def test_budgets_seeds_and_pool_can_be_replaced(selectllm: Command) -> None:
    write_jsonl(Path("small.jsonl"), pool_rows(20))
    np.save("v.npy", random_vectors(20))
    results = found(selectllm, "--pool", "small.jsonl", "--budget", 3, "--seed", 7, "--seed", 7)
    assert (results["budgets"], results["seeds"], results["pool"]["items"]) == ([3], [7], 20)
    assert {key[1:] for key in kept()} == {(3, 7)}


@pytest.mark.parametrize(
    ("only", "selectors"),
    [
        (["longest"], ["strategy:longest"]),
        (["strategy:longest", "random"], ["strategy:random", "strategy:longest"]),
        (["short"], ["short@1 + mock/first", "short@1 + mock/random"]),
        (["mock/random"], ["short@1 + mock/random", "rank@1 + mock/random"]),
        (["rank@1+mock/first"], ["rank@1 + mock/first"]),
    ],
)
def test_only_keeps_the_selectors_that_it_names(
    selectllm: Command, only: list[str], selectors: list[str]
) -> None:
    options = [word for name in only for word in ("--only", name)]
    changes = {"prompts": ["short@1", "rank@1"], "models": ["mock/first", "mock/random"]}
    rows = found(selectllm, *options, **changes)["sets"]
    assert sorted({row["selector"] for row in rows}) == sorted(selectors)


def test_the_folder_is_named_by_suite_and_manifest(selectllm: Command) -> None:
    assert selectllm("sets", suite(), "--vectors", "v.npy", "--budget", 3, "--quiet").code == 0
    assert selectllm("sets", suite(), "--vectors", "v.npy", "--budget", 5, "--quiet").code == 0
    names = sorted(path.name for path in Path("eval/runs").iterdir())
    assert len(names) == 2
    assert all(name.startswith("demo-sets-") and len(name) == 10 + 12 for name in names)


# --- going on


def test_finished_sets_are_not_made_again(selectllm: Command, server: ProviderServer) -> None:
    found(selectllm, models=[served(server)])
    count, before = server.count, Path("out/sets.jsonl").read_bytes()
    Path("cache").rename("old-cache")
    for log in Path("out/decisions").iterdir():
        log.unlink()
    found(selectllm, models=[served(server)])
    assert server.count == count
    assert Path("out/sets.jsonl").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_after_sigkill_it_goes_on_and_nothing_is_paid_for_twice(selectllm: Command) -> None:
    with ProviderServer(latency=0.05) as server:
        path = suite(models=[served(server)])
        command = ("sets", str(path), "--vectors", "v.npy", "-o", "out", "-j", "1", "--quiet")
        process = subprocess.Popen([sys.executable, "-m", "selectllm", *command])
        deadline = time.monotonic() + 300
        while server.count < 12 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not Path("out/sets.json").exists()
        interrupted = kept()
        assert len(interrupted) >= 3 * 4  # the strategies come first, since they cost nothing
        assert selectllm(*command).code == 0
        assert server.count <= 2 * (8 + 2) + 1  # the call in flight is sent again
    assert interrupted.items() <= kept().items()
    assert len(kept()) == 4 * 4


def test_a_failing_provider_is_exit_6_and_what_is_finished_stays(
    selectllm: Command, no_waiting: None
) -> None:
    down = Answer(500, error("The server had an error."), AT_ONCE)
    failing = True
    with ProviderServer(
        respond=lambda *seen: down if failing and seen[2] >= 12 else None
    ) as server:
        outcome = sets(selectllm, "-j", 1, models=[served(server)])
        assert outcome.code == 6, outcome.err
        assert "run the same command again" in outcome.err
        assert not Path("out/sets.json").exists()
        before = kept()
        assert ("short@1 + m", 4, 0) in before
        assert ("strategy:k-center", 8, 1) in before
        assert ("short@1 + m", 8, 1) not in before
        failing = False
        found(selectllm, models=[served(server)])
    assert before.items() <= kept().items()


def test_a_folder_of_other_sets_is_refused_and_left_alone(selectllm: Command) -> None:
    found(selectllm)
    before = files("out")
    assert_refused(
        sets(selectllm, "--seed", 9, "--quiet"), "out/sets.jsonl", "another call (sets differ)"
    )
    assert files("out") == before


def test_offline_what_is_missing_is_counted_by_selector(
    selectllm: Command, server: ProviderServer
) -> None:
    outcome = sets(selectllm, "--offline", "--quiet", models=[served(server)])
    assert_refused(outcome, "8 of short@1 with m", "without --offline", code=5)


# --- what cannot be


def test_a_strategy_that_cannot_run_is_left_out_with_its_reason(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])
    unable = ["rating:answered@1+mock/first", "ifd"]
    results = found(selectllm, strategies=["longest", *unable])
    reasons = {each["selector"]: each["reason"] for each in results["left_out"]}
    assert "answered@1 shows responses" in reasons["strategy:rating:answered@1+mock/first"]
    assert "needs responses" in reasons["strategy:ifd"]
    assert {row["strategy"] for row in results["sets"]} == {None, "longest"}
    outcome = sets(selectllm, strategies=["longest", *unable])
    assert "left out: ifd: ifd needs responses" in outcome.err
    assert "ifd: ifd needs responses" in " ".join(outcome.out.split())


def test_a_suite_that_nothing_is_left_of_is_an_error(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])
    outcome = sets(selectllm, "--quiet", strategies=["ifd"], prompts=[], models=[])
    assert_refused(outcome, "no selector of the suite", "ifd needs responses")


def test_one_that_was_asked_for_by_name_is_an_error(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])
    outcome = sets(selectllm, "--only", "ifd", "--quiet", strategies=["longest", "ifd"])
    assert_refused(outcome, "ifd needs responses")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("oracle:quality", "no utility 'quality'"),
        ("rating:quality@1+gpt", "no model 'gpt'"),
        ("rating:criteria@1+mock/first", "asks for indices"),
    ],
)
def test_a_strategy_that_no_pool_would_do_for_is_an_error(
    selectllm: Command, strategy: str, words: str
) -> None:
    outcome = sets(selectllm, "--quiet", strategies=["longest", strategy])
    assert_refused(outcome, words)


@pytest.mark.parametrize(
    ("options", "changes", "words"),
    [
        ((), {"sets": None}, ("suite demo: 'sets' is missing",)),
        ((), {"sets": {"budgets": []}}, ("sets.budgets",)),
        ((), {"sets": {"budgets": [0]}}, ("sets.budgets.0: 0", "greater than or equal to 1")),
        ((), {"sets": {"budgets": [3, 3]}}, ("sets.budgets", "each number once")),
        ((), {"sets": {"budget": [3]}}, ("'sets.budget'", "did you mean 'budgets'")),
        ((), {"clusters": {"size": 5, "limit": 3}}, ("clusters.limit: 3", "leave it out")),
        (("--budget", 41), {}, ("sets.budgets: 41", "the 40 items of")),
        (("--only", "longst"), {}, ("no selector 'longst'", "did you mean 'strategy:longest'")),
        (("--pool", "none.jsonl"), {}, ("none.jsonl",)),
        ((), {"strategies": ["longst"]}, ("no strategy 'longst'",)),
        ((), {"prompts": ["letters@1"], "clusters": {"size": 40}}, ("letters@1", "26")),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    selectllm: Command,
    options: tuple[object, ...],
    changes: dict[str, object],
    words: tuple[str, ...],
) -> None:
    assert_refused(sets(selectllm, "--quiet", *options, **changes), *words)
    assert not Path("out").exists()


# --- the tables


def told(selectllm: Command, *options: object, **changes: object) -> list[str]:
    outcome = sets(selectllm, "--quiet", *options, **changes)
    assert outcome.code == 0, outcome.err
    return outcome.out.splitlines()


def test_there_is_a_table_for_each_budget_with_its_yardstick(selectllm: Command) -> None:
    lines = told(selectllm)
    text = " ".join(" ".join(lines).split())
    for budget in (4, 8):
        assert f"{budget} of 40 items, mean over 2 seeds" in text
        assert f"A random set of {budget} captures 0 \u00b1 0." in text
    for head in ("captured", "cosine", "Vendi", "cover", "bits", "read", "write", "near"):
        assert sum(line.strip().startswith(head) for line in lines) == 1, head
    assert "higher is better" in text
    assert "lower is more varied" in text


def test_tables_fit_into_a_hundred_columns(
    selectllm: Command, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = served(server, name="a-model-with-a-long-name:q4_k_m", price={"input": 9, "output": 9})
    lines = told(selectllm, models=[long], strategies=["random", "score-first:0.9:longest"])
    assert max(len(line.rstrip()) for line in lines) <= 100
    heads = next(line for line in lines if "captured" in line).split()
    assert heads == (
        "# selector captured range cosine Vendi cover bits read write calls USD self near".split()
    )


def test_columns_that_say_nothing_are_left_out(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])
    options = {"seeds": [0], "budgets": [4]}
    lines = told(selectllm, prompts=[], models=[], utilities=[], sets=options)
    assert next(line for line in lines if "selector" in line).split() == (
        "# selector cosine Vendi cover read near".split()
    )


def test_the_nearest_selector_is_named_by_its_number(selectllm: Command) -> None:
    lines = told(
        selectllm, "--budget", 8, strategies=["longest", "random", "score-first:1:longest"]
    )
    rows = {line.split()[1]: line.split() for line in lines if line.strip()[:1].isdigit()}
    assert rows["longest"][-2:] == ["#4", "1.00"]
    assert rows["score-first:1:longest"][-2:] == ["#2", "1.00"]


def test_markdown_has_the_tables_and_all_overlaps(selectllm: Command) -> None:
    results = found(selectllm, "--markdown", "notes/sets.md")
    text = Path("notes/sets.md").read_text("utf-8")
    assert text.startswith("## demo: sets of 40 items")
    assert text.count("| # | selector | captured |") == 2
    assert text.count("| # | selector | 1 | 2 | 3 | 4 |") == 2
    first = results["overlaps"][0]
    cells = next(line for line in text.split("Overlap at 4")[1].splitlines() if "short@1" in line)
    assert float(cells.split("|")[4]) == pytest.approx(first["overlap"], abs=0.006)


# --- the suites that ship


@pytest.mark.parametrize(("name", "size"), [("paper-dolly", 14), ("paper-alpaca", 51)])
def test_the_papers_suites_are_its_protocol(name: str, size: int) -> None:
    shipped = load_suite(SUITES / f"{name}.yaml")
    assert shipped.sets is not None
    assert (shipped.sets.budgets, shipped.sets.seeds) == ((1000, 2000, 3000), (0, 1, 2))
    assert (shipped.clusters.by, shipped.clusters.size) == ("diverse", size)
    assert shipped.pool.startswith("hf:")


def test_a_papers_suite_runs_on_a_small_copy_of_its_data(selectllm: Command) -> None:
    rows = [
        {"instruction": row["instruction"], "context": row["input"], "response": row["response"]}
        | {"category": "ab"[n % 2]}
        for n, row in enumerate(pool_rows())
    ]
    write_jsonl(Path("mine.jsonl"), rows)
    budgets = ("--budget", 3, "--budget", 6, "--pool", "mine.jsonl")
    cheap = [word for name in ("random", "longest", "k-center") for word in ("--only", name)]
    call = ("sets", SUITES / "paper-dolly.yaml", *budgets, *cheap, "--vectors", "v.npy")
    outcome = selectllm(*call, "-o", "out", "--json")
    assert outcome.code == 0, outcome.err
    assert len(outcome.json["sets"]) == 3 * 2
    assert outcome.json["pool"]["category_entropy"] == 1.0
