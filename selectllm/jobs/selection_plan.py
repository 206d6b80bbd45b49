"""What a selection would ask."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from selectllm.selection.by_model import RoundAhead

if TYPE_CHECKING:
    from selectllm.evaluation.planning.selection import SelectionOutlay


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """What a selection would ask; nothing was divided, sent or written.

    `items`: that are selected from. `budget`: None where a threshold decides. `selector`: the
    strategy, or the name of the model. `rounds`: of a model's tournament. `calls`: if every reply
    is valid; `calls_at_most`: with all re-asks. `prefilter_calls`: those that come first.
    `tokens`: of the prompts, estimated; None for a strategy. `sent`: what that takes beyond what is
    cached, in tokens, USD and time; None if no model is asked.
    """

    items: int
    budget: int | None
    selector: str
    calls: int
    calls_at_most: int
    rounds: tuple[RoundAhead, ...] = ()
    prefilter_calls: int = 0
    tokens: int | None = None
    sent: SelectionOutlay | None = None

    @property
    def usd(self) -> float | None:
        """What is sent costs this; 0 if no model is asked, None if its price is not known."""
        return 0.0 if self.sent is None else self.sent.outlay.usd

    def to_json(self) -> dict[str, Any]:
        """Rounds, calls and tokens, and what is sent."""
        plan: dict[str, Any] = {
            "rounds": [asdict(this) for this in self.rounds],
            "calls": self.calls,
            "calls_at_most": self.calls_at_most,
            "prefilter_calls": self.prefilter_calls,
        }
        if self.tokens is not None:
            plan |= {"tokens": self.tokens}
        if self.sent is not None:
            sent = self.sent
            plan |= {"cached": sent.cached, "looked_up": sent.looked_up}
            plan |= {"sent": sent.outlay.to_json()}
        return plan
