"""The cost ledger: money is reserved before a call is sent and settled when its reply is in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from selectllm.core.errors import BudgetReached, ModelError, ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import Model, ModelSpec, Price, Request
from selectllm.models.tokens import estimate_tokens

RESERVE_MARGIN = 1.3  # the token estimate's error, see tokens.py


class Ledger:
    """What a command has spent, and the most it may (USD; None: no limit).

    `allow_unpriced`: models without a known price may be called under a limit; they count 0.
    `whole`: the ledger that this one is a part of; it keeps the limit, and counts what is spent
    here too.
    """

    def __init__(
        self,
        max_cost: float | None = None,
        *,
        allow_unpriced: bool = False,
        whole: Ledger | None = None,
    ) -> None:
        self.max_cost = max_cost
        self.allow_unpriced = allow_unpriced
        self.spent = 0.0
        self.unpriced_calls = 0
        self._whole = whole
        self._reserved = 0.0
        self._settled = asyncio.Condition()

    def part(self) -> Ledger:
        """A ledger for one of several jobs that spend from this one, maybe at once."""
        return Ledger(self.max_cost, allow_unpriced=self.allow_unpriced, whole=self)

    async def reserve(self, usd: float) -> None:
        """Set `usd` aside, waiting for calls in flight to settle where that may make room.

        Raises BudgetReached when it cannot fit.
        """
        if self._whole is not None:
            await self._whole.reserve(usd)
            return
        if self.max_cost is None:
            return
        async with self._settled:
            while self.spent + self._reserved + usd > self.max_cost:
                if self._reserved <= 0:
                    raise BudgetReached(
                        f"`max_cost` {self.max_cost:g} USD reached: {self.spent:.4f} spent, and "
                        f"the next call could cost {usd:.4f}. Raise it and run the same command "
                        "again: what was paid for is kept",
                        argument="max_cost",
                    )
                await self._settled.wait()
            self._reserved += usd

    async def settle(self, reserved: float, spent: float | None) -> None:
        """Replace a reservation by what the call cost (None: the price is not known)."""
        self.spent += spent or 0.0
        self.unpriced_calls += spent is None
        if self._whole is not None:
            await self._whole.settle(reserved, spent)
            return
        if self.max_cost is None:
            return
        async with self._settled:
            self._reserved -= reserved
            if self._reserved < 1e-12:
                self._reserved = 0.0
            self._settled.notify_all()


class Budgeted:
    """A model whose calls go through a ledger.

    `price`: looks the model's price up, once and only under a limit (it may load litellm).
    """

    def __init__(
        self, inner: Model, ledger: Ledger, price: Callable[[ModelSpec], Price | None]
    ) -> None:
        self._inner = inner
        self._ledger = ledger
        self._look_up = price
        self._price: Price | None = None
        self._known = False

    async def complete(self, request: Request) -> Reply:
        """The inner model's reply, paid for. Raises BudgetReached before sending."""
        reserved = self._reservation(request)
        await self._ledger.reserve(reserved)
        spent: float | None = 0.0
        try:
            reply = await self._inner.complete(request)
            spent = reply.cost_usd
        except ProviderError as error:  # what came back may have been billed all the same
            spent = error.cost_usd
            raise
        finally:
            await self._ledger.settle(reserved, spent)
        return reply

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()

    def _reservation(self, request: Request) -> float:
        if self._ledger.max_cost is None:
            return 0.0
        if not self._known:
            self._price, self._known = self._look_up(request.model), True
        if self._price is not None:
            tokens_in = estimate_tokens(request.messages) * RESERVE_MARGIN
            return self._price.cost(round(tokens_in), request.max_tokens)
        if self._ledger.allow_unpriced:
            return 0.0
        raise ModelError(
            f"{request.model.name}: not priced (neither litellm's table nor the suite has a price "
            "for it), so `max_cost` cannot be kept; give the model a "
            "`price: {input: USD, output: USD}` per million tokens, or pass `allow_unpriced`",
            argument="allow_unpriced",
        )
