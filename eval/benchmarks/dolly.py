"""The embedded model on 100 clusters of real instructions: does it pick what was kept.

    python eval/benchmarks/dolly.py [POOL] [--clusters 100] [--prompts short@1 ...]

POOL: Dolly rows with a 0/1 column `rating`, whether a filter by ChatGPT's score kept the row
(AlpaGasus). It is not part of the project; without a path it is looked for in ../shared/data, and
the benchmark says so and ends when it is not there. Takes about ten minutes for one prompt on two
cores the first time, seconds when every reply is in the cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from selectllm.cli import main as selectllm

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT.parent / "shared" / "data" / "dolly_dev2000.jsonl"


def main() -> int:
    """Run the suite through the command line, as a user would."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--prompts", nargs="+", default=["short@1"])
    parser.add_argument("--model", default="local/smollm2-135m")
    arguments = parser.parse_args()
    if not arguments.pool.exists():
        print(f"left out: {arguments.pool} is not there; name a pool with a 0/1 column `rating`")
        return 0
    suite = {
        "name": "dolly",
        "pool": str(arguments.pool.resolve()),
        "utilities": [
            {
                "name": "kept",
                "source": "ratings",
                "column": "rating",
                "kind": "model",
                "rater": "ChatGPT score of at least 4.5 (AlpaGasus)",
                "range": [0, 1],
            }
        ],
        "clusters": {"by": "diverse", "size": 10, "limit": arguments.clusters},
        "picks": 2,
        "prompts": arguments.prompts,
        "models": [arguments.model],
        "strategies": ["random", "longest", "shortest", "first", "has-input", "centroid"],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dolly.yaml"
        path.write_text(json.dumps(suite), encoding="utf-8")
        places = ["--cache", str(ROOT / "cache"), "-o", str(Path(folder) / "run")]
        return selectllm(["eval", str(path), *places])


if __name__ == "__main__":
    sys.exit(main())
