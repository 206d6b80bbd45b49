"""The ledger: what a call can cost is set aside before it is sent, and settled by its reply.

A call that does not say what it cost is settled at its reservation, the most that it can have cost
by what is known of the model.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from selectllm.core.errors import BudgetReached, ModelError, ProviderError
from selectllm.core.stopping import stopped
from selectllm.core.types import Reply
from selectllm.models.model import Model, ModelSpec, Price, Request
from selectllm.models.wrappers.bill import Bill, Limits
from selectllm.models.wrappers.shared_budget import SharedBudget

RESERVE_MARGIN = 1.3  # the token estimate's error, see tokens.py
ABSURD = 10_000_000  # tokens; no call has more
MAY_BE_BILLED = ("timeout", "broken")  # kinds of failures after which a provider may bill the call


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is set aside for calls. `shared`: its number in a shared budget, None without one."""

    bill: Bill
    shared: int | None = None


class Ledger:
    """What a command has spent, and the most it may (`max_cost` in USD, None for no limit).

    `limits`: further limits; its `usd` is `max_cost`. `allow_unpriced`: models without a known
    price may be called under a limit in USD; they count 0. `whole`: the ledger that this one is a
    part of; it keeps the limits, and counts what is spent here too. `shared`: a budget of the
    workspace that this ledger spends from as well. `note`: hears of bills that nobody could
    expect. `spent`: USD, of which `assumed` is for
    `assumed_calls` that did not say what they cost. `unpriced_calls`: those without a known price.
    """

    def __init__(
        self,
        max_cost: float | None = None,
        *,
        limits: Limits | None = None,
        allow_unpriced: bool = False,
        whole: Ledger | None = None,
        shared: SharedBudget | None = None,
        note: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.note = note
        self.limits = limits or Limits(max_cost)
        self.allow_unpriced = allow_unpriced
        self.shared = shared
        self.assumed = 0.0
        self.assumed_calls = 0
        self.unpriced_calls = 0
        self._whole = whole
        self._spent = Bill()
        self._reserved = Bill()
        self._waiting = 0
        self._settled = asyncio.Condition()

    @property
    def spent(self) -> float:
        """USD spent so far."""
        return self._spent.usd

    @property
    def limited(self) -> bool:
        """Whether anything limits what is spent here."""
        return any(limits.any for limits in self._all_limits())

    @property
    def limits_cost(self) -> bool:
        """Whether there is a limit in USD."""
        return any(limits.usd is not None for limits in self._all_limits())

    def part(self, shared: SharedBudget | None = None) -> Ledger:
        """A ledger for one of several jobs that spend from this one, maybe at once.

        `shared`: what that job spends from besides.
        """
        return Ledger(
            limits=self.limits,
            allow_unpriced=self.allow_unpriced,
            whole=self,
            shared=shared,
            note=self.note,
        )

    def fits(self, bill: Bill) -> bool:
        """Whether `bill` could be set aside now, as far as this process knows."""
        if self._whole is not None and not self._whole.fits(bill):
            return False
        if self.shared is not None and not self.shared.fits(bill):
            return False
        return not self.limits.any or self.limits.allow(self._spent + self._reserved + bill)

    async def settle_part(self, reserved: Sequence[Reservation], part: Ledger) -> None:
        """Count what `part` spent, for which `reserved` was set aside; empty if by nobody here.

        Nothing can stop it any more: so it is with the answers of a batch.
        """
        if reserved:
            await self.settle(reserved, part._spent, priced=True)
        for ledger in self._chain():
            if not reserved:
                ledger._spent += part._spent
            ledger.assumed += part.assumed
            ledger.assumed_calls += part.assumed_calls
            ledger.unpriced_calls += part.unpriced_calls

    def _chain(self) -> Iterator[Ledger]:
        """Itself, and what it is a part of."""
        yield self
        if self._whole is not None:
            yield from self._whole._chain()

    def shared_budgets(self) -> Iterator[SharedBudget]:
        """Those that are spent from here."""
        if self.shared is not None:
            yield self.shared
        if self._whole is not None:
            yield from self._whole.shared_budgets()

    async def reserve(self, bill: Bill) -> tuple[Reservation, ...]:
        """Set `bill` aside, waiting for calls in flight to settle where that may make room.

        Raises BudgetReached when it cannot fit.
        """
        number = None if self.shared is None else await self.shared.reserve(bill)
        own = Reservation(bill, number)
        try:
            if self._whole is not None:
                return (own, *await self._whole.reserve(bill))
            await self._reserve(bill)
        except BaseException:
            if self.shared is not None and number is not None:
                self.shared.settle(number, Bill())
            raise
        return (own,)

    async def settle(
        self, reserved: Sequence[Reservation], spent: Bill, *, priced: bool, assumed: bool = False
    ) -> None:
        """Replace reservations by what the call came to.

        `priced`: whether what it cost is known. `assumed`: nobody said what it cost, and
        `spent.usd` is the most that it can be.
        """
        own, *others = reserved
        self._spent += spent
        self.unpriced_calls += not priced
        if assumed:
            self.assumed += spent.usd
            self.assumed_calls += 1
        try:
            if self.shared is not None and own.shared is not None:
                self.shared.settle(own.shared, spent, spent.usd if assumed else 0.0)
        finally:
            if self._whole is not None:
                await self._whole.settle(others, spent, priced=priced, assumed=assumed)
            elif self.limits.any:
                async with self._settled:
                    self._reserved -= own.bill
                    self._waiting -= 1
                    if not self._waiting:
                        self._reserved = Bill()  # without the last digits of what was added
                    self._settled.notify_all()

    async def _reserve(self, bill: Bill) -> None:
        if not self.limits.any:
            return
        async with self._settled:
            while not self.limits.allow(self._spent + self._reserved + bill):
                if not self._waiting:
                    raise BudgetReached(
                        f"{self.limits.words(self._spent, bill)}. Raise it and run the same "
                        "command again: what was paid for is kept",
                        argument=self.limits.argument(self._spent + bill),
                    )
                await self._settled.wait()
            self._reserved += bill
            self._waiting += 1

    def _all_limits(self) -> Iterator[Limits]:
        yield self.limits
        yield from (shared.limits for shared in self.shared_budgets())


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
        if self._ledger.limited and not self._asked:
            async with self._first:
                if not self._asked:
                    async with self._alone(request.model):
                        reply = await self._paid(request)
                    self._asked = True
                    return reply
        return await self._paid(request)

    @contextlib.asynccontextmanager
    async def _alone(self, model: ModelSpec) -> AsyncIterator[None]:
        """Until the first call of `model` is answered, no other process calls it either."""
        async with contextlib.AsyncExitStack() as stack:
            for shared in self._ledger.shared_budgets():
                if shared.shown(model.id) is None:
                    await stack.enter_async_context(shared.first_call(model.id))
            yield

    async def _paid(self, request: Request) -> Reply:
        bill = self.reservation(request)
        reserved = await self._ledger.reserve(bill)
        spent: float | None = 0.0
        tokens = requests = 0
        assumed = False
        try:
            if stopped():  # while it waited for room
                raise asyncio.CancelledError
            requests, tokens = 1, bill.tokens
            reply = self._settled(request, await self._inner.complete(request))
            spent = reply.cost_usd
            if reply.tokens_in is not None and reply.tokens_out is not None:
                tokens = reply.tokens_in + reply.tokens_out
            if spent is None:
                spent, assumed = reply.at_most_usd, reply.at_most_usd is not None
            return reply
        except ProviderError as error:
            spent = error.cost_usd
            if spent is None or (error.reply is None and error.kind in MAY_BE_BILLED):
                spent = error.at_most_usd = self._at_most(request)
                assumed = spent is not None
            elif error.reply is None:
                tokens = 0
            raise
        finally:
            settled = Bill(spent or 0.0, tokens, requests)
            await self._ledger.settle(reserved, settled, priced=spent is not None, assumed=assumed)

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()

    def _settled(self, request: Request, reply: Reply) -> Reply:
        """`reply`, without what it says of its cost if that cannot be."""
        counts = (reply.tokens_in, reply.tokens_out)
        if any(count is not None and not 0 <= count <= ABSURD for count in counts):
            reply = replace(reply, tokens_in=None, tokens_out=None, cost_usd=None)
        self._learn(request, reply)
        if reply.cost_usd is None:
            return replace(reply, at_most_usd=self._at_most(request))
        return reply

    def _learn(self, request: Request, reply: Reply) -> None:
        """What a reply shows of the tokens that later ones may be billed for."""
        before = self._written
        if reply.tokens_in and self._ledger.limited:
            read = reply.tokens_in / max(1, request.tokens)
            self._read = max(self._read, read)
        if reply.tokens_out:
            self._written = max(self._written, reply.tokens_out / request.max_tokens)
        for shared in self._ledger.shared_budgets():
            shared.show(request.model.id, self._read, self._written)
        if before == 1 < self._written:
            self._ledger.note(
                f"Note: {request.model.name} billed {reply.tokens_out:,} tokens for a reply that "
                f"may have {request.max_tokens:,} (`max_tokens`). Models that think bill their "
                f"thoughts this way. From now on {self._written:.1f} times `max_tokens` is set "
                "aside for each call. To spend less, set a lower `reasoning_effort` for the model."
            )

    def reservation(self, request: Request) -> Bill:
        """What to set aside before a request is sent.

        Raises ModelError under a limit in USD where the price is not known and must be.
        """
        if not self._ledger.limited:
            return Bill(requests=1)
        for shared in self._ledger.shared_budgets():
            read, written = shared.shown(request.model.id) or (1.0, 1.0)
            self._read, self._written = max(self._read, read), max(self._written, written)
        tokens = sum(self._tokens(request))
        if not self._ledger.limits_cost:
            return Bill(tokens=tokens, requests=1)
        most = self._at_most(request)
        if most is not None or self._ledger.allow_unpriced:
            return Bill(most or 0.0, tokens, 1)
        raise ModelError(
            f"model {request.model.name!r} has no known price (neither in litellm's table nor in "
            "the suite), so `max_cost` cannot be kept. Give the model a `price: "
            f"{{input: USD, output: USD}}` per million tokens, or pass `allow_unpriced`",
            argument="allow_unpriced",
        )

    def _tokens(self, request: Request) -> tuple[int, int]:
        """Tokens that the call can read and write, by what the model's replies have shown."""
        read = request.tokens * RESERVE_MARGIN * self._read
        return round(read), round(request.max_tokens * self._written)

    def _at_most(self, request: Request) -> float | None:
        """USD that the call can cost; None: no price."""
        if not self._known:
            self._price, self._known = self._look_up(request.model), True
        return None if self._price is None else self._price.cost(*self._tokens(request))
