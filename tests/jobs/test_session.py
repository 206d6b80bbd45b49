"""Sessions: what jobs share, with whom they speak, and in which loop they run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import selectllm as sl
from selectllm.core.errors import BudgetReached, ProviderError, ReplyMissing, UsageError
from selectllm.core.types import Heard, Step
from selectllm.data.encoders import Encoder
from selectllm.jobs.engine import LocalEngine
from selectllm.jobs.sync import finished
from selectllm.models.connect import Connections
from selectllm.models.model import Model, ModelSpec
from tests.support.cli_files import RATED, served, write_suite
from tests.support.provider_server import FAULTS, ProviderServer


@dataclass
class Listener:
    """A watcher that keeps what it hears."""

    notes: list[str] = field(default_factory=list)
    heard: dict[str, Step] = field(default_factory=dict)

    def note(self, text: str) -> None:
        self.notes.append(text)

    @contextlib.contextmanager
    def progress(self, description: str) -> Iterator[Heard | None]:
        yield lambda step: self.heard.update({description: step})


def test_a_session_runs_several_jobs_and_says_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with sl.Session() as session:
        first = session.evaluate("suite.yaml", out="one")
        verdict = session.ab("suite.yaml", a="random", b="oracle")
    assert first.folder == Path("one")
    assert verdict.word == "better"
    assert capfd.readouterr() == ("", "")


def test_paths_are_relative_to_the_folder_of_the_session(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with sl.Session(folder) as session:
        run = session.evaluate("suite.yaml", out="run")
    assert run.folder == folder / "run"
    assert (folder / "run" / "results.json").is_file()
    assert not list(elsewhere.iterdir())


def test_two_sessions_at_once_have_a_budget_each(folder: Path, server: ProviderServer) -> None:
    priced = served(server)[:-1] + ", price: {input: 1000000, output: 1000000}}"
    write_suite(RATED, priced)
    with sl.Session(max_cost=0.0) as poor, sl.Session(max_cost=1e9) as rich:
        with pytest.raises(BudgetReached):
            poor.evaluate("suite.yaml", out="poor")
        run = rich.evaluate("suite.yaml", out="rich")
        assert run.spent_usd > 0
        assert rich.ledger.spent == run.spent_usd
        assert poor.ledger.spent == 0
    assert server.count == len(run.decisions) - sum(d.strategy is not None for d in run.decisions)


def test_what_jobs_cost_that_run_at_once_adds_up(folder: Path, server: ProviderServer) -> None:
    priced = served(server)[:-1] + ", price: {input: 1000, output: 1000}}"
    write_suite(RATED, priced)

    async def several() -> tuple[list[sl.Evaluation], float]:
        async with sl.Session() as session:
            jobs = [
                session.evaluate_async("suite.yaml", out=f"run{seed}", seed=seed)
                for seed in range(3)
            ]
            return await asyncio.gather(*jobs), session.ledger.spent

    runs, spent = asyncio.run(several())
    assert all(run.spent_usd > 0 for run in runs)
    assert sum(run.spent_usd for run in runs) == pytest.approx(spent)


def test_progress_counts_what_was_made_and_not_what_failed(
    folder: Path, server: ProviderServer
) -> None:
    write_suite(RATED, served(server))
    server.queue(FAULTS["400"], FAULTS["400"])
    listener = Listener()
    with sl.Session(watcher=listener) as session:
        with pytest.raises(ProviderError, match="2 of 40 decisions could not be made"):
            session.evaluate("suite.yaml", out="run")
        step = listener.heard["deciding"]
        assert (step.done, step.total, step.failed) == (step.total - 2, step.total, 2)
        session.evaluate("suite.yaml", out="run")
        step = listener.heard["deciding"]
        assert (step.done, step.total, step.failed) == (2, 2, 0)


@pytest.mark.parametrize(
    "job",
    [
        lambda session: session.select("pool.jsonl", budget=3, strategy="random"),
        lambda session: session.evaluate("suite.yaml", out="run"),
    ],
)
def test_a_closed_session_runs_no_more_jobs(
    folder: Path, job: Callable[[sl.Session], object]
) -> None:
    with sl.Session() as session:
        pass
    with pytest.raises(UsageError, match="the session is closed, and runs no more jobs") as caught:
        job(session)
    assert caught.value.argument == "session"
    assert not (folder / "run").exists()
    assert not (folder / "cache").exists()


def test_jobs_wait_for_each_other_or_run_at_once(folder: Path) -> None:
    async def both() -> list[sl.Evaluation]:
        async with sl.Session() as session:
            jobs = (session.evaluate_async("suite.yaml", out=name) for name in ("a", "b"))
            return await asyncio.gather(*jobs)

    one, other = asyncio.run(both())
    assert one.results == other.results
    assert (folder / "a/results.json").read_bytes() == (folder / "b/results.json").read_bytes()


def test_a_job_that_waits_works_where_a_loop_is_running(folder: Path) -> None:
    """As in a notebook cell: the loop of the cell goes on to be used by nobody else."""

    async def cell() -> sl.Evaluation:
        with sl.Session() as session:
            session.evaluate("suite.yaml", out="again")
            return session.evaluate("suite.yaml", out="run")

    run = asyncio.run(cell())
    assert run.results == sl.evaluate("suite.yaml", out="outside").results


def test_a_job_in_a_loop_raises_its_own_error(folder: Path, server: ProviderServer) -> None:
    write_suite(RATED, served(server))

    async def cell() -> None:
        sl.evaluate("suite.yaml", offline=True)

    with pytest.raises(ReplyMissing, match=r"40 of short@1 with m"):
        asyncio.run(cell())
    assert server.count == 0


def test_what_a_job_has_to_say_reaches_the_watcher_alone(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_suite(RATED, "repeats: 2")
    listener = Listener()
    notes: list[str] = []
    sl.evaluate("suite.yaml", watcher=listener, out="run", record="pack.jsonl")
    sl.evaluate("suite.yaml", notes=notes.append, out="again")
    assert "repeats: 2 at temperature 0 mostly repeat one reply" in listener.notes[0]
    assert listener.notes[-1].endswith("replies to pack.jsonl.")
    assert notes == listener.notes[:1]
    last = listener.heard["deciding"]
    assert last.done == last.total == last.sent > 0
    assert (last.cached, last.failed, last.spent_usd) == (0, 0, 0.0)
    assert capfd.readouterr() == ("", "")


def test_progress_tells_calls_that_went_out_from_those_that_failed_and_those_of_the_cache(
    folder: Path, server: ProviderServer, no_waiting: None
) -> None:
    write_suite(RATED, served(server, price={"input": 1000, "output": 1000}))
    server.queue(FAULTS["500"], FAULTS["500"])
    first, again = Listener(), Listener()
    done = sl.evaluate("suite.yaml", watcher=first, out="run")
    asked = first.heard["deciding"]
    assert asked.done == asked.total == asked.sent == server.count - 2
    assert (asked.cached, asked.failed) == (0, 2)
    assert asked.spent_usd == pytest.approx(done.spent_usd)
    assert asked.spent_usd > 0
    sl.evaluate("suite.yaml", watcher=again, out="again")
    answered = again.heard["deciding"]
    assert (answered.sent, answered.failed, answered.spent_usd) == (0, 0, 0)
    assert answered.cached == answered.done == asked.done


def test_an_engine_answers_for_every_model(folder: Path) -> None:
    asked: list[str] = []

    class Watched(LocalEngine):
        def model(self, spec: ModelSpec, shared: Connections) -> Model:
            asked.append(spec.id)
            return super().model(spec, shared)

        def encoder(self, name: str | None) -> Encoder:
            asked.append(f"encoder {name}")
            return super().encoder(name)

    with ProviderServer() as server:
        write_suite(RATED, served(server))
        sl.evaluate("suite.yaml", engine=Watched())
        assert server.count
    assert {each for each in asked if not each.startswith("encoder")} == {"openai/m"}


def test_settings_beside_a_session_are_refused(folder: Path) -> None:
    with (
        sl.Session() as session,
        pytest.raises(TypeError, match="max_cost: These are settings of a session"),
    ):
        session.evaluate("suite.yaml", max_cost=1.0)


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"max_cost": float("nan")}, "max_cost"),
        ({"max_cost": float("inf")}, "max_cost"),
        ({"max_cost": -0.5}, "max_cost"),
        ({"drain": float("inf")}, "drain"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 513}, "concurrency"),
        ({"env_file": "nothing.env"}, "env_file"),
    ],
)
def test_a_setting_that_cannot_work_is_named(
    folder: Path, settings: dict[str, object], argument: str
) -> None:
    with pytest.raises(UsageError, match=f"`{argument}`") as raised:
        sl.Session(**settings)  # type: ignore[arg-type]
    assert raised.value.argument == argument


def test_a_value_and_an_error_come_back_from_a_thread_of_their_own() -> None:
    async def value() -> int:
        await asyncio.sleep(0)
        return 7

    async def error() -> int:
        raise UsageError("no")

    async def cell() -> int:
        with pytest.raises(UsageError, match="no"):
            finished(error())
        return finished(value())

    assert finished(value()) == 7
    assert asyncio.run(cell()) == 7
