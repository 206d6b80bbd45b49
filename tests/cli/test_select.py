"""`selectllm select` as a user calls it: exactly N items, or a reason and no file."""

from __future__ import annotations

import gzip
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from selectllm.core.types import Cluster
from selectllm.report.schemas import schema
from selectllm.selection.by_model import SelectSettings, allocate, cluster_size, rounds_ahead
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused
from tests.support.provider_server import ProviderServer, echoing_key

FORTY = ("--by", "random", "--cluster-size", "40")
MOCK = ("--prompt", "short@1", "--model", "mock/random", "--by", "random")


@pytest.mark.parametrize("budget", [1, 2, 7, 13, 39, 40])
@pytest.mark.parametrize("size", ["auto", "2", "6", "40", "100"])
def test_exactly_n_distinct_items_come_out(
    selectllm: Command, pool_file: Path, budget: int, size: str
) -> None:
    outcome = selectllm("select", pool_file, "--budget", budget, "--cluster-size", size, *MOCK)
    assert outcome.code == 0, outcome.err
    rows = read_jsonl(pool_file.with_name("pool.selected.jsonl"))
    assert len({row["id"] for row in rows}) == len(rows) == budget


@pytest.mark.parametrize("strategy", ["random", "longest", "shortest", "first", "centroid"])
def test_a_strategy_selects_n_items_of_the_whole_pool(
    selectllm: Command, pool_file: Path, strategy: str
) -> None:
    assert selectllm("select", pool_file, "--budget", 5, "--strategy", strategy).code == 0
    rows = read_jsonl(pool_file.with_name("pool.selected.jsonl"))
    assert len({row["id"] for row in rows}) == 5
    assert {row["_selectllm"]["by"] for row in rows} == {f"strategy:{strategy}"}


def test_the_longest_are_the_longest_and_the_first_the_first(
    selectllm: Command, pool_file: Path
) -> None:
    lengths = {r["id"]: len(r["instruction"]) + len(r["input"]) for r in pool_rows()}
    selectllm("select", pool_file, "--budget", 4, "--strategy", "longest", "-o", "l.jsonl")
    chosen = {row["id"] for row in read_jsonl(Path("l.jsonl"))}
    assert min(lengths[i] for i in chosen) >= max(lengths[i] for i in lengths.keys() - chosen)
    selectllm("select", pool_file, "--budget", 4, "--strategy", "first", "-o", "f.jsonl")
    assert [row["id"] for row in read_jsonl(Path("f.jsonl"))] == [f"item-00{n}" for n in range(4)]


def test_rows_keep_all_their_columns_and_pool_order(selectllm: Command, pool_file: Path) -> None:
    selectllm("select", pool_file, "--budget", 9, *MOCK)
    rows = read_jsonl(pool_file.with_name("pool.selected.jsonl"))
    original = {row["id"]: row for row in pool_rows()}
    for row in rows:
        Draft202012Validator(schema("selection")).validate(row)
        assert {name: value for name, value in row.items() if name != "_selectllm"} == original[
            row["id"]
        ]
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


def test_the_decision_log_says_what_was_asked_and_answered(
    selectllm: Command, pool_file: Path
) -> None:
    selectllm("select", pool_file, "--budget", 8, *MOCK)
    manifest, *decisions = read_jsonl(pool_file.with_name("pool.selected.jsonl.decisions.jsonl"))
    assert manifest["manifest"]["prompt"] == "short@1"
    assert len(decisions) == 8
    for decision in decisions:
        Draft202012Validator(schema("decision")).validate(decision)
        assert set(decision["picks"]) < set(decision["shown"])
        assert decision["attempts"][0]["reply"].startswith("[")


def test_the_selection_follows_the_seed_and_not_the_order_of_the_file(
    selectllm: Command, pool_file: Path, tmp_path: Path
) -> None:
    backwards = write_jsonl(tmp_path / "backwards.jsonl", pool_rows()[::-1])

    def chosen(pool: Path, seed: int, out: str) -> set[str]:
        selectllm("select", pool, "--budget", 9, "--seed", seed, "-o", out, *MOCK)
        return {row["id"] for row in read_jsonl(Path(out))}

    first = chosen(pool_file, 0, "a.jsonl")
    assert chosen(backwards, 0, "b.jsonl") == first
    assert chosen(pool_file, 1, "c.jsonl") != first


def test_a_rerun_asks_nothing_and_writes_the_same_bytes(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    arguments = (
        *("select", pool_file, "--budget", 8, "--prompt", "short@1", "--by", "random"),
        *("--model", "openai/m", "--api-base", server.base_url),
    )
    assert selectllm(*arguments).code == 0
    asked, written = server.count, Path("pool.selected.jsonl").read_bytes()
    assert selectllm(*arguments).code == 0
    assert server.count == asked == 8
    assert Path("pool.selected.jsonl").read_bytes() == written


def test_invalid_replies_are_filled_marked_and_counted(selectllm: Command, pool_file: Path) -> None:
    model = ("--prompt", "short@1", "--model", "mock/reply:no idea", "--by", "random")
    outcome = selectllm("select", pool_file, "--budget", 6, *model)
    assert outcome.code == 0
    assert "6 of them fill gaps" in outcome.out
    rows = read_jsonl(Path("pool.selected.jsonl"))
    assert [row["_selectllm"]["filled"] for row in rows] == [True] * 6


def test_on_invalid_skip_is_short_and_fail_writes_nothing(
    selectllm: Command, pool_file: Path
) -> None:
    model = ("--prompt", "short@1", "--model", "mock/reply:no idea", "--by", "random")
    outcome = selectllm("select", pool_file, "--budget", 6, "--on-invalid", "skip", *model)
    assert (outcome.code, read_jsonl(Path("pool.selected.jsonl"))) == (1, [])
    assert "0 of 6 items" in outcome.err
    Path("pool.selected.jsonl").unlink()
    outcome = selectllm("select", pool_file, "--budget", 6, "--on-invalid", "fail", *model)
    assert outcome.code == 1
    assert "no valid picks" in outcome.err
    assert not Path("pool.selected.jsonl").exists()


def test_a_wrong_key_ends_at_once_with_the_providers_reason_and_no_key(
    selectllm: Command, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-0123456789")
    with ProviderServer(echoing_key) as server:
        outcome = selectllm(
            *("select", pool_file, "--budget", 8, "--prompt", "short@1", "--by", "random"),
            *("--model", "openai/m", "--api-base", server.base_url),
            *("--model-arg", "api_key_env=MY_KEY", "-j", 1),
        )
        assert server.count == 1
    assert outcome.code == 6
    assert "Incorrect API key provided" in outcome.err
    assert "MY_KEY" in outcome.err
    written = "".join(path.read_text("utf-8", "replace") for path in Path().glob("*.jsonl"))
    assert "sk-secret" not in outcome.err + outcome.out + written
    assert not Path("pool.selected.jsonl").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_after_sigkill_nothing_is_paid_for_twice(selectllm: Command, pool_file: Path) -> None:
    with ProviderServer(reply=lambda messages: "[1]", latency=0.15) as server:
        arguments = [
            *("select", str(pool_file), "--budget", "20", "--prompt", "short@1", "--by", "random"),
            *("--model", "openai/m", "--api-base", server.base_url, "-j", "1"),
            *("--cluster-size", "2"),
        ]
        process = subprocess.Popen([sys.executable, "-m", "selectllm", *arguments])
        deadline = time.monotonic() + 300
        while server.count < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not Path("pool.selected.jsonl").exists()
        assert selectllm(*arguments).code == 0
        assert len(read_jsonl(Path("pool.selected.jsonl"))) == 20
        # The call in flight when the process died was sent twice; no answered one was.
        assert server.count <= 21


def test_a_dry_run_sends_and_writes_nothing(
    selectllm: Command, pool_file: Path, tmp_path: Path
) -> None:
    outcome = selectllm("select", pool_file, "--budget", 8, "--dry-run", *MOCK)
    assert outcome.code == 0
    assert "8 clusters" in outcome.out
    assert sorted(p.name for p in tmp_path.glob("*.jsonl")) == ["pool.jsonl"]


def test_a_dry_run_tells_its_rounds_calls_and_tokens(selectllm: Command, pool_file: Path) -> None:
    arguments = ("select", pool_file, "--budget", 2, "--cluster-size", 10, "--dry-run", *MOCK)
    told = selectllm(*arguments, "--json").json
    narrowing, last = told["rounds"]
    assert (narrowing["clusters"], narrowing["size"], narrowing["picks"]) == (4, 10, 1)
    assert (last["clusters"], last["size"], last["picks"]) == (1, 4, 2)
    assert (told["calls"], told["calls_at_most"]) == (5, 15)
    assert told["tokens"] == narrowing["tokens"] + last["tokens"] > 0
    assert selectllm(*arguments).out.splitlines() == [
        "round 0: 4 clusters of about 10, 1 or more picks each",
        "round 1: 1 clusters of about 4, 2 or more picks each",
        f"at most 15 calls, 5 if every reply is valid; about {told['tokens']} prompt tokens "
        "(an estimate) to mock/random",
    ]


def test_clusters_that_are_taken_whole_are_not_asked_about(
    selectllm: Command, pool_file: Path
) -> None:
    arguments = ("select", pool_file, "--budget", 40, "--dry-run")
    assert selectllm(*arguments, "--json", *MOCK).json["calls"] == 0
    assert "8 clusters of 5 are taken whole, unasked" in selectllm(*arguments, *MOCK).out
    assert selectllm(*arguments, "--json", "--strategy", "first").json["calls"] == 0


@pytest.mark.parametrize(
    ("name", "out"),
    [("my.data.jsonl", "my.data.selected.jsonl"), ("POOL.JSONL.GZ", "POOL.selected.jsonl")],
)
def test_the_selection_is_named_after_the_pool(
    selectllm: Command, tmp_path: Path, name: str, out: str
) -> None:
    rows = "".join(json.dumps(row) + "\n" for row in pool_rows(5)).encode()
    (tmp_path / name).write_bytes(gzip.compress(rows) if name.endswith("GZ") else rows)
    assert selectllm("select", name, "--budget", 3, "--strategy", "first").code == 0
    assert len(read_jsonl(tmp_path / out)) == 3


def test_a_tournament_without_winners_comes_out_short(selectllm: Command, pool_file: Path) -> None:
    model = ("--prompt", "short@1", "--model", "mock/reply:no idea", *FORTY[:2])
    outcome = selectllm("select", pool_file, "--budget", 1, "--on-invalid", "skip", *model)
    assert (outcome.code, read_jsonl(Path("pool.selected.jsonl"))) == (1, [])
    assert "0 of 1 items" in outcome.err


def test_ids_of_any_text_are_kept(selectllm: Command, tmp_path: Path) -> None:
    ids = ["a,b", "a\u2028b", "x\ny", "\x1f", "日本", " ", "a\x1fb", '"q"', "1+1", "é"]
    pool = [{"id": each, "instruction": f"Say {number}"} for number, each in enumerate(ids)]
    path = write_jsonl(tmp_path / "odd.jsonl", pool)
    assert selectllm("select", path, "--budget", 4, "--cluster-size", 4, *MOCK).code == 0
    lines = (tmp_path / "odd.selected.jsonl").read_bytes().split(b"\n")[:-1]
    chosen = {json.loads(line)["id"] for line in lines}
    assert len(chosen) == 4
    assert chosen < set(ids)


def test_json_output_is_alone_on_stdout(selectllm: Command, pool_file: Path) -> None:
    outcome = selectllm("select", pool_file, "--budget", 3, "--json", *MOCK)
    assert outcome.json["selected"] == 3


def test_bad_rows_are_an_error_or_left_out(selectllm: Command, tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "pool.jsonl", [*pool_rows(10), {"instruction": ""}])
    outcome = selectllm("select", pool, "--budget", 3, *MOCK)
    assert outcome.code == 2
    assert f"{pool}:11" in outcome.err
    assert not Path("pool.selected.jsonl").exists()
    assert selectllm("select", pool, "--budget", 3, "--skip-bad", *MOCK).code == 0
    assert len(read_jsonl(Path("pool.selected.jsonl.rejected.jsonl"))) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budget", "0", *MOCK), "--budget 0: must be from 1 to 40"),
        (("--budget", "41", *MOCK), "--budget 41: must be from 1 to 40"),
        (("--budget", "3"), "either --prompt and --model, or --strategy"),
        (("--budget", "3", "--prompt", "short@1"), "either --prompt and --model, or --strategy"),
        (("--budget", "3", "--strategy", "random", *MOCK), "either --prompt and --model"),
        (("--budget", "3", "--strategy", "longst"), "no strategy 'longst'; did you mean 'longest'"),
        (("--budget", "3", "--cluster-size", "1", *MOCK), "--cluster-size 1: 40 clusters of one"),
        (("--budget", "3", "--cluster-size", "x", *MOCK), "--cluster-size 'x'"),
        (("--budget", "3", "--prompt", "shrt@1", "--model", "mock/first"), "shrt"),
        (("--budget", "3", "--prompt", "short@1", "--model", "mock/frist"), "mock/first"),
        (("--budget", "3", "--prompt", "short@1", "--model", "mock/oracle"), "needs a utility"),
        (("--budget", "3", "--prompt", "short@1", "--model", "gpt-4o"), "gpt-4o"),
        (("--budget", "3", "-o", "out.csv", *MOCK), "end the name in .jsonl"),
        (("--budget", "3", "-o", "./pool.jsonl", *MOCK), "is the pool itself"),
        (("--budget", "3", "--cluster-size", "²", *MOCK), "--cluster-size '²'"),
        (("--budget", "3", "--prompt", "short@1", "--model", ""), "either --prompt and --model"),
        (("--budget", "3", "--strategy", "random", "--api-base", "http://x"), "asks none"),
        (
            ("--budget", "3", "--prompt", "letters@1", "--model", "mock/first", *FORTY),
            "26",
        ),
        (("--budget", "3", "--map", "instruction=nope", *MOCK), "nope"),
        (("--budget", "3", "--env-file", "none.env", *MOCK), "there is no such file"),
        (("--budget", "3", "--model-arg", "temprature=1", *MOCK), "did you mean 'temperature'"),
        (("--budget", "3", "--model-arg", "temperature", *MOCK), "is not KEY=VALUE"),
        (("--budget", "3", "--model-arg", "temperature=hot", *MOCK), "temperature='hot'"),
    ],
)
def test_bad_input_gets_one_clear_error_and_writes_nothing(
    selectllm: Command, pool_file: Path, arguments: tuple[str, ...], message: str
) -> None:
    outcome = selectllm("select", pool_file, *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert sorted(p.name for p in Path().glob("*.jsonl")) == ["pool.jsonl"]


def test_a_log_of_another_call_is_not_mixed_up(selectllm: Command, pool_file: Path) -> None:
    selectllm("select", pool_file, "--budget", 3, *MOCK)
    outcome = selectllm("select", pool_file, "--budget", 4, *MOCK)
    assert outcome.code == 2
    assert "belongs to another call (budget differ)" in outcome.err
    assert len(read_jsonl(Path("pool.selected.jsonl"))) == 3


# --- the arithmetic


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=30),
    share=st.floats(0, 1),
    seed=st.integers(0, 5),
)
def test_budgets_are_spread_fairly(sizes: list[int], share: float, seed: int) -> None:
    smallest = min(sizes)
    sizes = [smallest + (size > smallest) for size in sizes]
    clusters = [Cluster(n, tuple(f"{n}-{i}" for i in range(size))) for n, size in enumerate(sizes)]
    budget = max(len(sizes), round(share * sum(sizes)))
    picks = allocate(clusters, budget, seed)
    assert sum(picks) == budget
    assert max(picks) - min(picks) <= 1
    assert all(k <= size for k, size in zip(picks, sizes, strict=True))


@given(pool=st.integers(1, 10**6), share=st.floats(0, 1))
def test_a_tournament_ends_with_at_most_as_many_clusters_as_the_budget(
    pool: int, share: float
) -> None:
    budget = max(1, round(pool * share))
    rounds = rounds_ahead(pool, SelectSettings(budget))
    assert rounds[-1][0] <= budget
    assert all(clusters > budget for clusters, _ in rounds[:-1])
    assert all(5 <= size <= 50 for _, size in rounds)


@pytest.mark.parametrize(
    ("pool", "budget", "size"), [(1000, 100, 10), (1000, 999, 5), (1000, 1, 50), (14, 3, 5)]
)
def test_auto_cluster_size(pool: int, budget: int, size: int) -> None:
    assert cluster_size(pool, budget) == size == min(max(math.ceil(pool / budget), 5), 50)


def test_a_note_says_when_nothing_is_known_of_the_picks(
    selectllm: Command, pool_file: Path
) -> None:
    unknown = "how good these picks are is not known"
    suite = "name: s\npool: pool.jsonl\npicks: 2\nclusters: {by: random, size: 10}\n"
    Path("s.yaml").write_text(f"{suite}prompts: [short@1]\nmodels: [mock/random]\n", "utf-8")
    arguments = ("select", pool_file, "--budget", 8, "--cluster-size", 10, *MOCK)
    assert unknown in selectllm(*arguments).err
    assert selectllm("eval", "s.yaml").code == 0
    assert unknown not in selectllm(*arguments).err
    (results,) = Path("eval/runs").glob("*/results.json")
    results.unlink()  # as if the run had been interrupted
    assert unknown in selectllm(*arguments).err
    results.with_name("run.json").write_text('{"manifest": {"prompts": 1}}', "utf-8")
    results.touch()
    assert unknown in selectllm(*arguments).err


class TestDistinct:
    """Near-duplicates are left out before anything is asked."""

    ROWS = (
        {"id": "a", "instruction": "Name a planet."},
        {"id": "b", "instruction": "name  a planet."},
        {"id": "c", "instruction": "Name one planet."},
        {"id": "d", "instruction": "How are bricks made?"},
    )

    def test_exact_repeats_go_whatever_their_case_and_spaces(
        self, selectllm: Command, tmp_path: Path
    ) -> None:
        pool = write_jsonl(tmp_path / "pool.jsonl", self.ROWS)
        words = ("--strategy", "random", "--budget", 3, "--distinct", "exact", "-o", "out.jsonl")
        outcome = selectllm("select", pool, *words)
        assert outcome.code == 0
        assert [row["id"] for row in read_jsonl(Path("out.jsonl"))] == ["a", "c", "d"]
        assert "3 of 4 items are distinct" in outcome.err

    def test_a_budget_above_what_is_left_is_refused(
        self, selectllm: Command, tmp_path: Path
    ) -> None:
        pool = write_jsonl(tmp_path / "pool.jsonl", self.ROWS)
        words = ("--strategy", "random", "--budget", 4, "--distinct", "exact", "--quiet")
        assert_refused(selectllm("select", pool, *words), "--budget 4", "from 1 to 3")

    def test_a_prefilter_leaves_the_share_that_its_strategy_puts_first(
        self, selectllm: Command, pool_file: Path
    ) -> None:
        words = ("--strategy", "random", "--budget", 20, "--prefilter", "longest:0.5")
        assert selectllm("select", pool_file, *words, "-o", "out.jsonl").code == 0
        lengths = sorted((len(r["instruction"]) for r in read_jsonl(pool_file)), reverse=True)
        kept = [len(row["instruction"]) for row in read_jsonl(Path("out.jsonl"))]
        assert min(kept) >= lengths[21]  # the input counts as well

    @pytest.mark.parametrize("value", ["longest", "longest:0", "longest:2", ":0.5", "nosuch:0.5"])
    def test_a_prefilter_that_is_none_is_refused(
        self, selectllm: Command, pool_file: Path, value: str
    ) -> None:
        words = ("--strategy", "random", "--budget", 4, "--prefilter", value)
        assert_refused(selectllm("select", pool_file, *words), value.partition(":")[0] or value)

    def test_a_slot_is_a_strategy(self, selectllm: Command, pool_file: Path) -> None:
        words = ("--budget", 3, "-o", "out.jsonl", "--strategy")
        assert selectllm("select", pool_file, *words, "slot:39").code == 0
        ids = {row["id"] for row in read_jsonl(Path("out.jsonl"))}
        assert ids == {"item-038", "item-039", "item-000"}
        for name in ("slot:0", "slot:x", "slot:"):
            assert_refused(selectllm("select", pool_file, *words, name), "slot:3")

    @pytest.mark.parametrize("value", ["0", "1.5", "near", "nan", "-1"])
    def test_a_threshold_that_is_none_is_refused(
        self, selectllm: Command, pool_file: Path, value: str
    ) -> None:
        words = ("--strategy", "random", "--budget", 4, f"--distinct={value}")
        assert_refused(selectllm("select", pool_file, *words), "--distinct", value)
