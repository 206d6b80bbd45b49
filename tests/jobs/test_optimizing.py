"""optimize as a job: by value, in a running loop, over a grid, and cancelled."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

import selectllm as sl
from selectllm.core.errors import ModelError, UsageError, UtilityError
from selectllm.optimization.loop import LoopRunner
from tests.conftest import Command, read_jsonl
from tests.support.optimize_cases import BETTER, Scripted, make_suite, proposal, served
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.usefixtures("few_resamples")


def test_a_search_gives_back_what_it_found_and_wrote(selectllm: Command) -> None:
    notes: list[str] = []
    with ProviderServer(reply=Scripted(proposal(BETTER))) as server:
        suite = make_suite(selectllm, model=served(server))
        search = sl.optimize(suite, budget=90, out="out", notes=notes.append)
    assert (search.word, search.written) == ("better", "mine@2")
    assert (search.results.kind, search.folder) == ("search", Path("out"))
    assert Path("prompts/mine/v2.jinja").exists()
    assert (Path("out") / "optimize.json").exists()
    assert "at most 90 decisions" in notes[0]


def test_it_works_where_a_loop_is_running(selectllm: Command) -> None:
    with ProviderServer(reply=Scripted(proposal(BETTER))) as server:
        suite = make_suite(selectllm, model=served(server))

        async def cell() -> tuple[str | None, str | None]:
            async with sl.Session() as session:
                awaited = await session.optimize_async(suite, budget=90, out="awaited")
            waiting = sl.optimize(suite, budget=90, out="waiting")
            return awaited.word, waiting.word

        assert asyncio.run(cell()) == ("better", "better")


@pytest.mark.parametrize(
    ("arguments", "argument", "words"),
    [
        ({"grid": True, "teacher": "t"}, "teacher", "a grid tries"),
        ({"grid": True, "demonstrations": 2}, "demonstrations", "a grid tries"),
        ({"prompt": "other@1"}, None, "other@1"),
        ({"budget": 1}, None, "budget"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(
    selectllm: Command, arguments: dict[str, object], argument: str | None, words: str
) -> None:
    suite = make_suite(selectllm)
    with pytest.raises(UsageError, match=words) as caught:
        sl.optimize(suite, out="out", **arguments)
    assert argument in (None, caught.value.argument)
    assert not Path("out").exists()


def test_a_teacher_without_a_key_is_named(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="OPENAI_API_KEY") as caught:
        sl.optimize(make_suite(selectllm), teacher="openai/gpt-4o", out="out")
    assert caught.value.argument == "teacher"


def test_a_suite_without_a_utility_cannot_score(selectllm: Command) -> None:
    line = "utilities: [{name: worth, source: ratings, column: worth}]\n"
    with pytest.raises(UtilityError, match="utility ask"):
        sl.optimize(make_suite(selectllm, (line, "")), out="out")


def test_a_cancelled_search_asks_no_more_and_goes_on_from_its_log(selectllm: Command) -> None:
    with ProviderServer(reply=Scripted(proposal(BETTER))) as server:
        suite = make_suite(selectllm, model=served(server))

        async def cancelled() -> None:
            running = asyncio.ensure_future(sl.optimize_async(suite, budget=90, out="out"))
            while not server.requests:
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(cancelled())
        paid = len(read_jsonl(Path("out/decisions.jsonl"))) - 1
        assert not Path("out/optimize.json").exists()
        before = len(server.requests)
        search = sl.optimize(suite, budget=90, out="out")
        assert search.word == "better"
        assert paid <= before


def test_a_thread_that_is_cancelled_is_interrupted_at_its_next_question() -> None:
    ended = threading.Event()

    async def run() -> None:
        runner = LoopRunner()
        asking = asyncio.Event()

        async def question() -> None:
            asking.set()
            await asyncio.sleep(60)

        def search() -> None:
            try:
                runner.run(question())
            except Exception:  # what a search would take for a failure
                return
            except KeyboardInterrupt:
                ended.set()

        task = asyncio.ensure_future(runner.in_thread(search))
        await asking.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert ended.wait(5)
