"""Do agreement figures foretell downstream quality? Students trained on what selectors select.

    python eval/benchmarks/downstream.py [POOL] [--folder DIR] [--jobs N] [--random N]

The items of POOL are parted by the hash of their text, copies together: 400 test items that
students are scored on, 300 dev items (the learning rate is chosen on them, and the proxy knn is
computed against them), and the rest, which is selected from. Then, by the command line:

    selectllm sets             100 items by each of 14 selectors
    selectllm student compare  every set trained with two seeds, beside random sets and, for the
                               selectors of the headline, random sets of as many tokens
    selectllm utility validate the utilities held against the random sets (LDS)

Everything goes on where it stopped. POOL: Dolly rows with a 0/1 column `rating` (AlpaGasus); not
part of the project, looked for in ../shared/data, and left out with a word where it is not there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from selectllm.cli import main as selectllm
from selectllm.core.codec import seeded_hash
from selectllm.core.files import write_text
from selectllm.core.types import Item
from selectllm.data.deduplicate import normalised
from selectllm.data.pool import load_pool

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT.parent / "shared" / "data" / "dolly_dev2000.jsonl"
FOLDER = ROOT / "eval" / "runs" / "downstream"
RESULTS = ROOT / "eval" / "benchmarks" / "downstream"
TESTS, DEV, BUDGET = 400, 300, 100
HEADLINE = ("strategy:longest", "strategy:k-center", "short@1 + smollm2", "criteria@1 + smollm2")
STRATEGIES = (
    *("random", "longest", "shortest", "k-center", "k-means", "facility-location", "centroid"),
    *("rouge-diversity", "perplexity-low", "perplexity-high", "ifd", "oracle:kept"),
)
RATER = "ChatGPT score of at least 4.5 (AlpaGasus)"


def parted(items: Sequence[Item]) -> Mapping[str, list[Item]]:
    """Test, dev and pool; items that ask the same are in one part."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(normalised(item.text), []).append(item)
    parts: dict[str, list[Item]] = {"test": [], "dev": [], "pool": []}
    for text in sorted(groups, key=lambda text: seeded_hash("downstream", text)):
        short = len(parts["test"]) < TESTS, len(parts["dev"]) < DEV
        parts["test" if short[0] else "dev" if short[1] else "pool"] += groups[text]
    return parts


def suite() -> dict[str, object]:
    """What is selected, and the utilities that are to foretell what it is worth."""
    kept = {"name": "kept", "source": "ratings", "column": "rating", "kind": "model"}
    knn = {"source": "knn", "test": "dev.jsonl", "k": 5}
    return {
        "name": "downstream",
        "pool": "pool.jsonl",
        "utilities": [
            kept | {"rater": RATER},
            knn | {"name": "knn-cosine", "answer": "cosine"},
            knn | {"name": "knn-rouge", "answer": "rouge-l"},
            {"name": "ifd", "source": "ifd"},
        ],
        "clusters": {"by": "diverse", "size": 13},
        "sets": {"budgets": [BUDGET], "seeds": [0], "groups": 100},
        "prompts": ["short@1", "criteria@1"],
        "models": [{"name": "smollm2", "id": "local/smollm2-135m"}],
        "strategies": list(STRATEGIES),
    }


def prepare(pool: Path, folder: Path) -> None:
    """Write the three parts and the suite."""
    for name, items in parted(load_pool(pool).pool.items).items():
        rows = (json.dumps(dict(item.row), ensure_ascii=False) for item in items)
        write_text(folder / f"{name}.jsonl", "\n".join(rows) + "\n")
        print(f"{name}: {len(items)} items")
    write_text(folder / "suite.yaml", json.dumps(suite(), indent=1))


def main() -> int:
    """Everything, one verb after the other; stops at the first that fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--jobs", default="2", help="trainings at a time")
    parser.add_argument("--random", default="8", help="random sets")
    arguments = parser.parse_args()
    if not arguments.pool.exists():
        print(f"left out: {arguments.pool} is not there; name a pool with a 0/1 column `rating`")
        return 0
    prepare(arguments.pool, arguments.folder)
    for words in steps(arguments.folder, arguments.jobs, arguments.random):
        print("selectllm", *words, flush=True)
        code = selectllm([*words, "--cache", str(ROOT / "cache")])
        if code:
            return code
    keep(arguments.folder)
    return 0


def steps(folder: Path, jobs: str, random: str) -> list[list[str]]:
    """The three commands."""
    suite, sets = str(folder / "suite.yaml"), str(folder / "sets")
    pool, test, dev = (str(folder / f"{name}.jsonl") for name in ("pool", "test", "dev"))
    training = ["--test", test, "--dev", dev, "--jobs", jobs]
    matched = [word for arm in HEADLINE for word in ("--matched", arm)]
    return [
        ["sets", suite, "-o", sets, "-j", "2"],
        ["student", "compare", sets, "--pool", pool, *training, "--random", random, *matched],
        ["utility", "validate", suite, *training, "--subsets", random],
    ]


def keep(folder: Path) -> None:
    """Copy what was found to where it is committed."""
    found = [folder / "sets" / "students" / "compare.json", *folder.glob("validations/*.json")]
    for path in found:
        write_text(RESULTS / path.name, path.read_text(encoding="utf-8"))
    print(f"kept in {RESULTS.relative_to(ROOT)}: {', '.join(path.name for path in found)}")


if __name__ == "__main__":
    sys.exit(main())
