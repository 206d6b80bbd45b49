"""What a selection gives: the items, who picked them, and what was spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from selectllm.core.errors import UsageError
from selectllm.core.files import real, unwritable
from selectllm.core.names import unknown
from selectllm.core.types import Attempt, Decision, Item, Pool
from selectllm.data.pool import Rejected
from selectllm.data.readers.partitioned import would_join
from selectllm.data.row_writers import as_parts, cannot_write, part_in
from selectllm.jobs import tables
from selectllm.jobs.arguments import check
from selectllm.jobs.contents import SELECTION, replaceable
from selectllm.selection.by_model import Chosen
from selectllm.selection.decision_log import decision_row
from selectllm.selection.output import write_selection

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


TableName = Literal["items", "decisions"]
SHOWN = 10  # items in a notebook
WIDTH = 120  # characters of a cell


@dataclass(frozen=True, eq=False)
class Selection:
    """The items that were selected from a pool.

    `pool`: the pool that was selected from, without what `distinct` and `prefilter` left out.
    `chosen`: the picks in pool order, or the best first with `sort` (see by_worth), each with its
    cluster, what picked it, and its rank, score and reason. `budget`: the number of items asked
    for, None with a threshold. `spent_usd`: what the session spent during the job; cached replies
    and unpriced models count 0. `decisions`: what the model decided about each cluster, or the
    strategy about the pool. `rejected`: rows of the file that `skip_bad` left out. `seconds`: how
    long it took, in elapsed time.
    """

    pool: Pool = field(repr=False)
    chosen: tuple[Chosen, ...] = field(repr=False)
    budget: int | None = None
    spent_usd: float = 0.0
    decisions: Sequence[Decision] = field(default=(), repr=False)
    rejected: tuple[Rejected, ...] = ()
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def items(self) -> tuple[Item, ...]:
        """The selected items, in the order of `chosen`."""
        return tuple(choice.item for choice in self.chosen)

    @property
    def filled(self) -> int:
        """How many items were chosen at random, because the model gave no valid pick."""
        return sum(choice.filled for choice in self.chosen)

    @property
    def short(self) -> int:
        """How many of `budget` are missing; above 0 only if `on_invalid` is skip."""
        return 0 if self.budget is None else self.budget - len(self.chosen)

    @property
    def replies(self) -> tuple[Attempt, ...]:
        """The replies behind it, those from the cache and of earlier calls included."""
        return tuple(reply for decision in self.decisions for reply in decision.replies)

    @property
    def taken(self) -> dict[str, float]:
        """Replies, tokens and seconds behind it; `tokens_reasoning` only where any are known."""
        replies = self.replies
        thought = sum(reply.tokens_reasoning or 0 for reply in replies)
        return {
            "replies": len(replies),
            "cached": sum(reply.cached for reply in replies),
            "tokens_in": sum(reply.tokens_in or 0 for reply in replies),
            "tokens_out": sum(reply.tokens_out or 0 for reply in replies),
            **({"tokens_reasoning": thought} if thought else {}),
            "seconds": round(self.seconds, 1),
        }

    @property
    def taken_told(self) -> str:
        """The same as the beginning of a sentence."""
        taken = self.taken
        thought = taken.get("tokens_reasoning")
        thinking = f", {thought:,} of them thinking" if thought else ""
        return (
            f"There were {taken['replies']:,} replies, {taken['cached'] / taken['replies']:.0%} of "
            f"them from the cache, with {taken['tokens_in']:,} tokens in and "
            f"{taken['tokens_out']:,} tokens out{thinking}. This took {taken['seconds']:,} seconds"
        )

    @property
    def by(self) -> tuple[str, ...]:
        """Who picked: PROMPT+MODEL, strategy:NAME, or all where a cluster was taken whole."""
        return tuple(sorted(Counter(choice.by for choice in self.chosen)))

    def write(self, path: Path | str) -> None:
        """Write the rows with all their columns and `_selectllm`, whole or not at all.

        `path`: of JSON lines or Parquet, by its suffix, or without one a folder of Parquet files;
        relative to the current folder. Raises UsageError for any other suffix, for a column that
        Parquet cannot hold (`write_rows`), and for what holds anything but a selection.
        """
        check({"path": path}, {"path": Path | str})
        out = Path(path)
        if problem := cannot_write(out):
            raise UsageError(f"`path` {out}: {problem}", argument="path")
        if problem := unwritable(out, folder=as_parts(out)):
            raise UsageError(f"`path` {out} {problem}. Choose another file", argument="path")
        if source := self.pool.source:
            pool, file = real(Path(source)), real(out)
            problem = "is the pool itself, which is not overwritten" if file == pool else None
            if would_join(pool, part_in(file) if as_parts(out) else file):
                problem = "would be read as one more file of the pool from then on"
            if problem:
                raise UsageError(f"{out} {problem}. Choose another file", argument="path")
        if problem := replaceable(out, SELECTION):
            raise UsageError(f"`path` {out} {problem}. Choose another file", argument="path")
        write_selection(out, self.chosen)

    def rows(self) -> list[dict[str, Any]]:
        """One row an item: its texts, and what a selection file says of it (SelectionMark)."""
        return [
            {
                "id": choice.item.id,
                "instruction": choice.item.instruction,
                "input": choice.item.input,
                "response": choice.item.response,
                "cluster": choice.cluster,
                "round": choice.round,
                "by": choice.by,
                "filled": choice.filled,
                "rank": choice.rank,
                "score": choice.score,
                "reason": choice.reason,
            }
            for choice in self.chosen
        ]

    def to_polars(self, rows: TableName = "items") -> pl.DataFrame:
        """The items as `rows` has them, or the decisions, as a polars DataFrame."""
        return tables.to_polars(self._rows(rows))

    def to_pandas(self, rows: TableName = "items") -> pd.DataFrame:
        """The same as a pandas DataFrame. Raises UsageError if pandas is not installed."""
        return tables.to_pandas(self._rows(rows))

    def _rows(self, rows: str) -> list[dict[str, Any]]:
        known = get_args(TableName)
        if rows not in known:
            raise UsageError(f"`rows`: {unknown('table', rows, known)}", argument="rows")
        return self.rows() if rows == "items" else [*map(decision_row, self.decisions)]

    def _repr_html_(self) -> str:
        """What was selected, and the first items."""
        title = f"{len(self)} of {len(self.pool)} items ({', '.join(self.by)})"
        if self.filled:
            title += f", {self.filled} of them fill gaps"
        lines = [_line([choice.item.id, choice.item.text, choice.by]) for choice in self.chosen]
        head = "<tr><th>id</th><th>text</th><th>by</th></tr>"
        more = f"<p>and {len(lines) - SHOWN:,} more</p>" if len(lines) > SHOWN else ""
        return (
            f"<p>{escape(title)}. Spent {self.spent_usd:.4f} "
            f"USD</p><table>{head}{''.join(lines[:SHOWN])}</table>{more}"
        )


def _line(cells: Sequence[str]) -> str:
    """A row of a table in a notebook; long texts are cut."""
    cut = (cell if len(cell) <= WIDTH else f"{cell[: WIDTH - 1]}\u2026" for cell in cells)
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cut) + "</tr>"
