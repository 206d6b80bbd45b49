"""Arguments that cannot be: the error says which one it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import ArgumentError, PoolError, RunError, SelectLLMError, UsageError
from selectllm.jobs.arguments import hints_of
from tests.conftest import pool_rows, write_jsonl
from tests.support.cli_files import RATED, files, write_suite

MODEL = {"prompt": "short@1", "model": "mock/first"}

MINE = """
from selectllm import Strategy

def zeros(rows, clusters, seed):
    return [0] * len(rows)

def fails(rows, clusters):
    raise ValueError("of mine")

SHORT = Strategy("short", lambda candidates, n: [0] * n)
FAILS = Strategy("fails", fails)
"""


@pytest.mark.parametrize(
    ("argument", "job"),
    [
        ("pool", lambda: sl.select("nowhere.jsonl", budget=3, strategy="random")),
        ("strategy", lambda: sl.select("pool.jsonl", budget=3, strategy="longst")),
        ("strategy", lambda: sl.select("pool.jsonl", budget=3, strategy="oracle:nothing")),
        ("prompt", lambda: sl.select("pool.jsonl", budget=3, **MODEL | {"prompt": "shrt@1"})),
        ("model", lambda: sl.select("pool.jsonl", budget=3, **MODEL | {"model": "mock/frst"})),
        ("by", lambda: sl.select("pool.jsonl", budget=3, **MODEL, by="divers")),
        ("by", lambda: sl.select("pool.jsonl", budget=3, **MODEL, by="mine:zeros")),
        ("by", lambda: sl.select("pool.jsonl", budget=3, **MODEL, by="mine:fails")),
        ("strategy", lambda: sl.select("pool.jsonl", budget=3, strategy="mine:SHORT")),
        ("strategy", lambda: sl.select("pool.jsonl", budget=3, strategy="mine:FAILS")),
        ("strategy", lambda: sl.select("pool.jsonl", budget=3)),
        ("strategy", lambda: sl.select("pool.jsonl", budget=3, strategy="first", **MODEL)),
        ("strategy", lambda: sl.select("pool.jsonl", budget=3, strategy="first", model="a/b")),
        ("model", lambda: sl.select("pool.jsonl", budget=3, prompt="short@1")),
        ("prompt", lambda: sl.select("pool.jsonl", budget=3, model="mock/first")),
        ("budget", lambda: sl.select("pool.jsonl", strategy="longest")),
        ("threshold", lambda: sl.select("pool.jsonl", budget=3, threshold=1, strategy="longest")),
        ("threshold", lambda: sl.select("pool.jsonl", threshold=1, **MODEL)),
        ("prompts", lambda: sl.Session(prompts="no")),
        (
            "encoder",
            lambda: sl.select("pool.jsonl", budget=3, strategy="centroid", encoder="./nowhere"),
        ),
        ("suite", lambda: sl.evaluate("nowhere.yaml")),
        ("a", lambda: sl.ab("suite.yaml", a="nobody", b="oracle")),
        ("b", lambda: sl.ab("suite.yaml", a="oracle", b="nobody")),
        ("b", lambda: sl.ab("suite.yaml", a="oracle", b="oracle")),
        ("prompt", lambda: sl.ab("suite.yaml", a="oracle", b="random", prompt="nobody")),
        ("design", lambda: sl.ab("suite.yaml", a="oracle", b="random", design="sequentil")),
        ("baseline", lambda: sl.regress("suite.yaml", "nowhere.json")),
    ],
)
def test_an_error_names_the_argument_that_is_wrong(
    folder: Path, argument: str, job: Callable[[], object]
) -> None:
    Path("mine.py").write_text(MINE, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        job()
    assert caught.value.argument == argument


def test_what_a_run_did_not_measure_is_told_by_its_argument(folder: Path) -> None:
    run = sl.evaluate("suite.yaml")
    pair = run.results.pairs[0]
    for argument, ask in (
        ("model", lambda: run.captured(pair.prompt, "nobody")),
        ("utility", lambda: run.captured(pair.prompt, pair.model, "nothing")),
        ("strategy", lambda: run.captured_by("nobody")),
    ):
        with pytest.raises(UsageError) as caught:
            ask()
        assert caught.value.argument == argument


@pytest.mark.parametrize("how", [MODEL, {"strategy": "random"}])
def test_a_log_that_is_another_calls_or_cannot_be_written_names_log(
    folder: Path, how: dict[str, str]
) -> None:
    sl.select("pool.jsonl", budget=4, log="log.jsonl", **how)
    with pytest.raises(RunError, match=r"different budget \(4\).*`log`") as caught:
        sl.select("pool.jsonl", budget=5, log="log.jsonl", **how)
    assert caught.value.argument == "log"
    with pytest.raises(UsageError, match=r"`log` \. is a folder\. Choose another file"):
        sl.select("pool.jsonl", budget=4, log=".", **how)


def test_a_record_cannot_be_skipped_by_an_argument() -> None:
    with pytest.raises(PoolError, match=r"record 2: .* or leave the row out$"):
        sl.Pool.from_records([{"instruction": "say"}, {"instruction": 3}])


@pytest.mark.parametrize("pool", [None, [{"instruction": "say"}], 3])
def test_what_is_no_pool_is_sent_to_from_records(folder: Path, pool: Any) -> None:
    with pytest.raises(PoolError, match=r"Make records a pool with Pool\.from_records") as caught:
        sl.select(pool, budget=1, strategy="random")
    assert caught.value.argument == "pool"
    with pytest.raises(PoolError, match=r"Pool\.from_records"):
        sl.load_pool(pool)


def test_a_pool_is_loaded_by_its_name_as_text(folder: Path) -> None:
    assert sl.load_pool("pool.jsonl") == sl.load_pool(Path("pool.jsonl"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget", "3"),
        ("budget", 3.0),
        ("seed", "3"),
        ("reask", "2"),
        ("cluster_size", 5.0),
        ("concurrency", "x"),
        ("max_cost", "1"),
    ],
)
def test_a_number_is_not_given_as_text(folder: Path, name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"`{name}` {value!r} is {type(value).__name__}") as told:
        sl.select("pool.jsonl", **{"budget": 3, "strategy": "random"} | {name: value})
    assert told.value.argument == name


@pytest.mark.parametrize("name", ["limit", "seed"])
def test_a_number_of_an_evaluation_is_not_given_as_text(folder: Path, name: str) -> None:
    arguments: Any = {name: "3"}
    with pytest.raises(UsageError, match=r"is str\. Give a whole number") as told:
        sl.evaluate("suite.yaml", **arguments)
    assert told.value.argument == name


CALLS: dict[str, dict[str, Any]] = {
    "ab": {"suite": "suite.yaml", "a": "strategy:first", "b": "strategy:random"},
    "evaluate": {"suite": "suite.yaml"},
    "optimize": {"suite": "suite.yaml", "grid": True},
    "plan": {"suite": "suite.yaml"},
    "regress": {"suite": "suite.yaml", "baseline": "nowhere.json"},
    "select": {"pool": "pool.jsonl", "budget": 2, "strategy": "first"},
    "swap": {"suite": "suite.yaml", "from_": "mock/first", "to": "mock/random"},
}
"""A call of every job."""
OPEN = {"session", "watcher", "engine", "notes"}
ANYTHING: tuple[Any, ...] = (None, 3, 1.5, True, [], {}, object(), b"x", "\ud800", "a\0b", ["x"])


def arguments_of(job: str) -> list[str]:
    return sorted(hints_of(getattr(sl, f"{job}_async").__wrapped__))


@pytest.fixture
def tiny(folder: Path) -> Path:
    """Two clusters of a pool of 10."""
    write_jsonl(folder / "pool.jsonl", pool_rows(10))
    write_suite(RATED, "[mock/first] -> [mock/first, mock/random]", "strategies: []")
    return folder


def test_every_public_job_has_a_call() -> None:
    jobs = {name.removesuffix("_async") for name in sl.__all__ if name.endswith("_async")}
    assert set(CALLS) == jobs


@pytest.mark.parametrize(
    ("job", "argument"), [(job, argument) for job in CALLS for argument in arguments_of(job)]
)
def test_what_no_argument_can_be_is_told_with_its_name_and_whatever_it_is_the_error_is_ours(
    tiny: Path, job: str, argument: str
) -> None:
    if argument not in OPEN:
        before = files()
        with pytest.raises(UsageError, match=argument) as caught:
            getattr(sl, job)(**CALLS[job] | {argument: object()})
        assert caught.value.argument == argument
        assert "object" in str(caught.value)
        assert files() == before
    for value in ANYTHING:
        with suppress(SelectLLMError):
            getattr(sl, job)(**CALLS[job] | {argument: value})


@pytest.mark.parametrize("job", CALLS)
def test_an_argument_that_is_missing_or_unknown_is_named(tiny: Path, job: str) -> None:
    call = CALLS[job]
    first = next(iter(call))
    with pytest.raises(ArgumentError) as caught:
        getattr(sl, job)(**{name: value for name, value in call.items() if name != first})
    assert caught.value.argument == first
    with pytest.raises(ArgumentError, match="Did you mean 'max_cost'") as caught:
        getattr(sl, job)(**call, max_cots=3)
    assert caught.value.argument == "max_cots"
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("argument", sorted(hints_of(sl.Session.__init__)))
def test_a_session_tells_the_argument_that_is_wrong(tiny: Path, argument: str) -> None:
    arguments: Any = {argument: object()}
    with pytest.raises(UsageError) as caught:
        sl.Session(**arguments)
    assert caught.value.argument == argument


@pytest.mark.parametrize("place", [".", "pool.jsonl/out.jsonl", "a\0b", "\ud800", None, 3, b"x"])
def test_a_selection_is_not_written_where_it_cannot_be(tiny: Path, place: Any) -> None:
    chosen = sl.select("pool.jsonl", budget=2, strategy="first")
    before = files()
    with pytest.raises(UsageError, match=r"`path`") as caught:
        chosen.write(place)
    assert caught.value.argument == "path"
    assert files() == before


@pytest.mark.parametrize("value", [*ANYTHING, "x", [3], [None]])
def test_what_are_no_records_is_one_of_our_errors(value: Any) -> None:
    with pytest.raises(PoolError):
        sl.Pool.from_records(value)


@pytest.mark.parametrize("columns", [["instruction"], 3, {"instruction": 3}, {3: "x"}, "x"])
def test_columns_that_are_no_mapping_are_told(columns: Any) -> None:
    with pytest.raises(UsageError, match=r"`columns`") as caught:
        sl.Pool.from_records([{"instruction": "say"}], columns=columns)
    assert caught.value.argument == "columns"


@pytest.mark.parametrize("field", ["instruction", "input", "response", "id"])
def test_half_a_character_in_a_record_is_replaced_and_counted(field: str) -> None:
    rows = [{"id": "a", "instruction": "say"}, {"id": "b", "instruction": "say"}]
    rows[1][field] = "so \ud800"
    pool = sl.Pool.from_records(rows)
    assert getattr(pool.items[1], field) == "so \ufffd"
    assert any("1" in note for note in pool.notes)


def test_an_unknown_keyword_is_told_with_the_one_most_like_it(folder: Path) -> None:
    arguments: Any = {"budgt": 3, "strategy": "random"}
    with pytest.raises(
        TypeError, match=r"select: there is no argument 'budgt'\. Did you mean 'budget'"
    ):
        sl.select("pool.jsonl", **arguments)
    settings: Any = {"max_cots": 3}
    with pytest.raises(TypeError, match=r"no argument 'max_cots'\. Did you mean 'max_cost'"):
        sl.evaluate("suite.yaml", **settings)
