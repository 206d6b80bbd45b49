"""The log of rounds: what every round of annotation selected, so that the next one knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from selectllm.core.codec import sha256_texts
from selectllm.core.jsonl_log import LogContent, RowFormat, RowLog, read_rows
from selectllm.core.types import Item
from selectllm.selection.schema import Coverage, RoundRow

MANIFEST: Mapping[str, Any] = {"format": 1, "verb": "rounds"}


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


def missing_in(rounds: Iterable[RoundRow]) -> list[int]:
    """The numbers of rounds that others follow but the log has lost, as in a repair."""
    numbers = {row.round for row in rounds}
    return [number for number in range(1, max(numbers, default=0)) if number not in numbers]


class RoundLog(RowLog[int, RoundRow]):
    """The log at `path`, which no other process writes to meanwhile."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, MANIFEST, ROUNDS, "rounds")

    def rounds(self) -> list[RoundRow]:
        """All rounds in their order."""
        return [self.latest[number] for number in sorted(self.latest)]
