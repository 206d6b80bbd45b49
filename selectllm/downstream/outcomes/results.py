"""Results from elsewhere: tied to the sets that were exported, in one file, results.jsonl.

JSON lines. The first one says of what sets they are and holds a hash of all of it, the rest are one
value each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selectllm.core.codec import canonical_json, sha256_json
from selectllm.core.errors import UtilityError
from selectllm.core.files import atomic_write
from selectllm.core.names import listed
from selectllm.data.readers import shortened
from selectllm.utility.annotation.scale import on_scale
from selectllm.utility.annotation.sheet_files import read_objects

FORMAT = 1
Cell = tuple[str, int, int, int | None, str, str | None, str]

# The types that each key may have, the first as messages call it.
TEXT, WHOLE, NOTHING = (str,), (int,), type(None)
HEADER: Mapping[str, tuple[type, ...]] = {
    "format": WHOLE,
    "pool_sha256": TEXT,
    "suite": (str, NOTHING),
    "export_sha256": TEXT,
    "rows": WHOLE,
    "unsettled": WHOLE,
    "sha256": TEXT,
}
FIELDS: Mapping[str, tuple[type, ...]] = {
    "arm": TEXT,
    "budget": WHOLE,
    "seed": WHOLE,
    "training_seed": (int, NOTHING),
    "benchmark": TEXT,
    "test_id": (str, NOTHING),
    "metric": TEXT,
    "value": (float, int),
    "higher_is_better": (bool,),
    "source_file_sha256": TEXT,
}
CALLED = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


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
    """The results for one exported folder. `export_sha256`: of its manifest.

    `unsettled`: how many rows of the sources had no value and were left out.
    """

    pool_sha256: str
    suite: str | None
    export_sha256: str
    results: tuple[Result, ...]
    unsettled: int = 0


def write_results(path: Path, content: ResultsFile) -> None:
    """Write results.jsonl, whole or not at all; the same results give the same bytes."""
    header = _described(content) | {"sha256": _sha256(content)}
    with atomic_write(path) as handle:
        handle.write(canonical_json({"results": header}) + "\n")
        for result in content.results:
            handle.write(canonical_json(asdict(result)) + "\n")


def read_results(path: Path) -> ResultsFile:
    """What `write_results` wrote.

    Raises UtilityError, naming file and line, on anything else, and if it was edited or cut.
    """
    rows = list(read_objects(path))
    if not rows:
        raise UtilityError(f"{path}: holds no results; import them again")
    (where, first), *others = rows
    header = first.get("results")
    if len(first) > 1 or not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UtilityError(
            f"{where}: begins no results file of format {FORMAT}; import the results again"
        )
    _check_types(where, header, HEADER)
    results = tuple(_read(where, row) for where, row in others)
    if len(results) != header["rows"]:
        raise UtilityError(
            f"{path}: holds {len(results)} results, and its first line says {header['rows']}; it "
            "was edited or cut: import them again"
        )
    content = ResultsFile(
        header["pool_sha256"],
        header["suite"],
        header["export_sha256"],
        results,
        header["unsettled"],
    )
    if _sha256(content) != header["sha256"]:
        raise UtilityError(
            f"{path}: is not what was written (its sha256 is not {header['sha256'][:12]}, as its "
            "first line says): it was edited; import the results again"
        )
    return content


def _read(where: str, row: Mapping[str, Any]) -> Result:
    _check_types(where, row, FIELDS)
    return Result(**{**row, "value": on_scale(row["value"], None, f"{where}: value")})


def _check_types(
    where: str, row: Mapping[str, Any], expected: Mapping[str, tuple[type, ...]]
) -> None:
    """Raise UtilityError unless `row` has the keys of `expected`, and of each one of its types."""
    if odd := sorted(row.keys() ^ expected.keys()):
        raise UtilityError(
            f"{where}: is no line of a results file ({listed(odd)} missing or unknown); import "
            "the results again"
        )
    for name, kinds in expected.items():
        if type(row[name]) not in kinds:  # not isinstance: True is an int
            also = " or null" if NOTHING in kinds else ""
            raise UtilityError(
                f"{where}: {name} ({shortened(row[name])}) must be {CALLED[kinds[0]]}{also}; it "
                "was edited: import the results again"
            )


def _described(content: ResultsFile) -> dict[str, Any]:
    """What the first line says beside the hash."""
    return {
        "format": FORMAT,
        "pool_sha256": content.pool_sha256,
        "suite": content.suite,
        "export_sha256": content.export_sha256,
        "rows": len(content.results),
        "unsettled": content.unsettled,
    }


def _sha256(content: ResultsFile) -> str:
    """Of everything in the file."""
    return sha256_json({**_described(content), "results": [*map(asdict, content.results)]})
