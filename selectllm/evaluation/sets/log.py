"""The log of finished sets, sets.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selectllm.core.jsonl_log import RowFormat, RowLog
from selectllm.core.types import Attempt, answered

SetKey = tuple[str, int, int]
"""(selector, budget, seed)."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the calls behind a set took, whether they were sent for it or their replies were kept.

    As if the set had been made alone. Tokens and `cost_usd`: None if a reply did not come with
    them; a cost, also where it is not priced.
    """

    calls: int
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None


def spent(attempts: Sequence[Attempt]) -> Spent:
    """The sum over those of `attempts` that were answered; without any nothing was spent."""
    attempts = answered(attempts)

    def total(name: str) -> Any:
        values = [getattr(attempt, name) for attempt in attempts]
        return None if None in values else sum(values)

    cost = total("cost_usd")
    return Spent(
        calls=len(attempts),
        tokens_in=total("tokens_in"),
        tokens_out=total("tokens_out"),
        cost_usd=None if cost is None else float(cost),
    )


@dataclass(frozen=True, slots=True)
class SelectedSet:
    """The `budget` items that one selector selects of the pool with one seed.

    `selector`: the name of its arm. `ids`: in pool order. `filled`: how many of them only fill
    gaps that the selector left. `seconds`: what making it took this time.
    """

    selector: str
    budget: int
    seed: int
    ids: tuple[str, ...]
    filled: int
    spent: Spent
    seconds: float = 0.0

    @property
    def key(self) -> SetKey:
        """What set it is."""
        return self.selector, self.budget, self.seed

    def to_json(self) -> dict[str, Any]:
        """One flat row: what was spent stands beside the rest."""
        row = {name: getattr(self, name) for name in self.__slots__ if name != "spent"}
        return row | {"ids": list(self.ids)} | asdict(self.spent)


def _from_json(row: Mapping[str, Any]) -> SelectedSet:
    """The inverse of `to_json`. Raises KeyError or TypeError on other rows."""
    match row:
        case {"selector": str(), "budget": int(), "seed": int(), "ids": [*ids]} if all(
            isinstance(each, str) for each in ids
        ):
            fields = dict(row)
        case _:
            raise TypeError("not a set")
    cost = Spent(**{name: fields.pop(name) for name in Spent.__slots__})
    return SelectedSet(**fields | {"ids": tuple(fields["ids"])}, spent=cost)


SETS: RowFormat[SetKey, SelectedSet] = RowFormat(
    "set", lambda selected: selected.key, SelectedSet.to_json, _from_json
)


class SetLog(RowLog[SetKey, SelectedSet]):
    """The sets that are finished."""

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        super().__init__(path, manifest, SETS)
