"""Whatever bytes a file holds: it is read, or one of our errors names it. Never anything else."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from selectllm.core.errors import SelectLLMError
from selectllm.core.files import read_json
from selectllm.core.jsonl_log import read_rows
from selectllm.core.types import Reply
from selectllm.data.pool import load_pool
from selectllm.downstream.outcomes.exported import read_exported
from selectllm.downstream.trials.log import TRIALS
from selectllm.evaluation.comparison.baseline import read_baseline
from selectllm.evaluation.comparison.run_inputs import read_run_inputs
from selectllm.evaluation.sets.log import SETS
from selectllm.evaluation.suite import load_suite
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.recorded import read_pack
from selectllm.prompting.library import check
from selectllm.selection.clustering.clusters_file import read_clusters
from selectllm.selection.decision_log import read_log
from selectllm.utility.annotation.asked import Asking, read_asking
from selectllm.utility.annotation.filled_sheets import read_sheets
from selectllm.utility.utility_file import read_utility
from selectllm.utility.validation import read_validation
from tests.models.wrappers.test_cache import REQUEST
from tests.support.written_by_0_1_0 import GOLDEN

RUN = GOLDEN / "runs" / "asked"
ASKED = Asking("asked", "a" * 64, (1.0, 5.0), False, 1, ("a", "b"), "Rate it.")


def read_run_beside(path: Path) -> object:
    """The run whose file is at `path`, the others of it whole."""
    for name in ("run.json", "clusters.json", "utilities.jsonl"):
        if name != path.name:
            (path.parent / name).write_bytes((RUN / name).read_bytes())
    return read_run_inputs(path.parent)


READERS: dict[str, tuple[str, Callable[[Path], object], Path | None]] = {
    "decisions": ("decisions.jsonl", read_log, RUN / "decisions.jsonl"),
    "sets": ("sets.jsonl", lambda path: read_rows(path, SETS), GOLDEN / "sets" / "sets.jsonl"),
    "trials": ("trials.jsonl", lambda path: read_rows(path, TRIALS), None),
    "pack": ("replies.jsonl", read_pack, GOLDEN / "replies.jsonl"),
    "run": ("run.json", read_run_beside, RUN / "run.json"),
    "utilities": ("utilities.jsonl", read_run_beside, RUN / "utilities.jsonl"),
    "results": ("results.json", read_json, RUN / "results.json"),
    "clusters": ("clusters.json", read_clusters, RUN / "clusters.json"),
    "baseline": ("baseline.json", read_baseline, GOLDEN / "baseline.json"),
    "asking": ("ratings.ask.json", read_asking, None),
    "validation": ("knn.validation.json", read_validation, None),
    "utility": ("knn.utility.jsonl", read_utility, None),
    "export": ("sets.json", lambda path: read_exported(path.parent), None),
    "pool": ("pool.jsonl", load_pool, GOLDEN / "pool.jsonl"),
    "table": ("pool.csv", load_pool, None),
    "text": ("pool.txt", load_pool, None),
    "workbook": ("pool.xlsx", load_pool, None),
    "sheet": ("sheet.csv", lambda path: read_sheets([path], ASKED), None),
    "sheet lines": ("sheet.jsonl", lambda path: read_sheets([path], ASKED), None),
    "sheet workbook": ("sheet.xlsx", lambda path: read_sheets([path], ASKED), None),
    "argilla": ("records.json", lambda path: read_sheets([path], ASKED), None),
    "lock": ("LOCK.yaml", lambda path: check(path.parent), None),
    "suite": ("suite.yaml", load_suite, GOLDEN / "suites" / "asked.yaml"),
}
HOSTILE = [
    b"",
    b"\x00" * 100,
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}\n",
    b"[" * 200_000,
    b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"\n",
    b"[" * 900 + b"]" * 900 + b"\n",
    b"9" * 6_000 + b"\n",
    b'{"manifest": {}}\n{"cluster": ' + b"9" * 4_000 + b"}\n",
    b'{"key": "\\ud800", "reply": {"text": "\\udfff"}}\n',
    b'"\xed\xa0\x80"\n',
    b'{"a": NaN, "b": Infinity, "c": 1e999}\n',
    b'{"key": "a", "reply": {"text": 5}}\n',
    b'{"key": "a", "reply": {"text": ["b"]}}\n',
    b'{"key": "a", "reply": {}}\n',
    b'{"key": ["a"], "reply": {"text": "b"}}\n',
    b"null\n",
    b"5\n",
    b"[]\n",
    b'"text"\n',
    b"{}\n{}\n",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def assert_read_or_named(kind: str, folder: Path, content: bytes) -> None:
    name, read, _ = READERS[kind]
    path = folder / name
    path.write_bytes(content)
    refused: SelectLLMError | None = None
    try:
        read(path)
    except SelectLLMError as error:
        refused = error
    assert refused is None or str(folder) in str(refused)
    assert refused is None or refused.exit_code == 2


@pytest.mark.parametrize("kind", READERS)
def test_hostile_bytes_are_read_or_named(tmp_path: Path, kind: str) -> None:
    for content in HOSTILE:
        assert_read_or_named(kind, tmp_path, content)


@pytest.mark.parametrize("kind", READERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_named(tmp_path: Path, kind: str, content: bytes) -> None:
    assert_read_or_named(kind, tmp_path, content)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every value in a JSON value."""
    yield way
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for name, each in inner:
            yield from places(each, (*way, name))


def changed(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    """`value` with `new` at the end of a way."""
    if not way:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = changed(value[way[0]], way[1:], new)
    return copy


GOOD = {kind: good.read_text("utf-8") for kind, (_, _, good) in READERS.items() if good}
LINES = {
    kind: text.split("\n")[:2] if READERS[kind][0].endswith("jsonl") else [text]
    for kind, text in GOOD.items()
    if kind != "suite"
}


@pytest.mark.parametrize("kind", LINES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), new=JSON)
def test_any_value_in_the_place_of_one_is_read_or_named(
    tmp_path: Path, kind: str, data: st.DataObject, new: Any
) -> None:
    lines = list(LINES[kind])
    number = data.draw(st.integers(0, len(lines) - 1))
    row = json.loads(lines[number])
    way = data.draw(st.sampled_from(list(places(row))[:400]))
    lines[number] = json.dumps(changed(row, way, new))
    assert_read_or_named(kind, tmp_path, ("\n".join(lines) + "\n").encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.binary(max_size=40) | st.text(max_size=40) | st.integers(-9, 9) | JSON.map(json.dumps)
)
@example(value="[" * 200_000)
@example(value="9" * 6_000)
@example(value='{"model": "m", "at": 1.0, "reply": {"text": "\\ud800"}}')
def test_any_row_of_the_cache_is_read_or_named(tmp_path: Path, value: Any) -> None:
    with closing(ReplyCache(tmp_path)) as cache:
        cache.clear()
        cache.put(REQUEST, Reply("[1]"))
        with closing(sqlite3.connect(tmp_path / "cache.db")) as database, database:
            database.execute("UPDATE Cache SET value = ?", (value,))
        with contextlib.suppress(SelectLLMError):
            cache.get(REQUEST.key)
