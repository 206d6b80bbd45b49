"""Every benchmark of this folder, one after the other; `make bench` calls it.

    python eval/benchmarks/run.py [--quick]

--quick takes smaller sizes, to see that everything runs. Figures are those of the machine it runs
on: quote ratios.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHMARKS: dict[str, tuple[list[str], list[str]]] = {
    "startup.py": ([], ["--runs", "3"]),
    "asking.py": ([], ["--calls", "200", "--pairs", "1"]),
    "faults.py": ([], ["--calls", "200"]),
    "crashes.py": ([], ["--signals", "20"]),
    "partition.py": ([], ["--max-items", "2000"]),
    "knn_shapley.py": ([], []),
    "geometry.py": ([], ["--max-items", "2000"]),
    "million.py": ([], ["--items", "2000"]),
    "report.py": ([], ["--clusters", "100"]),
    "regress.py": ([], ["--clusters", "100"]),
    "verdicts.py": ([], ["--replicates", "100"]),
    "audits.py": ([], ["--replicates", "2"]),
    "assisted.py": ([], ["--replicates", "20"]),
    "student.py": ([], []),
    "dolly.py": ([], ["--clusters", "2"]),
    "ablation.py": ([], ["--limit", "2"]),
    "paper.py": ([], ["--only", "random", "--only", "longest"]),
}


def main() -> None:
    """Run them all; the first that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    for name, options in BENCHMARKS.items():
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(HERE / name), *options[quick]], check=True)


if __name__ == "__main__":
    main()
