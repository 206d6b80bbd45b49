"""What signals cost: a command that is stopped anywhere, and run again, ends as if it never was.

    python eval/benchmarks/crashes.py [--signals 200] [--seed 0]

`select` and `eval` ask a local server, each in a process of its own, forked from one that has
litellm loaded, since no signal is needed to find out what loading costs. At a random moment the
process gets SIGKILL, SIGTERM or SIGINT, and the same command is run again, until it ends by itself.
The server notes what it was asked and what it answered whole. Counted are, signal by signal:

in flight: signals that came while the server worked on a call
answered, asked again: calls whose whole answer had been sent before the process ended, and that the
    next one sent again; by SIGKILL it may die between the end of an answer and its place in the cache
kept, asked again: those of them whose answer was in the cache; there is no excuse for them
lost, doubled: decisions that were logged, or should be, and are not in the log at the end, or twice
same results: whether the selection, or results.json but for the seconds that the server took, is
    byte for byte that of a run without signals
odd ends: processes that ended otherwise than the signal says, or told of a defect
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
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

from tests.support.provider_server import (  # noqa: E402
    Answer,
    ProviderServer,
    completion,
    fingerprint,
)

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LETTERS = str.maketrans("0123456789", "ghijklmnop")  # of a fingerprint: no digit is a pick
SIZE, CALLS = 5, 40
ASKING = ("--concurrency", "4", "--quiet")
BY_RANDOM = ("--by", "random", "--cluster-size", str(SIZE), "--prompt", "short@1")


@dataclass(frozen=True)
class Verb:
    """A command: its words, where it logs its decisions, and what it makes of them."""

    words: Sequence[str]
    log: Path
    result: Path


VERBS: Mapping[str, Verb] = {
    "select": Verb(
        ("select", "pool.jsonl", "--budget", str(CALLS), *BY_RANDOM, "-o", "out.jsonl", *ASKING),
        Path("out.jsonl.decisions.jsonl"),
        Path("out.jsonl"),
    ),
    "eval": Verb(
        ("eval", "suite.yaml", "-o", "run", *ASKING),
        Path("run/decisions.jsonl"),
        Path("run/results.json"),
    ),
}


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
            code, _ = Child(self.words(verb)).ended()
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
                child = Child(self.words(verb))
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

    def words(self, verb: Verb) -> Sequence[str]:
        """The command's words, with the server's address where they name a model."""
        model = ("--model", "hosted_vllm/m", "--api-base", self.base_url)
        return (*verb.words, *(model if verb.words[0] == "select" else ()))

    def lines(self) -> list[str]:
        """The journal so far."""
        return self.journal.read_text("utf-8").splitlines() if self.journal.exists() else []

    def left(self, verb: Verb, lines: Sequence[str] = ()) -> Left:
        """What is there now; `lines`: those of the journal whose answers the command has got."""
        answered = words(lines, "answered")
        return Left(logged(verb.log), kept(Path("cache")), answered, len(self.lines()))


class Child:
    """A process that runs a command in the current folder."""

    def __init__(self, command: Sequence[str]) -> None:
        every = set(signal.Signals)
        signal.pthread_sigmask(signal.SIG_BLOCK, every)  # until it is the command's to hear them
        self.pid = os.fork()
        if not self.pid:
            run(command)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, every)

    def ended(self, number: signal.Signals | None = None) -> tuple[int, bool]:
        """Its exit code once it has ended, and whether it was there to get the signal."""
        struck = False
        if number is not None:
            struck = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
            os.kill(self.pid, number)  # it is not reaped yet: this is no other process
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code, struck and code != 0


def run(command: Sequence[str]) -> None:
    """Be `selectllm COMMAND`, and end."""
    code = 70
    try:
        output = os.open("stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ["SELECTLLM_CACHE_DIR"] = str(Path("cache").resolve())
        sys.argv = ["selectllm", *command]
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has none
        signal.pthread_sigmask(signal.SIG_UNBLOCK, set(signal.Signals))
        from selectllm.cli import script

        script()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 70
    except KeyboardInterrupt:  # before the command could hear of it, or after it had ended
        code = 130
    finally:
        os._exit(code)


def is_odd(code: int, number: signal.Signals | None) -> bool:
    """Whether a process should not have ended so, after a signal or without; says why."""
    text = Path("stderr").read_text("utf-8", "replace") if Path("stderr").exists() else ""
    # SIGTERM ends it at once before and after it asks.
    expected = {
        None: (0,),
        signal.SIGKILL: (-signal.SIGKILL,),
        signal.SIGTERM: (-signal.SIGTERM, 130),
        signal.SIGINT: (130,),
    }[number]
    if code in expected and "Traceback" not in text:
        return False
    print(f"odd: exit code {code} after {number and number.name}: {text}", file=sys.stderr)
    return True


def answer(body: Any, headers: Any, n: int) -> Answer:
    """A pick that follows from the question, after 20 to 80 ms; it names the question."""
    name = fingerprint(body)
    draw = random.Random(name)
    text = f"Reply {name.translate(LETTERS)}.\n[{draw.randint(1, SIZE)}]"
    return Answer(200, completion(text), delay=draw.uniform(0.02, 0.08))


def untimed(result: Path) -> bytes:
    """A result but for the seconds that the server took, which no two runs measure alike."""
    return re.sub(rb'"seconds": ?[0-9.e-]+', b"", result.read_bytes())


def words(lines: Sequence[str], word: str) -> frozenset[str]:
    """The fingerprints of the lines that begin with `word`."""
    split = (line.split() for line in lines)
    return frozenset(found[1] for found in split if found[0] == word)


def kept(cache: Path) -> frozenset[str]:
    """The fingerprints of the calls in a cache, read from a copy: it stays as it was left."""
    from selectllm.models.wrappers.cache import ReplyCache

    if not (cache / "replies").exists():
        return frozenset()
    back = {after: before for before, after in LETTERS.items()}
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(cache / "replies", copy, dirs_exist_ok=True)
        replies = ReplyCache(Path(copy))
        texts = [row["reply"]["text"] for _, row in replies.rows()]
        replies.close()
    return frozenset(text.split()[1].rstrip(".").translate(back) for text in texts)


def logged(log: Path) -> Counter[tuple[Any, ...]]:
    """How often each decision stands in a log; a row that was cut off is none."""
    lines = log.read_bytes().splitlines(keepends=True)[1:] if log.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
    names = ("cluster", "order", "repeat", "round", "prompt", "model", "strategy")
    return Counter(
        tuple(row.get(name) for name in names) for row in rows if row.get("status") == "ok"
    )


def write_files(folder: Path, base_url: str) -> None:
    """A pool and a suite, of CALLS calls each."""
    rows = (
        {"id": f"{n}", "instruction": f"Explain topic {n}.", "rating": n * 13 % 5 + 1}
        for n in range(SIZE * CALLS)
    )
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    suite = {
        "name": "crashes",
        "pool": "pool.jsonl",
        "utilities": [{"name": "rating", "source": "ratings", "column": "rating"}],
        "clusters": {"by": "random", "size": SIZE},
        "picks": 1,
        "prompts": ["short@1"],
        "models": [{"name": "m", "id": "hosted_vllm/m", "api_base": base_url}],
    }
    (folder / "suite.yaml").write_text(json.dumps(suite), "utf-8")


def load(base_url: str, folder: Path) -> None:
    """Load all that a command loads, by running each in this process."""
    from selectllm.cli import main as command

    write_files(folder, base_url)
    os.environ["SELECTLLM_CACHE_DIR"] = str(folder / "cache")
    with chdir(folder):
        for verb in VERBS.values():
            model = ("--model", "hosted_vllm/m", "--api-base", base_url)
            command([*verb.words, *(model if verb.words[0] == "select" else ())])


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
            load(server.base_url, folder / "loading")
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
