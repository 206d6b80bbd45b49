"""What `selectllm report --html` costs: CPU seconds, memory, and how large the page is.

    python eval/benchmarks/report.py [--clusters 2000] [--keep FOLDER]

A run of ten pairs (five prompts, two scripted models) on as many clusters of ten made-up items;
with 2,000 clusters 20,000 decisions. It is made once and reported in a process of its own. For
2,000 clusters the bounds are 5 CPU seconds, 500 MB, a page of 10 MB.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

WORDS = Path(__file__).read_text(encoding="utf-8").split()
SUITE = """\
name: many
pool: pool.jsonl
utilities: [{name: rating, source: ratings, column: rating, kind: human, range: [1, 5]}]
clusters: {by: random, size: 10}
picks: 2
prompts: [short@1, criteria@1, rank@1, rubric@1, best@1]
models: [mock/first, mock/random]
strategies: []
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=2000)
    parser.add_argument("--keep", type=Path, help="leave pool, run and page there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        measure(folder, arguments.clusters)


def measure(folder: Path, clusters: int) -> None:
    """Make the run in `folder` if it is not there, and report it."""
    if not (folder / "run" / "results.json").exists():
        make(folder, clusters)
    page = folder / "report.html"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command("report", folder / "run", "--html", "-o", page)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"decisions        {10 * clusters:,}")
    print(f"report --html    {seconds:.2f} CPU s, {peak(folder, page):.0f} MB")
    print(f"page             {page.stat().st_size / 1e6:.2f} MB")


def make(folder: Path, clusters: int) -> None:
    """Pool, suite and run."""
    draw = random.Random(0)
    with (folder / "pool.jsonl").open("w", encoding="utf-8") as handle:
        for number in range(10 * clusters):
            text = " ".join(draw.choices(WORDS, k=draw.randint(8, 50)))
            given = " ".join(draw.choices(WORDS, k=20)) if draw.random() < 0.3 else ""
            item = {"id": f"i{number}", "instruction": f"{number}: {text}", "input": given}
            handle.write(json.dumps(item | {"rating": draw.randint(1, 5)}) + "\n")
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")
    cache = folder / "cache"
    command("eval", folder / "suite.yaml", "-o", folder / "run", "--cache", cache, "--quiet")


def command(*words: object) -> None:
    """Run selectllm in a process of its own."""
    arguments = [sys.executable, "-m", "selectllm", *map(str, words)]
    subprocess.run(arguments, check=True, capture_output=True)


def peak(folder: Path, page: Path) -> float:
    """MB that reporting takes at most, in another process that says so itself."""
    code = (
        "import resource; from selectllm.cli import main; "
        f"main(['report', {str(folder / 'run')!r}, '--html', '-o', {str(page)!r}]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1024


if __name__ == "__main__":
    main()
