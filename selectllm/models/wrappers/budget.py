"""The cost ledger: money is reserved before a call is sent and settled when its reply is in.

A call that does not say what it cost is settled at its reservation, the most that it can have cost
by what is known of the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from selectllm.core.errors import BudgetReached, ModelError, ProviderError
from selectllm.core.stopping import stopped
from selectllm.core.types import Reply
from selectllm.models.model import Model, ModelSpec, Price, Request

RESERVE_MARGIN = 1.3  # the token estimate's error, see tokens.py
ABSURD = 10_000_000  # tokens; no call has more
MAY_BE_BILLED = ("timeout", "broken")  # kinds of failures after which a provider may bill the call


class Ledger:
    """What a command has spent, and the most it may (USD; None: no limit).

    `allow_unpriced`: models without a known price may be called under a limit; they count 0.
    `whole`: the ledger that this one is a part of; it keeps the limit, and counts what is spent
    here too. `spent`: USD, of which `assumed` is for `assumed_calls` that did not say what they
    cost. `unpriced_calls`: those without a known price.
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
        self.assumed = 0.0
        self.assumed_calls = 0
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

    async def settle(self, reserved: float, spent: float | None, *, assumed: bool = False) -> None:
        """Replace a reservation by what the call cost (None: the price is not known).

        `assumed`: nobody said what it cost, and `spent` is the most that it can be.
        """
        self.spent += spent or 0.0
        self.unpriced_calls += spent is None
        if assumed:
            self.assumed += spent or 0.0
            self.assumed_calls += 1
        if self._whole is not None:
            await self._whole.settle(reserved, spent, assumed=assumed)
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

    `price`: looks the model's price up, once and only where it is needed (it may read a table).
    Under a limit calls go one by one until the first is answered: its reply shows how many tokens
    the model makes of a text, by which the others are reserved. That can be four times our
    estimate where the text is in another script than Latin.
    """

    def __init__(
        self, inner: Model, ledger: Ledger, price: Callable[[ModelSpec], Price | None]
    ) -> None:
        self._inner = inner
        self._ledger = ledger
        self._look_up = price
        self._price: Price | None = None
        self._known = False
        self._first = asyncio.Lock()
        self._asked = False
        # At least 1: the most tokens read per token estimated, and written per token of max_tokens.
        self._read = self._written = 1.0

    async def complete(self, request: Request) -> Reply:
        """The inner model's reply, paid for. Raises BudgetReached before sending."""
        if self._ledger.max_cost is not None and not self._asked:
            async with self._first:
                if not self._asked:
                    reply = await self._paid(request)
                    self._asked = True
                    return reply
        return await self._paid(request)

    async def _paid(self, request: Request) -> Reply:
        reserved = self._reservation(request)
        await self._ledger.reserve(reserved)
        spent: float | None = 0.0
        assumed = False
        try:
            if stopped():  # while it waited for room
                raise asyncio.CancelledError
            reply = self._settled(request, await self._inner.complete(request))
            spent = reply.cost_usd
            if spent is None:
                spent, assumed = reply.at_most_usd, reply.at_most_usd is not None
            return reply
        except ProviderError as error:
            spent = error.cost_usd
            if spent is None or (error.reply is None and error.kind in MAY_BE_BILLED):
                spent = error.at_most_usd = self._at_most(request)
                assumed = spent is not None
            raise
        finally:
            await self._ledger.settle(reserved, spent, assumed=assumed)

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()

    def _settled(self, request: Request, reply: Reply) -> Reply:
        """`reply`, without what it says of its cost if that cannot be."""
        counts = (reply.tokens_in, reply.tokens_out)
        if any(count is not None and not 0 <= count <= ABSURD for count in counts):
            reply = replace(reply, tokens_in=None, tokens_out=None, cost_usd=None)
        if reply.cost_usd is None:
            return replace(reply, at_most_usd=self._at_most(request))
        if reply.tokens_in and self._ledger.max_cost is not None:
            read = reply.tokens_in / max(1, request.tokens)
            self._read = max(self._read, read)
        if reply.tokens_out:
            self._written = max(self._written, reply.tokens_out / request.max_tokens)
        return reply

    def _reservation(self, request: Request) -> float:
        if self._ledger.max_cost is None:
            return 0.0
        most = self._at_most(request)
        if most is not None:
            return most
        if self._ledger.allow_unpriced:
            return 0.0
        raise ModelError(
            f"{request.model.name} has no known price (neither in litellm's table nor in the "
            "suite), so `max_cost` cannot be kept. Give the model a `price: "
            f"{{input: USD, output: USD}}` per million tokens, or pass `allow_unpriced`",
            argument="allow_unpriced",
        )

    def _at_most(self, request: Request) -> float | None:
        """USD that the call can cost, by what the model's replies have shown; None: no price."""
        if not self._known:
            self._price, self._known = self._look_up(request.model), True
        if self._price is None:
            return None
        tokens_in = request.tokens * RESERVE_MARGIN * self._read
        return self._price.cost(round(tokens_in), round(request.max_tokens * self._written))
