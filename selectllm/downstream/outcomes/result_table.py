"""Published results of training as one long table: who was trained on what, and what came of it.

One row holds one number: an arm (a way of selecting, or none), a measure, a seed and a value. Every
other column says in what circumstances, such as the model and the task; rows that agree in all of
them form a stratum, within which arms can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.errors import UtilityError
from selectllm.core.names import listed, unknown
from selectllm.core.shown import shortened
from selectllm.data.readers import place, read_rows

Stratum = tuple[tuple[str, str], ...]
"""(column, value) of everything that is the same within it."""

KNOWN: Mapping[str, tuple[str, ...]] = {
    "arm": ("arm", "method", "selector", "strategy"),
    "measure": ("measure", "metric"),
    "value": ("value", "result"),
    "split": ("split",),
    "budget": ("budget", "items", "size"),
    "seed": ("seed", "training_seed", "run"),
}
"""What a column can be, and the names by which it is recognised."""
REQUIRED = ("arm", "measure", "value")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One number of a table. `budget`, `seed`: "" where there is none; `stratum` lacks both."""

    stratum: Stratum
    budget: str
    arm: str
    measure: str
    seed: str
    value: float


@dataclass(frozen=True, slots=True)
class ResultTable:
    """All rows, and the names of the columns that make up a stratum."""

    rows: tuple[TableRow, ...]
    columns: tuple[str, ...]

    @property
    def measures(self) -> tuple[str, ...]:
        """Every measure, in the order of the file."""
        return tuple(dict.fromkeys(row.measure for row in self.rows))


def read_result_table(path: Path, roles: Mapping[str, str]) -> ResultTable:
    """The rows of a .csv, .tsv, .jsonl, .xlsx or .parquet file.

    `roles`: which column is the arm, measure, value, split, budget or seed, where its name does
    not tell (KNOWN). A split (such as dev and test) becomes part of the measure's name. A row
    without a value is left out.

    Raises PoolError for a file that cannot be read. Raises UtilityError, naming file and place, for
    a column that is missing, a value that is no finite number, and one that is there twice.
    """
    taken: dict[str, str] | None = None
    rows: dict[tuple[Any, ...], TableRow] = {}
    others: tuple[str, ...] = ()
    for number, cells in read_rows(path):
        where = place(path, number)
        if not isinstance(cells, Mapping):
            raise UtilityError(
                f"{where}: the row has no column names. Write a table with a header, or one "
                "JSON object in each line"
            )
        if taken is None:
            taken = _roles(path, tuple(cells), roles)
            others = tuple(name for name in cells if name not in taken.values())
        row = _row(cells, taken, others, where)
        if row is None:
            continue
        cell = row.stratum, row.budget, row.arm, row.measure, row.seed
        if cell in rows:
            raise UtilityError(
                f"{where}: there is a second value of {row.arm!r} for {row.measure!r} with the "
                "same seed in the same circumstances. Keep one of them, or add a column that says "
                "how they differ"
            )
        rows[cell] = row
    if not rows:
        raise UtilityError(f"{path} has no rows with a value")
    return ResultTable(tuple(rows.values()), others)


def _roles(path: Path, names: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """The column of each role. Raises UtilityError for one that is not there."""
    taken = {}
    for role, column in given.items():
        if role not in KNOWN:
            raise UtilityError(f"`roles` {role}={column}: {unknown('role', role, KNOWN)}")
        if column not in names:
            raise UtilityError(f"{path}: {unknown('column', column, names)}", argument="roles")
        taken[role] = column
    for role, known in KNOWN.items():
        free = [name for name in known if name in names and name not in taken.values()]
        if role not in taken and free:
            taken[role] = free[0]
    if missing := [role for role in REQUIRED if role not in taken]:
        raise UtilityError(
            f"{path}: no column is the {missing[0]}. The columns are {listed(names)}. Say which "
            f"one it is with `roles` {missing[0]}=COLUMN",
            argument="roles",
        )
    return taken


def _row(
    cells: Mapping[str, Any], taken: Mapping[str, str], others: Sequence[str], where: str
) -> TableRow | None:
    """A row of the file; None without a value."""

    def text(role: str) -> str:
        value = cells.get(taken[role]) if role in taken else None
        return "" if value is None else str(value).strip()

    if not text("value"):
        return None
    try:
        value = float(text("value"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UtilityError(
            f"{where}: the value {shortened(text('value'))} is not a finite number. Correct it, or "
            "leave the cell empty"
        )
    for role in ("arm", "measure"):
        if not text(role):
            raise UtilityError(f"{where}: the cell of the {role} ({taken[role]}) is empty")
    split = text("split")
    return TableRow(
        stratum=tuple((name, str(cells.get(name))) for name in others),
        budget=text("budget"),
        arm=text("arm"),
        measure=f"{text('measure')} ({split})" if split else text("measure"),
        seed=text("seed"),
        value=value,
    )
