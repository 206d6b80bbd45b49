"""The same evaluation once more with every reply in the cache: CPU seconds of the whole process.

    python eval/benchmarks/cached.py [--calls 2000] [--rounds 5] [--against FOLDER]

Start-up, imports, rendering, hashing, looking up, reading replies, results and the end of the
process included. `--against`: a checkout of another commit, whose `selectllm` runs in turn with
this one on the same cache. The target is one CPU second on cores that do nothing else.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]


def main() -> None:
    """Fill the cache, then run from it."""
    import asking

    from tests.support.provider_server import ProviderServer

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    trees = {"this commit": ROOT}
    if options.against:
        trees["the other"] = options.against.resolve()
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp) / "job"
        with ProviderServer(latency=0.0, process=True) as server:
            asking.write_suite(folder, server.base_url, options.calls, direct=True)
            evaluate(folder, ROOT, "first")
        times: dict[str, list[float]] = {name: [] for name in trees}
        for number in range(options.rounds):
            for name, tree in trees.items():
                times[name].append(evaluate(folder, tree, f"{number} {name}", "--offline"))
    print(f"{options.calls} cached decisions, CPU s of the whole process (median of the rounds)")
    for name, spent in times.items():
        print(f"{name:14}{statistics.median(spent):6.2f} ({min(spent):.2f} to {max(spent):.2f})")
    if options.against:
        ratios = [a / b for a, b in zip(*times.values(), strict=True)]
        print(f"this commit beside the other: {statistics.median(ratios):.2f} times")


def evaluate(folder: Path, tree: Path, out: str, *more: str) -> float:
    """CPU seconds of `selectllm eval` in a process of its own."""
    command = [sys.executable, "-m", "selectllm", "eval", "suite.yaml", "-o", out, "--quiet", *more]
    cache = str(folder / "cache")
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    environment |= {"PYTHONPATH": str(tree), "SELECTLLM_CACHE_DIR": cache, "CI": "true"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
