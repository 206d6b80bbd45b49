"""Can a small model's prompt be improved by search? The worked example, on real instructions.

    python eval/benchmarks/optimize.py [POOL] [--clusters 54] [--budget 50] [--model M]
                                       [--teacher T] [--grid-budget 120]

First `selectllm optimize`: GEPA rewrites the system message of short@1, and the winner is held
against it on clusters that the search never saw. Then `selectllm optimize --grid`: which parts of
parts@1 matter. Both on `diverse` clusters of 6, 2 picks each, by the embedded model, which is its
own teacher unless --teacher names another. Nothing is written into prompts/ unless it is better.

POOL: Dolly rows with a 0/1 column `rating` (AlpaGasus); not part of the project, looked for in
../shared/data, and left out with a word where it is not there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from selectllm.cli import main as selectllm

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT.parent / "shared" / "data" / "dolly_dev2000.jsonl"
FOLDER = ROOT / "eval" / "runs" / "optimize"


def suite(pool: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Clusters with the label of a filter as utility."""
    kept = {"name": "kept", "source": "ratings", "column": "rating", "kind": "model"}
    return {
        "name": "optimize",
        "pool": str(pool.resolve()),
        "utilities": [kept | {"rater": "ChatGPT score of at least 4.5 (AlpaGasus)"}],
        "clusters": {"by": "diverse", "size": 6, "limit": arguments.clusters},
        "picks": 2,
        "prompts": ["short@1", "parts@1"],
        "models": [arguments.model],
    }


def main() -> int:
    """The search, then the grid, through the command line as a user would."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--clusters", type=int, default=54)
    parser.add_argument("--model", default="local/smollm2-135m")
    parser.add_argument("--teacher")
    parser.add_argument("--budget", default="50")
    parser.add_argument("--grid-budget", default="120")
    arguments = parser.parse_args()
    if not arguments.pool.exists():
        print(f"left out: {arguments.pool} is not there; name a pool with a 0/1 column `rating`")
        return 0
    # A workspace of its own: what is written is looked at before it becomes one of our prompts.
    (FOLDER / "prompts").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "prompts" / "LOCK.yaml", FOLDER / "prompts")
    path = FOLDER / "suite.yaml"
    path.write_text(json.dumps(suite(arguments.pool, arguments), indent=1), encoding="utf-8")
    common = ["--model", arguments.model, "--cache", str(ROOT / "cache"), "-j", "1"]
    teacher = ["--teacher", arguments.teacher] if arguments.teacher else []
    search = ["--prompt", "short@1", "--budget", arguments.budget, *teacher]
    grid = ["--prompt", "parts@1", "--grid", "--budget", arguments.grid_budget]
    for name, words in (("search", search), ("grid", grid)):
        told = ["optimize", str(path), *words, "-o", str(FOLDER / name), *common]
        print("selectllm", *told, flush=True)
        code = selectllm(told)
        if code not in (0, 3):
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
