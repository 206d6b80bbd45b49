"""What the defects of the published method cost, one at a time, on real instructions.

    python eval/benchmarks/ablation.py [POOL] [--defects order fallback padding] [--limit 200]

The clusters are ours (`diverse` of 10, two picked), the model and prompt those of --model and
--prompt. Each line changes one thing:

ours        orders drawn per cluster, a failed reply counts as random picks
random      clusters at random instead of `diverse`
order       slot i always shows the i-th k-means group, as published: no order is drawn
free text   the reply is not constrained by a grammar; failed replies count as random picks
fallback    the same replies, where a failed one takes the 2nd to (k+1)-th candidate, as published
padding     the last 9 rows left out, and clusters filled up with the first rows again, as published

`kept` is the share of picked items that the label kept, with a 95 % interval over clusters; the
difference is to the line `against`, paired where the clusters are the same. `top 2` is the share
of picks from the two k-means groups that are picked most (0.20 if all ten are picked alike, 1.00
if two topics make up the selection), `repeats` picks of an item that was picked before.

POOL: Dolly rows with a 0/1 column `rating` (AlpaGasus); not part of the project, looked for in
../shared/data, and left out with a word where it is not there. Replies are cached; the first time
each line takes some 12 minutes on two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from selectllm.core.arrays import Floats, Vectors
from selectllm.core.codec import seeded_hash
from selectllm.core.types import Cluster, Decision, Pool
from selectllm.data.embedder import Embedder
from selectllm.data.encoders import load_encoder
from selectllm.data.pool import load_pool
from selectllm.models.connect import Connections
from selectllm.models.model import ModelSpec
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.ask import ask
from selectllm.selection.by_model import narrowed
from selectllm.selection.clustering.cluster_pool import ClusterSettings, cluster_pool
from selectllm.selection.clustering.diverse import (
    balanced_groups,
    squared_distances,
)
from selectllm.selection.clustering.kmeans import kmeans_centres
from selectllm.selection.clustering.partition import show_order
from selectllm.selection.clustering.seeded_rows import SeededRows
from selectllm.selection.selector import open_selector
from selectllm.selection.task import AskSettings, Task

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT.parent / "shared" / "data" / "dolly_dev2000.jsonl"
SIZE, K, SEED = 10, 2, 0
LEFT_OUT = 9  # rows, so that the last cluster lacks as many
FREE_TOKENS = 32


@dataclass(frozen=True)
class Condition:
    """One line of the table: what is shown, how it is asked, what a failed reply becomes."""

    name: str
    against: str | None
    clusters: Sequence[Cluster]
    shown: Sequence[tuple[str, ...]]
    free_text: bool = False
    fallback: bool = False


@dataclass(frozen=True)
class Bench:
    """What all conditions share."""

    pool: Pool
    groups: dict[str, int]
    spec: ModelSpec
    prompt: str
    cache: Path

    def kept(self, item_id: str) -> float:
        """The label of an item, 0 or 1."""
        return float(self.pool.by_id[item_id].row["rating"])


def drawn(clusters: Sequence[Cluster]) -> list[tuple[str, ...]]:
    return [show_order(cluster.members, SEED, cluster.id, 0) for cluster in clusters]


def kmeans_groups(pool: Pool, vectors: Vectors) -> dict[str, int]:
    """The group of every item that `diverse` dealt its clusters from."""
    ids = [item.id for item in pool.items]
    order = sorted(range(len(ids)), key=lambda i: (seeded_hash("partition", SEED, ids[i]), ids[i]))
    rows = SeededRows(vectors, np.array(order))
    labels = balanced_groups(squared_distances(rows, kmeans_centres(rows, SIZE, SEED)))
    return {ids[position]: int(label) for position, label in zip(order, labels, strict=True)}


def padded(pool: Pool, embedder: Embedder) -> tuple[list[Cluster], Pool]:
    """Published padding: the first rows once more, until the clusters are full."""
    short = narrowed(pool, pool.items[:-LEFT_OUT])
    again = [replace(item, id=f"{item.id} again") for item in short.items[: -len(short) % SIZE]]
    full = narrowed(pool, [*short.items, *again])
    return list(
        cluster_pool(
            full, ClusterSettings("diverse", SIZE, SEED), embedder, ROOT / "cache/clusters"
        )
    ), full


async def decisions(bench: Bench, condition: Condition) -> list[Decision]:
    """The model's decisions on the condition's clusters, from the cache where it has them."""
    spec = bench.spec
    if condition.free_text:
        spec = replace(spec, structured=False, max_tokens=FREE_TOKENS)
    cache = ReplyCache(bench.cache / "replies")
    selector = open_selector(
        PromptLibrary().load(bench.prompt), spec, Connections(cache=cache, environment=os.environ)
    )
    tasks = [
        Task(
            selector=selector,
            cluster=cluster.id,
            shown=tuple(bench.pool.by_id[item_id] for item_id in shown),
            k=K,
            seed=SEED,
        )
        for cluster, shown in zip(condition.clusters, condition.shown, strict=True)
    ]
    made: list[Decision] = []
    try:
        await ask(
            tasks, AskSettings(concurrency=1, reask=0 if condition.free_text else 1), made.append
        )
    finally:
        await selector.model.close()
        cache.close()
    return sorted(made, key=lambda decision: decision.cluster)


def weights(decision: Decision, fallback: bool) -> dict[str, float]:
    """How surely each item is picked; a failed reply leaves it to all unpicked alike."""
    picked = dict.fromkeys(decision.picks, 1.0)
    missing = K - len(picked)
    if not missing:
        return picked
    if fallback:
        return dict.fromkeys(decision.shown[1 : K + 1], 1.0)
    rest = [item_id for item_id in decision.shown if item_id not in picked]
    return picked | dict.fromkeys(rest, missing / len(rest))


def interval(values: Floats) -> tuple[float, float]:
    """Mean and half width of the 95 % t interval over clusters."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)


def difference(
    ours: dict[int, float], other: dict[int, float], paired: bool
) -> tuple[float, float]:
    """Mean difference and half width: paired by cluster, else Welch."""
    if paired:
        return interval(np.array([ours[cluster] - other[cluster] for cluster in ours]))
    a, b = np.array([*ours.values()]), np.array([*other.values()])
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return float(a.mean() - b.mean()), float(student.ppf(0.975, df) * np.sqrt(va + vb))


def line(
    bench: Bench,
    condition: Condition,
    made: Sequence[Decision],
    seen: dict[str, tuple[Condition, dict[int, float]]],
) -> str:
    """One line of the table; `seen` holds the shares by cluster of the lines before it."""
    shares: dict[int, float] = {}
    groups: Counter[int] = Counter()
    picked: Counter[str] = Counter()
    for decision in made:
        chosen = weights(decision, condition.fallback)
        shares[decision.cluster] = sum(w * bench.kept(i) for i, w in chosen.items()) / K
        for item_id, weight in chosen.items():
            groups[bench.groups[item_id.removesuffix(" again")]] += weight
            if weight == 1:
                picked[item_id.removesuffix(" again")] += 1
    seen[condition.name] = condition, shares
    mean, half = interval(np.array([*shares.values()]))
    top = sum(sorted(groups.values())[-2:]) / (K * len(made))
    change = f"{'':22}"
    if condition.against is not None:
        other, theirs = seen[condition.against]
        d, width = difference(shares, theirs, paired=other.clusters is condition.clusters)
        change = f"{d:+.3f} [{d - width:+.3f}, {d + width:+.3f}]"
    valid = np.mean([decision.status in ("ok", "repaired") for decision in made])
    return (
        f"{condition.name:10} {len(made):8} {valid:6.0%}  {mean:.3f} [{mean - half:.3f}, "
        f"{mean + half:.3f}]  {condition.against or '':9} {change}  "
        f"{top:5.2f} {sum(count - 1 for count in picked.values()):8}"
    )


def conditions(bench: Bench, embedder: Embedder, limit: int) -> list[Condition]:
    """All lines; the padded one has its own pool, whose items the bench's pool must hold too."""
    folder = ROOT / "cache/clusters"
    ours = cluster_pool(bench.pool, ClusterSettings("diverse", SIZE, SEED), embedder, folder)[
        :limit
    ]
    at_random = cluster_pool(bench.pool, ClusterSettings("random", SIZE, SEED), embedder, folder)[
        :limit
    ]
    by_group = [tuple(sorted(cluster.members, key=lambda i: bench.groups[i])) for cluster in ours]
    filled = padded(bench.pool, embedder)[0][:limit]
    return [
        Condition("ours", None, ours, drawn(ours)),
        Condition("random", "ours", at_random, drawn(at_random)),
        Condition("order", "ours", ours, by_group),
        Condition("free text", "ours", ours, drawn(ours), free_text=True),
        Condition("fallback", "free text", ours, drawn(ours), free_text=True, fallback=True),
        Condition("padding", "ours", filled, drawn(filled)),
    ]


def main() -> int:
    """Print the table, line by line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--prompt", default="short@1")
    parser.add_argument("--model", default="local/smollm2-135m")
    parser.add_argument("--limit", type=int, default=200, help="clusters")
    parser.add_argument("--defects", nargs="+", default=["order", "fallback", "padding"])
    arguments = parser.parse_args()
    if not arguments.pool.exists():
        print(f"left out: {arguments.pool} is not there; name a pool with a 0/1 column `rating`")
        return 0
    pool = load_pool(arguments.pool).pool
    embedder = Embedder(load_encoder(), ROOT / "cache/vectors")
    groups = kmeans_groups(pool, embedder.of(pool.items))
    again = padded(pool, embedder)[1].items[len(pool) - LEFT_OUT :]
    spec = ModelSpec(name=arguments.model, id=arguments.model)
    bench = Bench(pool, groups, spec, arguments.prompt, ROOT / "cache")
    lines = conditions(bench, embedder, arguments.limit)
    bench = replace(bench, pool=Pool([*pool.items, *again], pool.sha256))
    print(
        f"{'':10} {'clusters':>8} {'valid':>6}  {'kept':20}  {'against':9} {'difference':22}  "
        f"{'top 2':>5} {'repeats':>8}"
    )
    print(f"{'the pool':26}  {np.mean([bench.kept(item.id) for item in pool.items]):.3f}")
    seen: dict[str, tuple[Condition, dict[int, float]]] = {}
    wanted = {"ours", "random", *arguments.defects}
    wanted |= {"free text"} if "fallback" in wanted else set()
    for condition in lines:
        if condition.name in wanted:
            made = asyncio.run(decisions(bench, condition))
            print(line(bench, condition, made, seen), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
