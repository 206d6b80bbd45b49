"""What calls come to, and the most that they may come to."""

from __future__ import annotations

from dataclasses import dataclass

ARGUMENTS = {"usd": "max_cost", "tokens": "max_total_tokens", "requests": "max_requests"}
"""The setting of a session that limits each."""
IN_SUITES = {"usd": "budget.limit", "tokens": "budget.tokens", "requests": "budget.requests"}
"""The key of a suite that does."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What one call or several come to: USD, tokens read and written, and requests sent."""

    usd: float = 0.0
    tokens: int = 0
    requests: int = 0

    def __add__(self, other: Bill) -> Bill:
        return Bill(
            self.usd + other.usd, self.tokens + other.tokens, self.requests + other.requests
        )

    def __sub__(self, other: Bill) -> Bill:
        return Bill(
            self.usd - other.usd, self.tokens - other.tokens, self.requests - other.requests
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that calls may come to together, each None for any: as `Bill` has them.

    `of_suite`: a suite says so, and not the settings of a session.
    """

    usd: float | None = None
    tokens: int | None = None
    requests: int | None = None
    of_suite: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is limited."""
        return any(getattr(self, name) is not None for name in ARGUMENTS)

    def allow(self, bill: Bill) -> bool:
        """Whether so much is within all of them."""
        return self._over(bill) is None

    def words(self, spent: Bill, more: Bill) -> str:
        """Which of them `more` would exceed after `spent`, and by what."""
        over = self._over(spent + more)
        if over == "tokens":
            return (
                f"{self._named(over)} tokens reached: {spent.tokens:,} used, and the next call "
                f"could take {more.tokens:,}"
            )
        if over == "requests":
            return f"{self._named(over)} requests reached: {spent.requests:,} sent"
        return (
            f"{self._named('usd')} USD reached: {spent.usd:.4f} spent, and the next call could "
            f"cost {more.usd:.4f}"
        )

    def argument(self, bill: Bill) -> str:
        """The setting whose limit `bill` exceeds."""
        return ARGUMENTS[self._over(bill) or "usd"]

    def _over(self, bill: Bill) -> str | None:
        for name in ARGUMENTS:
            limit = getattr(self, name)
            if limit is not None and getattr(bill, name) > limit:
                return name
        return None

    def _named(self, name: str) -> str:
        named = (IN_SUITES if self.of_suite else ARGUMENTS)[name]
        return f"`{named}` {getattr(self, name):,.12g}"
