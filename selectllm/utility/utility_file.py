"""Utility files: a computed utility, kept whole, that knows which pool it is for.

JSON lines. The first one describes the utility, under the key `utility`; the rest are the items by
id: `{"id", "value"}`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from selectllm.core.codec import canonical_json, sha256_json
from selectllm.core.errors import UtilityError
from selectllm.core.files import atomic_write
from selectllm.data.readers import shortened
from selectllm.utility.annotation.ratings_file import by_item
from selectllm.utility.annotation.scale import Range, check_range, on_scale
from selectllm.utility.annotation.sheet_files import PlacedRow, read_objects
from selectllm.utility.schema import UtilityKind
from selectllm.utility.utility import Utility

FORMAT = 1
DESCRIBED = ("name", "source", "kind", "rater", "reliability")


@dataclass(frozen=True, slots=True)
class UtilityHeader:
    """What the file says beside the utility itself.

    `pool_sha256`: of the pool that it was computed for. `sha256`: of everything in the file but
    its cost.
    """

    pool_sha256: str
    sha256: str


def write_utility(path: Path, utility: Utility, pool_sha256: str) -> UtilityHeader:
    """Write `utility` to `path`, whole or not at all; returns its header.

    The same utility, pool and cost give the same bytes. Raises UtilityError unless `path` ends in
    .jsonl, and for a utility without items or a cost that is not finite.
    """
    if path.suffix != ".jsonl":
        raise UtilityError(f"{path}: a utility file is JSON lines; name it .jsonl")
    if not utility.values:
        raise UtilityError(f"utility {utility.name}: has no items, so there is nothing to write")
    cost = dict(utility.cost)
    if not all(math.isfinite(spent) for spent in cost.values()):
        raise UtilityError(f"utility {utility.name}: cost {cost} is not finite")
    described = _described(utility, pool_sha256)
    header = UtilityHeader(pool_sha256, _sha256(described, utility))
    first = described | {"cost": cost, "sha256": header.sha256}
    with atomic_write(path) as handle:
        handle.write(canonical_json({"utility": first}) + "\n")
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
        raise UtilityError(f"{path}: is no utility file; name one that a verb of `utility` wrote")
    return from_rows(path, rows)


def is_utility(row: Mapping[str, Any]) -> bool:
    """Whether a row is the first line of a utility file, of whatever format."""
    return "utility" in row and "id" not in row


def from_rows(path: Path, rows: Sequence[PlacedRow]) -> tuple[Utility, UtilityHeader]:
    """The content of a utility file from its rows, the header first; errors as `read_utility`."""
    place, first = rows[0]
    header = _header(place, first["utility"])
    bounds = _range(place, header["range"])
    values = {
        item: on_scale(row.get("value"), bounds, f"{where}: value")
        for where, item, row in by_item(rows[1:])
    }
    if len(values) != header["rows"]:
        raise UtilityError(
            f"{path}: holds {len(values)} items, and its first line says {header['rows']}; it was "
            "edited or cut: compute it again"
        )
    described = {name: header[name] for name in DESCRIBED}
    utility = Utility(values=values, range=bounds, cost=header["cost"], **described)
    pool_sha256, sha256 = header["pool_sha256"], header["sha256"]
    if _sha256(_described(utility, pool_sha256), utility) != sha256:
        raise UtilityError(
            f"{path}: is not what was written (its sha256 is not {sha256[:12]}, as its first line "
            "says): it was edited; compute it again"
        )
    return utility, UtilityHeader(pool_sha256, sha256)


def _described(utility: Utility, pool_sha256: str) -> dict[str, Any]:
    """What the first line says and the hash covers."""
    bounds = utility.range
    return {name: getattr(utility, name) for name in DESCRIBED} | {
        "format": FORMAT,
        "higher_is_better": True,
        "range": None if bounds is None else [float(bound) for bound in bounds],
        "pool_sha256": pool_sha256,
        "rows": len(utility.values),
    }


def _sha256(described: Mapping[str, Any], utility: Utility) -> str:
    return sha256_json({**described, "values": utility.sha256})


def _header(place: str, said: Any) -> Mapping[str, Any]:
    """The header's keys, of the types that they have. Raises UtilityError on another format."""
    match said:
        case {
            "format": 1,
            "name": str(),
            "source": str(),
            "kind": str(kind),
            "rater": str() | None,
            "higher_is_better": True,
            "reliability": int() | float() | None as reliability,
            "range": list() | None,
            "cost": dict(cost),
            "pool_sha256": str(),
            "sha256": str(),
            "rows": int(),
        } if (
            kind in get_args(UtilityKind)
            and _is_share(reliability)
            and all(map(_is_number, cost.values()))
        ):
            return cast(Mapping[str, Any], said)
        case _:
            raise UtilityError(
                f"{place}: does not begin a utility file of format {FORMAT} "
                f"({shortened(said)}); compute it again"
            )


def _is_share(value: float | None) -> bool:
    return value is None or 0 <= value <= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _range(place: str, said: Sequence[Any] | None) -> Range | None:
    match said:
        case None:
            return None
        case [int() | float() as low, int() | float() as high]:
            bounds = float(low), float(high)
            check_range(place, bounds)
            return bounds
        case _:
            raise UtilityError(f"{place}: range ({shortened(said)}) must be [lowest, highest]")
