"""The file of all ratings that `utility import` makes of the sheets, and what it says of them.

JSON lines. The first one says what was asked and how far the raters agree, the rest are the items
by id: `{"id", "value": the mean, "ratings": {rater: value}}`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selectllm.core.codec import canonical_json
from selectllm.core.errors import UtilityError
from selectllm.core.files import atomic_write
from selectllm.core.shown import shortened
from selectllm.core.types import empty
from selectllm.utility.annotation.asked import Asking
from selectllm.utility.annotation.rater_agreement import (
    Ratings,
    krippendorff_alpha,
    mean_ratings,
    rater_noise,
    reliability,
)
from selectllm.utility.annotation.scale import Range, check_range, item_id, on_scale
from selectllm.utility.annotation.schema import RatedItem, RatingsBegin, RatingsHeader
from selectllm.utility.annotation.sheet_files import PlacedRow
from selectllm.utility.schema import DrawnSample


@dataclass(frozen=True, slots=True)
class RatingsFile:
    """A number per item, and where it comes from as far as the file says.

    `values`: by item id; the mean where there are several ratings. `ratings`: item -> rater ->
    value. `range`: of one rating. `suite`, `pool_sha256`, `differing`, `asked` (how many items):
    what was asked. `sample`: the clusters that the items are of, where they were drawn at random.
    A file from elsewhere has values alone: then `ratings` is empty, the rest None.
    """

    values: Mapping[str, float]
    ratings: Ratings = field(default_factory=empty)
    range: Range | None = None
    suite: str | None = None
    pool_sha256: str | None = None
    differing: bool | None = None
    asked: int | None = None
    sample: DrawnSample | None = None

    @property
    def raters(self) -> tuple[str, ...]:
        """All who rated, sorted."""
        return tuple(sorted({rater for raters in self.ratings.values() for rater in raters}))

    @property
    def alpha(self) -> float | None:
        """Krippendorff's alpha on an interval scale; see `rater_agreement.krippendorff_alpha`."""
        return krippendorff_alpha(self.ratings)

    @property
    def rater_noise(self) -> float | None:
        """Standard deviation of one rating, on its scale; see `rater_agreement.rater_noise`."""
        return rater_noise(self.ratings)

    @property
    def reliability(self) -> float | None:
        """Of the values, from 0 to 1; see `rater_agreement.reliability`."""
        return reliability(self.ratings)


def write_ratings(path: Path, ratings: Ratings, asking: Asking) -> RatingsFile:
    """Write what `filled_sheets.read_sheets` read; returns what is in the file.

    The same ratings give the same bytes. Raises UtilityError unless `path` ends in .jsonl.
    """
    if path.suffix != ".jsonl":
        raise UtilityError(f"{path}: a ratings file is JSON lines. Name it .jsonl")
    content = RatingsFile(
        values=mean_ratings(ratings),
        ratings=ratings,
        range=asking.range,
        suite=asking.suite,
        pool_sha256=asking.pool_sha256,
        differing=asking.differing,
        asked=len(asking.ids),
        sample=asking.sample,
    )
    low, high = asking.range
    header = RatingsHeader(
        suite=asking.suite,
        pool_sha256=asking.pool_sha256,
        range=(float(low), float(high)),
        raters=content.raters,
        items=len(content.values),
        asked=len(asking.ids),
        differing=asking.differing,
        alpha=content.alpha,
        rater_noise=content.rater_noise,
        reliability=content.reliability,
        sample=asking.sample,
    )
    with atomic_write(path) as handle:
        handle.write(canonical_json(RatingsBegin(ratings=header).to_json()) + "\n")
        for item, value in sorted(content.values.items()):
            rated = RatedItem(id=item, value=value, ratings=ratings[item])
            handle.write(canonical_json(rated.to_json()) + "\n")
    return content


def is_header(row: Mapping[str, Any]) -> bool:
    """Whether a row is the first line of a ratings file, of whatever format."""
    return "ratings" in row and "id" not in row


def from_rows(path: Path, rows: Sequence[PlacedRow]) -> RatingsFile:
    """The content of a ratings file from its rows, the header first.

    What the header says of the raters' agreement is computed anew. Raises UtilityError, naming
    file and line, on another format, on rows that are not as `write_ratings` writes them, and if
    values or the number of items show that the file was edited or cut.
    """
    place, first = rows[0]
    try:
        header = RatingsHeader.exactly(first["ratings"])
    except ValueError as error:
        raise UtilityError(
            f"{place} does not begin a ratings file of format 1 ({error}). Import the sheets again"
        ) from None
    bounds = header.range
    check_range(place, bounds)
    ratings = {item: _ratings(where, row, bounds) for where, item, row in by_item(rows[1:])}
    if len(ratings) != header.items:
        raise UtilityError(
            f"{path} holds {len(ratings)} items, and its first line says {header.items}. It was "
            "edited or cut: import the sheets again"
        )
    values = mean_ratings(ratings)
    return RatingsFile(
        values=values,
        ratings=ratings,
        range=bounds,
        suite=header.suite,
        pool_sha256=header.pool_sha256,
        differing=header.differing,
        asked=header.asked,
        sample=header.sample,
    )


def by_item(rows: Iterable[PlacedRow]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(file, line and item for messages, item id, row) for every row.

    Raises UtilityError on a row without id, and on the second row of an item.
    """
    places: dict[str, str] = {}
    for place, row in rows:
        item = item_id(row.get("id"))
        if item is None:
            raise UtilityError(f"{place}: id is {shortened(row.get('id'))}. Write the item's id")
        if item in places:
            raise UtilityError(f"{place}: item {item!r} is in {places[item]} too. Keep one row")
        places[item] = place
        yield f"{place}: item {item!r}", item, row


def _ratings(where: str, row: Mapping[str, Any], bounds: Range) -> dict[str, float]:
    """Who rated an item how. Raises UtilityError if `value` is not the mean of it."""
    given = row.get("ratings")
    if not isinstance(given, dict) or not given:
        raise UtilityError(f"{where}: ratings ({shortened(given)}) holds none. Import them again")
    ratings = {
        rater: on_scale(value, bounds, f"{where}: rating by {rater!r}")
        for rater, value in given.items()
    }
    mean = mean_ratings({"": ratings})[""]
    if not math.isclose(on_scale(row.get("value"), bounds, f"{where}: value"), mean, abs_tol=1e-9):
        raise UtilityError(
            f"{where}: value ({shortened(row['value'])}) is not the mean of its ratings "
            f"({mean:g}). Correct the sheet and import it again"
        )
    return ratings
