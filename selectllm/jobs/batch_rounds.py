"""The batches of one job, round after round: sent, waited for, collected."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from selectllm.core.codec import pretty_json
from selectllm.core.errors import BatchUnderWay, ProviderError
from selectllm.core.files import read_json, write_text
from selectllm.core.shown import counted
from selectllm.core.stopping import rest
from selectllm.jobs.batch_journal import BatchJournal, SentBatch
from selectllm.jobs.batch_sending import Asked, Reserved, Sending
from selectllm.jobs.batch_taking import Taking
from selectllm.jobs.session import Session
from selectllm.models.model import Request
from selectllm.models.providers.batch_calls import BatchStatus
from selectllm.models.providers.batch_lines import BatchAnswers
from selectllm.models.providers.batch_service import BatchService, open_batches
from selectllm.models.wrappers.batch import Batch
from selectllm.models.wrappers.held import Held
from selectllm.models.wrappers.single_flight import single_flight

FIRST_LOOK, LAST_LOOK = 1.0, 60.0  # seconds between looks at a batch that is under way
ENDED = {"completed", "failed", "expired", "cancelled", "ended"}  # the providers' words
NO_SUCH = 404  # the status by which a provider says that it has no such batch
LOCK = f"{1:064x}"  # the key under which processes take turns to send


def _asked(request: Request) -> Asked:
    return request.model.id, request.endpoint


@dataclass
class BatchRounds:
    """The batches of one job, round after round."""

    session: Session
    batch: Batch = field(init=False)
    journal: BatchJournal = field(init=False)
    _held: Held = field(init=False)
    _services: dict[Asked, BatchService] = field(default_factory=dict)
    _known: dict[str, SentBatch] = field(default_factory=dict)
    _reserved: dict[str, Reserved] = field(default_factory=dict)
    _adopted: bool = False

    def __post_init__(self) -> None:
        assert self.session.batch is not None
        self.batch = self.session.batch
        self.journal = BatchJournal(self.session.workspace.cache / "batches")
        self._held = Held(self.session.note, "sends batches from the same cache")

    async def answer(self) -> None:
        """Send what is wanted and not under way yet; then collect what is ended, or wait for it."""
        wanted, self.batch.wanted = self.batch.wanted, {}
        groups: defaultdict[Asked, dict[str, Request]] = defaultdict(dict)
        for key, request in wanted.items():
            groups[_asked(request)][key] = request
        for asked, requests in groups.items():
            if asked not in self._services:
                spec = next(iter(requests.values())).model
                self._services[asked] = open_batches(spec, os.environ)
        await self._alone(partial(self._adopt, groups))
        short = None
        for asked, requests in groups.items():
            sending = Sending(
                self.session,
                self.journal,
                self._services[asked],
                asked,
                requests,
                self._reserved,
            )
            await self._alone(sending.send)
            short = short or sending.short
        awaited = [b for b in self.journal.open() if self.journal.awaited(b) & wanted.keys()]
        if short is not None and not awaited:
            raise short
        for batch in awaited:
            self._known[batch.name] = batch
        self._write()
        await self._collect(awaited, wanted)

    async def _adopt(self, groups: Mapping[Asked, Mapping[str, Request]]) -> None:
        """Note in the journal what the run's folder says is under way and the journal has lost.

        So it is when the cache was moved or another one is used. Which questions it has, its
        answers say; until then none of its model is asked.
        """
        place = self.batch.place
        if self._adopted or place is None or not place.exists():
            return
        self._adopted = True
        known = {batch.id for batch in self.journal.open()}
        for row in read_json(place).get("batches", ()):
            asked = row.get("model"), row.get("endpoint")
            if row.get("id") in known or row.get("status") in ENDED or asked not in groups:
                continue
            try:
                status = await self._services[asked].status(row["id"])
            except ProviderError as error:
                if error.status != NO_SUCH:
                    raise
                continue
            batch = self.journal.begin(*asked, groups[asked])
            batch = replace(batch, id=row["id"], questions=row["questions"])
            self.journal.note(batch.noted(status))

    async def _alone(self, send: Callable[[], Awaitable[None]]) -> None:
        """`send` while no other process or job of this cache does."""

        async def work() -> bool:
            await send()
            return True

        self.journal.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await single_flight(
            self.journal.folder / "sending.lock", LOCK, lambda: None, work, held=self._held
        )

    async def _collect(self, awaited: list[SentBatch], wanted: Mapping[str, Request]) -> None:
        wait, total = FIRST_LOOK, sum(batch.questions for batch in awaited)
        with self.session.progress("waiting for batches") as progress:
            while True:
                done, left = 0, []
                for batch in awaited:
                    status = await self._status(batch)
                    done += batch.questions if status.ended else status.done
                    if not status.ended:
                        left.append(self._known[batch.name])
                    else:
                        await self._take(self._known[batch.name], status, wanted)
                awaited = left
                if progress is not None:
                    progress(min(done, total), total)
                if not awaited or not self.session.settings.wait:
                    break
                await rest(wait)
                wait = min(wait * 1.5, LAST_LOOK)
        if awaited:
            are = "1 batch is" if len(awaited) == 1 else f"{len(awaited)} batches are"
            raise BatchUnderWay(
                f"{are} under way: {', '.join(batch.words for batch in awaited)}. To collect the "
                "answers, run the same command again"
            )

    async def _status(self, batch: SentBatch) -> BatchStatus:
        assert batch.id is not None
        status = await self._services[batch.model, batch.endpoint].status(batch.id)
        self.note(batch.noted(status))
        return status

    async def _take(
        self, batch: SentBatch, status: BatchStatus, wanted: Mapping[str, Request]
    ) -> None:
        """Put the answers of a batch that ended into the cache."""
        service = self._services[batch.model, batch.endpoint]
        answers, keys = await service.answers(status), self.journal.keys(batch)
        if answers.outcomes and not answers.outcomes.keys() & keys:
            # Found by its size and time alone, and another's: look again.
            others = (*batch.others, status.id)
            self.note(replace(batch, id=None, ended=False, status="intended", others=others))
            return
        awaited = self.journal.awaited(batch)
        taking = Taking(self.session, {key: wanted[key] for key in wanted if key in awaited})
        failed = await taking.take(answers)
        await self.batch.ledger.settle_part(self._reserved.pop(batch.name, ()), taking.spent)
        batch = replace(batch, failed=batch.failed | failed)
        self.note(batch)
        if not any(self.session.cache.get(k) is None for k in awaited - failed - wanted.keys()):
            self.journal.drop(batch)
        if not status.stopped:
            self._tell(batch, status, taking, answers)
        else:
            raise ProviderError(
                f"The batch {batch.words} failed{_because(status)}. "
                f"{counted(taking.kept, 'answer')} of it {'is' if taking.kept == 1 else 'are'} "
                "kept. Correct the cause, and run the same command again to ask the rest in a "
                "new batch"
            )

    def _tell(
        self, batch: SentBatch, status: BatchStatus, taking: Taking, answers: BatchAnswers
    ) -> None:
        """Tell what of a batch did not come back as it should."""
        odd = taking.oddities(answers, self.journal.keys(batch))
        if odd or status.word == "expired":
            again = f" {counted(taking.again, 'question')} will be asked again in another batch."
            self.session.note(
                f"Note: The batch {batch.words} came back with {taking.kept:,} usable answers"
                f"{''.join(f'; {each}' for each in odd)}.{again if taking.again else ''}"
            )

    def note(self, batch: SentBatch) -> None:
        """Note a batch in the journal, and in the run's folder."""
        self.journal.note(batch)
        self._known[batch.name] = batch
        self._write()

    def _write(self) -> None:
        if self.batch.place is not None:
            rows = [_row(each) for each in self._known.values() if each.id is not None]
            write_text(self.batch.place, pretty_json({"batches": rows}))

    async def close(self) -> None:
        """Close the connections."""
        for service in self._services.values():
            await service.close()


def _because(status: BatchStatus) -> str:
    return f": {status.reason.rstrip('.')}" if status.reason else ""


def _row(batch: SentBatch) -> dict[str, Any]:
    """What a run's folder says of a batch."""
    return {
        "id": batch.id,
        "model": batch.model,
        "endpoint": batch.endpoint,
        "questions": batch.questions,
        "status": batch.status,
        "failed": len(batch.failed),
    }
