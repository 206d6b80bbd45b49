"""A utility as a scorer: the strategy `oracle:UTILITY` goes by its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selectllm.core.errors import UsageError
from selectllm.core.names import listed, unknown
from selectllm.core.types import Item
from selectllm.selection.scorers.item_scorer import ItemScorer, Measured, Meter


@dataclass(frozen=True)
class UtilityScorer(ItemScorer):
    """The values of the utility called `of`: one of the suite's, or a column of the pool."""

    of: str
    name = "utility"

    def check(self, items: Sequence[Item], meter: Meter) -> None:
        """Raise UsageError for an unknown utility, and for one without a value for each item."""
        if self.of not in meter.utilities:
            raise UsageError(unknown("utility", self.of, meter.utilities))
        values = meter.utilities[self.of]
        missing = [item.id for item in items if item.id not in values]
        if missing:
            raise UsageError(
                f"oracle:{self.of}: no value for {len(missing)} of {len(items)} items: "
                f"{listed(missing)}"
            )

    def describe(self, meter: Meter) -> Mapping[str, Any]:
        """Its name; the suite's manifest has the values."""
        return {"utility": self.of}

    async def score(self, items: Sequence[Item], meter: Meter) -> Measured:
        """The values as they are."""
        values = meter.utilities[self.of]
        return Measured({item.id: values[item.id] for item in items})
