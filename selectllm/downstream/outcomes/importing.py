"""Result files tied to the exported sets that they are of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from selectllm.core.errors import UtilityError
from selectllm.core.names import listed
from selectllm.downstream.outcomes.exported import Exported, ExportedSet, SetReference, check_pool
from selectllm.downstream.outcomes.formats import ResultValue, read_result_file
from selectllm.downstream.outcomes.results import ResultsFile
from selectllm.downstream.outcomes.schema import Cell, Result


def import_results(
    paths: Sequence[Path],
    exported: Exported,
    given: SetReference | None = None,
    training_seed: int | None = None,
) -> ResultsFile:
    """The results in `paths` (see formats.py), each tied to the set that it is of.

    A file of another tool says which set by the model's name: that of the set, or of its arm if
    that has one set only. Other models in it are left out. `given`: the set of such a file if it
    names one model, which is no set; whatever names a set must mean that one. `training_seed`: for
    results that state none. Rows without a value are left out and counted.

    Raises UtilityError, naming file and place: as `read_result_file` does; for an arm, budget or
    seed that was not exported; for a set that is not the given one; for stated hashes that are not
    those of the export; for a file without a result of an exported set, or without a value; for a
    value that is there twice, a metric for which higher and lower are said to be better, and one
    with both a total and single tests.
    """
    placed: list[tuple[str, Result]] = []
    unsettled = 0
    for path in paths:
        found = read_result_file(path)
        source = hashlib.sha256(path.read_bytes()).hexdigest()
        of_exported = _of_exported(path, found, exported, given)
        read = [
            (each.where, _result(each, made, training_seed, source)) for each, made in of_exported
        ]
        settled = [(where, result) for where, result in read if result is not None]
        if not settled:
            raise UtilityError(
                f"{path}: none of its {len(read)} rows has a value. Score the answers again"
            )
        unsettled += len(read) - len(settled)
        placed += settled
    _check(placed)
    results = sorted((result for _, result in placed), key=_order)
    return ResultsFile(
        exported.pool_sha256, exported.suite, exported.sha256, tuple(results), unsettled
    )


def _of_exported(
    path: Path, found: Sequence[ResultValue], exported: Exported, given: SetReference | None
) -> list[tuple[ResultValue, ExportedSet]]:
    """The values that are of exported sets, with these."""
    kept = []
    for each in found:
        made = _set_of(each, exported, given)
        if made is not None:
            _check_hashes(each, made, exported)
            kept.append((each, made))
    if kept:
        return kept
    models = list(dict.fromkeys(each.models for each in found))
    if given is None or len(models) > 1:
        raise UtilityError(f"{path}: {_nameless(models)}", argument="arm")
    made = exported.find(given, str(path))
    return [(each, made) for each in found]


def _nameless(models: Sequence[tuple[str, ...]]) -> str:
    """Why a file's models, each with the names that it goes by, are not those of exported sets."""
    if len(models) > 1:
        return (
            f"none of its models ({listed([names[0] for names in models])}) has the name of one "
            "exported set. Name them after their sets, or give a file for each with its `arm`, "
            "`budget` and `seed`"
        )
    names = ", ".join(map(repr, models[0]))
    fault = (
        f"none of its model's names ({names}) is that of one exported set"
        if names
        else "the file does not name its model"
    )
    return (
        f"{fault}. Say which set it was trained on with `arm`, `budget` and `seed`, or name the "
        "model after the set"
    )


def _set_of(
    found: ResultValue, exported: Exported, given: SetReference | None
) -> ExportedSet | None:
    """The set that a value says it is of; None if it names none, or an arm of several sets."""
    if found.of is not None:
        named = [exported.find(found.of, found.where)]
    else:
        # The narrowest: a folder may be called after the arm, and one in it after the set.
        called = (exported.called(model) for model in found.models)
        named = min(filter(None, called), key=len, default=[])
    fitting = [made for made in named if given is None or given.fits(made)]
    if named and not fitting:
        assert given is not None
        raise UtilityError(
            f"{found.where} says that it belongs to {_told(named)}, but {given.text} was "
            "given. Correct `arm`, `budget` and `seed`, or leave them out",
            argument="arm",
        )
    return fitting[0] if len(fitting) == 1 else None


def _told(named: Sequence[ExportedSet]) -> str:
    """One set, or the arm of several."""
    first = named[0]
    if len(named) > 1:
        return SetReference(first.arm).text
    return SetReference(first.arm, first.budget, first.seed).text


def _check_hashes(found: ResultValue, made: ExportedSet, exported: Exported) -> None:
    pool = found.hashes.get("pool_sha256", exported.pool_sha256)
    check_pool(exported, pool, f"{found.where}: the result")
    file = found.hashes.get("file_sha256")
    if file is not None and file not in made.files.values():
        raise UtilityError(
            f"{found.where} was trained on a file (sha256 {file[:12]}) that is not the exported "
            f"{made.name}. Name the set that it was trained on"
        )


def _result(
    found: ResultValue, made: ExportedSet, training_seed: int | None, source: str
) -> Result | None:
    """None where no value was found."""
    if found.value is None:
        return None
    return Result(
        arm=made.arm,
        budget=made.budget,
        seed=made.seed,
        training_seed=training_seed if found.training_seed is None else found.training_seed,
        benchmark=found.benchmark,
        test_id=found.test_id,
        metric=found.metric,
        value=found.value,
        higher_is_better=found.higher_is_better,
        source_file_sha256=source,
    )


def _check(placed: Iterable[tuple[str, Result]]) -> None:
    """No value twice, and one meaning of each metric on each benchmark."""
    places: dict[Cell, str] = {}
    metrics: dict[tuple[str, str], tuple[bool, bool, str]] = {}
    for where, result in placed:
        if result.cell in places:
            raise UtilityError(
                f"{where}: {_named(result)} is in {places[result.cell]} too. Keep one, or tell the "
                "trainings apart by training_seed"
            )
        places[result.cell] = where
        kind = result.higher_is_better, result.test_id is None
        first = metrics.setdefault((result.benchmark, result.metric), (*kind, where))
        if first[0] != kind[0]:
            fault = "higher_is_better differs from"
        elif first[1] != kind[1]:
            fault = "a whole benchmark here and single tests there, or the other way round:"
        else:
            continue
        raise UtilityError(f"{where}: {_named(result)}: {fault} {first[2]}. Keep one of them")


def _named(result: Result) -> str:
    test = "" if result.test_id is None else f", test {result.test_id!r}"
    return f"{result.metric} of {result.arm!r} on {result.benchmark!r}{test}"


def _order(result: Result) -> tuple[Any, ...]:
    return tuple((part is not None, part if part is not None else 0) for part in result.cell)
