"""What the tables of verdicts.py share: settings, what is drawn, and which targets are missed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from outcomes import Share
from simulated_clusters import Lab, Skills, Trials, trials

from selectllm.stats.paired import Paired

SIZES = (100, 300, 500)
LAB, SKILL = Lab(), 0.4
JUDGED = 2000  # replicates from which a target is judged


def row(*cells: object, width: int = 15) -> None:
    """A line of a table."""
    first, *others = cells
    line = f"{first!s:<22}" + "".join(f"{cell!s:>{width}}" for cell in others)
    print(line.rstrip(), flush=True)


@dataclass
class Bench:
    """The settings of a run, what several tables draw on, and the targets that were missed."""

    replicates: int
    seed: int
    logs: Sequence[Path]
    missed: list[str] = field(default_factory=list)

    def rng(self, *names: object) -> np.random.Generator:
        """Random numbers of a table's own, so that --only changes no figure."""
        return np.random.default_rng([self.seed, *" ".join(map(str, names)).encode()])

    def paired(self, trial: Trials, n: int) -> list[Paired]:
        """Selector b against a in the first n clusters of every replicate."""
        return [trial.paired(replicate, n) for replicate in range(len(trial))]

    def trials(self, name: str, skills: tuple[float, float], n: int, lab: Lab = LAB) -> Trials:
        """Replicates of two selectors."""
        return trials(lab, skills, (self.replicates, n), self.rng(name, n))

    @cached_property
    def equal(self) -> Trials:
        """Two selectors of one skill; a smaller n takes the first clusters of each replicate."""
        return self.trials("equal", (SKILL, SKILL), max(SIZES))

    @cached_property
    def skills(self) -> Skills:
        """What is captured by which skill."""
        return Skills(LAB, self.rng("skills"))

    def shifted(self, gain: float) -> tuple[float, float]:
        """The skills of two selectors, of which the second captures `gain` more."""
        return SKILL, self.skills.skill(self.skills.captured(SKILL) + gain)

    def check(
        self, what: str, shares: Iterable[Share | float], low: float = 0, high: float = math.inf
    ) -> None:
        """Print a target, and whether all the shares lie within it."""
        values = [share.value if isinstance(share, Share) else share for share in shares]
        either = f"at least {low:g}" if low else f"at most {high:g}"
        limits = f"{low:g} to {high:g}" if low and high < math.inf else either
        met = all(low <= value <= high for value in values)
        found = f"{min(values):.3f} to {max(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"
        verdict = "met" if met else "MISSED"
        if self.replicates < JUDGED:
            verdict = f"not judged ({JUDGED:,} replicates are)"
        elif not met:
            self.missed.append(f"{what} {limits}: {found}")
        print(f"target: {what} {limits}: {verdict}, {found}")
