"""A model that always answers with the same places in the list: its picks are as good as random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from selectllm.core.shown import counted
from selectllm.core.types import Decision

_FEWEST = 10  # decisions: in fewer of them chance may do the same
_MOST = 0.9  # of the decisions have the same places


def one_place_told(decisions: Iterable[Decision]) -> str | None:
    """A warning if nearly all valid answers name the same places; None otherwise.

    The candidates are shown in an order that is drawn anew for every cluster, so that such answers
    do not depend on what the items say. Clusters of two candidates are left out: there, chance
    does the same too often.
    """
    places = Counter(
        tuple(sorted(decision.shown.index(pick) + 1 for pick in decision.picks))
        for decision in decisions
        if decision.status in ("ok", "repaired")
        and decision.model is not None
        and len(decision.shown) > max(2, len(decision.picks))
    )
    if places.total() < _FEWEST:
        return None
    same, times = places.most_common(1)[0]
    if times < _MOST * places.total():
        return None
    which = f"place{'s' if len(same) > 1 else ''} {', '.join(map(str, same))}"
    return (
        f"Warning: The model chose {which} of the list in {times} of "
        f"{counted(places.total(), 'cluster')}. The order of a list is random, so these picks are "
        "no better than random picks. Try another prompt or model."
    )
