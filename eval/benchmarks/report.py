"""What `selectllm report --html` costs: CPU seconds, memory, and how large and slow the page is.

    python eval/benchmarks/report.py [RUN] [--clusters 2000] [--keep FOLDER] [--browser]

A run of ten pairs (five prompts, two scripted models) on as many clusters of ten made-up items;
with 2,000 clusters 20,000 decisions. It is made once and reported in a process of its own. For
2,000 clusters the bounds are 5 CPU seconds, 500 MB, a page of 10 MB. Then the same of a selection
of ten times as many items as clusters, from a pool of ten times as many: 20,000 of 200,000.

With RUN, a run or a selection that is there, only of that. With --browser (the extra `browser`, and
Debian's chromium) also how long it takes until a page can be used and until something of it is
seen: the best of three.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
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
    parser.add_argument("run", nargs="?", type=Path, help="a run or selection that is there")
    parser.add_argument("--clusters", type=int, default=2000)
    parser.add_argument("--keep", type=Path, help="leave pool, run and page there")
    parser.add_argument("--browser", action="store_true", help="open the pages in Chromium")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.run is not None:
            measure(arguments.run, folder / "one.html", in_browser=arguments.browser)
            return
        run, picks = folder / "run", folder / "large.selected.jsonl"
        if not (run / "results.json").exists():
            make(folder, arguments.clusters)
        if not picks.exists():
            select(folder, 100 * arguments.clusters, picks)
        for what, source in (("decisions", run), ("picks", picks)):
            print(f"{10 * arguments.clusters:,} {what}")
            measure(source, folder / f"{source.name}.html", in_browser=arguments.browser)


def measure(source: Path, page: Path, *, in_browser: bool) -> None:
    """Report a run or a selection as `page`, and print what that took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command("report", source, "--html", "-o", page)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"report --html    {seconds:.2f} CPU s, {peak(source, page):.0f} MB")
    print(f"page             {page.stat().st_size / 1e6:.2f} MB")
    if in_browser:
        ready, painted = opened(page)
        print(f"in Chromium      used after {ready:.2f} s, seen after {painted:.2f} s")


def make(folder: Path, clusters: int) -> None:
    """Pool, suite and run."""
    write_pool(folder / "pool.jsonl", 10 * clusters)
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")
    cache = folder / "cache"
    command("eval", folder / "suite.yaml", "-o", folder / "run", "--cache", cache, "--quiet")


def select(folder: Path, items: int, picks: Path) -> None:
    """Another pool, and a tenth of it selected by a scripted model."""
    write_pool(folder / "large.jsonl", items)
    by = ("--prompt", "criteria@1", "--model", "mock/random", "--by", "random", "--quiet")
    words = ("--budget", items // 10, *by, "--cache", folder / "cache", "-o", picks)
    command("select", folder / "large.jsonl", *words)


def write_pool(file: Path, items: int) -> None:
    """Items of 8 to 50 words of this file, some with an input, each with a rating."""
    draw = random.Random(0)
    with file.open("w", encoding="utf-8") as handle:
        for number in range(items):
            text = " ".join(draw.choices(WORDS, k=draw.randint(8, 50)))
            given = " ".join(draw.choices(WORDS, k=20)) if draw.random() < 0.3 else ""
            item = {"id": f"i{number}", "instruction": f"{number}: {text}", "input": given}
            handle.write(json.dumps(item | {"rating": draw.randint(1, 5)}) + "\n")


def opened(page: Path) -> tuple[float, float]:
    """Seconds until the scripts of `page` have run, and until its first contentful paint."""
    from playwright.sync_api import sync_playwright

    times = []
    with sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        for _ in range(3):
            tab = browser.new_page()
            began = time.monotonic()
            tab.goto(page.resolve().as_uri())
            tab.wait_for_selector("html[data-ready=yes]")
            ready = time.monotonic() - began
            seen = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
            times.append((ready, tab.evaluate(seen)))
            tab.close()
        browser.close()
    return min(ready for ready, _ in times), min(seen for _, seen in times)


def command(*words: object) -> None:
    """Run selectllm in a process of its own."""
    arguments = [sys.executable, "-m", "selectllm", *map(str, words)]
    subprocess.run(arguments, check=True, capture_output=True)


def peak(source: Path, page: Path) -> float:
    """MB that reporting takes at most, in another process that says so itself."""
    code = (
        "import resource; from selectllm.cli import main; "
        f"main(['report', {str(source)!r}, '--html', '-o', {str(page)!r}]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1024


if __name__ == "__main__":
    main()
