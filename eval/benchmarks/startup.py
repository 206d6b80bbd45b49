"""What starting costs: CPU seconds of `import selectllm` and of the help of every verb.

    python eval/benchmarks/startup.py [--runs 9]

Each is a process of its own; `python -c pass` and two imports stand beside as a measure of the
machine, since CPU seconds grow where other processes share the cores. User and system time
together, the median of the runs, with the modules compiled as an installation has them.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

MACHINE = {
    "python -c pass": ["-c", "pass"],
    "import numpy, pydantic": ["-c", "import numpy, pydantic"],
    "import scipy.special": ["-c", "import scipy.special"],
}
COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def main() -> None:
    """Print the table."""
    from selectllm.cli import VERBS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    commands = MACHINE | {
        "import selectllm": ["-c", "import selectllm"],
        "selectllm --help": ["-m", "selectllm", "--help"],
    }
    commands |= {f"{verb} --help": ["-m", "selectllm", verb, "--help"] for verb in VERBS}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        cpu_seconds(command)  # which compiles what it loads
    for _ in range(runs):  # in turn, so that all share what else the machine does
        for name, command in commands.items():
            times[name].append(cpu_seconds(command))
    print(f"{'':24}CPU s (median of {runs})")
    for name, found in times.items():
        print(f"{name:24}{statistics.median(found):.3f}")


def cpu_seconds(command: list[str]) -> float:
    """User and system seconds of one child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *command], check=True, capture_output=True, env=COMPILED, cwd=ROOT
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
