"""What an evaluation gives back: its run, decisions, results and folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.core.types import Decision
from selectllm.evaluation.metrics.schema import UtilityAgreement
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.runs.schema import RunResults
from selectllm.jobs import tables
from selectllm.selection.decision_log import decision_row
from selectllm.stats.interval import Interval

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

TableName = Literal["decisions", "pairs", "strategies", "verdicts"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of an evaluation.

    `run`: the inputs of the evaluation. `decisions`: all decisions, in the order in which they were
    made. `results`: the figures, as in results.json (`results.to_json()`). `folder`: the run
    folder. `spent_usd`: what this call cost; replies from the cache or a file are free.
    """

    run: Run = field(repr=False)
    decisions: tuple[Decision, ...] = field(repr=False)
    results: RunResults = field(repr=False)
    folder: Path
    spent_usd: float = 0.0

    def captured(self, prompt: str, model: str, utility: str | None = None) -> Interval | None:
        """The share of the possible gain over random picks that a pair reached.

        0 is random, 1 the best possible; with its 95 % interval, None where it is not defined
        (utilities that are all equal, fewer than two clusters). `utility`: by name, None for the
        one that decides.

        Raises UsageError for a pair or utility that is not in the run.
        """
        pairs = {(pair.prompt, pair.model): pair for pair in self.results.pairs}
        if (prompt, model) not in pairs:
            names = [f"{this} + {that}" for this, that in pairs]
            raise UsageError(unknown("pair", f"{prompt} + {model}", names), argument="model")
        return self._captured(pairs[prompt, model].agreement, utility)

    def captured_by(self, strategy: str, utility: str | None = None) -> Interval | None:
        """The same of a strategy, by its name."""
        rows = {row.strategy: row for row in self.results.strategies}
        if strategy not in rows:
            raise UsageError(unknown("strategy", strategy, list(rows)), argument="strategy")
        return self._captured(rows[strategy].agreement, utility)

    def _captured(
        self, agreement: Mapping[str, UtilityAgreement], utility: str | None
    ) -> Interval | None:
        if utility is None:
            headline = self.run.headline
            if headline is None:
                raise UsageError("the suite has no utility that picks could be measured by")
            utility = headline.name
        if utility not in agreement:
            raise UsageError(unknown("utility", utility, list(agreement)), argument="utility")
        return agreement[utility].captured

    def report(self, format: str = "terminal") -> str:
        """The results as `terminal` (text), `markdown`, `junit`, `json` or `html`, a whole page.

        `junit` is for verdicts of regress. Raises UsageError for an unknown format.
        """
        from selectllm.jobs.reporting import rendered

        if format != "html":
            return rendered(self.results, format)
        from selectllm.jobs.evidence import place_of_run
        from selectllm.jobs.workspace import find_workspace

        place = place_of_run(self.folder, find_workspace(self.run.suite.folder))
        return rendered(self.results, format, place)

    def _repr_html_(self) -> str:
        from selectllm.jobs.reporting import in_a_notebook

        return in_a_notebook(self.results)

    def to_polars(self, rows: TableName = "decisions") -> pl.DataFrame:
        """Decisions, pairs, strategies or verdicts as a polars DataFrame, one row each."""
        return tables.to_polars(self._rows(rows))

    def to_pandas(self, rows: TableName = "decisions") -> pd.DataFrame:
        """The same as a pandas DataFrame."""
        return tables.to_pandas(self._rows(rows))

    def _rows(self, rows: str) -> list[Mapping[str, Any]]:
        parts = ("decisions", "pairs", "strategies", "verdicts")
        if rows not in parts:
            raise UsageError(f"`rows`: {unknown('table', rows, parts)}", argument="rows")
        if rows == "decisions":
            return [decision_row(decision) for decision in self.decisions]
        return [row.to_json() for row in getattr(self.results, rows)]
