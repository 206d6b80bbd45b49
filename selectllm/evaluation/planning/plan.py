"""A plan: what is known of a run before it is made, from recorded replies and a pilot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from selectllm.core.types import empty
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.kinds import ComparisonKind
from selectllm.evaluation.planning.forecast import (
    Forecast,
    Outlay,
    Pace,
    assumed_pace,
    outlay,
    pace_of,
)
from selectllm.evaluation.planning.pilot import Pilot
from selectllm.evaluation.planning.prices import Priced, priced
from selectllm.evaluation.planning.reach import (
    ASSUMED,
    INCUMBENT,
    RETAIN,
    Clusters,
    Lifts,
    Power,
    Reach,
    Spread,
    clusters_of,
    independent_differing,
    power_of,
    random_spread,
    reach,
    retention,
)
from selectllm.evaluation.runs.run import Run
from selectllm.stats.sequential import LEAST_CAP


@dataclass(frozen=True, slots=True)
class Aim:
    """What a plan is for.

    `arms`: the first is the reference; none: every pair of the suite. `retain`: what `swap` is to
    demand. `rating_cost`: USD for one rating by one rater. `concurrency`: calls in flight.
    """

    kind: ComparisonKind
    arms: tuple[Arm, ...] = ()
    retain: float = RETAIN[0]
    raters: int = 1
    rating_cost: float | None = None
    concurrency: int = 8

    @property
    def contrasts(self) -> int:
        """How many arms share the error rate."""
        return max(1, len(self.arms) - 1) if self.kind.shares_alpha else 1


@dataclass(frozen=True)
class PairPlan:
    """One pair: what it will ask, at which pace and price."""

    forecast: Forecast
    pace: Pace
    priced: Priced | None
    outlay: Outlay

    @property
    def name(self) -> str:
        """`prompt + model`."""
        return Arm(self.forecast.prompt, self.forecast.spec.name).name

    def to_json(self) -> dict[str, Any]:
        """As the plan has it."""
        found = self.forecast
        price = self.priced and {**asdict(self.priced.price), "source": self.priced.source}
        return {
            "prompt": found.prompt,
            "model": found.spec.name,
            "decisions": found.decisions,
            "known": len(found.known),
            "too_long": found.too_long,
            "tokens_by": found.tokens_by,
            "pace": asdict(self.pace),
            "price": price,
            **asdict(self.outlay),
        }


@dataclass(frozen=True)
class EvaluationPlan:
    """Everything that a plan is made of.

    `pool_clusters`: that the whole pool gives. `measuring`: what strategies that ask a model will
    ask, by name.
    """

    run: Run
    aim: Aim
    forecasts: Sequence[Forecast]
    pool_clusters: int
    pilot: Pilot | None = None
    measuring: Mapping[str, Forecast] = field(default_factory=empty)

    @cached_property
    def strategies(self) -> dict[str, PairPlan]:
        """The strategies that ask a model."""
        return {name: self._pair(found) for name, found in self.measuring.items()}

    @cached_property
    def pairs(self) -> list[PairPlan]:
        """The pairs; a price is looked up only for those that will ask."""
        return [self._pair(found) for found in self.forecasts]

    def _pair(self, found: Forecast) -> PairPlan:
        pace = pace_of(found.known, "replies")
        if pace is None and self.pilot is not None:
            pace = self.pilot.pace(found.prompt, found.spec.name)
        pace = pace or assumed_pace(found)
        cost = priced(found.spec) if found.unasked else None
        return PairPlan(found, pace, cost, outlay(found, pace, cost, self.aim.concurrency))

    @cached_property
    def clusters(self) -> Clusters:
        """What there is to decide by."""
        utility = self.run.headline
        values = utility.values if utility else None
        return clusters_of(self.run.clusters, self.pool_clusters, self.run.suite.picks, values)

    @cached_property
    def spread(self) -> Spread:
        """From the pilot, else of random picks on the utility, else assumed."""
        from_pilot = self.pilot.spread() if self.pilot else None
        return from_pilot or self._random_spread() or ASSUMED

    def _random_spread(self) -> Spread | None:
        utility = self.run.headline
        if utility is None:
            return None
        rated = [
            [utility.values[member] for member in cluster.members]
            for cluster in self.run.clusters
            if all(member in utility.values for member in cluster.members)
        ]
        return random_spread(rated, self.run.suite.picks)

    @cached_property
    def power(self) -> Power:
        """What the counted clusters can show."""
        gate = self.run.suite.gate
        return power_of(self.aim.kind, self.spread, self.clusters, gate, self.aim.contrasts)

    @cached_property
    def lifts(self) -> Lifts | None:
        """What the pilot's arms gain over random picks."""
        return self.pilot.lifts() if self.pilot else None

    @cached_property
    def incumbent(self) -> float:
        """What the model to be replaced captures: as in the pilot, else assumed."""
        return INCUMBENT if self.lifts is None else float(self.lifts.incumbent.mean())

    @cached_property
    def reach(self) -> Reach | None:
        """Whether the suite can reach a good end at all."""
        margin = self.power.margin
        if self.aim.kind.judges == "retention":
            margin = (1 - self.aim.retain) * self.incumbent
        return reach(self.aim.kind, margin, self.spread, self.clusters, self.power.alpha)

    def total(self) -> dict[str, Any]:
        """Of all pairs and strategies; USD is None if any is not priced."""
        rows = [pair.to_json() for pair in (*self.pairs, *self.strategies.values())]
        counts = ("decisions", "known", "too_long", "calls", "calls_most", "tokens_in")
        total = {name: sum(row[name] for row in rows) for name in (*counts, "tokens_out")}
        for name in ("usd", "usd_most"):
            costs = [row[name] for row in rows]
            total[name] = None if None in costs else float(sum(costs))
        return total | {"hours": float(sum(row["hours"] for row in rows))}

    def ratings(self) -> dict[str, Any]:
        """The ratings that are needed; `differing`: of the items that exactly one arm picks."""
        items = self.clusters.to_rate
        differing = None
        if items and self.aim.kind.by_differing:
            rate, source = self._differing_rate()
            share = items / self.clusters.items
            count = min(items, round(rate * self.clusters.counted * share * self.aim.contrasts))
            differing = {**self._bill(count), "source": source}
        return {**self._bill(items), "raters": self.aim.raters, "differing": differing}

    def _differing_rate(self) -> tuple[float, str]:
        """Differing items per cluster, and where the figure is from."""
        if self.pilot and (rate := self.pilot.differing_items()) is not None:
            return rate, "pilot"
        suite = self.run.suite
        sizes = [len(c.members) for c in self.run.clusters if len(c.members) > suite.picks]
        draws = suite.orders * suite.repeats
        expected = [independent_differing(m, suite.picks, draws) for m in sizes]
        return sum(expected) / len(expected), "independent picks"

    def _bill(self, items: int) -> dict[str, Any]:
        ratings, cost = items * self.aim.raters, self.aim.rating_cost
        usd = None if cost is None else ratings * cost
        return {"items": items, "ratings": ratings, "usd": usd}

    def swap(self) -> dict[str, Any]:
        """Clusters that show a model of equal quality to be safe, by the share to be retained."""
        shares = sorted({*RETAIN, self.aim.retain}, reverse=True)
        alpha = self.power.alpha
        return {
            "captured": self.incumbent,
            "source": "assumption" if self.lifts is None else "pilot",
            "retain": [
                asdict(retention(share, self.incumbent, self.spread, self.lifts, alpha))
                for share in shares
            ],
        }

    def may_stop_early(self) -> bool:
        """Whether `ab --design sequential` would be one (ab.why_fixed), and save calls."""
        found = self.clusters
        return (
            self.aim.kind.may_stop_early
            and len(self.aim.arms) <= 2
            and found.groups is None
            and found.to_rate == 0
            and found.counted >= LEAST_CAP
            and any(pair.forecast.unasked for pair in self.pairs)
        )
