"""Results from elsewhere: tied to the sets that were exported, in one file, results.jsonl.

JSON lines. The first one says of what sets they are, the rest are one value each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selectllm.codec import canonical_json
from selectllm.errors import UtilityError
from selectllm.files import atomic_write
from selectllm.names import listed
from selectllm.outcomes.exported import Exported, ExportedSet, SetReference, check_pool
from selectllm.outcomes.formats import Found, read_result_file
from selectllm.utility.scale import on_scale
from selectllm.utility.sheet_files import read_objects

FORMAT = 1
Cell = tuple[str, int, int, int | None, str, str | None, str]


@dataclass(frozen=True, slots=True)
class Result:
    """What a student that was trained on one set scored; the set is (arm, budget, seed).

    `seed`: of the selection; `training_seed`: of the training, None if nobody said. `test_id`:
    of a single test item, None for a whole benchmark. `value` is as the source has it, so that
    lower may be better. `source_file_sha256`: of the file that it was in.
    """

    arm: str
    budget: int
    seed: int
    training_seed: int | None
    benchmark: str
    test_id: str | None
    metric: str
    value: float
    higher_is_better: bool
    source_file_sha256: str

    @property
    def cell(self) -> Cell:
        """What it is the value of."""
        of_set = self.arm, self.budget, self.seed, self.training_seed
        return *of_set, self.benchmark, self.test_id, self.metric


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """The results for one exported folder. `export_sha256`: of its manifest."""

    pool_sha256: str
    suite: str | None
    export_sha256: str
    results: tuple[Result, ...]


def import_results(
    paths: Sequence[Path],
    exported: Exported,
    given: SetReference | None = None,
    training_seed: int | None = None,
) -> ResultsFile:
    """The results in `paths` (see formats.py), each tied to the set that it is of.

    A file of another tool says which set by the model's name: that of the set, or of its arm if
    that has one set only. Other models in it are left out. `given`: the set of such a file if it
    names one model, which is no set. `training_seed`: for results that state none.

    Raises UtilityError, naming file and place: as `read_result_file` does; for an arm, budget or
    seed that was not exported; for stated hashes that are not those of the export; for a file
    without a result of an exported set; for a value that is there twice, a metric for which
    higher and lower are said to be better, and one with both a total and single tests.
    """
    placed: list[tuple[str, Result]] = []
    for path in paths:
        found = read_result_file(path)
        source = hashlib.sha256(path.read_bytes()).hexdigest()
        of_exported = _of_exported(path, found, exported, given)
        placed += [
            (each.where, _result(each, made, training_seed, source)) for each, made in of_exported
        ]
    _check(placed)
    results = sorted((result for _, result in placed), key=_order)
    return ResultsFile(exported.pool_sha256, exported.suite, exported.sha256, tuple(results))


def write_results(path: Path, content: ResultsFile) -> None:
    """Write results.jsonl, whole or not at all; the same results give the same bytes."""
    header = {
        "format": FORMAT,
        "pool_sha256": content.pool_sha256,
        "suite": content.suite,
        "export_sha256": content.export_sha256,
        "rows": len(content.results),
    }
    with atomic_write(path) as handle:
        handle.write(canonical_json({"results": header}) + "\n")
        for result in content.results:
            handle.write(canonical_json(asdict(result)) + "\n")


def read_results(path: Path) -> ResultsFile:
    """What `write_results` wrote. Raises UtilityError, naming file and line, on anything else."""
    rows = list(read_objects(path))
    if not rows:
        raise UtilityError(f"{path}: holds no results; import them again")
    (where, first), *others = rows
    try:
        header = first["results"]
        expected = header["rows"] if header["format"] == FORMAT else None
        hashes = header["pool_sha256"], header["suite"], header["export_sha256"]
    except (KeyError, TypeError):
        raise UtilityError(f"{where}: begins no results file; import them again") from None
    results = [_read(where, row) for where, row in others]
    if len(results) != expected:
        raise UtilityError(
            f"{path}: holds {len(results)} results, and its first line says {expected}; it was "
            "edited or cut: import them again"
        )
    return ResultsFile(*hashes, tuple(results))


def _read(where: str, row: Mapping[str, Any]) -> Result:
    value = on_scale(row.get("value"), None, f"{where}: value")
    try:
        return Result(**{**row, "value": value})
    except TypeError:
        raise UtilityError(f"{where}: is no line of a results file; import them again") from None


def _of_exported(
    path: Path, found: Sequence[Found], exported: Exported, given: SetReference | None
) -> list[tuple[Found, ExportedSet]]:
    """The values that are of exported sets, with these."""
    kept = []
    for each in found:
        made = _set_of(each, exported)
        if made is not None:
            _check_hashes(each, made, exported)
            kept.append((each, made))
    if kept:
        return kept
    models = list(dict.fromkeys(each.models[0] for each in found if each.models))
    if given is None or len(models) > 1:
        raise UtilityError(
            f"{path}: its models ({listed(models) or 'not named'}) have no name of an exported "
            "set; name the model after the set, or give a file of one model and say which set it "
            "was trained on"
        )
    made = exported.find(given, str(path))
    return [(each, made) for each in found]


def _set_of(found: Found, exported: Exported) -> ExportedSet | None:
    if found.of is not None:
        return exported.find(found.of, found.where)
    named = (exported.named(model) for model in found.models)
    return next((made for made in named if made is not None), None)


def _check_hashes(found: Found, made: ExportedSet, exported: Exported) -> None:
    pool = found.hashes.get("pool_sha256", exported.pool_sha256)
    check_pool(exported, pool, f"{found.where}: the result")
    file = found.hashes.get("file_sha256")
    if file is not None and file not in made.files.values():
        raise UtilityError(
            f"{found.where}: was trained on a file (sha256 {file[:12]}) that is not the exported "
            f"{made.name}; name the set that it was trained on"
        )


def _result(found: Found, made: ExportedSet, training_seed: int | None, source: str) -> Result:
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
                f"{where}: {_named(result)} is in {places[result.cell]} too; keep one, or tell "
                "the trainings apart by training_seed"
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
        raise UtilityError(f"{where}: {_named(result)}: {fault} {first[2]}; keep one of them")


def _named(result: Result) -> str:
    test = "" if result.test_id is None else f", test {result.test_id!r}"
    return f"{result.metric} of {result.arm!r} on {result.benchmark!r}{test}"


def _order(result: Result) -> tuple[Any, ...]:
    return tuple((part is not None, part if part is not None else 0) for part in result.cell)
