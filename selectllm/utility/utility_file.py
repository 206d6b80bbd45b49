"""Utility files: a computed utility, kept whole, that knows which pool it is for.

JSON lines. The first one describes the utility, under the key `utility`; the rest are the items by
id: `{"id", "value"}`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selectllm.core.codec import canonical_json, sha256_json
from selectllm.core.errors import UtilityError
from selectllm.core.files import atomic_write
from selectllm.utility.annotation.ratings_file import by_item
from selectllm.utility.annotation.scale import check_range, on_scale
from selectllm.utility.annotation.sheet_files import PlacedRow, read_objects
from selectllm.utility.schema import UtilityDescription, UtilityFileBegin, UtilityHeader
from selectllm.utility.utility import Utility


def write_utility(path: Path, utility: Utility, pool_sha256: str) -> UtilityHeader:
    """Write `utility` to `path`, whole or not at all; returns its header.

    The same utility, pool and cost give the same bytes. Raises UtilityError unless `path` ends in
    .jsonl, and for a utility without items or a cost that is not finite.
    """
    if path.suffix != ".jsonl":
        raise UtilityError(f"{path}: a utility file is JSON lines. Name it .jsonl")
    if not utility.values:
        raise UtilityError(f"utility {utility.name} has no items, so there is nothing to write")
    cost = dict(utility.cost)
    if not all(math.isfinite(spent) for spent in cost.values()):
        raise UtilityError(f"utility {utility.name}: cost {cost} is not finite")
    described = _described(utility, pool_sha256)
    header = UtilityHeader(**dict(described), cost=cost, sha256=_sha256(described, utility))
    with atomic_write(path) as handle:
        handle.write(canonical_json(UtilityFileBegin(utility=header).to_json()) + "\n")
        for item, value in sorted(utility.values.items()):
            handle.write(canonical_json({"id": item, "value": float(value)}) + "\n")
    return header


def read_utility(path: Path) -> tuple[Utility, UtilityHeader]:
    """What `write_utility` wrote.

    Raises UtilityError, naming file and line, on a file that cannot be read or is none, on values
    that are not finite or outside the range, and if it was edited or cut.
    """
    rows = list(read_objects(path))
    if not rows or not is_utility(rows[0][1]):
        raise UtilityError(f"{path} is not a utility file. Name one that a verb of `utility` wrote")
    return from_rows(path, rows)


def is_utility(row: Mapping[str, Any]) -> bool:
    """Whether a row is the first line of a utility file, of whatever format."""
    return "utility" in row and "id" not in row


def from_rows(path: Path, rows: Sequence[PlacedRow]) -> tuple[Utility, UtilityHeader]:
    """The content of a utility file from its rows, the header first; errors as `read_utility`."""
    place, first = rows[0]
    header = _header(place, first["utility"])
    if header.range is not None:
        check_range(place, header.range)
    values = {
        item: on_scale(row.get("value"), header.range, f"{where}: value")
        for where, item, row in by_item(rows[1:])
    }
    if len(values) != header.rows:
        raise UtilityError(
            f"{path} holds {len(values)} items, and its first line says {header.rows}. It was "
            "edited or cut: compute it again"
        )
    utility = Utility(
        name=header.name,
        source=header.source,
        kind=header.kind,
        values=values,
        rater=header.rater,
        reliability=header.reliability,
        range=header.range,
        cost=header.cost,
    )
    if _sha256(_described(utility, header.pool_sha256), utility) != header.sha256:
        raise UtilityError(
            f"{path} was edited: its sha256 is not {header.sha256[:12]}, as its first line "
            "says. Compute it again"
        )
    return utility, header


def _described(utility: Utility, pool_sha256: str) -> UtilityDescription:
    """What the first line says and the hash covers."""
    bounds = utility.range
    return UtilityDescription(
        name=utility.name,
        source=utility.source,
        kind=utility.kind,
        rater=utility.rater,
        reliability=utility.reliability,
        range=None if bounds is None else (float(bounds[0]), float(bounds[1])),
        pool_sha256=pool_sha256,
        rows=len(utility.values),
    )


def _sha256(described: UtilityDescription, utility: Utility) -> str:
    return sha256_json({**described.to_json(), "values": utility.sha256})


def _header(place: str, said: Any) -> UtilityHeader:
    """What the first line says. Raises UtilityError if it is not of this format."""
    try:
        return UtilityHeader.exactly(said)
    except ValueError as error:
        raise UtilityError(
            f"{place} does not begin a utility file of format 1 ({error}). Compute it again"
        ) from None
