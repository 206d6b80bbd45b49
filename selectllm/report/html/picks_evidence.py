"""What a page of a selection shows besides figures: its picks with their rivals. Types alone.

jobs/picks.py reads it from the files of a selection; here nothing is read or computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from selectllm.report.html.evidence import Provenance


@dataclass(frozen=True, slots=True)
class ShownRivals:
    """A cluster and the candidates in it that were not selected: (id, text); "": text not shown."""

    cluster: int
    round: int
    rivals: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ShownPick:
    """A selected item. `rivals`: the number of its cluster, None where none was compared.

    `rank`, `score`, `reason`: see SelectionMark. `filled`: chosen at random. `length`: characters
    of its whole text, of which `instruction` and `input` may be the beginning.
    """

    id: str
    instruction: str
    input: str
    length: int
    cluster: int
    by: str
    filled: bool
    rank: int | None
    score: float | None
    reason: str | None
    rivals: int | None


@dataclass(frozen=True, slots=True)
class PicksEvidence:
    """The picks of a selection, in the order of its file. `notes`: what could not be shown."""

    picks: tuple[ShownPick, ...]
    rivals: tuple[ShownRivals, ...]
    provenance: Provenance | None
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """What the page's scripts read: rows as lists, in the order of their fields."""
        names = list(dict.fromkeys(pick.by for pick in self.picks))
        numbers = {name: number for number, name in enumerate(names)}
        return {
            "by": names,
            "picks": [_pick(pick, numbers[pick.by]) for pick in self.picks],
            "rivals": [[each.cluster, each.round, each.rivals] for each in self.rivals],
        }


def _pick(pick: ShownPick, by: int) -> list[Any]:
    about = [pick.cluster, by, int(pick.filled), pick.rank, pick.score, pick.reason, pick.rivals]
    return [pick.id, pick.instruction, pick.input, pick.length, *about]
