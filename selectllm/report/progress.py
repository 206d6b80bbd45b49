"""How far a job is, in one line: how much is done, how fast, at which cost, and how long it takes.

Pure; cli/terminal.py shows it. What is lost first where a line is too long stands in DROPPED.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from selectllm.core.shown import counted
from selectllm.core.types import Step

GAP = "  "
DROPPED = ("percent", "pace", "cached", "failed", "spent")
OFTEN = 10.0  # seconds that pass at least between two lines of a log
SELDOM = 60.0  # seconds after which a line comes even if hardly anything was done


def progress_line(description: str, step: Step, seconds: float, width: int = 80) -> str:
    """Such as `deciding  120/400  30%  2.1 calls/s  $0.31  45 cached  2 failed tries  ETA 2:13`.

    `seconds`: since the work began. `width`: columns, at most as many are taken.
    """
    parts = _parts(step, seconds)
    for dropped in (None, *DROPPED):
        if dropped is not None:
            parts.pop(dropped, None)
        line = GAP.join((description, *parts.values()))
        if len(line) <= width:
            return line
    return line[:width]


def _parts(step: Step, seconds: float) -> dict[str, str]:
    parts = {}
    if step.total:
        parts["done"] = f"{step.done}/{step.total}"
        parts["percent"] = f"{math.floor(100 * step.done / step.total)}%"
    if (out := step.sent + step.failed) and seconds > 0:
        parts["pace"] = f"{out / seconds:.1f} calls/s"
    if step.spent_usd:
        parts["spent"] = f"${step.spent_usd:.{2 if step.spent_usd >= 0.1 else 4}f}"
    if step.cached:
        parts["cached"] = f"{step.cached} cached"
    if step.failed:
        parts["failed"] = counted(step.failed, "failed try")
    if (left := seconds_left(step, seconds)) is not None:
        parts["eta"] = f"ETA {clock_time(left)}"
    return parts


def seconds_left(step: Step, seconds: float) -> float | None:
    """How long the rest will take; None where that is not known.

    Where models are asked, by what a call takes that really went out, as if none of the rest were
    in the cache: what is cached takes no time, and says nothing of the others.
    """
    if not 0 < step.done <= step.total or seconds <= 0:
        return None
    rest = step.total - step.done
    calls = step.sent + step.cached
    if not calls:
        return rest * seconds / step.done
    return rest * (calls / step.done) * (seconds / step.sent) if step.sent else None


def clock_time(seconds: float) -> str:
    """`0:07`, `2:13`, `1:02:13`; rounded up."""
    minutes, second = divmod(math.ceil(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


@dataclass(slots=True)
class Pacing:
    """When a log gets another line: never sooner than after 10 seconds.

    Then after every tenth of the work, or a minute. `at`, `tenths`: when the last line came, and
    how much was done then.
    """

    began: float
    at: float = field(init=False)
    tenths: int = 0

    def __post_init__(self) -> None:
        self.at = self.began

    def due(self, step: Step, now: float) -> bool:
        """Whether a line is due at `now`, in seconds of the same clock; if so, it is taken."""
        passed, tenths = now - self.at, 10 * step.done // max(1, step.total)
        if passed < OFTEN or (tenths == self.tenths and passed < SELDOM):
            return False
        self.at, self.tenths = now, tenths
        return True
