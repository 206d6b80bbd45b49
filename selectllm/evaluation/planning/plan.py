"""A plan: what is known of a run before it is made, from recorded replies and a pilot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from selectllm.core.choices import RETAIN
from selectllm.core.types import empty
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.kinds import ComparisonKind
from selectllm.evaluation.planning.assisted import assisted_bill
from selectllm.evaluation.planning.forecast import (
    Forecast,
    assumed_pace,
    outlay,
    pace_of,
    summed,
)
from selectllm.evaluation.planning.pilot import Pilot
from selectllm.evaluation.planning.prices import Priced, priced
from selectllm.evaluation.planning.reach import (
    ASSUMED,
    INCUMBENT,
    Lifts,
    clusters_of,
    independent_differing,
    power_of,
    random_spread,
    reach,
    retention,
)
from selectllm.evaluation.planning.schema import (
    CallPace,
    Destination,
    DifferingBill,
    DifferingSource,
    Outlay,
    PairAsking,
    PlannedClusters,
    PlannedPower,
    PlannedRatings,
    PlannedReach,
    PlannedSpread,
    PlannedSwap,
    PlanTotal,
    RatingsBill,
    StrategyAsking,
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
    pace: CallPace
    priced: Priced | None
    outlay: Outlay

    @property
    def name(self) -> str:
        """`prompt + model`."""
        return Arm(self.forecast.prompt, self.forecast.spec.name).name

    @cached_property
    def asking(self) -> PairAsking:
        """As the plan has it."""
        forecast = self.forecast
        return PairAsking(
            **dict(self.outlay),
            too_long=forecast.too_long,
            tokens_by=forecast.tokens_by,
            pace=self.pace,
            price=None if self.priced is None else self.priced.told(),
            prompt=forecast.prompt,
            model=forecast.spec.name,
            decisions=forecast.decisions,
            known=len(forecast.known),
        )


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
    destinations: tuple[Destination, ...] = ()

    @cached_property
    def strategies(self) -> dict[str, PairPlan]:
        """The strategies that ask a model."""
        return {name: self._pair(forecast) for name, forecast in self.measuring.items()}

    @cached_property
    def pairs(self) -> list[PairPlan]:
        """The pairs; a price is looked up only for those that will ask."""
        return [self._pair(forecast) for forecast in self.forecasts]

    def _pair(self, forecast: Forecast) -> PairPlan:
        pace = pace_of(forecast.known, "replies")
        if pace is None and self.pilot is not None:
            pace = self.pilot.pace(forecast.prompt, forecast.spec.name)
        pace = pace or assumed_pace(forecast)
        cost = priced(forecast.spec) if forecast.unasked else None
        return PairPlan(forecast, pace, cost, outlay(forecast, pace, cost, self.aim.concurrency))

    @cached_property
    def clusters(self) -> PlannedClusters:
        """What there is to decide by."""
        utility = self.run.headline
        values = utility.values if utility else None
        return clusters_of(self.run.clusters, self.pool_clusters, self.run.suite.picks, values)

    @cached_property
    def spread(self) -> PlannedSpread:
        """From the pilot, else of random picks on the utility, else assumed."""
        from_pilot = self.pilot.spread() if self.pilot else None
        return from_pilot or self._random_spread() or ASSUMED

    def _random_spread(self) -> PlannedSpread | None:
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
    def power(self) -> PlannedPower:
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
    def reach(self) -> PlannedReach | None:
        """Whether the suite can reach a good end at all."""
        margin = self.power.margin
        if self.aim.kind.judges == "retention":
            margin = (1 - self.aim.retain) * self.incumbent
        return reach(
            *(self.aim.kind, margin, self.spread, self.clusters, self.power.alpha),
            retain=self.aim.retain,
        )

    @property
    def strategies_asking(self) -> tuple[StrategyAsking, ...]:
        """What the strategies that ask a model take."""
        return tuple(
            StrategyAsking(strategy=name, **dict(plan.asking))
            for name, plan in self.strategies.items()
        )

    def total(self) -> PlanTotal:
        """Of all pairs and strategies; USD is None if any is not priced."""
        asking = [plan.asking for plan in (*self.pairs, *self.strategies.values())]
        return PlanTotal(
            **dict(summed(asking)),
            too_long=sum(each.too_long for each in asking),
            decisions=sum(each.decisions for each in asking),
            known=sum(each.known for each in asking),
        )

    @cached_property
    def ratings(self) -> PlannedRatings:
        """The ratings that are needed; `differing`: of the items that exactly one arm picks."""
        items = self.clusters.to_rate
        differing = None
        if items and self.aim.kind.by_differing:
            rate, source = self._differing_rate()
            share = items / self.clusters.items
            count = min(items, round(rate * self.clusters.counted * share * self.aim.contrasts))
            differing = DifferingBill(**dict(self._bill(count)), source=source)
        return PlannedRatings(
            **dict(self._bill(items)),
            raters=self.aim.raters,
            differing=differing,
            assisted=assisted_bill(
                *(self.run, self.pilot, self.spread, self.power),
                raters=self.aim.raters,
                rating_cost=self.aim.rating_cost,
            ),
        )

    def _differing_rate(self) -> tuple[float, DifferingSource]:
        """Differing items per cluster, and where the figure is from."""
        if self.pilot and (rate := self.pilot.differing_items()) is not None:
            return rate, "pilot"
        suite = self.run.suite
        sizes = [len(c.members) for c in self.run.clusters if len(c.members) > suite.picks]
        draws = suite.orders * suite.repeats
        expected = [independent_differing(m, suite.picks, draws) for m in sizes]
        return sum(expected) / len(expected), "independent picks"

    def _bill(self, items: int) -> RatingsBill:
        ratings, cost = items * self.aim.raters, self.aim.rating_cost
        return RatingsBill(
            items=items, ratings=ratings, usd=None if cost is None else ratings * cost
        )

    def swap(self) -> PlannedSwap | None:
        """Clusters that show a model of equal quality to be safe, by the share to be retained.

        None for a plan of anything but a swap.
        """
        if self.aim.kind.judges != "retention":
            return None
        shares = sorted({*RETAIN, self.aim.retain}, reverse=True)
        alpha = self.power.alpha
        return PlannedSwap(
            captured=self.incumbent,
            source="assumption" if self.lifts is None else "pilot",
            retain=tuple(
                retention(
                    *(share, self.incumbent, self.spread, self.lifts, self.clusters), alpha=alpha
                )
                for share in shares
            ),
        )

    def may_stop_early(self) -> bool:
        """Whether `ab --design sequential` would be one (ab.why_fixed), and save calls."""
        clusters = self.clusters
        return (
            self.aim.kind.may_stop_early
            and len(self.aim.arms) <= 2
            and clusters.groups is None
            and clusters.to_rate == 0
            and clusters.counted >= LEAST_CAP
            and any(pair.forecast.unasked for pair in self.pairs)
        )
