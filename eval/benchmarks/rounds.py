"""Whether rounds of annotation cover a pool as one round does: five of 40 against one of 200.

`python eval/benchmarks/rounds.py [--pool POOL] [--seeds 3]` prints a table a pool: per strategy
what the picks cover after one round, after five rounds that know each other (`--rounds`), and after
five that do not and may pick an item again, each as the mean over the seeds. Coverage is the share
of the pool's k-means groups that hold a picked item, and the mean cosine distance of the pool's
items to the nearest picked one. The last columns are the ratios of five rounds to one, which are to
be within 5 %. No item may come twice in the rounds, and the third of them loses its row, as if it
had been killed before that was written, and is run again.

The quickstart (rounds of 12 and 60, 18 groups) comes with the project. Dolly does not: 2,000 items
of databricks-dolly-15k (CC BY-SA 3.0), looked for in ../shared/data, and left out with a word where
it is not there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import selectllm as sl
from selectllm.core.arrays import Vectors
from selectllm.evaluation.sets.diversity import Groups, coverage, kmeans_groups, mean_distance
from selectllm.jobs.rounds import rounds as read_rounds
from selectllm.jobs.sync import finished
from selectllm.selection.strategies.candidates import Candidates, seeded_rows

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "eval" / "data" / "quickstart.jsonl"
DOLLY = ROOT.parent / "shared" / "data" / "dolly_dev2000.jsonl"
STRATEGIES = ("k-center", "facility-location", "k-means", "d-optimal", "random")
ROUNDS = 5
WITHIN = 0.05  # of what one round covers
KILLED = 2  # the round that is run again, from 0


@dataclass(frozen=True)
class Ground:
    """A pool with what coverage is measured by."""

    pool: sl.Pool
    vectors: Vectors
    groups: Groups

    def measured(self, ids: Sequence[str]) -> tuple[float, float]:
        """The share of groups reached, and the mean distance."""
        place = {item.id: position for position, item in enumerate(self.pool.items)}
        positions = sorted({place[item] for item in ids})
        return coverage(self.groups, positions), mean_distance(self.vectors, positions)


def ground(session: sl.Session, path: Path, groups: int) -> Ground:
    pool = sl.load_pool(path).pool
    vectors = np.asarray(session.embedder().of(pool.items))
    rows = seeded_rows(Candidates(pool.items, 0, vectors))
    return Ground(pool, vectors, kmeans_groups(rows, groups, 0))


def in_rounds(
    session: sl.Session, place: Ground, strategy: str, seed: int, budget: int, folder: Path
) -> list[str]:
    """The ids of five rounds that know each other."""
    log = folder / f"{strategy}-{seed}.rounds.jsonl"
    ids: list[str] = []
    for number in range(ROUNDS):
        again = {"log": folder / f"{strategy}-{seed}-{number}.decisions.jsonl", "rounds": log}
        asked = {"budget": budget, "strategy": strategy, "seed": seed, **again}
        chosen = session.select(place.pool, **asked)
        if number == KILLED:  # before its row was written
            log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
            chosen = session.select(place.pool, **asked)
        ids += [item.id for item in chosen.items]
    kept = [item for row in finished(read_rounds(log)).rounds for item in row.ids]
    assert len(ids) == len({*ids}) == ROUNDS * budget, "an item came twice"
    assert sorted(kept) == sorted(ids), "the log and the selections differ"
    return ids


def compared(session: sl.Session, place: Ground, budget: int, seeds: int) -> bool:
    """Print the table of one pool; whether five rounds cover what one does, within 5 %."""
    within = True
    print(f"{'strategy':<18} {'groups reached':^32} {'mean distance':^32} five/one")
    print(
        f"{'':<18} {'one':>8} {'five':>8} {'apart':>8} {'':>6} {'one':>8} {'five':>8} {'apart':>8}"
    )
    for strategy in STRATEGIES:
        found: list[tuple[float, ...]] = []
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                rounds = in_rounds(session, place, strategy, seed, budget, Path(folder))
            at_once = session.select(
                place.pool, budget=ROUNDS * budget, strategy=strategy, seed=seed
            )
            apart = [
                item.id
                for number in range(ROUNDS)
                for item in session.select(
                    place.pool, budget=budget, strategy=strategy, seed=100 * seed + number
                ).items
            ]
            one = [item.id for item in at_once.items]
            found.append(tuple(v for ids in (one, rounds, apart) for v in place.measured(ids)))
        one_g, one_d, five_g, five_d, apart_g, apart_d = np.mean(found, axis=0)
        within = within and five_g >= (1 - WITHIN) * one_g and five_d <= (1 + WITHIN) * one_d
        print(
            f"{strategy:<18} {one_g:8.1%} {five_g:8.1%} {apart_g:8.1%} {'':>6} {one_d:8.4f} "
            f"{five_d:8.4f} {apart_d:8.4f} {five_g / one_g:.3f} {five_d / one_d:.3f}"
        )
    return within


def main() -> int:
    """Both pools, or the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, default=DOLLY)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    with sl.Session() as session:
        print("quickstart: five rounds of 12 against one of 60")
        within = compared(session, ground(session, QUICKSTART, 18), 12, arguments.seeds)
        if arguments.pool.exists():
            print(f"{arguments.pool.stem}: five rounds of 40 against one of 200")
            within &= compared(session, ground(session, arguments.pool, 100), 40, arguments.seeds)
        else:
            print(f"left out: {arguments.pool} is not there; name a pool of 2,000 items")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
