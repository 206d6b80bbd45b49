"""Logs that were damaged, mended: what `log repair` does."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.errors import RunError
from selectllm.core.log_repair import ASIDE, LogState, examine, is_log, mend
from selectllm.core.shown import counted
from selectllm.jobs.selected import LOG

SHOWN = 20  # damaged lines that are listed


@dataclass(frozen=True, slots=True)
class Mended:
    """What came of each log; `mended`: whether damaged ones were changed."""

    logs: dict[Path, LogState]
    mended: bool

    @property
    def damaged(self) -> int:
        """Lines that cannot be read, of all logs."""
        return sum(len(state.damaged) for state in self.logs.values())

    @property
    def text(self) -> str:
        """What was found and done, in sentences."""
        return "\n".join(
            line for path, state in self.logs.items() for line in self._of(path, state)
        )

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        return {
            "mended": self.mended,
            "logs": [
                {
                    "path": str(path),
                    "rows": state.what,
                    "whole": state.whole,
                    "damaged": list(state.damaged),
                }
                for path, state in self.logs.items()
            ],
        }

    def _of(self, path: Path, state: LogState) -> Iterator[str]:
        rows = counted(state.whole, state.what)
        if not state.damaged:
            yield f"{path}: Every line is whole ({rows}). There is nothing to do."
            return
        lines = ", ".join(map(str, state.damaged[:SHOWN]))
        more = len(state.damaged) - SHOWN
        if more > 0:
            lines += f" and {more:,} more"
        yield f"{path}: {counted(len(state.damaged), 'line')} cannot be read: {lines}."
        if self.mended:
            yield (
                f"{rows} that can be read were kept. The original log is now {path}{ASIDE}. Run "
                "the command that wrote the log again: it asks only for what is missing, and "
                "replies that are in the cache cost nothing."
            )
        else:
            yield f"{rows} can be read. To keep only those, leave out --check."


def mend_logs(place: Path, *, check: bool = False) -> Mended:
    """Mend the log at `place`, or every log of that run folder.

    `check`: change nothing. Raises RunError where there is no log, and as log_repair does; then
    no log is changed.
    """
    forms = _forms()
    logs = [place]
    if place.is_dir():
        found = (path for path in sorted(place.rglob("*.jsonl")) if path.is_file())
        logs = [path for path in found if is_log(path, forms)]
        if not logs:
            raise RunError(f"{place} holds no log. Name a run folder, or a .jsonl log")
    elif (beside := place.with_name(place.name + LOG)).is_file() and not is_log(place, forms):
        raise RunError(
            f"{place} is a selection. To repair its log, run: selectllm log repair "
            f"{shlex.quote(str(beside))}"
        )
    states = {path: examine(path, forms) for path in logs}
    if not check:
        states = {
            path: mend(path, forms) if state.damaged else state for path, state in states.items()
        }
    return Mended(states, not check)


def _forms() -> tuple[Any, ...]:
    from selectllm.downstream.trials.log import TRIALS
    from selectllm.evaluation.sets.log import SETS
    from selectllm.optimization.gepa_search import PROPOSALS
    from selectllm.optimization.versions import VERSIONS
    from selectllm.selection.decision_log import DECISIONS
    from selectllm.selection.round_log import ROUNDS

    return (DECISIONS, VERSIONS, PROPOSALS, SETS, TRIALS, ROUNDS)
