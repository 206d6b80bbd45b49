"""What many decisions take: made by a scripted model, read back, and made into results.

    python eval/benchmarks/load.py [--decisions 100000] [--logged 1000000]

Three processes: `selectllm eval` of a suite with that many decisions of mock/random, the same
command once more (it reads the log and computes the results), and a log of `--logged` decisions
that is gone through row by row. CPU seconds and the most memory that each held.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

CLUSTERS, SIZE = 1_000, 10
A_SECOND, MEGABYTES, SECONDS = 2_000, 400, 10.0  # decisions a second, memory, results

GO_THROUGH = """
import sys, time
from pathlib import Path
from selectllm.selection.decision_log import each_decision

began = time.process_time()
count = sum(1 for decision in each_decision(Path(sys.argv[1])) if decision.picks)
status = Path("/proc/self/status").read_text()  # getrusage counts what the parent had, too
peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
print(count, time.process_time() - began, peak)
"""


@dataclass(frozen=True)
class Taken:
    """What a process took, and what it printed."""

    wall: float
    cpu: float
    peak: float
    printed: str


def main() -> None:
    """Print the table; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--logged", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        made = make_suite(folder, options.decisions)
        command = ("-m", "selectllm", "eval", "suite.yaml", "-o", "run", "--quiet")
        deciding, again = run(command, folder), run(command, folder)
        from decision_logs import write_log

        write_log(folder / "log.jsonl", options.logged)
        read = run(("-c", GO_THROUGH, "log.jsonl"), folder)
        count, cpu, peak = map(float, read.printed.split())
        assert count == options.logged
        read = replace(read, cpu=cpu, peak=peak)
    print(f"{'':42}  wall s   CPU s  peak MB")
    line(f"{made:,} decisions by mock/random", deciding)
    line("the same again: log read, results made", again)
    line(f"a log of {options.logged:,} gone through", read)
    rate = made / deciding.cpu
    met = [
        check(f"decisions a CPU second at least {A_SECOND:,}", rate >= A_SECOND, f"{rate:,.0f}"),
        check(f"memory at most {MEGABYTES} MB", deciding.peak <= MEGABYTES, f"{deciding.peak:.0f}"),
        check(f"results in at most {SECONDS:g} CPU s", again.cpu <= SECONDS, f"{again.cpu:.1f}"),
        check("going through a log at most 100 MB", read.peak <= 100, f"{read.peak:.0f}"),
    ]
    sys.exit(not all(met))


def line(name: str, taken: Taken) -> None:
    """A line of the table."""
    print(f"{name:42}{taken.wall:8.1f}{taken.cpu:8.1f}{taken.peak:9,.0f}", flush=True)


def check(target: str, met: bool, found: str) -> bool:
    """Print whether a target is met."""
    print(f"target: {target}: {'met' if met else 'MISSED'}, {found}")
    return met


def make_suite(folder: Path, decisions: int) -> int:
    """A pool and a suite with at least that many decisions; returns how many."""
    (folder / "pool.jsonl").write_text(
        "".join(
            json.dumps({"id": f"item-{n}", "instruction": f"Write {n} lines.", "rating": n * 7 % 5})
            + "\n"
            for n in range(CLUSTERS * SIZE)
        ),
        encoding="utf-8",
    )
    orders = -(-decisions // (2 * CLUSTERS))
    suite = {
        "name": "load",
        "pool": "pool.jsonl",
        "utilities": [{"name": "rating", "source": "ratings", "column": "rating"}],
        "clusters": {"by": "random", "size": SIZE},
        "picks": 2,
        "orders": orders,
        "prompts": ["short@1", "criteria@1"],
        "models": ["mock/random"],
    }
    (folder / "suite.yaml").write_text(json.dumps(suite), encoding="utf-8")
    return orders * 2 * CLUSTERS


def run(words: tuple[str, ...], folder: Path) -> Taken:
    """One process, and what it took."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SELECTLLM_CACHE_DIR": "cache"}
    began = time.perf_counter()
    with (folder / "printed").open("w+") as printed:
        child = subprocess.Popen(
            [sys.executable, *words], cwd=folder, env=environment, stdout=printed
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, f"{' '.join(words[:3])} ended with {child.returncode}"
        printed.seek(0)
        text = printed.read()
    peak = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return Taken(time.perf_counter() - began, used.ru_utime + used.ru_stime, peak, text)


if __name__ == "__main__":
    main()
