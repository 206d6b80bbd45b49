"""What large pools lose: the approximate ways beside the exact ones, where both can be taken.

    python eval/benchmarks/approximate.py [POOL] [--items 10000] [--picks 200]

Facility location by samples and in rounds, k-center in rounds and the partition `kcenter` in parts
take over where pools are too large to be looked at as a whole (docs/limits.md). Here they take
pools of `--items`, in as many shards or parts as they would take at their limits, beside the exact
way: made vectors around topics, and of POOL as many items as it has.

Near-duplicates in cells and by MinHash, which take over above 200,000 items, are looked for in POOL
and a copy of each of its items that lacks one word in ten: which of those that all pairs show are
dropped, too. POOL is a file of instructions; it is embedded, which takes a minute for 2,000 items.
Without it what needs one is left out.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from geometry import candidates, timed_once, topics

from selectllm.core.arrays import Ints, Vectors
from selectllm.core.types import Item
from selectllm.data.deduplicate import PairLimits, semantic_duplicates
from selectllm.data.embedder import Embedder
from selectllm.data.encoders import load_encoder
from selectllm.data.pool import load_pool
from selectllm.selection.clustering import kcenter as parts
from selectllm.selection.clustering.near_duplicates import InCells
from selectllm.selection.clustering.partition import partition
from selectllm.selection.clustering.seeded_rows import SeededRows
from selectllm.selection.strategies.candidates import seeded_rows
from selectllm.selection.strategies.facility import facility_location, lazy_greedy
from selectllm.selection.strategies.kcenter import farthest_first
from selectllm.selection.strategies.rounds import (
    facility_in_rounds,
    k_center_in_rounds,
    similarities,
)
from selectllm.selection.strategies.stochastic_facility import stochastic_greedy

SHARDS = 8  # of 30,000 at 240,000 items, of 250,000 at two million
PARTS = 10  # of 10,000 at 100,000 items
SIZE = 14  # of a cluster
THRESHOLDS = (0.7, 0.8, 0.9, 0.95)
DROPPED = 0.1  # of the words of a copy
SEED = 0


def main() -> None:
    """Print a table for each of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", nargs="?", type=Path)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--picks", type=int, default=200)
    options = parser.parse_args()
    pools = {f"{options.items:,} made vectors": topics(options.items, SEED)}
    items: list[Item] = []
    if options.pool is not None:
        items = with_copies(load_pool(options.pool).pool.items)
        vectors = embedded(items)
        pools[f"{len(items) // 2:,} items of {options.pool.name}"] = vectors[: len(items) // 2]
    for name, rows in pools.items():
        print(f"{name}, {options.picks} picks; the share of what the exact way reaches")
        facility(rows, options.picks)
        radii(rows, options.picks)
        clusters(rows)
    if items:
        duplicates(items, vectors)
    else:
        print("near-duplicates left out: name a pool")


def facility(vectors: Vectors, picks: int) -> None:
    """The sum over all rows of the cosine to the nearest pick."""
    made = candidates(vectors, SEED)
    rows = seeded_rows(made)
    ways = {
        "exact": np.argsort(rows.order)[facility_location(made, picks)],
        "by samples": stochastic_greedy(rows.take(), picks, SEED),
        "in rounds": facility_in_rounds(rows, picks, lazy_greedy, shard=len(rows) // SHARDS),
        "random": np.arange(picks),
    }
    sums = {name: reached(rows, chosen) for name, chosen in ways.items()}
    print("  facility location  " + shares(sums))


def reached(rows: SeededRows, picks: Ints) -> float:
    """The sum that facility location maximises."""
    similar = similarities(rows.wide(picks), rows.take())
    return float(similar.max(axis=0).sum(dtype=np.float64))


def radii(vectors: Vectors, picks: int) -> None:
    """The distance of the row that is farthest from its nearest pick; lower is better."""
    rows = seeded_rows(candidates(vectors, SEED))
    ways = {
        "exact": farthest_first(rows, picks),
        "in rounds": k_center_in_rounds(rows, picks, farthest_first, shard=len(rows) // SHARDS),
        "random": np.arange(picks),
    }
    found = {name: radius(rows, chosen) for name, chosen in ways.items()}
    print("  k-center, radius   " + shares(found))


def radius(rows: SeededRows, picks: Ints) -> float:
    """Euclidean, of rows of length 1."""
    nearest = (rows.take().astype(np.float64) @ rows.wide(picks).T).max(axis=1)
    return float(np.sqrt(max(0.0, 2 - 2 * nearest.min())))


def clusters(vectors: Vectors) -> None:
    """The mean distance of two members of a cluster, which `kcenter` wants to be far apart."""
    ids = [f"item-{row}" for row in range(len(vectors))]
    found = {"exact": spread(ids, vectors, "kcenter")}
    with patch.multiple(parts, WHOLE_UP_TO=0, PART=-(-len(vectors) // PARTS)):
        found["in parts"] = spread(ids, vectors, "kcenter")
    found["random"] = spread(ids, vectors, "random")
    print("  kcenter, distance  " + shares(found))


def spread(ids: list[str], vectors: Vectors, by: str) -> float:
    """The mean over all clusters."""
    place = {name: row for row, name in enumerate(ids)}
    means = []
    for cluster in partition(ids, vectors, by, SIZE, SEED):
        members = vectors[[place[name] for name in cluster.members]].astype(np.float64)
        pairs = np.triu_indices(len(members), k=1)
        means.append(np.sqrt(np.maximum(0, 2 - 2 * (members @ members.T)[pairs])).mean())
    return float(np.mean(means))


def shares(found: dict[str, float]) -> str:
    """`exact 123.4; in rounds 0.987; ...`."""
    exact = found.pop("exact")
    return "; ".join(
        [f"exact {exact:,.3f}", *(f"{name} {value / exact:.3f}" for name, value in found.items())]
    )


def with_copies(items: tuple[Item, ...]) -> list[Item]:
    """The items, then each again without one word in ten."""
    rng = np.random.default_rng(SEED)
    copies = []
    for item in items:
        words = item.instruction.split(" ")
        kept = [word for word in words if rng.random() >= DROPPED] or words
        copies.append(replace(item, id=f"{item.id}-copy", instruction=" ".join(kept)))
    return [*items, *copies]


def embedded(items: list[Item]) -> Vectors:
    with tempfile.TemporaryDirectory() as folder:
        return np.array(Embedder(load_encoder(), Path(folder)).of(items))


def duplicates(items: list[Item], vectors: Vectors) -> None:
    """How many of the items that all pairs drop are dropped in cells, too."""
    print(f"{len(items):,} items, half of them copies without one word in ten: near-duplicates")
    print("    cosine  by all pairs  in cells   found    CPU s")
    ids = [item.id for item in items]
    for threshold in THRESHOLDS:
        exact = semantic_duplicates(ids, vectors, threshold)
        limits = PairLimits(up_to=0, beyond=InCells(items))
        found, _, cpu = timed_once(
            lambda threshold=threshold, limits=limits: semantic_duplicates(
                ids, vectors, threshold, limits=limits
            )
        )
        share = len(exact.keys() & found.keys()) / max(1, len(exact))
        print(f"{threshold:>10}  {len(exact):>12,}  {len(found):>8,}  {share:6.1%}  {cpu:7.1f}")


if __name__ == "__main__":
    main()
