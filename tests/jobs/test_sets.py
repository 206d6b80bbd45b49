"""sets: every selector's sets, kept, resumed, and compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from selectllm.core.errors import (
    PoolError,
    PromptError,
    ProviderError,
    ReplyMissing,
    RunError,
    SuiteError,
    UnfitError,
    UsageError,
)
from selectllm.evaluation.suite import load_suite
from selectllm.jobs.selecting import select
from selectllm.jobs.session import Session
from selectllm.jobs.sets import Sets, SetsArguments, sets
from selectllm.jobs.settings import SelectArguments
from selectllm.jobs.sync import finished
from selectllm.report.schemas import schema
from tests.conftest import pool_rows, write_jsonl
from tests.support.cli_files import AT_ONCE, files
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
SHORT = "short@1 + mock/first"


@pytest.fixture(autouse=True)
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """pool.jsonl and its vectors, in the current folder: nothing here embeds."""
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", random_vectors(40))
    write_jsonl(Path("pool.jsonl"), pool_rows())
    return pool_rows()


def suite(**changes: object) -> Path:
    """SUITE with other values; a suite is YAML, and JSON is YAML."""
    file = Path("suite.yaml")
    file.write_text(json.dumps({**SUITE, **changes}), encoding="utf-8")
    return file


def session(**settings: Any) -> Session:
    return Session(**{"cache": Path("cache"), "vectors": Path("v.npy"), **settings})


def made(
    changes: dict[str, object] | None = None,
    out: str = "out",
    settings: dict[str, Any] | None = None,
    **asked: Unpack[SetsArguments],
) -> Sets:
    """The sets of SUITE with changes, once their file keeps to its schema."""
    with session(**(settings or {})) as opened:
        comparison = finished(sets(suite(**(changes or {})), out=out, session=opened, **asked))
    written = json.loads((comparison.folder / "sets.json").read_text("utf-8"))
    Draft202012Validator(schema("sets")).validate(written)
    assert written == json.loads(json.dumps(comparison.results.to_json()))
    return comparison


def kept(comparison: Sets) -> dict[tuple[str, int, int], tuple[str, ...]]:
    """The ids of every set."""
    return {(one.selector, one.budget, one.seed): one.ids for one in comparison.sets}


def rows(comparison: Sets) -> dict[tuple[str, int], Any]:
    return {(row["selector"], row["budget"]): row for row in comparison.results.to_json()["sets"]}


def served(server: ProviderServer, **more: object) -> dict[str, object]:
    return {"name": "m", "id": "openai/m", "api_base": server.base_url, **more}


# --- the sets


def test_every_selector_has_a_set_of_n_items_at_every_budget_and_seed(
    pool: list[dict[str, Any]],
) -> None:
    sets_made = kept(made())
    assert len(sets_made) == 4 * 2 * 2
    order = [row["id"] for row in pool]
    for (_, budget, _), ids in sets_made.items():
        assert len(ids) == budget
        assert list(ids) == sorted(set(ids), key=order.index)


def test_seeds_change_the_sets() -> None:
    comparison = made()
    sets_made = kept(comparison)
    for selector in (SHORT, "strategy:random", "strategy:k-center"):
        assert sets_made[selector, 8, 0] != sets_made[selector, 8, 1], selector
    own = {
        selector: row["self_overlap"]["mean"]
        for (selector, budget), row in rows(comparison).items()
        if budget == 8
    }
    assert max(own["strategy:random"], own[SHORT]) < 0.7
    assert own["strategy:longest"] > 0.8


@pytest.mark.parametrize(
    ("how", "selector"),
    [
        ({"prompt": "short@1", "model": "mock/first", "cluster_size": 5}, SHORT),
        ({"strategy": "k-center"}, "strategy:k-center"),
    ],
)
def test_a_set_is_what_select_selects(how: SelectArguments, selector: str) -> None:
    sets_made = kept(made())
    with session() as opened:
        selection = finished(select("pool.jsonl", session=opened, budget=8, seed=1, **how))
    assert sets_made[selector, 8, 1] == tuple(item.id for item in selection.items)


def test_selectors_that_pick_alike_overlap_fully() -> None:
    results = made({"prompts": ["short@1", "rank@1"], "strategies": ["first", "slot:1"]}).results
    by_pair = {(pair.a, pair.b): pair.overlap for pair in results.overlaps}
    assert by_pair[SHORT, "rank@1 + mock/first"] == 1.0
    assert by_pair["strategy:first", "strategy:slot:1"] == 1.0
    overlap = by_pair[SHORT, "strategy:first"]
    assert overlap is not None
    assert overlap < 0.6


def test_the_best_by_the_utility_capture_all_of_it() -> None:
    changes = {"strategies": ["oracle:rating", "random"], "models": ["mock/oracle"]}
    captured = {key: row["captured"]["rating"]["mean"] for key, row in rows(made(changes)).items()}
    assert captured["strategy:oracle:rating", 4] == captured["strategy:oracle:rating", 8] == 1.0
    assert captured["strategy:random", 8] < captured["short@1 + mock/oracle", 8] <= 1.0


def test_the_same_inputs_give_the_same_bytes() -> None:
    made()
    made(out="again")
    assert Path("again/sets.json").read_bytes() == Path("out/sets.json").read_bytes()


def test_gaps_are_filled_at_random_and_counted() -> None:
    comparison = made({"models": [NOTHING]})
    name = f"short@1 + {NOTHING}"
    row = rows(comparison)[name, 8]
    assert row["filled"] == {"mean": 8, "low": 8, "high": 8, "count": 2}
    assert row["calls"]["mean"] == 8 * 3  # asked again twice
    assert kept(comparison)[name, 8, 0] != kept(comparison)[name, 8, 1]


def rated_or_picked(messages: Any) -> str:
    return "[1]: 5" if "Rate" in messages[-1]["content"] else "[1, 2]"


def test_what_a_set_cost_is_told_for_each_as_if_alone() -> None:
    rating = "rating:quality@1+m"
    with ProviderServer(reply=rated_or_picked) as server:
        model = served(server, price={"input": 1000, "output": 0})
        comparison = made({"models": [model], "strategies": ["longest", rating]})
        # Items are rated once for all sets; each seed has clusters of its own, and what the larger
        # budget asks about them the first round of the smaller one has asked before.
        assert server.count == 40 + 2 * (8 + 2)
    assert comparison.spent_usd > 0
    spent = rows(comparison)
    pair = spent["short@1 + m", 4]
    assert pair["calls"]["mean"] == 8 + 2  # a round of winners, then two clusters of four
    assert pair["cost_usd"]["mean"] == pytest.approx(pair["tokens_in"]["mean"] / 1000)
    assert pair["tokens_in"]["low"] > 0
    assert spent["short@1 + m", 8]["calls"]["mean"] == 8
    assert spent[f"strategy:{rating}", 4]["calls"]["mean"] == 40
    assert spent[f"strategy:{rating}", 8]["calls"]["mean"] == 40
    assert spent["strategy:longest", 8]["cost_usd"]["mean"] == 0


# --- what is said instead


def test_budgets_seeds_and_pool_can_be_replaced() -> None:
    write_jsonl(Path("small.jsonl"), pool_rows(20))
    np.save("v.npy", random_vectors(20))
    comparison = made(pool="small.jsonl", budgets=[3], seeds=[7, 7])
    results = comparison.results.to_json()
    assert (results["budgets"], results["seeds"], results["pool"]["items"]) == ([3], [7], 20)
    assert {key[1:] for key in kept(comparison)} == {(3, 7)}


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
def test_only_keeps_the_selectors_that_it_names(only: list[str], selectors: list[str]) -> None:
    changes = {"prompts": ["short@1", "rank@1"], "models": ["mock/first", "mock/random"]}
    comparison = made(dict(changes), only=only)
    assert sorted({one.selector for one in comparison.sets}) == sorted(selectors)


def test_the_folder_is_named_by_suite_and_manifest() -> None:
    with session() as opened:
        for budget in (3, 5):
            finished(sets(suite(), session=opened, budgets=[budget]))
    names = sorted(path.name for path in Path("eval/runs").iterdir())
    assert len(names) == 2
    assert all(name.startswith("demo-sets-") and len(name) == 10 + 12 for name in names)


# --- going on


def test_finished_sets_are_not_made_again(server: ProviderServer) -> None:
    made({"models": [served(server)]})
    count, before = server.count, Path("out/sets.jsonl").read_bytes()
    Path("cache").rename("old-cache")
    for log in Path("out/decisions").iterdir():
        log.unlink()
    made({"models": [served(server)]})
    assert server.count == count
    assert Path("out/sets.jsonl").read_bytes() == before


def test_what_is_finished_stays_when_the_provider_fails(no_waiting: None) -> None:
    down = Answer(500, error("The server had an error."), AT_ONCE)
    failing = True

    def after_twelve(*seen: Any) -> Answer | None:
        return down if failing and seen[2] >= 12 else None

    with ProviderServer(respond=after_twelve) as server:
        changes: dict[str, object] = {"models": [served(server)]}
        with pytest.raises(ProviderError, match="Run the same command again"):
            made(changes, settings={"concurrency": 1})
        assert not Path("out/sets.json").exists()
        before = Path("out/sets.jsonl").read_bytes()
        keys = [json.loads(line) for line in before.splitlines()[1:]]
        finished_sets = {(row["selector"], row["budget"], row["seed"]) for row in keys}
        assert ("short@1 + m", 4, 0) in finished_sets
        assert ("strategy:k-center", 8, 1) in finished_sets
        assert ("short@1 + m", 8, 1) not in finished_sets
        failing = False
        made(changes)
    assert Path("out/sets.jsonl").read_bytes().startswith(before)


def test_a_folder_of_other_sets_is_refused_and_left_alone() -> None:
    made()
    before = files("out")
    with pytest.raises(RunError, match=r"out/sets.jsonl.*written with different sets"):
        made(seeds=[9])
    assert files("out") == before


def test_offline_what_is_missing_is_counted_by_selector(server: ProviderServer) -> None:
    with pytest.raises(ReplyMissing, match="8 of short@1 with m") as missing:
        made({"models": [served(server)]}, settings={"offline": True})
    assert "--" not in str(missing.value)


# --- what cannot be


@pytest.fixture
def unanswered() -> None:
    """The pool has no responses."""
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])


@pytest.mark.usefixtures("unanswered")
def test_a_strategy_that_cannot_run_is_left_out_with_its_reason() -> None:
    notes: list[str] = []
    unable = ["rating:answered@1+mock/first", "ifd"]
    comparison = made({"strategies": ["longest", *unable]}, settings={"notes": notes.append})
    left_out = {one["selector"]: one["reason"] for one in comparison.results.to_json()["left_out"]}
    assert "answered@1 shows responses" in left_out["strategy:rating:answered@1+mock/first"]
    assert "needs responses" in left_out["strategy:ifd"]
    assert {one.selector for one in comparison.sets} == {SHORT, "strategy:longest"}
    assert any(
        note.startswith("The strategy ifd was left out: ifd needs responses") for note in notes
    )


@pytest.mark.usefixtures("unanswered")
def test_a_suite_that_nothing_is_left_of_is_an_error() -> None:
    with pytest.raises(UnfitError, match=r"No selector of the suite.*ifd needs responses"):
        made({"strategies": ["ifd"], "prompts": [], "models": []})


@pytest.mark.usefixtures("unanswered")
def test_one_that_was_asked_for_by_name_is_an_error() -> None:
    with pytest.raises(UnfitError, match="ifd needs responses"):
        made({"strategies": ["longest", "ifd"]}, only=["ifd"])
    assert not Path("out").exists()


def nothing(**asked: Any) -> SetsArguments:
    return SetsArguments(**asked)  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("asked", "changes", "error_type", "words"),
    [
        (nothing(), {"strategies": ["oracle:quality"]}, UsageError, "no utility 'quality'"),
        (nothing(), {"strategies": ["rating:quality@1+gpt"]}, UsageError, "no model 'gpt'"),
        (
            nothing(),
            {"strategies": ["rating:criteria@1+mock/first"]},
            UsageError,
            "asks for indices",
        ),
        (nothing(), {"sets": None}, SuiteError, "suite demo: 'sets' is missing"),
        (nothing(), {"sets": {"budgets": []}}, SuiteError, "sets.budgets"),
        (nothing(), {"sets": {"budgets": [0]}}, SuiteError, "sets.budgets.0: 0"),
        (nothing(), {"sets": {"budgets": [3, 3]}}, SuiteError, "each number once"),
        (nothing(), {"sets": {"budget": [3]}}, SuiteError, "Did you mean 'budgets'"),
        (nothing(), {"clusters": {"size": 5, "limit": 3}}, SuiteError, "clusters.limit: 3"),
        (nothing(budgets=[41]), {}, SuiteError, "sets.budgets: 41.*the 40 items of"),
        (nothing(only=["longst"]), {}, UsageError, "Did you mean 'strategy:longest'"),
        (nothing(pool="none.jsonl"), {}, PoolError, "none.jsonl"),
        (nothing(), {"strategies": ["longst"]}, UsageError, "no strategy 'longst'"),
        (nothing(), {"prompts": ["letters@1"], "clusters": {"size": 40}}, PromptError, "26"),
    ],
)
def test_bad_input_is_an_error_and_nothing_is_written(
    asked: SetsArguments, changes: dict[str, object], error_type: type[Exception], words: str
) -> None:
    with pytest.raises(error_type, match=words):
        made(changes, **asked)
    assert not Path("out").exists()


# --- the tables


def test_frames_have_a_row_for_each_selector_and_budget() -> None:
    comparison = made()
    frame = comparison.to_polars()
    assert list(zip(frame["selector"], frame["budget"], strict=True)) == list(rows(comparison))
    assert "captured.rating.mean" in frame.columns


def test_reports_tell_what_a_random_set_captures() -> None:
    comparison = made()
    text = " ".join(comparison.report().split())
    for budget in (4, 8):
        assert f"sets of {budget} from 40 items, averaged over 2 seeds" in text
        assert f"A random set of {budget} captures 0 \u00b1 0." in text
    for head in ("captured", "cosine", "Vendi", "cover", "bits", "read", "write", "near"):
        assert head in text
    assert json.loads(comparison.report("json")) == comparison.results.to_json()
    assert "k-center" in comparison._repr_html_()


# --- the suites that ship


@pytest.mark.parametrize(("name", "size"), [("paper-dolly", 14), ("paper-alpaca", 51)])
def test_the_papers_suites_are_its_protocol(name: str, size: int) -> None:
    shipped = load_suite(SUITES / f"{name}.yaml")
    assert shipped.sets is not None
    assert (shipped.sets.budgets, shipped.sets.seeds) == ((1000, 2000, 3000), (0, 1, 2))
    assert (shipped.clusters.by, shipped.clusters.size) == ("diverse", size)
    assert shipped.pool.startswith("hf:")


def test_a_papers_suite_runs_on_a_small_copy_of_its_data() -> None:
    copied = [
        {"instruction": row["instruction"], "context": row["input"], "response": row["response"]}
        | {"category": "ab"[n % 2]}
        for n, row in enumerate(pool_rows())
    ]
    write_jsonl(Path("mine.jsonl"), copied)
    asked = nothing(budgets=[3, 6], pool="mine.jsonl", only=["random", "longest", "k-center"])
    with session() as opened:
        job = sets(SUITES / "paper-dolly.yaml", session=opened, out="out", **asked)
        results = finished(job).results.to_json()
    assert len(results["sets"]) == 3 * 2
    assert results["pool"]["category_entropy"] == 1.0
