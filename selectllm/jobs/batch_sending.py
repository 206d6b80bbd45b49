"""Sending the questions of one model in batches, none of them twice, whenever a process is killed.

Each step is noted before the next one: that a batch is intended, the file that was uploaded, the id
of the batch. Where the last note is that it may have been sent, the provider is asked for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from selectllm.core.errors import BudgetReached, ProviderError
from selectllm.core.stopping import rest
from selectllm.jobs.batch_journal import BatchJournal, SentBatch
from selectllm.jobs.session import Session
from selectllm.models.model import Request
from selectllm.models.providers.batch_calls import UNLISTED
from selectllm.models.providers.batch_service import BatchService
from selectllm.models.wrappers.batch import reservation_in_batches
from selectllm.models.wrappers.bill import Bill
from selectllm.models.wrappers.budget import Ledger, Reservation

SETTLED = 5.0  # seconds after which a provider lists a batch that it was sent
SENDS = 3  # tries to send one batch
PATIENCE = 2.0  # seconds that room in the budget is waited for

Reserved = tuple[Reservation, ...]
Asked = tuple[str, str | None]
"""A model's id and endpoint: who answers a batch."""


@dataclass
class Sending:
    """Sends the questions of one model, as far as they are not on their way already.

    `reserved`: takes what is set aside for each batch, by its name. `short`: the budget had
    no room for any question.
    """

    session: Session
    journal: BatchJournal
    service: BatchService
    asked: Asked
    requests: Mapping[str, Request]
    reserved: dict[str, Reserved]
    short: BudgetReached | None = None

    async def send(self) -> None:
        """Find what a process that was killed may have sent; send what is left.

        What has no room in the budget is left out. Raises ProviderError as the service does, and
        ModelError for a model without a price under a limit.
        """
        claimed: set[str] = set()
        for batch in list(self.journal.open()):
            if (batch.model, batch.endpoint) != self.asked:
                continue
            if batch.id is not None or await self._found(batch):
                claimed |= self.journal.awaited(batch)
            else:
                self.journal.drop(batch)
        cache = self.session.cache
        fresh = [
            request
            for key, request in self.requests.items()
            if key not in claimed and cache.get(key) is None
        ]
        async for lines, cost in self._parts(fresh):
            try:
                async with asyncio.timeout(PATIENCE):  # what it would wait for may be a batch
                    reserved = await self.ledger.reserve(cost)
            except TimeoutError:
                return
            except BudgetReached as error:
                self.short = error
                return
            await self._sent(lines, reserved)

    async def _parts(
        self, requests: Sequence[Request]
    ) -> AsyncIterator[tuple[dict[str, bytes], Bill]]:
        """Questions by key, as many as a batch may hold, and what they may come to."""
        ledger, service = self.ledger, self.service
        lines: dict[str, bytes] = {}
        size, cost = 0, Bill()
        for request in requests:
            most = reservation_in_batches(ledger, request)
            if not ledger.fits(cost + most):
                self.short = self._short(most)
                break
            line = await service.line(request)
            if lines and (len(lines) == service.most or size + len(line) > service.most_bytes):
                yield lines, cost
                lines, size, cost = {}, 0, Bill()
            lines[request.key] = line
            size, cost = size + len(line) + 1, cost + most
        if lines:
            yield lines, cost

    def _short(self, most: Bill) -> BudgetReached:
        """No room for a question that can come to `most`."""
        full = next((each for each in self.ledger.shared_budgets() if not each.fits(most)), None)
        named = "" if full is None else f" {full.name!r} that this workspace shares"
        spent = self.ledger.spent if full is None else full.spent.usd
        raised = "`max_cost`, or the limit of tokens or requests" if full is None else "its limit"
        return BudgetReached(
            f"The budget{named} has no room for the next question, which could cost "
            f"{most.usd:.4f} USD in a batch; {spent:.4f} USD are spent. Raise {raised}, and run "
            "the same command again: what was paid for is kept",
            argument="max_cost" if full is None else None,
        )

    async def _sent(self, lines: Mapping[str, bytes], reserved: Reserved) -> None:
        """Send one batch."""
        batch = self.journal.begin(*self.asked, lines)
        self.reserved[batch.name] = reserved
        try:
            await self._created(batch, list(lines.values()))
        except ProviderError:
            await self.ledger.settle(self.reserved.pop(batch.name), Bill(), priced=True)
            raise

    @property
    def ledger(self) -> Ledger:
        """What it is paid from."""
        assert self.session.batch is not None
        return self.session.batch.ledger

    async def _created(self, batch: SentBatch, lines: Sequence[bytes]) -> None:
        try:
            file = await self.service.upload(batch.name, lines)
        except ProviderError:
            self.journal.drop(batch)
            raise
        for tried in range(1, SENDS + 1):
            batch = replace(batch, file=file, at=time.time(), status="uploaded")
            self.journal.note(batch)
            try:
                made = await self.service.create(batch.name, file, lines)
            except ProviderError as error:
                if error.retryable and await self._found(batch):
                    return
                if not error.retryable or tried == SENDS:
                    self.journal.drop(batch)
                    raise
            else:
                self.journal.note(replace(batch, id=made, status="sent"))
                return

    async def _found(self, batch: SentBatch) -> bool:
        """Whether a batch that may have been sent was, which is then noted."""
        others = {each.id for each in self.journal.open() if each.id} | set(batch.others)
        begun = time.monotonic()
        while True:
            try:
                found = await self.service.find(replace(batch.sought, others=others))
            except ProviderError as error:
                if error.status not in UNLISTED:
                    raise
                raise error.reworded(
                    f"{batch.model}: a batch of {batch.questions:,} questions may have been sent "
                    "when this was stopped, and the server cannot list its batches. If it has none "
                    f"of that size, remove {self.journal.folder / batch.name}.json and run the "
                    "same command again"
                ) from None
            if found is not None:
                self.journal.note(replace(batch, id=found, status="sent"))
                return True
            # By the clock that nobody sets, too: the other may have been put back since.
            wait = SETTLED - max(time.time() - batch.at, time.monotonic() - begun)
            if wait <= 0:
                return False
            await rest(min(wait, SETTLED))
