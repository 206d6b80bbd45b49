"""An interval, apart from how one is computed: what results are told in."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its two-sided confidence interval, in the unit of the estimate."""

    estimate: float
    low: float
    high: float

    def within(self, least: float, most: float) -> Interval:
        """Its part of a range that holds the true value; it keeps its estimate."""
        low, high = max(self.low, least), min(self.high, most)
        return Interval(self.estimate, min(low, self.estimate), max(high, self.estimate))

    def to_json(self) -> dict[str, float]:
        """`{estimate, low, high}`."""
        return asdict(self)
