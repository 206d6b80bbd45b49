"""The paper's table, scaled down: every selector's sets of Dolly instructions, against a label.

    python eval/benchmarks/paper.py [POOL] [--only SELECTOR ...] [--seed S ...]

`selectllm sets` on eval/suites/paper-dolly.yaml with the pool of 2,000, budgets of 143, 286 and
429 (one, two and three of each cluster of 14, as 1,000, 2,000 and 3,000 are of 14,000), three
seeds, the label as utility, and the embedded model asked by best@1 for log-probabilities: it ranks
a cluster with one token, so that one call serves all three budgets.

POOL: Dolly rows with a 0/1 column `rating` (AlpaGasus); not part of the project, looked for in
../shared/data, and left out with a word where it is not there. The first time it takes more than
an hour on two cores: 429 calls of the model, and likelihoods of 2,000 instructions and responses.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import yaml

from selectllm.cli import main as selectllm

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "eval" / "suites" / "paper-dolly.yaml"
DEFAULT = ROOT.parent / "shared" / "data" / "dolly_dev2000.jsonl"
BUDGETS = (143, 286, 429)


def main() -> int:
    """Run the suite through the command line, as a user would."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--only", action="append", default=[], help="as in `selectllm sets`")
    parser.add_argument("--seed", action="append", default=[], help="instead of 0, 1 and 2")
    arguments = parser.parse_args()
    if not arguments.pool.exists():
        print(f"left out: {arguments.pool} is not there; name a pool with a 0/1 column `rating`")
        return 0
    suite = yaml.safe_load(SUITE.read_text(encoding="utf-8"))
    kept = {"name": "kept", "source": "ratings", "column": "rating", "kind": "model"}
    suite |= {
        "pool": str(arguments.pool.resolve()),
        "utilities": [kept | {"rater": "ChatGPT score of at least 4.5 (AlpaGasus)"}],
        "sets": suite["sets"] | {"budgets": list(BUDGETS), "category": None},
        "prompts": ["best@1"],
        "models": [{"name": "smollm2", "id": "local/smollm2-135m", "answer": "logprobs"}],
        "strategies": [*suite["strategies"], "oracle:kept"],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "paper.yaml"
        path.write_text(json.dumps(suite), encoding="utf-8")
        words = [word for name in arguments.only for word in ("--only", name)]
        words += [word for seed in arguments.seed for word in ("--seed", seed)]
        places = ["--cache", str(ROOT / "cache"), "-o", str(Path(folder) / "sets")]
        return selectllm(["sets", str(path), *words, *places, "-j", "1"])


if __name__ == "__main__":
    sys.exit(main())
