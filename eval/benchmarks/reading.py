"""Reading a pool, beside what polars takes to read the same file.

    python eval/benchmarks/reading.py [--items 1000000] [--rounds 3]

CPU seconds and peak memory of a process each, beyond its imports: `load_pool`, which checks every
row, names and hashes it; polars' reading into columns; and polars' reading into Python's dicts,
which is what strategies and prompts need.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from million import made_texts

ROOT = Path(__file__).resolve().parents[2]

READ = """
import gc, sys, time
from pathlib import Path
import polars as pl
from selectllm.cli import GARBAGE
from selectllm.data.pool import load_pool

gc.set_threshold(*GARBAGE)  # as the command does
how, path = sys.argv[1:]
read = pl.read_ndjson if path.endswith("jsonl") else pl.read_parquet
began = time.process_time()
if how == "selectllm":
    count = len(load_pool(Path(path)).pool)
elif how == "polars, columns":
    count = len(read(path))
else:
    count = len(read(path).to_dicts())
cpu = time.process_time() - began
status = Path("/proc/self/status").read_text()
print(count, cpu, int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""
WAYS = ("selectllm", "polars, dicts", "polars, columns")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        paths = make_pools(Path(tmp), options.items)
        print(f"{options.items:,} items of 300 characters{'':6}CPU s  peak MB  beside selectllm")
        for path in paths:
            rounds = [{way: read(way, path) for way in WAYS} for _ in range(options.rounds)]
            for way in WAYS:
                cpu = statistics.median(each[way][0] for each in rounds)
                ratio = statistics.median(each["selectllm"][0] / each[way][0] for each in rounds)
                peak = rounds[0][way][1]
                print(
                    f"{path.suffix[1:]:8} {way:24}{cpu:9.2f}{peak:9,.0f}{ratio:10.2f}", flush=True
                )


def make_pools(folder: Path, items: int) -> tuple[Path, Path]:
    """The same pool as JSONL and as Parquet."""
    import polars as pl

    lines, columns = folder / "pool.jsonl", folder / "pool.parquet"
    with lines.open("w", encoding="utf-8") as file:
        for numbers, texts in made_texts(np.random.default_rng(0), items):
            file.writelines(
                json.dumps({"id": f"item-{number:07}", "instruction": text}) + "\n"
                for number, text in zip(numbers, texts, strict=True)
            )
    pl.read_ndjson(lines).write_parquet(columns)
    return lines, columns


def read(way: str, path: Path) -> tuple[float, float]:
    """CPU seconds and peak MB of one process."""
    done = subprocess.run(
        [sys.executable, "-c", READ, way, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    _, cpu, peak = map(float, done.stdout.split())
    return cpu, peak


if __name__ == "__main__":
    main()
