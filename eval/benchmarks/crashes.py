"""What signals cost: a command that is stopped anywhere, and run again, ends as if it never was.

    python eval/benchmarks/crashes.py [--signals 200] [--seed 0]

`select`, `eval`, `ab --design sequential`, `optimize` and `eval --batch` ask a local server, and
`student train` trains, each in a process of its own, forked from one that has all libraries loaded,
since no signal is needed to find out what loading costs. At a random moment the process gets
SIGKILL, SIGTERM or SIGINT, and the same command is run again, until it ends by itself. The server
notes what it was asked and what it answered whole. Counted are, signal by signal:

in flight: signals that came while the server worked on a call
answered, asked again: calls whose whole answer had been sent before the process ended, and that the
    next one sent again. None after SIGTERM and SIGINT; SIGKILL leaves no time to keep what has just
    arrived. A question of a batch counts as answered once it is sent: it is paid for from then on,
    so that none is sent again whatever the signal
kept, asked again: those of them whose answer was in the cache; there is no excuse for them
lost, doubled: decisions that were logged, or should be, and are not in the log at the end, or twice
same results: whether the selection, results.json, the new version of the prompt or the adapter is,
    but for measured seconds, byte for byte that of a run without signals
odd ends: processes that ended otherwise than the signal says, or told of a defect

The exit code is 1 if anything is wrong.
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
    VERBS,
    Child,
    Verb,
    answer,
    batch_server,
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


@dataclass(frozen=True)
class Whole:
    """What a verb comes to without signals: `keys` of its decisions, `seconds` that it took."""

    code: int
    results: Sequence[bytes]
    keys: frozenset[tuple[Any, ...]]
    seconds: float


@dataclass
class Campaign:
    """Commands in folders of their own below `folder`, against one server with its journal."""

    folder: Path
    urls: Mapping[str, str]
    journal: Path
    random: random.Random
    whole: dict[str, Whole] = field(default_factory=dict)

    def undisturbed(self, name: str) -> None:
        """Keep what the verb comes to without signals, and how many seconds that takes."""
        verb = VERBS[name]
        with chdir(self.workspace()):
            started = time.perf_counter()
            code, _ = Child(verb.command(self.urls["calls"])).ended()
            seconds = time.perf_counter() - started
            assert code in (0, 1, 3), Path("stderr").read_text("utf-8")
            results, keys = untimed(verb.results), frozenset(logged(verb.log))
            self.whole[name] = Whole(code, results, keys, seconds)

    def disturb(self, name: str, number: signal.Signals, row: Row) -> None:
        """Run a command and disturb it until it ends by itself, and count."""
        verb, whole = VERBS[name], self.whole[name]
        started, begun = time.perf_counter(), len(self.lines())
        stops: list[Left] = []
        with chdir(self.workspace()):
            while True:
                mark = len(self.lines())
                child = Child(verb.command(self.urls["calls"]))
                time.sleep(self.random.uniform(0.0, whole.seconds))
                before = self.lines()
                code, struck = child.ended(number, whole.code)
                row.odd += is_odd(code, number if struck else None, whole.code)
                if not struck:
                    break
                row.signals += 1
                row.in_flight += words(before[mark:], "asked") > words(before[mark:], "answered")
                drained = number != signal.SIGKILL or verb.asks == "batches"
                answered = self.lines() if drained else before
                stops.append(self.left(verb, answered[begun:]))
            last = self.left(verb)
            row.same += untimed(verb.results) == whole.results
        row.runs += 1
        row.seconds += time.perf_counter() - started
        ends = [*(stop.mark for stop in stops), last.mark][1:]
        for stop, end in zip(stops, ends, strict=True):
            asked = words(self.lines()[stop.mark : end], "asked")
            row.again += len(asked & stop.answered)
            row.kept_again += len(asked & stop.kept)
        ever = whole.keys.union(*(stop.logged for stop in stops))
        row.lost += len(ever - last.logged.keys())
        row.doubled += last.logged.total() - len(last.logged)

    def workspace(self) -> Path:
        """A new folder with the pools and the suites."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        write_files(folder, self.urls)
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
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        journal = folder / "journal"
        served = ProviderServer(answer, process=True, journal=journal)
        with batch_server(journal) as batches, served as server:
            load(folder)
            urls = {"calls": server.base_url, "batches": batches}
            campaign = Campaign(folder, urls, journal, random.Random(arguments.seed))
            for name in VERBS:
                campaign.undisturbed(name)
            while sum(row.signals for row in rows.values()) < arguments.signals:
                number, name = min(rows, key=lambda key: rows[key].signals)
                campaign.disturb(name, number, rows[number, name])
            sys.exit(show(rows, campaign))


def show(rows: Mapping[tuple[signal.Signals, str], Row], campaign: Campaign) -> bool:
    """Print the table and whether its target is met; True if it is missed."""
    print(
        "                                        answered,        kept,"
        "                   same    odd\n"
        "signal   verb      signals  in flight  asked again  asked again"
        "  lost  doubled    results   ends  seconds"
    )
    for (number, name), row in rows.items():
        print(
            f"{number.name:8} {name:8} {row.signals:8} {row.in_flight:10} {row.again:12} "
            f"{row.kept_again:12} {row.lost:5} {row.doubled:8} {row.same:4} of {row.runs:3} "
            f"{row.odd:6} {row.seconds:8.1f}"
        )
    undisturbed = ", ".join(f"{name} {run.seconds:.2f} s" for name, run in campaign.whole.items())
    print(f"undisturbed: {undisturbed}")
    wrong = sum(row.kept_again + row.lost + row.doubled + row.odd for row in rows.values())
    wrong += sum(row.runs - row.same for row in rows.values())
    for (number, name), row in rows.items():
        if number != signal.SIGKILL or VERBS[name].asks == "batches":
            wrong += row.again
    signals = sum(row.signals for row in rows.values())
    met = {name for (_, name), row in rows.items() if row.signals}
    unmet = ", ".join(name for name in campaign.whole if name not in met)
    print(
        f"target: nothing wrong after {signals} signals: {f'missed, {wrong}' if wrong else 'met'}"
        f"{f' (none came to {unmet}; more --signals do)' if unmet else ''}"
    )
    return wrong > 0


if __name__ == "__main__":
    main()
