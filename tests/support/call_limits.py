"""A limit of a provider, in whatever time its caller counts."""


class Bucket:
    """`rate` calls a second; `burst` at once after a pause, by default as many."""

    def __init__(self, rate: float, burst: float | None = None) -> None:
        self._rate, self._then = rate, 0.0
        self._burst = self._left = float(rate if burst is None else burst)

    def wait(self, moment: float) -> float:
        """Seconds to wait; 0 for a call that is answered."""
        self._left = min(self._burst, self._left + (moment - self._then) * self._rate)
        self._then = moment
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) / self._rate
