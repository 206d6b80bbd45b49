"""The embedded model beside simple rules, on 200 clusters of real instructions.

    python eval/benchmarks/dolly.py [POOL] [--clusters 200] [--prompts short@1 ...]

First `selectllm eval`, in two orders; then `selectllm ab` against each control, all on the same
clusters. POOL: Dolly rows with a 0/1 column `rating`, whether a filter by ChatGPT's score kept the
row (AlpaGasus). It is not part of the project; without a path it is looked for in ../shared/data,
and the benchmark says so and ends when it is not there. Takes about half an hour for one prompt on
two cores the first time, seconds when every reply is in the cache.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

from selectllm.cli import main as selectllm

ROOT = Path(__file__).resolve().parents[2]
CONTROLS = ("random", "longest", "shortest", "first", "has-input", "centroid")
DEFAULT = ROOT.parent / "shared" / "data" / "dolly_dev2000.jsonl"


def main() -> int:
    """Run the suite through the command line, as a user would."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--clusters", type=int, default=200)
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
        "orders": 2,
        "prompts": arguments.prompts,
        "models": [arguments.model],
        "strategies": list(CONTROLS),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dolly.yaml"
        path.write_text(json.dumps(suite), encoding="utf-8")
        cache = ["--cache", str(ROOT / "cache")]
        code = selectllm(["eval", str(path), *cache, "-o", str(Path(folder) / "run")])
        for prompt in arguments.prompts if code == 0 else []:
            for control in CONTROLS:
                print(verdict(path, prompt, control, cache, Path(folder) / f"{prompt}-{control}"))
        return code


def verdict(suite: Path, prompt: str, control: str, cache: list[str], out: Path) -> str:
    """One line: the word of `ab`, and the difference in captured units with its interval."""
    arms = ["--a", f"strategy:{control}", "--b", prompt, "--design", "fixed"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        selectllm(["ab", str(suite), *arms, *cache, "-o", str(out), "--offline", "--json"])
    found = json.loads(printed.getvalue())["verdicts"][0]
    d = found["difference"]
    return (
        f"{prompt} against {control:9} {found['word']:12} {d['estimate']:+.3f} "
        f"[{d['low']:+.3f}, {d['high']:+.3f}]"
    )


if __name__ == "__main__":
    sys.exit(main())
