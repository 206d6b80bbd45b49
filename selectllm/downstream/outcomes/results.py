"""Results from elsewhere: tied to the sets that were exported, in one file, results.jsonl.

JSON lines. The first one says of what sets they are and holds a hash of all of it, the rest are one
value each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from selectllm.core.codec import canonical_json, sha256_json
from selectllm.core.document import Part
from selectllm.core.errors import UtilityError
from selectllm.core.files import atomic_write
from selectllm.core.names import listed
from selectllm.core.shown import shortened
from selectllm.downstream.outcomes.schema import (
    Result,
    ResultsBegin,
    ResultsHeader,
    ResultsSource,
)
from selectllm.utility.annotation.scale import on_scale
from selectllm.utility.annotation.sheet_files import read_objects

FORMAT = 1
Line = TypeVar("Line", bound=Part)
NOTHING = type(None)
CALLED = {"string_type": "text", "int_type": "a whole number", "bool_type": "true or false"}
"""What a field must be, by the type of pydantic's error."""


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
    source = _described(content)
    header = ResultsHeader(**source.to_json(), sha256=_sha256(content))
    with atomic_write(path) as handle:
        handle.write(canonical_json(ResultsBegin(results=header).to_json()) + "\n")
        for result in content.results:
            handle.write(canonical_json(result.to_json()) + "\n")


def read_results(path: Path) -> ResultsFile:
    """What `write_results` wrote.

    Raises UtilityError, naming file and line, on anything else, and if it was edited or cut.
    """
    rows = list(read_objects(path))
    if not rows:
        raise UtilityError(f"{path} holds no results. Import them again")
    (where, first), *others = rows
    begin = first.get("results")
    if len(first) > 1 or not isinstance(begin, dict) or begin.get("format") != FORMAT:
        raise UtilityError(
            f"{where} does not begin a results file of format {FORMAT}. Import the results again"
        )
    header = _typed(where, begin, ResultsHeader)
    results = tuple(_read(where, row) for where, row in others)
    if len(results) != header.rows:
        raise UtilityError(
            f"{path} holds {len(results)} results, and its first line says {header.rows}. It was "
            "edited or cut: import them again"
        )
    content = ResultsFile(
        header.pool_sha256, header.suite, header.export_sha256, results, header.unsettled
    )
    if _sha256(content) != header.sha256:
        raise UtilityError(
            f"{path} was edited: its sha256 is not {header.sha256[:12]}, as its first line "
            "says. Import the results again"
        )
    return content


def _read(where: str, row: Mapping[str, Any]) -> Result:
    result = _typed(where, row, Result)
    value = on_scale(result.value, None, f"{where}: value")
    return result.model_copy(update={"value": value})


def _typed(where: str, row: Mapping[str, Any], kind: type[Line]) -> Line:
    """`row` as such a line. Raises UtilityError, naming the key, unless it is one."""
    if odd := sorted(row.keys() ^ kind.model_fields.keys()):
        raise UtilityError(
            f"{where} is not a line of a results file ({listed(odd)} missing or unknown). "
            "Import the results again"
        )
    try:
        return kind.model_validate(row, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    is_union = len(first["loc"]) > 1  # of whole numbers and others
    called = "a number" if is_union else CALLED.get(first["type"])
    also = " or null" if NOTHING in get_args(kind.model_fields[name].annotation) else ""
    fault = f"must be {called}{also}" if called else first["msg"].removeprefix("Input ")
    raise UtilityError(
        f"{where}: {name} ({shortened(row[name])}) {fault}. It was edited: import the results again"
    )


def _described(content: ResultsFile) -> ResultsSource:
    """What the first line says beside the hash."""
    return ResultsSource(
        pool_sha256=content.pool_sha256,
        suite=content.suite,
        export_sha256=content.export_sha256,
        rows=len(content.results),
        unsettled=content.unsettled,
    )


def _sha256(content: ResultsFile) -> str:
    """Of everything in the file."""
    rows = [result.to_json() for result in content.results]
    return sha256_json({**_described(content).to_json(), "results": rows})
