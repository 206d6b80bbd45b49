"""The benchmarks of this folder, one after the other; `make bench` calls it.

    python eval/benchmarks/run.py [--only SECTION ...] [--quick] [-o FILE.json|FILE.md]

SECTIONS says which sections there are; without --only all of them run. --quick takes smaller sizes,
to see that everything runs. -o writes what was printed as JSON or, with the suffix .md, as
Markdown; it may be given twice. Figures are those of the machine it runs on: quote ratios. A
section whose file is not there is left out with a word; one that fails or misses a target makes the
exit code 1, and the others still run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

LAST_WORDS = 20  # lines of a failed section's stderr that are kept
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))


@dataclass(frozen=True, slots=True)
class Section:
    """What `--only NAME` runs: a script, with other arguments for --quick."""

    script: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()


SECTIONS = {
    "startup": Section("startup.py", quick=("--runs", "3")),
    "asking": Section("asking.py", quick=("--calls", "200", "--rounds", "1")),
    "cached": Section("cached.py", quick=("--calls", "200", "--rounds", "2")),
    "peers": Section("peers.py", quick=("--calls", "50", "--rounds", "1")),
    "load": Section("load.py", quick=("--decisions", "2000", "--logged", "2000")),
    "partition": Section("partition.py", quick=("--max-items", "2000")),
    "strategies": Section("geometry.py", quick=("--max-items", "2000")),
    "approximate": Section("approximate.py", quick=("--items", "2000", "--picks", "50")),
    "rounds": Section("rounds.py", quick=("--seeds", "1", "--pool", "none")),
    "knn": Section("knn_shapley.py"),
    "reading": Section("reading.py", quick=("--items", "10000")),
    "memory": Section("million.py", quick=("--items", "2000")),
    "memory-10k": Section("million.py", ("--items", "10000"), ("--items", "1000")),
    "memory-100k": Section("million.py", ("--items", "100000"), ("--items", "1000")),
    "ray": Section("ray_engine.py"),
    "faults": Section("faults.py", quick=("--calls", "200")),
    "crashes": Section("crashes.py", quick=("--signals", "20")),
    "report": Section("report.py", quick=("--clusters", "100")),
    "regress": Section("regress.py", quick=("--clusters", "100")),
    "verdicts": Section("verdicts.py", quick=("--replicates", "100")),
    "audits": Section("audits.py", quick=("--replicates", "2")),
    "assisted": Section("assisted.py", quick=("--replicates", "20")),
    "student": Section("student.py"),
    "pairs": Section("pairs.py", quick=("--clusters", "10")),
    "votes": Section("votes.py", quick=("--clusters", "10", "--limit", "0")),
    "ways": Section("ways_of_asking.py", quick=("--limit", "2", "--rows", "1", "3")),
    "dolly": Section("dolly.py", quick=("--clusters", "2")),
    "ablation": Section("ablation.py", quick=("--limit", "2")),
    "paper": Section("paper.py", quick=("--only", "random", "--only", "longest")),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a section. `code`: its exit code, None if it was left out."""

    section: str
    command: str
    code: int | None
    seconds: float
    printed: str


def main() -> None:
    """Run the sections, write what they printed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS], default=[*SECTIONS])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("-o", "--out", type=Path, action="append", default=[])
    options = parser.parse_args()
    for path in options.out:
        if path.suffix not in (".json", ".md"):
            parser.error(f"-o {path}: choose a name that ends in .json or .md")
    outcomes = [measured(name, options.quick) for name in options.only]
    for path in options.out:
        write(path, outcomes)
    failed = [outcome.section for outcome in outcomes if outcome.code]
    if failed:
        print(f"failed, or missed a target: {', '.join(failed)}")
    sys.exit(bool(failed))


def measured(name: str, quick: bool) -> Outcome:
    """Run one section; what it prints is shown as it comes."""
    section = SECTIONS[name]
    arguments = section.quick if quick else section.arguments
    command = " ".join(["python", f"eval/benchmarks/{section.script}", *arguments])
    print(f"== {name}: {command}", flush=True)
    if not (HERE / section.script).exists():
        print(f"({name} left out: there is no eval/benchmarks/{section.script})", flush=True)
        return Outcome(name, command, None, 0.0, f"left out: there is no {section.script}\n")
    began = time.perf_counter()
    lines: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-u", str(HERE / section.script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:
        complaints: deque[str] = deque(maxlen=LAST_WORDS)
        listener = threading.Thread(target=_overheard, args=(child.stderr, complaints))
        listener.start()
        for line in child.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
        listener.join()
    if child.returncode:  # why it failed stands there, and nowhere else in what -o writes
        lines.extend(complaints)
    return Outcome(name, command, child.returncode, time.perf_counter() - began, "".join(lines))


def _overheard(stream: IO[str] | None, last: deque[str]) -> None:
    for line in stream or ():
        print(line, end="", file=sys.stderr, flush=True)
        last.append(line)


def write(path: Path, outcomes: Sequence[Outcome]) -> None:
    """As JSON, or as Markdown with the command above each table."""
    from selectllm.core.files import atomic_write

    machine = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    with atomic_write(path) as handle:
        if path.suffix == ".json":
            sections = [asdict(outcome) for outcome in outcomes]
            json.dump({**machine, "sections": sections}, handle, indent=2)
            handle.write("\n")
            return
        handle.write(
            f"# Benchmarks\n\n{machine['at']}, {machine['machine']}, {machine['cores']} cores, "
            f"Python {machine['python']}\n"
        )
        for outcome in outcomes:
            words = {None: "left out", 0: "done"}.get(outcome.code, "failed, or missed a target")
            handle.write(
                f"\n## {outcome.section}: `{outcome.command}`\n\n{words}, "
                f"{outcome.seconds:.0f} s\n\n```text\n{outcome.printed}```\n"
            )


if __name__ == "__main__":
    main()
