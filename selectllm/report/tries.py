"""How flaky a provider was: one sentence on the tries behind decisions that were asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from selectllm.core.types import Attempt

WORDS = {
    "busy": "the provider was busy",
    "timeout": "no reply came in time",
    "unreachable": "the server was not reached",
    "broken": "the reply broke off or could not be used",
}
"""What a kind of failure is called; another kind stands as it is."""


def tries_told(attempts: Iterable[Attempt]) -> str | None:
    """Tries, failures by kind, seconds waited; None if every call was answered at once.

    Of replies from the cache nothing is told.
    """
    sent = [attempt for attempt in attempts if not attempt.cached]
    failures = Counter(attempt.kind for attempt in sent if attempt.kind is not None)
    waited = sum(attempt.waited or 0.0 for attempt in sent)
    if not failures and waited < 1:
        return None
    kinds = ", ".join(
        f"{WORDS.get(kind, kind)} ({count})" for kind, count in failures.most_common()
    )
    told = [f"{failures.total()} of {len(sent)} calls failed: {kinds}."] if failures else []
    if waited >= 1:
        told.append(f"Together they waited {waited:,.0f} seconds before they were sent.")
    return " ".join(told)
