"""What a selection would ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from selectllm.core.shown import counted
from selectllm.selection.by_model import RoundAhead

if TYPE_CHECKING:
    from selectllm.evaluation.planning.budget_left import BudgetLeft
    from selectllm.evaluation.planning.schema import Destination
    from selectllm.evaluation.planning.selection import SelectionOutlay


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """What a selection would ask and cost; nothing was divided, sent or written.

    `items`: the number of items to select from. `budget`: None if a threshold decides. `selector`:
    the strategy, or the name of the model. `rounds`: the rounds of a model's tournament. `calls`:
    the number of calls if every reply is valid; `calls_at_most`: with all repeated questions.
    `prefilter_calls`: the calls of the prefilter. `tokens`: an estimate for the prompts; None for a
    strategy. `sent`: what is not cached yet, in tokens, USD and time; None if no model is asked.
    `destinations`: the hosts that will see texts of the pool. `shared_budgets`: what is left of the
    budgets that it would be paid from.
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
    destinations: tuple[Destination, ...] = ()
    shared_budgets: tuple[BudgetLeft, ...] = ()

    @property
    def usd(self) -> float | None:
        """What is sent costs this; 0 if no model is asked, None if its price is not known."""
        return 0.0 if self.sent is None else self.sent.outlay.usd

    @property
    def text(self) -> str:
        """The plan in sentences, one a line."""
        from selectllm.evaluation.planning.schema import destinations_told

        budgets = [each.told(self.usd) for each in self.shared_budgets]
        sent = [*self._sent(), *budgets, destinations_told(self.destinations)]
        return "\n".join([*self._asked(), *sent])

    def _asked(self) -> Iterator[str]:
        if self.prefilter_calls:
            calls = counted(self.prefilter_calls, "call")
            yield f"The prefilter first takes {calls}, if every reply is valid."
        for number, this in enumerate(self.rounds):
            clusters = counted(this.clusters, "cluster")
            if this.calls:
                picks = counted(this.picks, "pick")
                told = f"of about {this.size} items, with at least {picks} from each."
            else:
                one = "is" if this.clusters == 1 else "are"
                told = f"of {this.size} items {one} taken whole, without asking."
            yield f"Round {number}: {clusters} {told}"
        if self.rounds:
            yield (
                f"{self.selector} is asked {counted(self.calls, 'time')} if every reply is valid, "
                f"and at most {counted(self.calls_at_most, 'time')}. The prompts have about "
                f"{self.tokens} tokens (an estimate)."
            )
        else:
            count = "the items at or above the threshold" if self.budget is None else self.budget
            yield (
                f"The strategy {self.selector} would select {count} of "
                f"{counted(self.items, 'item')}, with {counted(self.calls, 'call')} "
                f"({self.calls_at_most} at most)."
            )

    def _sent(self) -> Iterator[str]:
        """What is sent beyond what is cached."""
        if self.sent is None or not self.calls:
            return
        sent, outlay = self.sent, self.sent.outlay
        if sent.looked_up:
            cached = f"{sent.cached:,} of the {sent.looked_up:,} decisions that could be looked up"
        else:
            cached = "not known before the pool is embedded, so none is assumed"
        yield f"Already cached: {cached}."
        price = "an unknown price (to give it, use `price=...`)"
        if outlay.usd is not None and outlay.usd_most is not None:
            price = f"{outlay.usd:.4f} USD ({outlay.usd_most:.4f} at most)"
        yield (
            f"About {outlay.calls:,} calls will be sent, with {outlay.tokens_in:,} tokens in and "
            f"{outlay.tokens_out:,} tokens out. They will cost {price} and take about "
            f"{outlay.hours * 3600:,.0f} seconds."
        )

    def to_json(self) -> dict[str, Any]:
        """Rounds, calls and tokens, and what is sent."""
        plan: dict[str, Any] = {
            "rounds": [asdict(this) for this in self.rounds],
            "calls": self.calls,
            "calls_at_most": self.calls_at_most,
            "prefilter_calls": self.prefilter_calls,
            "destinations": [each.to_json() for each in self.destinations],
        }
        if self.shared_budgets:
            plan |= {"shared_budgets": [each.to_json() for each in self.shared_budgets]}
        if self.tokens is not None:
            plan |= {"tokens": self.tokens}
        if self.sent is not None:
            sent = self.sent
            plan |= {"cached": sent.cached, "looked_up": sent.looked_up}
            plan |= {"sent": sent.outlay.to_json()}
        return plan
