"""A scorer of the user's own, `module:attr`: its mistakes become our errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.errors import UsageError
from selectllm.core.names import listed
from selectllm.core.plugins import Port, calling, load
from selectllm.core.types import Item
from selectllm.selection.scorers.item_scorer import Ahead, ItemScorer, Measured, Meter

_PORT: Port[ItemScorer] = Port(
    what="scorer",
    kind="ItemScorer",
    contract="selectllm.selection.scorers.item_scorer.ItemScorer",
    is_one=lambda one: isinstance(one, ItemScorer),
)


@dataclass(frozen=True)
class OwnScorer(ItemScorer):
    """The scorer at `reference`; its manifests say what code it was."""

    reference: str
    inner: ItemScorer
    code_sha256: str | None

    def __post_init__(self) -> None:
        """Take over what the scorer says of itself."""
        for name in ("name", "calls_per_item", "asks_again", "needs_responses", "reads_items"):
            object.__setattr__(self, name, getattr(self.inner, name))

    @classmethod
    def load(cls, reference: str, base: Path | None) -> OwnScorer:
        """The scorer that `reference` names, of an installed module or of one in `base`."""
        plugin = load(_PORT, reference, base)
        return cls(reference, plugin.object, plugin.code_sha256)

    def check(self, items: Sequence[Item], meter: Meter) -> None:
        """As the scorer itself does."""
        with calling(self._called):
            self.inner.check(items, meter)

    def describe(self, meter: Meter) -> Mapping[str, Any]:
        """What the scorer says, and the sha256 of its module."""
        with calling(self._called):
            own = dict(self.inner.describe(meter))
        return {"scorer": self.reference, "code_sha256": self.code_sha256, **own}

    async def score(self, items: Sequence[Item], meter: Meter) -> Measured:
        """Its values. Raises UsageError unless there is a number for every item."""
        with calling(self._called):
            measured = await self.inner.score(items, meter)
            if not isinstance(measured, Measured):
                raise UsageError(
                    f"{self._called} gave {type(measured).__name__}. Return a Measured"
                )
            missing = [item.id for item in items if item.id not in measured.values]
            if missing:
                raise UsageError(
                    f"{self._called} gave no value for {len(missing)} of {len(items)} items: "
                    f"{listed(missing)}. Give NaN where there is none"
                )
            values = {item.id: float(measured.values[item.id]) for item in items}
        return Measured(values, measured.attempts)

    def ahead(self, items: Sequence[Item], meter: Meter) -> Ahead:
        """What the scorer will ask."""
        with calling(self._called):
            return self.inner.ahead(items, meter)

    @property
    def _called(self) -> str:
        return f"scorer {self.reference}"
