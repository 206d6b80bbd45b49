"""evaluate: what it measures, and the run folder that it leaves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import selectllm as sl
from selectllm.core.errors import RunError, UsageError
from selectllm.evaluation.runs.schema import ArmFigures
from selectllm.report.schemas import schema
from tests.conftest import read_jsonl, write_jsonl
from tests.support.cli_files import RATED, served, write_suite
from tests.support.provider_server import ProviderServer

BOTH = "[mock/first] -> [mock/first, mock/oracle]"


@pytest.fixture(autouse=True)
def pool(forty: Path) -> Path:
    """Every test has 8 clusters."""
    return forty


def captured(arm: ArmFigures) -> float:
    figure = arm.agreement["rating"].captured
    assert figure is not None
    return figure.estimate


def shown(folder: Path) -> Mapping[int, list[str]]:
    rows = read_jsonl(folder / "decisions.jsonl")[1:]
    return {row["cluster"]: row["shown"] for row in rows}


# --- what it measures


def test_the_oracle_captures_all_and_a_model_without_answers_is_random() -> None:
    models = "[mock/first] -> [mock/oracle, mock/first, 'mock/reply:no idea']"
    oracle, first, silent = sl.evaluate(write_suite(RATED, models)).results.pairs
    assert captured(oracle) == pytest.approx(1.0)
    assert oracle.valid_rate == first.valid_rate == 1.0
    assert captured(silent) == pytest.approx(0.0)
    assert (silent.valid_rate, silent.status_counts["invalid"]) == (0.0, 8)
    worst = silent.agreement["rating"].worst_case
    assert worst is not None
    assert worst.estimate < 0
    assert oracle.agreement["rating"].worst_case is None


def test_controls_stand_beside_every_model() -> None:
    results = sl.evaluate(write_suite(RATED)).results
    names = [arm.strategy for arm in results.strategies]
    assert names == ["random", "longest", "shortest", "first", "has-input"]
    assert captured(results.strategies[0]) == 0.0
    # mock/first and the control `first` are the same picks.
    assert captured(results.strategies[3]) == captured(results.pairs[0])


def test_every_prompt_meets_every_model() -> None:
    prompts = ("short@1", "criteria@1", "rank@1", "rubric@1", "score@1", "letters@1")
    models = "[mock/first] -> [mock/oracle, mock/first]"
    pairs = sl.evaluate(
        write_suite(RATED, models, f"[short@1] -> [{', '.join(prompts)}]")
    ).results.pairs
    assert [(pair.prompt, pair.model) for pair in pairs] == [
        (prompt, model) for prompt in prompts for model in ("mock/oracle", "mock/first")
    ]
    # One question, six reply formats: the picks are the same.
    assert {captured(p) for p in pairs if p.model == "mock/oracle"} == {captured(pairs[0])}
    assert captured(pairs[0]) == pytest.approx(1.0)
    ranked = {pair.prompt for pair in pairs if pair.agreement["rating"].ndcg}
    assert ranked == {"rank@1", "score@1"}


def test_orders_give_consistency_and_a_slot_histogram() -> None:
    first, oracle = sl.evaluate(write_suite(RATED, BOTH, "orders: 3")).results.pairs
    assert first.slots.counts[:2] == (24, 24)
    assert sum(first.slots.counts[2:]) == 0
    assert first.order_consistency is not None
    assert oracle.order_consistency is not None
    assert first.order_consistency.estimate < oracle.order_consistency.estimate
    assert (first.decisions, first.clusters) == (24, 8)


def test_a_suite_without_utilities_reports_the_rest() -> None:
    run = sl.evaluate(write_suite("[mock/first] -> [mock/first, mock/random]"))
    assert run.results.pairs[0].agreement == {}
    overlap = run.results.overlaps[0].kappa
    assert overlap is not None
    assert overlap.estimate < 1
    assert "the quality of these picks is not known" in " ".join(run.report().split())


def test_knn_is_called_a_proxy() -> None:
    held_out = [{"instruction": f"What is topic {n}?", "response": f"It is {n}."} for n in range(5)]
    write_jsonl(Path("test.jsonl"), held_out)
    near = "{name: near, source: knn, test: test.jsonl, k: 3, answer: rouge-l}"
    run = sl.evaluate(write_suite(f"utilities: [{near}]", "strategies: [random]"))
    assert run.results.pairs[0].agreement["near"].kind == "proxy"
    assert "kind: proxy" in run.report()


def test_a_report_says_plainly_what_is_no_better_than_random() -> None:
    report = sl.evaluate(write_suite(RATED, BOTH)).report()
    assert "do not show that the picks are better than random" in report
    assert "short@1 + mock/oracle: better than random picks" in report


def test_strategies_alone_and_models_alone_are_evaluated() -> None:
    alone = write_suite("prompts: [short@1]\nmodels: [mock/first]\n -> strategies: [longest]\n")
    results = sl.evaluate(alone).results
    assert (results.pairs, [arm.strategy for arm in results.strategies]) == ((), ["longest"])
    assert sl.evaluate(write_suite("strategies: []")).results.strategies == ()


def test_one_cluster_has_no_intervals() -> None:
    run = sl.evaluate(write_suite(RATED), limit=1)
    assert run.results.pairs[0].agreement["rating"].captured is None
    assert run.captured("short@1", "mock/first") is None


# --- clusters


def test_limit_takes_a_prefix_of_the_same_clusters() -> None:
    suite = write_suite()
    every, some = shown(sl.evaluate(suite).folder), shown(sl.evaluate(suite, limit=3).folder)
    assert some == {cluster: every[cluster] for cluster in (0, 1, 2)}


def test_groups_are_never_mixed(pool: Path) -> None:
    run = sl.evaluate(write_suite("size: 5 -> size: 5, group: input"))
    inputs = {row["id"]: row["input"] for row in read_jsonl(pool)}
    for decision in run.decisions:
        assert len({inputs[item] for item in decision.shown}) == 1


def test_groups_that_are_merged_lose_no_item(pool: Path) -> None:
    rows = read_jsonl(pool)
    for name, merged in (("three", "a"), ("two", "b")):
        topics = {0: "b", 1: merged, 2: "a"}
        write_jsonl(pool, [{**row, "topic": topics[n % 3]} for n, row in enumerate(rows)])
        run = sl.evaluate(write_suite("size: 5 -> size: 5, group: topic"), out=name)
        items = {item for decision in run.decisions for item in decision.shown}
        assert items == {row["id"] for row in rows}


def test_clusters_of_a_file_need_the_group_column_too() -> None:
    sl.evaluate(write_suite(), out="run")
    suite = write_suite("{by: random, size: 5} -> {file: run/clusters.json, group: topic}")
    with pytest.raises(UsageError, match="has no column 'topic'"):
        sl.evaluate(suite, out="grouped")
    assert not Path("grouped").exists()


# --- the run folder


def test_every_file_keeps_to_its_schema() -> None:
    folder = sl.evaluate(write_suite(RATED, BOTH, "orders: 2")).folder
    for name in ("run", "clusters", "results"):
        content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        Draft202012Validator(schema(name)).validate(content)
    for name, file in (("decision", "decisions"), ("utilities", "utilities")):
        for row in read_jsonl(folder / f"{file}.jsonl"):
            Draft202012Validator(schema(name)).validate(row)


def test_results_are_byte_identical_in_the_same_and_in_another_folder(
    server: ProviderServer,
) -> None:
    suite = write_suite(RATED, served(server), "[short@1] -> [short@1, rank@1]")
    sl.evaluate(suite, out="run")
    asked, first = server.count, Path("run/results.json").read_bytes()
    for folder in ("run", "again"):
        sl.evaluate(suite, out=folder)
        assert Path(folder, "results.json").read_bytes() == first
    assert server.count == asked


def test_the_default_folder_is_named_after_suite_and_content() -> None:
    suite = write_suite()
    first, again, other = (sl.evaluate(suite, seed=seed).folder for seed in (0, 0, 1))
    assert first == again != other
    for folder in (first, other):
        assert re.fullmatch(r"demo-[0-9a-f]+", folder.name)
        assert folder.parent == Path.cwd() / "eval/runs"


def test_another_evaluation_in_the_same_folder_is_refused() -> None:
    results = sl.evaluate(write_suite(), out="run").folder / "results.json"
    before = results.read_bytes()
    with pytest.raises(
        RunError,
        match=r"This run was written with .*a different seed \(0\).* `out`, or delete run ",
    ):
        sl.evaluate(write_suite("seed: 5"), out="run")
    assert results.read_bytes() == before


def test_a_run_cut_short_before_its_results_is_finished_by_the_same_call(
    server: ProviderServer,
) -> None:
    suite = write_suite(RATED, served(server))
    results = sl.evaluate(suite, out="run").folder / "results.json"
    asked, whole = server.count, results.read_bytes()
    results.unlink()
    sl.evaluate(suite, out="run")
    assert (server.count, results.read_bytes()) == (asked, whole)


def test_a_cached_run_loads_neither_litellm_nor_torch(server: ProviderServer) -> None:
    suite = write_suite(RATED, served(server), "by: random -> by: diverse")
    sl.evaluate(suite, out="run")
    code = (
        "import sys, selectllm as sl\n"
        "sl.evaluate('suite.yaml', out='again')\n"
        "print(sorted({'litellm', 'torch', 'sentence_transformers', 'openai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
    assert Path("again/results.json").read_bytes() == Path("run/results.json").read_bytes()
