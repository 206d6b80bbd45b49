"""Arguments that cannot be: the error says which one it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import PoolError, RunError, UsageError

MODEL = {"prompt": "short@1", "model": "mock/first"}


@pytest.mark.parametrize(
    ("argument", "job"),
    [
        ("pool", lambda: sl.select("nowhere.jsonl", budget=3, strategy="random")),
        ("strategy", lambda: sl.select("pool.jsonl", budget=3, strategy="longst")),
        ("strategy", lambda: sl.select("pool.jsonl", budget=3, strategy="oracle:nothing")),
        ("prompt", lambda: sl.select("pool.jsonl", budget=3, **MODEL | {"prompt": "shrt@1"})),
        ("model", lambda: sl.select("pool.jsonl", budget=3, **MODEL | {"model": "mock/frst"})),
        ("by", lambda: sl.select("pool.jsonl", budget=3, **MODEL, by="divers")),
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
    with pytest.raises(RunError, match=r"name another place with `log`, or remove it") as caught:
        sl.select("pool.jsonl", budget=5, log="log.jsonl", **how)
    assert caught.value.argument == "log"
    with pytest.raises(RunError, match=r"cannot be written to .* name another place with `log`"):
        sl.select("pool.jsonl", budget=4, log=".", **how)


def test_a_record_cannot_be_skipped_by_an_argument() -> None:
    with pytest.raises(PoolError, match=r"record 2: .* or leave the row out$"):
        sl.Pool.from_records([{"instruction": "say"}, {"instruction": 3}])


@pytest.mark.parametrize("pool", [None, [{"instruction": "say"}], 3])
def test_what_is_no_pool_is_sent_to_from_records(folder: Path, pool: Any) -> None:
    with pytest.raises(PoolError, match=r"make records a pool with Pool\.from_records") as caught:
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
    with pytest.raises(UsageError, match=f"`{name}` {value!r}: is {type(value).__name__}") as told:
        sl.select("pool.jsonl", **{"budget": 3, "strategy": "random"} | {name: value})
    assert told.value.argument == name


@pytest.mark.parametrize("name", ["limit", "seed"])
def test_a_number_of_an_evaluation_is_not_given_as_text(folder: Path, name: str) -> None:
    arguments: Any = {name: "3"}
    with pytest.raises(UsageError, match="is str; give a whole number") as told:
        sl.evaluate("suite.yaml", **arguments)
    assert told.value.argument == name


def test_an_unknown_keyword_is_told_with_the_one_most_like_it(folder: Path) -> None:
    arguments: Any = {"budgt": 3, "strategy": "random"}
    with pytest.raises(TypeError, match="select: no argument 'budgt'; did you mean 'budget'"):
        sl.select("pool.jsonl", **arguments)
    settings: Any = {"max_cots": 3}
    with pytest.raises(TypeError, match="no argument 'max_cots'; did you mean 'max_cost'"):
        sl.evaluate("suite.yaml", **settings)
