"""How often audits err: alarms where nothing has changed, and changes that they do not find.

    python eval/benchmarks/audits.py [--replicates N]

Pickers of known weaknesses are simulated (tests/support/audit_pickers.py); no model is asked, and
all else is the code of `selectllm audit`. Clusters have ten items of which two are picked. After
each share stands its Monte Carlo standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from selectllm.evaluation.audit.comparison import compared
from selectllm.evaluation.audit.schema import AuditResults
from selectllm.evaluation.audit.subject import Subject
from selectllm.selection.task import Task
from tests.support.audit_pickers import (
    Picker,
    audited,
    best,
    first,
    longest,
    noisy,
    obeying,
    subject_of,
)

SIZES = (10, 20, 40)
ORDERS = 4
Make = Callable[[Subject, int], Picker]

EQUAL: Mapping[str, Make] = {
    "at random": lambda subject, seed: noisy(first, 1.0, seed),
    "by worth, 2 % at random": lambda subject, seed: noisy(best(subject), 0.02, seed),
    "by worth, 30 % at random": lambda subject, seed: noisy(best(subject), 0.3, seed),
    "by slot, 50 % at random": lambda subject, seed: noisy(first, 0.5, seed),
    "obeys in half, 30 % at random": lambda s, seed: noisy(obeying(best(s), 0.5), 0.3, seed),
}
"""What picks in both audits, with chance of its own in each."""

CHANGED: Mapping[str, tuple[str, Make]] = {
    "obeys half of the attacks": (
        "hijack",
        lambda s, seed: noisy(obeying(best(s), 0.5), 0.1, seed),
    ),
    "obeys all attacks": ("hijack", lambda s, seed: noisy(obeying(best(s)), 0.1, seed)),
    "60 % at random": ("order.consistency", lambda s, seed: noisy(best(s), 0.6, seed)),
    "by slot, 50 % at random": ("order.slot-bias", lambda s, seed: noisy(first, 0.5, seed)),
    "by length": ("length.preference", lambda s, seed: noisy(longest, 0.1, seed)),
}
"""What a picker by worth, 10 % at random, became, and the measure that has to tell."""


def share(hits: int, n: int) -> str:
    """A share with its standard error."""
    rate = hits / n
    return f"{rate:.3f} ({(rate * (1 - rate) / n) ** 0.5:.3f})"


KINDS = ("worse", "a style accused", "slots matter", "moved")


def alarms(replicates: int, size: int, wrongly: Counter[str]) -> None:
    """Nothing has changed: any word `worse`, any style accused, slots said to matter, a move.

    `wrongly`: counts what is an error of each picker, and of how many audits.
    """
    subject = subject_of(clusters=size, orders=ORDERS)
    for name, make in EQUAL.items():
        counts = Counter[str]()
        for replicate in range(replicates):
            now, before = (audited_by(subject, make, 2 * replicate + turn) for turn in (1, 2))
            counts["worse"] += compared(now, before).word == "worse"
            if now.hijack is not None:
                counts["a style accused"] += any(row.p_holm <= 0.05 for row in now.hijack.styles)
            if now.order is not None and now.order.slots.p is not None:
                counts["slots matter"] += now.order.slots.p <= 0.05
            counts["moved"] += now.drift is not None and now.drift.word == "moved"
        true = {"a style accused": "obeys" in name, "slots matter": "slot" in name}
        for kind in KINDS:
            if not true.get(kind):
                wrongly[kind] += counts[kind]
                wrongly[f"of {kind}"] += replicates
        cells = (share(counts[kind], replicates) for kind in KINDS)
        print(f"{size:>8}  {name:<30}", *cells, sep="  ", flush=True)


def audited_by(subject: Subject, make: Make, seed: int) -> AuditResults:
    """An audit, in which the cached calls are answered by the same picker with other chance."""
    return audited(subject, make(subject, seed), again=Twice(make, subject, seed))


class Twice:
    """A picker whose answers to the same question differ from time to time, as chance has it."""

    def __init__(self, make: Make, subject: Subject, seed: int) -> None:
        self._pickers = [make(subject, 1_000_000 + 2 * seed + turn) for turn in (0, 1)]

    def __call__(self, task: Task) -> list[int]:
        """Positions, the best first; `order` is which time it is asked."""
        return list(self._pickers[task.order](task))


def found(replicates: int, size: int) -> None:
    """Something has changed: how often the right measure says worse, and that any does."""
    subject = subject_of(clusters=size, orders=ORDERS)
    for name, (told, make) in CHANGED.items():
        right = whole = 0
        for replicate in range(replicates):
            record = audited(subject, noisy(best(subject), 0.1, 2 * replicate))
            result = compared(audited(subject, make(subject, 2 * replicate + 1)), record)
            worse = [row.name for row in result.measures if row.word == "worse"]
            right += any(each.startswith(told) for each in worse)
            whole += result.word == "worse"
        print(
            f"{size:>8}  {name:<26}  {told:<18}",
            share(right, replicates),
            share(whole, replicates),
            sep="  ",
        )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=60)
    replicates = parser.parse_args().replicates
    print("nothing has changed: how often an audit says so")
    print(f"{'clusters':>8}  {'picker':<30}  worse          accused        slots          moved")
    wrongly = Counter[str]()
    for size in SIZES:
        alarms(replicates, size, wrongly)
    pooled = (f"{kind} {share(wrongly[kind], wrongly[f'of {kind}'])}" for kind in KINDS)
    print("wrongly, over all of them:", ", ".join(pooled))
    print("\nchanged from: by worth, 10 % at random")
    print(f"{'clusters':>8}  {'became':<26}  {'measure':<18}  says worse     any does")
    for size in SIZES:
        found(max(1, replicates // 3), size)


if __name__ == "__main__":
    main()
