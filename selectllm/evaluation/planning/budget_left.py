"""What is left of a budget that several commands share."""

from __future__ import annotations

from selectllm.core.document import Part, Tally
from selectllm.core.figures import Amount


class BudgetLeft(Part):
    """A named budget: what may be spent, and what all commands together have spent.

    A limit is null if there is none. Money that is set aside for calls under way is not counted.
    """

    name: str
    limit_usd: Amount | None
    limit_tokens: Tally | None
    limit_requests: Tally | None
    spent_usd: Amount
    spent_tokens: Tally
    spent_requests: Tally

    def told(self, usd: float | None) -> str:
        """What is left, in sentences, beside the `usd` that something can be expected to cost."""
        parts = []
        if self.limit_usd is not None:
            left = max(0.0, self.limit_usd - self.spent_usd)
            parts.append(f"{left:,.4f} of {self.limit_usd:,.4f} USD")
        for what, limit, spent in (
            ("tokens", self.limit_tokens, self.spent_tokens),
            ("requests", self.limit_requests, self.spent_requests),
        ):
            if limit is not None:
                parts.append(f"{max(0, limit - spent):,} of {limit:,} {what}")
        text = f"Of the budget {self.name!r} {' and '.join(parts)} are left."
        if usd is not None and self.limit_usd is not None and usd > self.limit_usd - self.spent_usd:
            text += f" That is less than the {usd:,.4f} USD that this can be expected to cost."
        return text
