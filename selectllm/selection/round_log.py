"""The log of rounds: what every round of annotation selected, so that the next one knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.codec import sha256_texts
from selectllm.core.document import schema_of
from selectllm.core.jsonl_log import LogContent, RowFormat, RowLog, read_rows
from selectllm.core.types import Item
from selectllm.selection.schema import LogBegin

MANIFEST: Mapping[str, Any] = {"format": 1, "verb": "rounds"}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What all that is annotated after a round covers of the pool.

    `mean_distance`: the mean over the pool of 1 - cosine to the nearest annotated item, from 0 to
    2; lower covers more. `reached`: how many of the `groups` k-means groups of the pool hold an
    annotated item; more cover more.
    """

    mean_distance: float
    groups: int
    reached: int


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One round. `round`: from 1.

    `budget`: None with a threshold. `selector`: the strategy, or PROMPT+MODEL. `ids`: of the items
    that were selected, in the order of the pool; `filled`: how many of them at random.
    `texts_sha256`: of what these ask, by which another pool is told. `pool`: where it is from, with
    its hash and number of `items`. `given`: items that were annotated before the first round.
    `log`: the log of the round's decisions, relative to this log's folder; by it a round that is
    run again is known. `coverage`: None where items could not be embedded.
    """

    round: int
    budget: int | None
    selector: str
    seed: int
    ids: tuple[str, ...]
    filled: int
    texts_sha256: str
    pool: str
    pool_sha256: str
    items: int
    given: int
    log: str | None
    coverage: Coverage | None


def texts_sha256(items: list[Item]) -> str:
    """The hash of what the items ask, whatever their ids."""
    return sha256_texts(item.text for item in items)


def _to_json(row: RoundRow) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in RoundRow.__slots__}
    cover = row.coverage
    fields["ids"] = list(row.ids)
    fields["coverage"] = cover and {name: getattr(cover, name) for name in Coverage.__slots__}
    return fields


def _from_json(fields: Mapping[str, Any]) -> RoundRow:
    cover, ids = fields["coverage"], fields["ids"]
    if type(fields["round"]) is not int or not isinstance(ids, list):
        raise TypeError("not a round")
    told = None if cover is None else Coverage(**cover)
    return RoundRow(**{**fields, "ids": tuple(map(str, ids)), "coverage": told})


ROUNDS: RowFormat[int, RoundRow] = RowFormat("round", lambda row: row.round, _to_json, _from_json)


def read_rounds(path: Path) -> list[RoundRow]:
    """The rounds of a log, in their order. Raises RunError for what is none."""
    content: LogContent[int, RoundRow] = read_rows(path, ROUNDS)
    return [content.latest[number] for number in sorted(content.latest)]


def round_schema() -> dict[str, Any]:
    """The JSON Schema of a line of a log of rounds."""
    return schema_of(LogBegin | RoundRow, title="one line of a log of rounds")


class RoundLog(RowLog[int, RoundRow]):
    """The log at `path`, which no other process writes to meanwhile."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, MANIFEST, ROUNDS, "rounds")

    def rounds(self) -> list[RoundRow]:
        """All rounds in their order."""
        return [self.latest[number] for number in sorted(self.latest)]
