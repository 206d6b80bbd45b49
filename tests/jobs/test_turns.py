"""Jobs with one folder at once: in a process they take turns; another process is an error."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import selectllm as sl
from selectllm.core.errors import RunError
from selectllm.jobs.sync import finished
from selectllm.jobs.turns import turn

MODEL = {"prompt": "short@1", "model": "mock/first"}


def test_two_jobs_on_one_run_folder_ask_once_and_find_the_same(folder: Path) -> None:
    async def both() -> list[sl.Evaluation]:
        async with sl.Session() as session:
            jobs = (session.evaluate_async("suite.yaml", out=out) for out in ("run", "./run"))
            return await asyncio.gather(*jobs)

    one, other = asyncio.run(both())
    assert one.results == other.results
    # A manifest and one line a decision: the second job found all of them.
    assert len(Path("run/decisions.jsonl").read_bytes().splitlines()) == 1 + len(one.decisions)
    assert [*map(repr, one.decisions)] == [*map(repr, other.decisions)]


@pytest.mark.parametrize("how", [MODEL, {"strategy": "random"}])
def test_two_selections_with_one_log_give_the_same(folder: Path, how: dict[str, str]) -> None:
    async def both() -> list[sl.Selection]:
        jobs = [
            sl.select_async("pool.jsonl", budget=4, log="log.jsonl", **how)  # type: ignore[arg-type]
            for _ in range(2)
        ]
        return await asyncio.gather(*jobs)

    one, other = asyncio.run(both())
    assert one.items == other.items
    assert len(Path("log.jsonl").read_bytes().splitlines()) == 1 + len(one.decisions)


def test_threads_take_turns_too(folder: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(sl.evaluate, "suite.yaml", out="run") for _ in range(3)]
        results = [run.result().results for run in runs]
    assert results[0] == results[1] == results[2]


def test_another_process_is_not_waited_for(folder: Path) -> None:
    sl.select("pool.jsonl", budget=4, strategy="random", log="log.jsonl")
    held = "import fcntl, sys; f = open('log.jsonl', 'ab'); fcntl.flock(f, fcntl.LOCK_EX); "
    code = f"{held} print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match="Another process is writing to this file"):
            sl.select("pool.jsonl", budget=4, strategy="random", log="log.jsonl")
        other.communicate(b"")


def test_turns_are_taken_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    done: list[int] = []

    async def job(number: int) -> None:
        async with turn(tmp_path / "run"):
            await asyncio.sleep(0)
            done.append(number)

    async def jobs() -> None:
        await asyncio.gather(*map(job, range(5)))

    asyncio.run(jobs())
    assert done == [0, 1, 2, 3, 4]


def test_a_job_that_fails_or_gives_up_waiting_lets_the_next_begin(tmp_path: Path) -> None:
    done: list[str] = []

    async def job(name: str, begun: asyncio.Event, go: asyncio.Event) -> None:
        async with turn(tmp_path):
            begun.set()
            await go.wait()
            done.append(name)
            raise ValueError(name)

    async def jobs() -> None:
        begun, go, others = asyncio.Event(), asyncio.Event(), asyncio.Event()
        others.set()
        first = asyncio.create_task(job("first", begun, go))
        await begun.wait()
        waiting = asyncio.create_task(job("given up", asyncio.Event(), others))
        last = asyncio.create_task(job("last", asyncio.Event(), others))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not last.done()  # the first still holds the folder
        go.set()
        ends = await asyncio.gather(first, last, return_exceptions=True)
        assert [type(end) for end in ends] == [ValueError, ValueError]

    asyncio.run(jobs())
    assert done == ["first", "last"]


def test_what_could_never_end_is_an_error(tmp_path: Path) -> None:
    async def empty() -> None:
        async with turn(tmp_path, "log"):
            pass

    async def holding() -> None:
        async with turn(tmp_path):
            with pytest.raises(
                RunError, match=r"Await it first, or choose another .* `log`"
            ) as told:
                finished(empty())  # this loop stands still meanwhile, and the turn with it
            assert told.value.argument == "log"
        finished(empty())

    asyncio.run(holding())
