"""`selectllm eval` as a user calls it: from a suite to a run folder, a table and an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from selectllm.report.schemas import schema
from tests.conftest import Command, read_jsonl, write_jsonl
from tests.support.provider_server import FAULTS, Answer, ProviderServer, error

SUITE = """
name: demo
pool: pool.jsonl
utilities:
  - {{name: rating, source: ratings, column: rating, kind: human, range: [1, 5]}}
clusters: {{by: random, size: 5}}
picks: 2
prompts: [{prompts}]
models: [{models}]
{more}
"""


def write_suite(
    *models: str, prompts: Sequence[str] = ("short@1",), more: str = "", change: str = ""
) -> Path:
    text = SUITE.format(prompts=", ".join(prompts), models=", ".join(models), more=more)
    if change:
        old, new = change.split(" -> ")
        assert old in text
        text = text.replace(old, new)
    path = Path("suite.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def at(server: ProviderServer, **settings: object) -> str:
    """A model entry for the test's provider."""
    return json.dumps({"name": "m", "id": "openai/m", "api_base": server.base_url, **settings})


def results(folder: str = "run") -> Any:
    return json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))


def captured(pair: Mapping[str, Any]) -> float:
    return float(pair["agreement"]["rating"]["captured"]["estimate"])


# --- what it measures


def test_the_oracle_captures_all_and_a_model_without_answers_is_random(
    selectllm: Command, pool_file: Path
) -> None:
    suite = write_suite("mock/oracle", "mock/first", "'mock/reply:no idea'")
    outcome = selectllm("eval", suite, "-o", "run")
    assert outcome.code == 0, outcome.err
    oracle, first, silent = results()["pairs"]
    assert captured(oracle) == pytest.approx(1.0)
    assert oracle["valid_rate"] == first["valid_rate"] == 1.0
    assert captured(silent) == pytest.approx(0.0)
    assert (silent["valid_rate"], silent["status_counts"]["invalid"]) == (0.0, 8)
    assert silent["agreement"]["rating"]["worst_case"]["estimate"] < 0
    assert oracle["agreement"]["rating"]["worst_case"] is None


def test_controls_stand_beside_every_model(selectllm: Command, pool_file: Path) -> None:
    selectllm("eval", write_suite("mock/first"), "-o", "run")
    strategies = results()["strategies"]
    names = [entry["strategy"] for entry in strategies]
    assert names == ["random", "longest", "shortest", "first", "has-input"]
    assert captured(strategies[0]) == 0.0
    # mock/first and the control `first` are the same picks.
    assert captured(strategies[3]) == captured(results()["pairs"][0])


def test_every_prompt_meets_every_model(selectllm: Command, pool_file: Path) -> None:
    prompts = ("short@1", "criteria@1", "rank@1", "rubric@1", "score@1", "letters@1")
    selectllm("eval", write_suite("mock/oracle", "mock/first", prompts=prompts), "-o", "run")
    pairs = results()["pairs"]
    assert [(p["prompt"], p["model"]) for p in pairs] == [
        (prompt, model) for prompt in prompts for model in ("mock/oracle", "mock/first")
    ]
    # One question, six reply formats: the picks are the same.
    assert {captured(p) for p in pairs if p["model"] == "mock/oracle"} == {captured(pairs[0])}
    assert captured(pairs[0]) == pytest.approx(1.0)
    ranked = {p["prompt"] for p in pairs if p["agreement"]["rating"]["ndcg"]}
    assert ranked == {"rank@1", "score@1"}


def test_orders_give_consistency_and_a_slot_histogram(selectllm: Command, pool_file: Path) -> None:
    selectllm("eval", write_suite("mock/first", "mock/oracle", more="orders: 3"), "-o", "run")
    first, oracle = results()["pairs"]
    assert first["slots"]["counts"][:2] == [24, 24]
    assert sum(first["slots"]["counts"][2:]) == 0
    assert first["order_consistency"]["estimate"] < oracle["order_consistency"]["estimate"]
    assert first["decisions"] == 24
    assert first["clusters"] == 8


def test_a_suite_without_utilities_reports_the_rest(selectllm: Command, pool_file: Path) -> None:
    change = "  - {name: rating, source: ratings, column: rating, kind: human, range: [1, 5]} -> "
    suite = write_suite("mock/first", "mock/random", change=change)
    suite.write_text(suite.read_text().replace("utilities:\n\n", ""))
    outcome = selectllm("eval", suite, "-o", "run")
    assert outcome.code == 0, outcome.err
    assert "how good the picks are is not known" in outcome.out
    found = results()
    assert found["pairs"][0]["agreement"] == {}
    assert found["overlaps"][0]["kappa"]["estimate"] < 1


def test_knn_is_called_a_proxy(selectllm: Command, pool_file: Path) -> None:
    held_out = [{"instruction": f"What is topic {n}?", "response": f"It is {n}."} for n in range(5)]
    write_jsonl(Path("test.jsonl"), held_out)
    more = "strategies: [random]"
    change = (
        "column: rating, kind: human, range: [1, 5]} -> column: rating}\n"
        "  - {name: near, source: knn, test: test.jsonl, k: 3, answer: rouge-l}"
    )
    outcome = selectllm("eval", write_suite("mock/first", more=more, change=change), "-o", "run")
    assert outcome.code == 0, outcome.err
    assert results()["pairs"][0]["agreement"]["near"]["kind"] == "proxy"
    assert "kind: proxy" in outcome.out


def test_the_table_says_plainly_what_is_no_better_than_random(
    selectllm: Command, pool_file: Path
) -> None:
    outcome = selectllm("eval", write_suite("mock/first", "mock/oracle"), "-o", "run")
    assert "short@1 + mock/first: not better than random" in outcome.out
    assert "short@1 + mock/oracle: better than random picks" in outcome.out


# --- the run folder


def test_every_file_keeps_to_its_schema(selectllm: Command, pool_file: Path) -> None:
    selectllm("eval", write_suite("mock/first", "mock/oracle", more="orders: 2"), "-o", "run")
    for name in ("run", "clusters", "results"):
        content = json.loads((Path("run") / f"{name}.json").read_text(encoding="utf-8"))
        Draft202012Validator(schema(name)).validate(content)
    for name, file in (("decision", "decisions"), ("utilities", "utilities")):
        for row in read_jsonl(Path("run") / f"{file}.jsonl"):
            Draft202012Validator(schema(name)).validate(row)


def test_results_are_byte_identical_in_the_same_and_in_another_folder(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(at(server), prompts=("short@1", "rank@1"))
    assert selectllm("eval", suite, "-o", "run").code == 0
    asked, first = server.count, Path("run/results.json").read_bytes()
    assert selectllm("eval", suite, "-o", "run").code == 0
    assert Path("run/results.json").read_bytes() == first
    assert selectllm("eval", suite, "-o", "again").code == 0
    assert Path("again/results.json").read_bytes() == first
    assert server.count == asked


def test_the_default_folder_is_named_after_suite_and_content(
    selectllm: Command, pool_file: Path
) -> None:
    suite = write_suite("mock/first")
    assert selectllm("eval", suite).code == 0
    assert selectllm("eval", suite).code == 0
    assert selectllm("eval", suite, "--seed", 1).code == 0
    folders = sorted(path.name for path in Path("eval/runs").iterdir())
    assert len(folders) == 2
    assert all(name.startswith("demo-") for name in folders)


def test_another_evaluation_in_the_same_folder_is_refused(
    selectllm: Command, pool_file: Path
) -> None:
    selectllm("eval", write_suite("mock/first"), "-o", "run")
    before = Path("run/results.json").read_bytes()
    outcome = selectllm("eval", write_suite("mock/first", more="seed: 5"), "-o", "run")
    assert outcome.code == 2
    assert "belongs to another call" in outcome.err
    assert Path("run/results.json").read_bytes() == before


def test_report_prints_the_same_tables(selectllm: Command, pool_file: Path) -> None:
    outcome = selectllm("eval", write_suite("mock/first"), "-o", "run")
    assert selectllm("report", "run").out == outcome.out
    assert selectllm("report", "run", "--json").json == results()


def test_limit_takes_a_prefix_of_the_same_clusters(selectllm: Command, pool_file: Path) -> None:
    suite = write_suite("mock/first")
    selectllm("eval", suite, "-o", "all")
    selectllm("eval", suite, "-o", "some", "--limit", 3)
    every = {row["cluster"]: row["shown"] for row in read_jsonl(Path("all/decisions.jsonl"))[1:]}
    some = {row["cluster"]: row["shown"] for row in read_jsonl(Path("some/decisions.jsonl"))[1:]}
    assert some == {cluster: every[cluster] for cluster in (0, 1, 2)}


def test_groups_are_never_mixed(selectllm: Command, pool_file: Path) -> None:
    suite = write_suite("mock/first", change="size: 5 -> size: 5, group: input")
    assert selectllm("eval", suite, "-o", "run").code == 0
    inputs = {row["id"]: row["input"] for row in read_jsonl(pool_file)}
    for row in read_jsonl(Path("run/decisions.jsonl"))[1:]:
        assert len({inputs[item] for item in row["shown"]}) == 1


def test_groups_that_are_merged_lose_no_item(selectllm: Command, pool_file: Path) -> None:
    rows = read_jsonl(pool_file)
    for name, merged in (("three", "a"), ("two", "b")):
        topics = {0: "b", 1: merged, 2: "a"}
        grouped = [{**row, "topic": topics[n % 3]} for n, row in enumerate(rows)]
        write_jsonl(pool_file, grouped)
        suite = write_suite("mock/first", change="size: 5 -> size: 5, group: topic")
        assert selectllm("eval", suite, "-o", name).code == 0
        shown = [row["shown"] for row in read_jsonl(Path(f"{name}/decisions.jsonl"))[1:]]
        assert {item for items in shown for item in items} == {row["id"] for row in rows}


# --- providers, failures, money


def test_offline_names_what_is_missing_and_how_to_record_it(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(at(server))
    outcome = selectllm("eval", suite, "--offline", "-o", "run")
    assert outcome.code == 5
    assert "8 of short@1 with m" in outcome.err
    assert "selectllm eval suite.yaml --record" in outcome.err
    assert server.count == 0
    assert not Path("run/results.json").exists()


def test_recorded_replies_stand_in_for_the_provider(
    selectllm: Command, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProviderServer() as server:
        suite = write_suite(at(server), more="replies: pack.jsonl")
        Path("pack.jsonl").touch()
        assert selectllm("eval", suite, "-o", "live", "--record", "pack.jsonl").code == 0
    for row in read_jsonl(Path("pack.jsonl")):
        Draft202012Validator(schema("pack")).validate(row)
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", "an-empty-cache")
    outcome = selectllm("eval", suite, "-o", "replayed", "--offline")
    assert outcome.code == 0, outcome.err
    assert Path("replayed/results.json").read_bytes() == Path("live/results.json").read_bytes()


def test_failures_are_no_picks_and_a_rerun_asks_only_them(
    selectllm: Command, pool_file: Path
) -> None:
    def fails_at_first(request: Any, headers: Any, n: int) -> Answer | None:
        return FAULTS["400"] if n in (1, 4) else None

    with ProviderServer(fails_at_first) as server:
        suite = write_suite(at(server))
        outcome = selectllm("eval", suite, "-o", "run", "-j", 1)
        assert outcome.code == 6
        assert "2 of 8 decisions could not be made" in outcome.err
        assert "temperature must be below 2" in outcome.err
        assert not Path("run/results.json").exists()
        assert server.count == 8
        assert selectllm("eval", suite, "-o", "run").code == 0
        assert server.count == 10
    assert results()["pairs"][0]["status_counts"]["error"] == 0


def test_an_invalid_reply_is_asked_again_with_the_complaint(
    selectllm: Command, pool_file: Path
) -> None:
    def better_next_time(messages: Sequence[Mapping[str, Any]]) -> str:
        return "[1, 2]" if len(messages) > 2 else "I like them all."

    with ProviderServer(reply=better_next_time) as server:
        selectllm("eval", write_suite(at(server)), "-o", "run")
        assert server.count == 16
    pair = results()["pairs"][0]
    assert (pair["status_counts"]["repaired"], pair["valid_rate"]) == (8, 1.0)
    again = read_jsonl(Path("run/decisions.jsonl"))[-1]["attempts"]
    assert [attempt["reply"] for attempt in again] == ["I like them all.", "[1, 2]"]


def test_a_refusal_is_told_by_the_provider_and_not_asked_again(
    selectllm: Command, pool_file: Path
) -> None:
    with ProviderServer(lambda *_: FAULTS["refusal"]) as server:
        selectllm("eval", write_suite(at(server)), "-o", "run")
        assert server.count == 8
    assert results()["pairs"][0]["status_counts"]["refused"] == 8


def test_a_prompt_that_was_cut_is_an_error_and_is_not_cached(
    selectllm: Command, pool_file: Path
) -> None:
    rows = read_jsonl(pool_file)
    for row in rows:
        row["instruction"] += " many words more" * 60
    pool_file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with ProviderServer(lambda *_: FAULTS["few prompt tokens"]) as server:
        suite = write_suite(at(server))
        outcome = selectllm("eval", suite, "-o", "run")
        assert outcome.code == 6
        assert "input_truncated" in outcome.err
        asked = server.count
        assert selectllm("eval", suite, "-o", "run").code == 6
        assert server.count > asked


def test_a_prompt_too_long_for_the_context_is_not_sent(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    selectllm("eval", write_suite(at(server, context=300, max_tokens=250)), "-o", "run")
    assert server.count == 0
    pair = results()["pairs"][0]
    assert pair["status_counts"]["invalid"] == 8
    assert read_jsonl(Path("run/decisions.jsonl"))[-1]["problems"] == ["too_long"]


def test_a_prompt_that_the_provider_finds_too_long_is_invalid_and_not_a_failure(
    selectllm: Command, pool_file: Path
) -> None:
    with ProviderServer(lambda *_: FAULTS["context overflow"]) as server:
        assert selectllm("eval", write_suite(at(server)), "-o", "run").code == 0
        assert server.count == 8
    assert results()["pairs"][0]["status_counts"]["invalid"] == 8


def test_max_cost_stops_before_spending_more_and_a_rerun_goes_on(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    # About 250 prompt tokens and at most 100 out: some 0.045 USD a call at these prices.
    suite = write_suite(at(server, price={"input": 100, "output": 200}, max_tokens=100))
    outcome = selectllm("eval", suite, "-o", "run", "--max-cost", "0.15", "-j", 1)
    assert outcome.code == 4
    assert "--max-cost 0.15 USD reached" in outcome.err
    paid = server.count
    assert 0 < paid < 8
    assert selectllm("eval", suite, "-o", "run").code == 0
    assert server.count == 8
    assert results()["pairs"][0]["replay_cost_usd"] > 0


def test_a_model_without_a_price_fails_closed_under_max_cost(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(at(server))
    outcome = selectllm("eval", suite, "-o", "run", "--max-cost", "1")
    assert outcome.code == 2
    assert "not priced" in outcome.err
    assert server.count == 0
    outcome = selectllm("eval", suite, "-o", "run", "--max-cost", "1", "--allow-unpriced")
    assert outcome.code == 0
    assert "not priced" in outcome.out
    assert results()["pairs"][0]["replay_cost_usd"] is None


def test_concurrency_is_bounded(selectllm: Command, pool_file: Path) -> None:
    with ProviderServer(latency=0.05) as server:
        selectllm("eval", write_suite(at(server), more="orders: 3"), "-o", "run", "-j", 5)
        assert 2 <= server.peak <= 5


def test_a_schema_is_sent_where_prompt_and_provider_take_one(
    selectllm: Command, pool_file: Path
) -> None:
    with ProviderServer(reply=lambda messages: '{"picks": [1, 2]}') as server:
        prompts = ("rubric@1", "short@1")
        suite = write_suite(at(server, structured=True), prompts=prompts)
        selectllm("eval", suite, "-o", "run")
        sent = [request.body.get("response_format") for request in server.requests]
        assert sum(form is not None for form in sent) == 8
        off = write_suite(at(server, structured=True), prompts=prompts, more="structured: off")
        selectllm("eval", off, "-o", "off")
        assert all("response_format" not in seen.body for seen in server.requests[16:])


def test_ollama_is_told_to_make_room_for_the_longest_prompt(
    selectllm: Command, pool_file: Path
) -> None:
    with ProviderServer() as server:
        entry = json.dumps({"name": "m", "id": "ollama_chat/m", "api_base": server.root})
        assert selectllm("eval", write_suite(entry), "-o", "run").code == 0
        assert {request.path for request in server.requests} == {"/api/chat"}
        assert {request.body["options"]["num_ctx"] for request in server.requests} == {2048}


def test_a_down_provider_is_not_asked_for_ever(selectllm: Command, pool_file: Path) -> None:
    with ProviderServer(lambda *_: Answer(400, error("no"))) as server:
        suite = write_suite(at(server), more="orders: 10")
        assert selectllm("eval", suite, "-o", "run", "-j", 1).code == 6
        assert server.count == 8


def test_a_cached_run_loads_neither_litellm_nor_torch(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(at(server), change="by: random -> by: diverse")
    assert selectllm("eval", suite, "-o", "run").code == 0
    code = (
        "import sys; from selectllm.cli import main\n"
        "assert main(['eval', 'suite.yaml', '-o', 'again', '--quiet']) == 0\n"
        "print(sorted({'litellm', 'torch', 'sentence_transformers', 'openai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert Path("again/results.json").read_bytes() == Path("run/results.json").read_bytes()


# --- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("pool: pool.jsonl -> pool: none.jsonl", "none.jsonl"),
        ("column: rating -> column: ratng", "did you mean 'rating'"),
        ("range: [1, 5] -> range: [1, 4]", "outside range"),
        ("size: 5 -> sise: 5", "did you mean 'size'"),
        ("[short@1] -> [shrt@1]", "shrt"),
        ("[short@1] -> [short@9]", "short@9"),
        ("[mock/first] -> [mock/frist]", "mock/first, mock/random"),
        ("[mock/first] -> [gpt-4o]", "openai/gpt-4o"),
        ("[mock/first] -> [local/smollm]", "smollm2-135m"),
        ("size: 5 -> size: 5, group: topic", "no column 'topic'"),
        ("size: 5 -> size: 5, file: none.json", "none.json"),
        ("picks: 2 -> picks: 2\nstrategies: [longst]", "did you mean 'longest'"),
        ("picks: 2 -> picks: 2\nreplies: none.jsonl", "none.jsonl"),
        ("picks: 2 -> picks: 2\nknn: 5", "unknown key 'knn'"),
        ("[mock/first] -> [{id: a/b, price: {input: .inf, output: 1}}]", "finite number"),
        ("[mock/first] -> [{id: a/b, extra: {since: 2024-01-01}}]", "what JSON can carry"),
        (
            "[mock/first] -> [{id: openai/m, api_base: 'not a url'}]",
            "not a url",
        ),
    ],
)
def test_bad_input_gets_one_clear_error_and_writes_nothing(
    selectllm: Command, pool_file: Path, change: str, message: str
) -> None:
    outcome = selectllm("eval", write_suite("mock/first", change=change), "-o", "run")
    assert outcome.code == 2, outcome.err
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not Path("run").exists()


def test_model_settings_on_the_command_line_need_one_model(
    selectllm: Command, pool_file: Path
) -> None:
    outcome = selectllm(
        "eval", write_suite("mock/first", "mock/random"), "--model-arg", "temperature=1"
    )
    assert outcome.code == 2
    assert "this suite has 2" in outcome.err


def test_a_limit_that_is_no_number_is_refused(selectllm: Command, pool_file: Path) -> None:
    outcome = selectllm("eval", write_suite("mock/first"), "--max-cost", "nan")
    assert (outcome.code, "--max-cost nan" in outcome.err) == (2, True)


def test_strategies_alone_and_models_alone_are_evaluated(
    selectllm: Command, pool_file: Path
) -> None:
    alone = write_suite(prompts=(), more="strategies: [longest]")
    assert selectllm("eval", alone, "-o", "run").code == 0
    assert results()["pairs"] == []
    assert [each["strategy"] for each in results()["strategies"]] == ["longest"]
    assert selectllm("eval", write_suite("mock/first", more="strategies: []"), "-o", "m").code == 0
    assert results("m")["strategies"] == []


def test_one_cluster_has_no_intervals(selectllm: Command, pool_file: Path) -> None:
    outcome = selectllm("eval", write_suite("mock/first"), "--limit", 1, "-o", "run")
    assert outcome.code == 0, outcome.err
    assert results()["pairs"][0]["agreement"]["rating"]["captured"] is None


def test_clusters_of_a_file_need_the_group_column_too(selectllm: Command, pool_file: Path) -> None:
    assert selectllm("eval", write_suite("mock/first"), "-o", "run").code == 0
    change = "{by: random, size: 5} -> {file: run/clusters.json, group: topic}"
    outcome = selectllm("eval", write_suite("mock/first", change=change), "-o", "grouped")
    assert outcome.code == 2
    assert "has no column 'topic'" in outcome.err


def test_a_run_cut_short_before_its_results_is_finished_by_the_same_command(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(at(server))
    assert selectllm("eval", suite, "-o", "run").code == 0
    asked, whole = server.count, Path("run/results.json").read_bytes()
    Path("run/results.json").unlink()
    told = selectllm("report", "run")
    assert (told.code, "is the folder a finished run?" in told.err) == (2, True)
    assert selectllm("eval", suite, "-o", "run").code == 0
    assert (server.count, Path("run/results.json").read_bytes()) == (asked, whole)


def test_a_report_of_no_run_says_so(selectllm: Command) -> None:
    outcome = selectllm("report", "nothing")
    assert (outcome.code, "no such file" in outcome.err) == (2, True)
