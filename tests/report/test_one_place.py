"""A model that always names the same places of the list."""

from __future__ import annotations

from dataclasses import replace

from selectllm.core.types import Decision, Status
from selectllm.report.one_place import one_place_told


def decisions(places: list[tuple[int, ...]], *, shown: int = 5) -> list[Decision]:
    """Of one model: in each cluster it picked these places, from 1 on."""
    made = []
    for cluster, picked in enumerate(places):
        items = tuple(f"{cluster}-{at}" for at in range(shown))
        picks = tuple(items[place - 1] for place in picked)
        made.append(
            Decision(cluster, 0, 0, 0, items, picks, "ok", prompt="short@1", model="openai/m")
        )
    return made


def test_the_same_places_in_nearly_all_clusters_are_told() -> None:
    told = one_place_told(decisions([(2, 1)] * 6 + [(1, 2)] * 5 + [(3, 4)]))
    assert told is not None
    assert "places 1, 2 of the list in 11 of 12 clusters" in told


def test_what_varies_or_is_little_is_not_told() -> None:
    assert one_place_told(decisions([(1,), (2,), (3,)] * 5)) is None
    assert one_place_told(decisions([(1,)] * 9)) is None
    assert one_place_told([]) is None


def test_what_chance_or_the_tool_chose_is_not_counted() -> None:
    same = decisions([(1,)] * 20)
    statuses: tuple[Status, ...] = ("invalid", "refused")
    assert all(one_place_told([replace(d, status=s) for d in same]) is None for s in statuses)
    assert one_place_told([replace(d, model=None, strategy="first") for d in same]) is None
    assert one_place_told(decisions([(1,)] * 20, shown=2)) is None
    assert one_place_told(decisions([(1, 2)] * 20, shown=2)) is None
