"""What an adaptive vote saves, and what agreement that loses or wins against the fixed vote.

    python eval/benchmarks/votes.py [--clusters 200] [--limit 6] [--model local/smollm2-135m]

Clusters of ten, of which two are picked, in seven orders or in two to seven, on the same clusters.
First simulated pickers (mock/skill) on random ratings from 1 to 5: their skill S is the share of
clusters whose ratings they know, and in a share B of the orders they name what is shown first. Then
a model on the first `--limit` clusters of the quickstart, with `--limit 0` none; its replies are
kept in the cache. `ballots` are of one decision, `same` is the share of decisions in which both
votes pick the same, `difference` is adaptive less fixed in captured, with its interval of 95 %.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selectllm.cli import main as selectllm

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "eval" / "data" / "quickstart.jsonl"
SIZE, PICKS, ORDERS, UNTIL = 10, 2, 7, (0.5, 0.8, 1.0)
PICKERS = [(skill, first) for skill in (0.9, 0.5) for first in (0.0, 0.3, 0.6)]
HEAD = (
    f"{'picker':30}{'clusters':>9}{'until':>7}{'ballots':>9}{'saved':>7}{'same':>7}"
    f"{'fixed':>8}{'adaptive':>10}{'difference':>12}{'95 %':>18}"
)


def main() -> int:
    """A row for every picker and limit of agreement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=200, help="of simulated pickers")
    parser.add_argument("--limit", type=int, default=6, help="clusters of the model")
    parser.add_argument("--model", default="local/smollm2-135m")
    parser.add_argument("--cache", type=Path, default=ROOT / "cache")
    arguments = parser.parse_args()
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool = simulated(folder / "simulated.jsonl", arguments.clusters * SIZE)
        for skill, first in PICKERS:
            model = f"mock/skill:{skill},first:{first}"
            for row in rows(folder, pool, model, arguments.clusters, arguments.cache):
                print(row, flush=True)
        if arguments.limit:
            for row in rows(folder, QUICKSTART, arguments.model, arguments.limit, arguments.cache):
                print(row, flush=True)
    return 0


def simulated(path: Path, items: int) -> Path:
    """A pool with ratings from 1 to 5, drawn with equal chances."""
    draw = random.Random(0)
    lines = [
        json.dumps(
            {"id": str(n), "instruction": f"Explain topic {n}.", "rating": draw.randint(1, 5)}
        )
        for n in range(items)
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def rows(folder: Path, pool: Path, model: str, limit: int, cache: Path) -> Iterator[str]:
    """Of one picker: the adaptive votes beside the fixed one of the same run."""
    adaptive = {f"until-{u:g}": {"orders": [2, ORDERS], "until": u} for u in UNTIL}
    votes: dict[str, dict[str, Any]] = {"fixed": {"orders": ORDERS}, **adaptive}
    suite = {
        "name": "votes",
        "pool": str(pool),
        "utilities": [
            {"name": "rating", "source": "ratings", "column": "rating", "kind": "model"}
            | {"range": [1, 5]}
        ],
        "clusters": {"by": "random", "size": SIZE, "limit": limit},
        "picks": PICKS,
        "prompts": ["short@1"],
        "models": [{"name": name, "id": model, "vote": vote} for name, vote in votes.items()],
        "strategies": [],
    }
    path = folder / "suite.yaml"
    path.write_text(json.dumps(suite), "utf-8")
    with tempfile.TemporaryDirectory() as run:
        done = told("eval", path, "-o", run, "--cache", cache, "--json", "--quiet")
    by_name = {pair["model"]: pair for pair in done["pairs"]}
    fixed = by_name["fixed"]["agreement"]["rating"]["captured"]["estimate"]
    for name, vote in adaptive.items():
        pair = by_name[name]
        asked = pair["vote"]
        gain = asked["fixed"]["difference"]["rating"]
        captured = pair["agreement"]["rating"]["captured"]["estimate"]
        interval = f"{gain['low']:+.3f} to {gain['high']:+.3f}"
        yield (
            f"{model:30}{pair['decisions']:>9}{vote['until']:>7}"
            f"{asked['ballots'] / pair['decisions']:>9.2f}"
            f"{1 - asked['ballots'] / asked['ballots_fixed']:>7.0%}{asked['fixed']['same']:>7.0%}"
            f"{fixed:>8.3f}{captured:>10.3f}{gain['estimate']:>+12.3f}{interval:>18}"
        )


def told(*words: object) -> Any:
    """What a command prints with --json."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = selectllm([str(word) for word in words])
    if code:
        sys.exit(f"selectllm {' '.join(map(str, words))}: exit code {code}")
    return json.loads(printed.getvalue())


if __name__ == "__main__":
    sys.exit(main())
