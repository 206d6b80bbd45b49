"""Pairwise judgements as a utility: which of two is better, again and again, gives strengths.

The model of Bradley and Terry 1952 (Rank analysis of incomplete block designs): a beats b with
the probability 1 / (1 + exp(s_b - s_a)), where s are the strengths. A tie is half a win for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints
from selectllm.core.errors import UtilityError
from selectllm.core.names import listed
from selectllm.core.shown import shortened
from selectllm.utility.annotation.scale import is_blank, item_id
from selectllm.utility.annotation.sheet_files import read_placed
from selectllm.utility.schema import UtilityKind
from selectllm.utility.utility import Utility

Winner = Literal["a", "b", "tie"]

PRIOR = 1.0  # judgements against the imaginary item that every item is taken to have
SPLITS = 20  # random halves that a reliability is the mean of
FEWEST = 3  # items whose strengths can be correlated
CLOSE = 1e-12  # change of every strength at which they have settled
ROUNDS = 100_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which of `a` and `b` (item ids) is better. `instruction`: what it was judged on, if said."""

    a: str
    b: str
    winner: Winner
    rater: str | None = None
    instruction: str | None = None


def bradley_terry(
    judgements: Sequence[Judgement],
    *,
    name: str,
    kind: UtilityKind = "human",
    rater: str | None = None,
    prior: float = PRIOR,
    seed: int = 0,
) -> Utility:
    """The items' strengths as a utility; it covers the items that were judged.

    `rater` defaults to the only one's name, or to how many there are. `seed`: of the halves that
    the reliability is computed from. Raises UtilityError as `strengths` does.
    """
    raters = sorted({each.rater for each in judgements if each.rater is not None})
    return Utility(
        name=name,
        source="pairwise",
        kind=kind,
        values=strengths(judgements, prior),
        rater=rater or (raters[0] if len(raters) == 1 else _count(raters)),
        reliability=reliability(judgements, prior, seed),
    )


def strengths(judgements: Sequence[Judgement], prior: float = PRIOR) -> dict[str, float]:
    """The strength of each item in nats, by id, sorted; their mean is 0; higher is better.

    A difference of d says that the better one wins with probability 1 / (1 + exp(-d)).

    `prior`: every item is taken to have been judged that often, half of it won, against one
    imaginary item of strength 0. So an item that never lost has a finite strength, and one that
    was judged rarely stays near the middle. 0 is maximum likelihood, which exists only if wins
    lead from every item to every other (Ford 1957, Solution of a ranking problem from binary
    comparisons).

    Raises UtilityError without judgements; if items fall into groups that no judgement joins,
    whose strengths would not be comparable; and with `prior` 0 where no maximum exists.
    """
    if prior < 0:
        raise ValueError(f"prior must be 0 or more, got {prior}")
    wins = _Wins.of(judgements)
    if not wins.ids:
        raise UtilityError("there are no judgements. Write one row each, with a, b and winner")
    _check_joined(wins)
    if prior == 0 and len(groups(judgements, by_wins=True)) > 1:
        raise UtilityError(
            "some items never lost (or never won) against the others, so their strengths "
            f"would be infinite without a prior. Give a prior, such as {PRIOR:g}"
        )
    found = wins.fit(prior)
    return dict(zip(wins.ids, (found - found.mean()).tolist(), strict=True))


def reliability(
    judgements: Sequence[Judgement], prior: float = PRIOR, seed: int = 0
) -> float | None:
    """How far the strengths would repeat with as many other judgements, from 0 to 1.

    The judgements are split into random halves, SPLITS times by `seed`; the mean correlation r of
    the strengths from both halves, over the items that both have, is stepped up to the full
    number of judgements: 2 r / (1 + r) (Spearman 1910, Brown 1910). Judgements on one instruction
    stay together. Not below 0. None where fewer than FEWEST items are in both halves, or one has
    them all equal.
    """
    units = np.array([_unit(number, each) for number, each in enumerate(judgements)])
    names = np.unique(units)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(SPLITS):
        first = np.isin(units, rng.permutation(names)[: len(names) // 2])
        one, other = (_where(judgements, half) for half in (first, ~first))
        found.append(_correlation(one, other, prior or PRIOR))
    known = [r for r in found if r is not None]
    if not known:
        return None
    r = float(np.mean(known))
    return max(0.0, 2 * r / (1 + r)) if r > -1 else 0.0


def groups(judgements: Sequence[Judgement], *, by_wins: bool = False) -> list[list[str]]:
    """The items that judgements join, directly or through others; the largest group first.

    `by_wins`: only what wins join in both directions, a tie being a win for each.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    wins = _Wins.of(judgements)
    size = len(wins.ids)
    rows = np.concatenate([wins.first, wins.second])
    columns = np.concatenate([wins.second, wins.first])
    weights = np.concatenate([wins.won, wins.count - wins.won])
    there = weights > 0 if by_wins else np.ones(len(rows), dtype=bool)
    links = (np.ones(int(there.sum())), (rows[there], columns[there]))
    graph = coo_array(links, shape=(size, size))
    _, labels = connected_components(graph, directed=by_wins, connection="strong")
    found: dict[int, list[str]] = {}
    for item, label in zip(wins.ids, labels.tolist(), strict=True):
        found.setdefault(label, []).append(item)
    return sorted(found.values(), key=lambda group: (-len(group), group))


def read_judgements(path: Path) -> list[Judgement]:
    """The rows of a .jsonl or .csv file: a, b, winner (a, b or tie), and may be rater, instruction.

    Raises UtilityError, naming file and line, on a file that cannot be read, a missing id, an item
    judged against itself and another winner; and on a file without rows.
    """
    rows = read_placed(path, ("a", "b", "winner"), "judgements")
    judgements = [_judgement(where, row) for where, row in rows]
    if not judgements:
        raise UtilityError(f"{path} holds no judgements. Write one row each: a, b, winner")
    return judgements


def _judgement(where: str, row: Mapping[str, Any]) -> Judgement:
    a, b = item_id(row.get("a")), item_id(row.get("b"))
    if a is None or b is None:
        lacking = "a" if a is None else "b"
        shown = shortened(row.get(lacking))
        raise UtilityError(f"{where}: {lacking} is {shown}. Write the item's id")
    if a == b:
        raise UtilityError(f"{where}: item {a!r} is judged against itself. Leave the row out")
    winner = row.get("winner")
    said = winner.strip().lower() if isinstance(winner, str) else winner
    if said not in get_args(Winner):
        raise UtilityError(f"{where}: winner ({shortened(winner)}) must be a, b or tie")
    texts = [row.get(name) for name in ("rater", "instruction")]
    rater, instruction = (None if is_blank(text) else str(text).strip() for text in texts)
    return Judgement(a, b, cast(Winner, said), rater, instruction)


def _unit(number: int, judgement: Judgement) -> str:
    """What goes into one half together."""
    return f"#{number}" if judgement.instruction is None else f"on {judgement.instruction}"


def _where(judgements: Sequence[Judgement], wanted: NDArray[np.bool_]) -> list[Judgement]:
    return [each for each, inside in zip(judgements, wanted, strict=True) if inside]


def _count(raters: Sequence[str]) -> str | None:
    return f"{len(raters)} raters" if raters else None


def _check_joined(wins: _Wins) -> None:
    found = groups(wins.judgements)
    if len(found) > 1:
        sizes = ", ".join(str(len(group)) for group in found[:5]) + ", ..." * (len(found) > 5)
        raise UtilityError(
            f"the items fall into {len(found)} groups that no judgement joins, of {sizes} items "
            "each, and strengths of different groups cannot be compared. Have items of them judged "
            f"against each other, such as {listed([group[0] for group in found])}"
        )


def _correlation(a: list[Judgement], b: list[Judgement], prior: float) -> float | None:
    """Of the strengths from two halves, over the items that both have."""
    one, other = _Wins.of(a), _Wins.of(b)
    common, at, there = np.intersect1d(one.ids, other.ids, return_indices=True)
    if len(common) < FEWEST:
        return None
    x, y = one.fit(prior)[at], other.fit(prior)[there]
    if np.ptp(x) < CLOSE or np.ptp(y) < CLOSE:
        return None
    return float(np.corrcoef(x, y)[0, 1])


@dataclass(frozen=True, slots=True)
class _Wins:
    """Judgements counted by pair.

    Of pair p: `first` and `second` are the places of its items in `ids` (sorted), `count` how
    often they were judged, `won` how many of these the first one won.
    """

    judgements: Sequence[Judgement]
    ids: list[str]
    first: Ints
    second: Ints
    won: Floats
    count: Floats

    @classmethod
    def of(cls, judgements: Sequence[Judgement]) -> _Wins:
        ids = sorted({item for each in judgements for item in (each.a, each.b)})
        place = {item: number for number, item in enumerate(ids)}
        counted: dict[tuple[int, int], list[float]] = {}
        for each in judgements:
            a, b = place[each.a], place[each.b]
            of_a = {"a": 1.0, "tie": 0.5, "b": 0.0}[each.winner]
            pair = counted.setdefault((min(a, b), max(a, b)), [0.0, 0.0])
            pair[0] += of_a if a < b else 1 - of_a
            pair[1] += 1
        pairs = np.array(sorted(counted), dtype=np.intp).reshape(-1, 2)
        sums = np.array([counted[pair] for pair in sorted(counted)]).reshape(-1, 2)
        return cls(judgements, ids, pairs[:, 0], pairs[:, 1], sums[:, 0], sums[:, 1])

    def fit(self, prior: float) -> Floats:
        """(n_ids,) strengths; with `prior` 0 their mean is 0, else the imaginary item has 0.

        By minorisation (Hunter 2004, MM algorithms for generalized Bradley-Terry models): each
        round raises the likelihood.
        """
        size = len(self.ids)
        lost = self.count - self.won
        of_first = np.bincount(self.first, self.won, size)
        won = of_first + np.bincount(self.second, lost, size) + prior / 2
        power = np.ones(size)
        for _ in range(ROUNDS):
            met = self.count / (power[self.first] + power[self.second])
            met_by = np.bincount(self.first, met, size) + np.bincount(self.second, met, size)
            new = won / (met_by + prior / (power + 1))
            if prior == 0:
                new /= np.exp(np.log(new).mean())
            change = float(np.abs(np.log(new / power)).max())
            power = new
            if change < CLOSE:
                return np.log(power)
        raise UtilityError(
            f"the strengths did not settle in {ROUNDS} rounds. Give a prior, such as {PRIOR:g}"
        )
