"""Arguments that cannot be: the error says which one it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import selectllm as sl
from selectllm.core.errors import UsageError

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
