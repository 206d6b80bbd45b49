"""`selectllm select` as a user calls it: exactly N items, or a reason and no file."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from selectllm.jobs.selecting import select
from selectllm.jobs.settings import SelectArguments
from selectllm.jobs.sync import finished
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support import forked
from tests.support.provider_server import ProviderServer, echoing_key

MOCK = ("--prompt", "short@1", "--model", "mock/random", "--by", "random")


def test_the_command_writes_what_the_job_gives(selectllm: Command, pool_file: Path) -> None:
    outcome = selectllm("select", pool_file, "--budget", 9, "--seed", 3, "--cluster-size", 5, *MOCK)
    assert outcome.code == 0, outcome.err
    out = pool_file.with_name("pool.selected.jsonl")
    assert outcome.out == f"Wrote 9 items to {out}, selected by short@1+mock/random.\n"
    asked: SelectArguments = {"prompt": "short@1", "model": "mock/random", "by": "random"}
    job = select(pool_file, budget=9, seed=3, cluster_size=5, log="log.jsonl", **asked)
    finished(job).write("job.jsonl")
    assert out.read_bytes() == Path("job.jsonl").read_bytes()
    logged = Path("pool.selected.jsonl.decisions.jsonl").read_bytes()
    assert logged == Path("log.jsonl").read_bytes()


def test_filled_gaps_are_counted(selectllm: Command, pool_file: Path) -> None:
    model = ("--prompt", "short@1", "--model", "mock/reply:no idea", "--by", "random")
    outcome = selectllm("select", pool_file, "--budget", 6, "--max-filled", 1, *model)
    assert outcome.code == 0
    assert outcome.out.splitlines()[1].startswith("6 of them were chosen at random")


def test_above_max_filled_no_file_is_written_or_replaced(
    selectllm: Command, pool_file: Path
) -> None:
    model = ("--prompt", "short@1", "--model", "mock/reply:no idea", "--by", "random")
    asked = ("select", pool_file, "--budget", 6, *model)
    out = Path("pool.selected.jsonl")
    outcome = selectllm(*asked)
    assert (outcome.code, outcome.out, out.exists()) == (1, "", False)
    for words in ("6 of 6 picks", '"no idea"', f"{out}.decisions.jsonl", "--max-filled 1"):
        assert words in outcome.err
    assert selectllm(*asked, "--max-filled", 1).code == 0
    written = out.read_bytes()
    assert selectllm(*asked, "--max-filled", 0.5).code == 1
    assert out.read_bytes() == written
    assert selectllm(*asked, "--max-filled", "20%").code == 2


def test_the_endpoint_options_are_those_of_a_prefilter_too(
    selectllm: Command, pool_file: Path
) -> None:
    asked = ("--budget", 2, "--prefilter", "rating:quality@1+openai/m:0.5")
    with ProviderServer(reply=lambda messages: "[1]: 4") as server:
        served = ("--api-base", server.base_url)
        outcome = selectllm("select", pool_file, "--strategy", "first", *asked, *served)
        assert (outcome.code, server.count) == (0, 40), outcome.err
    refused = selectllm("select", pool_file, "--budget", 2, "--strategy", "first", *served)
    assert refused.code == 2
    assert "--api-base" in refused.err


def test_a_dry_run_of_a_strategy_is_a_line_or_json(selectllm: Command, pool_file: Path) -> None:
    rating = ("--strategy", "rating:quality@1+openai/m", "--dry-run")
    assert selectllm("select", pool_file, "--threshold", 3, *rating).out.splitlines()[0] == (
        "The strategy rating:quality@1+openai/m would select the items at or above the threshold "
        "of 40 items, with 40 calls (120 at most)."
    )
    planned = selectllm("select", pool_file, "--budget", 3, *rating, "--json").json
    assert (planned["calls"], planned["calls_at_most"]) == (40, 120)
    assert (planned["cached"], planned["looked_up"], planned["sent"]["calls"]) == (0, 40, 40)
    assert planned["sent"]["usd"] is None  # a model that nobody prices
    assert list(Path().glob("*.jsonl")) == [Path("pool.jsonl")]


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


def test_replies_that_are_missing_are_told_with_the_command_that_records_them(
    selectllm: Command, pool_file: Path
) -> None:
    asked = ("select", pool_file, "--budget", "4", "--prompt", "short@1", "--by", "random")
    told = selectllm(*asked, "--model", "openai/m", "--offline", "-o", "my out.jsonl")
    assert told.code == 5
    command = shlex.split(told.err.rpartition("run: ")[2])
    assert sorted(command[2:]) == sorted(
        [*map(str, asked[1:]), "--model", "openai/m", "--out", "my out.jsonl"]
    )


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
        process = forked.selectllm(*arguments, loads=forked.ASKING)
        deadline = time.monotonic() + 300
        while server.count < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not Path("pool.selected.jsonl").exists()
        assert selectllm(*arguments).code == 0
        assert len(read_jsonl(Path("pool.selected.jsonl"))) == 20
        # The call in flight when the process died was sent twice; no answered one was.
        assert server.count <= 21


def test_a_dry_run_tells_its_rounds_calls_and_tokens(selectllm: Command, pool_file: Path) -> None:
    arguments = ("select", pool_file, "--budget", 2, "--cluster-size", 10, "--dry-run", *MOCK)
    told = selectllm(*arguments, "--json").json
    narrowing, last = told["rounds"]
    assert (narrowing["clusters"], narrowing["size"], narrowing["picks"]) == (4, 10, 1)
    assert (last["clusters"], last["size"], last["picks"]) == (1, 4, 2)
    assert (told["calls"], told["calls_at_most"]) == (5, 15)
    assert told["tokens"] == narrowing["tokens"] + last["tokens"] > 0
    assert selectllm(*arguments).out.splitlines() == [
        "Round 0: 4 clusters of about 10 items, with at least 1 pick from each.",
        "Round 1: 1 cluster of about 4 items, with at least 2 picks from each.",
        "mock/random is asked 5 times if every reply is valid, and at most 15 times. The prompts "
        f"have about {told['tokens']} tokens (an estimate).",
        "Already cached: 0 of the 4 decisions that could be looked up.",
        f"About 5 calls will be sent, with {told['sent']['tokens_in']:,} tokens in and "
        f"{told['sent']['tokens_out']:,} tokens out. They will cost 0.0000 USD (0.0000 at most) "
        "and take about 0 seconds.",
        "No text of the pool leaves this machine.",
    ]


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


def test_json_output_is_alone_on_stdout(selectllm: Command, pool_file: Path) -> None:
    outcome = selectllm("select", pool_file, "--budget", 3, "--json", *MOCK)
    assert outcome.json["selected"] == 3


def test_bad_rows_are_an_error_or_left_out(selectllm: Command, tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "pool.jsonl", [*pool_rows(10), {"instruction": ""}])
    outcome = selectllm("select", pool, "--budget", 3, *MOCK)
    assert outcome.code == 2
    assert f"{pool}:11" in outcome.err
    assert not Path("pool.selected.jsonl").exists()
    outcome = selectllm("select", pool, "--budget", 3, "--skip-bad", *MOCK)
    assert outcome.code == 0
    assert "1 bad row was left out. It is in " in outcome.err
    assert len(read_jsonl(Path("pool.selected.jsonl.rejected.jsonl"))) == 1


def test_a_note_says_when_nothing_is_known_of_the_picks(
    selectllm: Command, pool_file: Path
) -> None:
    unknown = "The quality of these picks has not been measured"
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


def test_what_a_selection_takes_is_told_before_and_after(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    price = ("--model-arg", "price={input: 100, output: 200}")
    named = ("--prompt", "short@1", "--by", "random", "--model", "openai/m")
    asked = ("select", pool_file, "--budget", 8, *named, "--api-base", server.base_url, *price)
    before = selectllm(*asked, "--dry-run", "--json").json
    assert (before["cached"], before["looked_up"], before["sent"]["calls"]) == (0, 8, 8)
    assert 0 < before["sent"]["usd"] < before["sent"]["usd_most"]
    assert before["sent"]["hours"] > 0
    done = selectllm(*asked)
    assert "There were 8 replies, 0% of them from the cache, " in done.err
    assert re.search(r"This took [\d.]+ seconds and cost \d\.\d{4} USD", done.err)
    after = selectllm(*asked, "--dry-run", "--json").json
    assert (after["cached"], after["looked_up"], after["sent"]["calls"]) == (8, 8, 0)
    assert after["sent"]["usd"] == 0
    again = selectllm(*asked, "-o", "again.jsonl", "--json").json
    assert (again["replies"], again["cached"], again["spent_usd"]) == (8, 8, 0.0)
    assert again["tokens_in"] > again["tokens_out"] > 0
    assert "Already cached: 8 of the 8 decisions" in selectllm(*asked, "--dry-run").out


def test_what_is_cached_is_not_claimed_before_the_pool_is_embedded(
    selectllm: Command, pool_file: Path
) -> None:
    planned = selectllm(
        *("select", pool_file, "--budget", 8, "--prompt", "short@1", "--model", "mock/first"),
        "--dry-run",
    )
    assert "cached: not known before the pool is embedded" in planned.out


def test_plan_of_a_pool_is_the_dry_run_of_its_selection(
    selectllm: Command, pool_file: Path
) -> None:
    asked = (pool_file, "--budget", 8, *MOCK)
    assert selectllm("plan", *asked).out == selectllm("select", *asked, "--dry-run").out
    assert selectllm("plan", *asked, "--json").json["sent"]["calls"] == 8
    for words, said in (
        ((pool_file,), "--budget N"),
        ((*asked, "--limit", 3), "--limit goes with a suite"),
        (("suite.yaml", "--by", "random"), "--by goes with a pool"),
    ):
        outcome = selectllm("plan", *words)
        assert outcome.code == 2
        assert said in outcome.err


def test_selected_items_with_equal_texts_are_counted(selectllm: Command) -> None:
    rows = [{"instruction": "A" * (9 - n // 3)} for n in range(9)]
    write_jsonl(Path("equal.jsonl"), rows)
    words = ("select", "equal.jsonl", "--budget", 3, "--strategy", "longest")
    told = selectllm(*words, "-o", "out.jsonl").err
    assert "2 of the 3 selected items have the same text" in told
    assert "--distinct exact" in told
    distinct = selectllm(*words, "-o", "other.jsonl", "--distinct", "exact")
    assert distinct.code == 0
    assert "selected items have the same text" not in distinct.err
