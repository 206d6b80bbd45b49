"""Imported utilities: a utility file, a ratings file, or ids and values of another tool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from selectllm.core.errors import UtilityError
from selectllm.utility.annotation.ratings_file import (
    RatingsFile,
    by_item,
    from_rows,
    is_header,
)
from selectllm.utility.annotation.scale import Range, check_range, on_scale, shown
from selectllm.utility.annotation.sheet_files import PlacedRow, read_placed
from selectllm.utility.schema import UtilityKind
from selectllm.utility.utility import Utility
from selectllm.utility.utility_file import from_rows as from_utility_rows
from selectllm.utility.utility_file import is_utility


def imported(
    path: Path,
    *,
    name: str,
    kind: UtilityKind | None = None,
    rater: str | None = None,
    value_range: Range | None = None,
    pool_sha256: str | None = None,
) -> Utility:
    """The numbers in a file as a utility; it may cover a part of the pool. Higher must be better.

    What is not given, a utility file says; of other files `kind` is then human, and `rater` the
    name of the only one, or `3 raters (alpha 0.62)`. `pool_sha256`: of the pool that it is for.
    Reads, and raises UtilityError, as `read_utility` and `read_ratings` do, if the file is of
    another pool, and for another kind than a utility file says: a proxy is no outcome.
    """
    rows = _placed(path, value_range)
    if rows and is_utility(rows[0][1]):
        found, of_pool = _computed(path, rows, value_range)
        if kind not in (None, found.kind):
            raise UtilityError(
                f"utility {name}: kind: {kind}, but {path} says that its kind is {found.kind}. "
                "Leave kind out"
            )
    else:
        found, of_pool = _rated(_ratings(path, rows, value_range), name)
    if pool_sha256 and of_pool and of_pool != pool_sha256:
        raise UtilityError(
            f"utility {name}: {path} belongs to another pool, or the pool has changed since. "
            "Restore the pool, or make the file again"
        )
    return replace(
        found,
        name=name,
        kind=kind or found.kind,
        rater=rater or found.rater,
        range=value_range or found.range,
    )


def read_ratings(path: Path, value_range: Range | None = None) -> RatingsFile:
    """A ratings file; or plain rows `{"id", "value"}` of .jsonl, or the columns id,value of .csv.

    `value_range`: what the suite says. It must be the file's own, if the file has one; else it is
    what the values are held against.

    Raises UtilityError, naming file and line: a file that cannot be read, an id twice or missing,
    a value that is no number or out of range, two different ranges, and ratings files that were
    edited or cut.
    """
    rows = _placed(path, value_range)
    if rows and is_utility(rows[0][1]):
        raise UtilityError(f"{path} is a utility file, which holds no ratings. Name a ratings file")
    return _ratings(path, rows, value_range)


def _placed(path: Path, value_range: Range | None) -> list[PlacedRow]:
    if value_range is not None:
        check_range(str(path), value_range)
    return list(read_placed(path, ("id", "value"), "values"))


def _computed(
    path: Path, rows: list[PlacedRow], value_range: Range | None
) -> tuple[Utility, str | None]:
    """What a utility file holds, its values within `value_range`, and its pool's hash."""
    utility, header = from_utility_rows(path, rows)
    for item, value in utility.values.items():
        on_scale(value, value_range, f"{path}: item {item!r}: value")
    return utility, header.pool_sha256


def _rated(content: RatingsFile, name: str) -> tuple[Utility, str | None]:
    """Ratings as a utility, and the hash of the pool that they were asked for."""
    utility = Utility(
        name=name,
        source="import",
        kind="human",
        values=content.values,
        rater=_raters(content),
        reliability=content.reliability,
        range=content.range,
        sample=content.sample,
    )
    return utility, content.pool_sha256


def _ratings(path: Path, rows: list[PlacedRow], value_range: Range | None) -> RatingsFile:
    if not rows or not is_header(rows[0][1]):
        return _plain(path, rows, value_range)
    content = from_rows(path, rows)
    if value_range is not None and content.range != tuple(value_range):
        own = shown(content.range or value_range)
        raise UtilityError(
            f"{path}: its ratings are on the scale {own}, and the suite says range "
            f"{shown(value_range)}. Write range: {own} in the suite"
        )
    return content


def _plain(path: Path, rows: list[PlacedRow], value_range: Range | None) -> RatingsFile:
    values = {
        item: on_scale(row.get("value"), value_range, f"{where}: value")
        for where, item, row in by_item(rows)
    }
    if not values:
        raise UtilityError(f"{path} holds no values. Write one row an item, with id and value")
    return RatingsFile(values, range=value_range)


def _raters(content: RatingsFile) -> str | None:
    names, alpha = content.raters, content.alpha
    if len(names) < 2:
        return names[0] if names else None
    return f"{len(names)} raters" + ("" if alpha is None else f" (alpha {alpha:.2f})")
