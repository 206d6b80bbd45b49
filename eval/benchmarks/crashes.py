"""What signals cost: a command that is stopped anywhere, and run again, ends as if it never was.

    python eval/benchmarks/crashes.py [--signals 200] [--seed 0]

`select` and `eval` ask a local server, each in a process of its own, forked from one that has
litellm loaded, since no signal is needed to find out what loading costs. At a random moment the
process gets SIGKILL, SIGTERM or SIGINT, and the same command is run again, until it ends by itself.
The server notes what it was asked and what it answered whole. Counted are, signal by signal:

in flight: signals that came while the server worked on a call
answered, asked again: calls whose whole answer had been sent before the process ended, and that the
    next one sent again. None after SIGTERM and SIGINT; SIGKILL leaves no time to keep what has just
    arrived
kept, asked again: those of them whose answer was in the cache; there is no excuse for them
lost, doubled: decisions that were logged, or should be, and are not in the log at the end, or twice
same results: whether the selection, or results.json but for the seconds that the server took, is
    byte for byte that of a run without signals
odd ends: processes that ended otherwise than the signal says, or told of a defect
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from disturbed import (  # noqa: E402
    CALLS,
    VERBS,
    Child,
    Verb,
    answer,
    is_odd,
    kept,
    load,
    logged,
    untimed,
    write_files,
)

from tests.support.provider_server import ProviderServer  # noqa: E402

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass
class Row:
    """What came of one signal to one verb; `seconds`: of all its processes."""

    signals: int = 0
    in_flight: int = 0
    again: int = 0
    kept_again: int = 0
    lost: int = 0
    doubled: int = 0
    same: int = 0
    runs: int = 0
    odd: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Left:
    """What a process left: decisions logged, calls kept in the cache, and calls answered.

    `mark`: how many lines the journal had.
    """

    logged: Counter[tuple[Any, ...]]
    kept: frozenset[str]
    answered: frozenset[str]
    mark: int


@dataclass
class Campaign:
    """Commands in folders of their own below `folder`, against one server with its journal."""

    folder: Path
    base_url: str
    journal: Path
    random: random.Random
    whole: dict[str, tuple[bytes, frozenset[tuple[Any, ...]], float]] = field(default_factory=dict)

    def undisturbed(self, name: str) -> None:
        """Keep what the verb comes to without signals, and how many seconds that takes."""
        verb = VERBS[name]
        with chdir(self.workspace()):
            started = time.perf_counter()
            code, _ = Child(verb.command(self.base_url)).ended()
            seconds = time.perf_counter() - started
            assert code == 0, Path("stderr").read_text("utf-8")
            self.whole[name] = untimed(verb.result), frozenset(logged(verb.log)), seconds

    def disturb(self, name: str, number: signal.Signals, row: Row) -> None:
        """Run a command and disturb it until it ends by itself, and count."""
        verb = VERBS[name]
        result, keys, seconds = self.whole[name]
        started, begun = time.perf_counter(), len(self.lines())
        stops: list[Left] = []
        with chdir(self.workspace()):
            while True:
                mark = len(self.lines())
                child = Child(verb.command(self.base_url))
                time.sleep(self.random.uniform(0.0, seconds))
                before = self.lines()
                code, struck = child.ended(number)
                row.odd += is_odd(code, number if struck else None)
                if not struck:
                    break
                row.signals += 1
                row.in_flight += words(before[mark:], "asked") > words(before[mark:], "answered")
                answered = before if number == signal.SIGKILL else self.lines()
                stops.append(self.left(verb, answered[begun:]))
            last = self.left(verb)
            row.same += untimed(verb.result) == result
        row.runs += 1
        row.seconds += time.perf_counter() - started
        ends = [*(stop.mark for stop in stops), last.mark][1:]
        for stop, end in zip(stops, ends, strict=True):
            asked = words(self.lines()[stop.mark : end], "asked")
            row.again += len(asked & stop.answered)
            row.kept_again += len(asked & stop.kept)
        ever = keys.union(*(stop.logged for stop in stops))
        row.lost += len(ever - last.logged.keys())
        row.doubled += last.logged.total() - len(last.logged)

    def workspace(self) -> Path:
        """A new folder with the pool and the suite."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        write_files(folder, self.base_url)
        return folder

    def lines(self) -> list[str]:
        """The journal so far."""
        return self.journal.read_text("utf-8").splitlines() if self.journal.exists() else []

    def left(self, verb: Verb, lines: Sequence[str] = ()) -> Left:
        """What is there now; `lines`: those of the journal whose answers the command has got."""
        answered = words(lines, "answered")
        return Left(logged(verb.log), kept(Path("cache")), answered, len(self.lines()))


def words(lines: Sequence[str], word: str) -> frozenset[str]:
    """The fingerprints of the lines that begin with `word`."""
    split = (line.split() for line in lines)
    return frozenset(found[1] for found in split if found[0] == word)


def main() -> None:
    """Send the signals and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = {(number, name): Row() for number in SIGNALS for name in VERBS}
    share = -(-arguments.signals // len(rows))
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        journal = folder / "journal"
        with ProviderServer(answer, process=True, journal=journal) as server:
            (folder / "loading").mkdir()
            load(folder / "loading", server.base_url)
            campaign = Campaign(folder, server.base_url, journal, random.Random(arguments.seed))
            for name in VERBS:
                campaign.undisturbed(name)
            while unfinished := [key for key, row in rows.items() if row.signals < share]:
                for number, name in unfinished:
                    campaign.disturb(name, number, rows[number, name])
            show(rows, campaign)


def show(rows: Mapping[tuple[signal.Signals, str], Row], campaign: Campaign) -> None:
    """The table, and whether its targets are met."""
    print(
        "                                      answered,        kept,"
        "                   same    odd\n"
        "signal   verb    signals  in flight  asked again  asked again"
        "  lost  doubled    results   ends  seconds"
    )
    for (number, name), row in rows.items():
        print(
            f"{number.name:8} {name:6} {row.signals:8} {row.in_flight:10} {row.again:12} "
            f"{row.kept_again:12} {row.lost:5} {row.doubled:8} {row.same:4} of {row.runs:3} "
            f"{row.odd:6} {row.seconds:8.1f}"
        )
    undisturbed = ", ".join(f"{name} {run[2]:.2f} s" for name, run in campaign.whole.items())
    print(f"undisturbed, {CALLS} calls: {undisturbed}")
    drained = sum(row.again for (number, _), row in rows.items() if number != signal.SIGKILL)
    wrong = sum(row.kept_again + row.lost + row.doubled + row.odd for row in rows.values())
    wrong += drained + sum(row.runs - row.same for row in rows.values())
    signals = sum(row.signals for row in rows.values())
    print(
        f"target: nothing wrong after {signals} signals: {f'missed, {wrong}' if wrong else 'met'}"
    )


if __name__ == "__main__":
    main()
