"""`selectllm select` as a user calls it: exactly N items, or a reason and no file."""

from __future__ import annotations

import gzip
import json
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
    assert outcome.out == f"9 items in {out} (short@1+mock/random)\n"
    asked: SelectArguments = {"prompt": "short@1", "model": "mock/random", "by": "random"}
    job = select(pool_file, budget=9, seed=3, cluster_size=5, log="log.jsonl", **asked)
    finished(job).write("job.jsonl")
    assert out.read_bytes() == Path("job.jsonl").read_bytes()
    logged = Path("pool.selected.jsonl.decisions.jsonl").read_bytes()
    assert logged == Path("log.jsonl").read_bytes()


def test_filled_gaps_are_counted(selectllm: Command, pool_file: Path) -> None:
    model = ("--prompt", "short@1", "--model", "mock/reply:no idea", "--by", "random")
    outcome = selectllm("select", pool_file, "--budget", 6, *model)
    assert (outcome.code, outcome.out.splitlines()[1:]) == (
        0,
        ["6 of them fill gaps that the model left: marked `filled`"],
    )


def test_a_dry_run_of_a_strategy_is_a_line_or_json(selectllm: Command, pool_file: Path) -> None:
    rating = ("--strategy", "rating:quality@1+openai/m", "--dry-run")
    assert selectllm("select", pool_file, "--threshold", 3, *rating).out == (
        "strategy rating:quality@1+openai/m would take those that reach the threshold of 40 items, "
        "with 40 calls (120 at most)\n"
    )
    assert selectllm("select", pool_file, "--budget", 3, *rating, "--json").json == {
        **{"rounds": [], "calls": 40, "calls_at_most": 120, "prefilter_calls": 0},
    }
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
        "round 0: 4 clusters of about 10, 1 or more picks each",
        "round 1: 1 clusters of about 4, 2 or more picks each",
        f"at most 15 calls, 5 if every reply is valid; about {told['tokens']} prompt tokens "
        "(an estimate) to mock/random",
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
    assert selectllm("select", pool, "--budget", 3, "--skip-bad", *MOCK).code == 0
    assert len(read_jsonl(Path("pool.selected.jsonl.rejected.jsonl"))) == 1


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
