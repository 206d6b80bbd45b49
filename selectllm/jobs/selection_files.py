"""Where `select` writes a selection, and what it says of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.choices import TargetName
from selectllm.core.errors import SelectionShort, UsageError
from selectllm.core.files import real
from selectllm.core.shown import counted
from selectllm.data.hub import is_hub, parse_hub
from selectllm.data.pool import write_rejected
from selectllm.data.readers.partitioned import without_pattern
from selectllm.data.row_writers import as_parts, cannot_write
from selectllm.jobs.contents import REJECTED, SELECTION
from selectllm.jobs.handing import (
    HandedOver,
    check_handover,
    hand_over_selection,
    handover_path,
)
from selectllm.jobs.outputs import check_written, nearby
from selectllm.jobs.selected import ENDING, LOG, pool_beside
from selectllm.report.next_steps import columns_words

if TYPE_CHECKING:
    from selectllm.jobs.selection import Selection
    from selectllm.jobs.session import Session


@dataclass(frozen=True, slots=True)
class SelectionFiles:
    """The files of a selection from `pool`: `out`, and those whose names begin with it.

    `to`: the tool that `out` is handed over to, None for JSON lines, Parquet, or a folder of it.
    """

    pool: Path
    out: Path
    to: TargetName | None = None

    @property
    def log(self) -> Path:
        """Every question and reply."""
        return self.out.with_name(f"{self.out.name}{LOG}")

    @property
    def rejected(self) -> Path:
        """The bad rows of the pool, with their reasons."""
        return self.out.with_name(f"{self.out.name}.rejected.jsonl")

    def check(self, session: Session, *, skip_bad: bool, kept: Iterable[object] = ()) -> None:
        """Raise UsageError for files that must not be written.

        `kept`: what else is read, such as annotated items, of which a path must not be overwritten.
        """
        read = {self.pool, *(Path(path) for path in kept if isinstance(path, str | Path))}
        if self.to is None:
            check_written("out", self.out, SELECTION, read, session.workspace)
        else:
            check_handover(self.out, self.to, read, session)
        if skip_bad:
            check_written("out", self.rejected, REJECTED, {self.pool}, session.workspace)

    def write(
        self, selection: Selection, columns: Mapping[str, str], session: Session
    ) -> WrittenSelection:
        """Write the selection, and the rows that were left out. `columns`: as it was asked for."""
        if selection.rejected:
            write_rejected(self.rejected, selection.rejected)
            many = len(selection.rejected)
            left = "1 bad row was" if many == 1 else f"{many:,} bad rows were"
            are = "It is" if many == 1 else "They are"
            session.note(f"{left} left out. {are} in {self.rejected}.")
        handed = None
        if self.to is None:
            selection.write(self.out)
        else:
            handed = hand_over_selection(selection, self.to, self.out, columns, session=session)
        return WrittenSelection(selection, self.out, columns, handed)


@dataclass(frozen=True, slots=True)
class WrittenSelection:
    """A selection that is in its files. `handed`: what the tool imports, if it is for one."""

    selection: Selection
    out: Path
    columns: Mapping[str, str]
    handed: HandedOver | None = None

    @property
    def file(self) -> Path:
        """The items with all their columns."""
        return self.out if self.handed is None else self.handed.selection

    @property
    def text(self) -> str:
        """What was written, in sentences."""
        if self.handed is not None:
            return self.handed.text
        selection = self.selection
        place = f"the folder {self.out}" if as_parts(self.out) else self.out
        told = (
            f"Wrote {counted(len(selection), 'item')} to {place}, selected by "
            f"{', '.join(selection.by)}."
        )
        if not selection.filled:
            return told
        return (
            f"{told}\n{selection.filled} of them were chosen at random, because no answer could be "
            "used. They are marked as filled."
        )

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        selection = self.selection
        summary = {
            "out": str(self.out),
            "selected": len(selection),
            "filled": selection.filled,
            "spent_usd": selection.spent_usd,
            **selection.taken,
        }
        return summary | (self.handed.to_json() if self.handed else {})

    @property
    def words_of_pool(self) -> tuple[str, ...]:
        """How `report` is told where the pool is, if it would not find it, and what to read."""
        source, beside = self.selection.pool.source, pool_beside(self.out)
        words = columns_words(self.columns)
        if not source or (beside is not None and real(beside) == real(source)):
            return tuple(words)
        place = source if is_hub(Path(source)) else str(nearby(Path(source)))
        return ("--pool", place, *words)

    def check_whole(self) -> None:
        """Raise SelectionShort if fewer items were selected than the budget is."""
        selection = self.selection
        if selection.short:
            raise SelectionShort(
                f"Only {len(selection)} of {selection.budget} items were selected, because the "
                "other replies were not valid and `on_invalid` is skip. To fill the gaps at "
                "random, use `on_invalid` fill."
            )


def selection_files(
    pool_file: Path, out: Path | None = None, to: TargetName | None = None
) -> SelectionFiles:
    """Where the selection goes: `out`, or POOL without its suffixes and with .selected.jsonl.

    Of a pool on the hub NAME.selected.jsonl in the current folder, of a pattern that of its folder.
    `to`: for which tool.
    Raises UsageError for a name that ends neither in .jsonl nor .parquet nor is that of a folder,
    or not the tool's, and for the pool itself.
    """
    named = without_pattern(pool_file)
    if is_hub(pool_file):
        named = Path(Path(parse_hub(pool_file).source).name)
    if to is not None:
        out = handover_path(named, to, out)
    elif out is None:
        plain = named.with_suffix("") if named.suffix.lower() == ".gz" else named
        return SelectionFiles(pool_file, plain.with_name(f"{plain.stem}{ENDING}"))
    elif problem := cannot_write(out):
        raise UsageError(f"`out` {out}: {problem}", argument="out")
    if real(out) == real(named):
        raise UsageError(
            f"`out` {out} is the pool itself, which is not overwritten. Choose another file.",
            argument="out",
        )
    return SelectionFiles(pool_file, out, to)
