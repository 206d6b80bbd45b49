"""What starting costs: CPU seconds of `selectllm --help` and of `import selectllm`.

    python eval/benchmarks/startup.py [--runs 9]

Each is a process of its own; `python -c pass` and `import numpy` stand beside as a measure of the
machine. User and system time together, the median of the runs.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import selectllm": ["-c", "import selectllm"],
    "selectllm --help": ["-m", "selectllm", "--help"],
    "selectllm eval --help": ["-m", "selectllm", "eval", "--help"],
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    print(f"{'':24}CPU s (median of {runs})")
    for name, command in COMMANDS.items():
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        times = [cpu_seconds(command) for _ in range(runs)]
        print(f"{name:24}{statistics.median(times):.3f}")


def cpu_seconds(command: list[str]) -> float:
    """User and system seconds of one child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
