"""What a batch brought back, put where replies are kept, and what of it is amiss, counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from selectllm.core.errors import ProviderError
from selectllm.core.shown import counted
from selectllm.jobs.session import Session
from selectllm.models.model import Request
from selectllm.models.providers.batch_lines import NO_ANSWER, BatchAnswers
from selectllm.models.providers.outcome import Outcomes
from selectllm.models.wrappers.batch import Collected, in_batches
from selectllm.models.wrappers.budget import Ledger


@dataclass
class Taking:
    """Takes answers to `wanted`, which are requests by key, into the session's cache.

    `kept`: answers that were of use. `again`: questions that go into another batch.
    `spent`: what they cost.
    """

    session: Session
    wanted: Mapping[str, Request]
    kept: int = 0
    missing: int = 0
    again: int = 0
    errors: list[ProviderError] = field(default_factory=list)
    spent: Ledger = field(default_factory=Ledger)
    _collected: dict[str, Collected] = field(default_factory=dict)

    async def take(self, answers: BatchAnswers) -> set[str]:
        """Keep every answer; the keys of the questions that are not answered.

        Raises the ProviderError of an answer that says that none can succeed, after all others
        were kept.
        """
        failed: set[str] = set()
        for key, request in self.wanted.items():
            outcome = answers.outcomes.get(key)
            self.missing += outcome is None
            try:
                await self._of(request).keep(request, outcome or NO_ANSWER)
                self.kept += 1
            except ProviderError as error:
                failed.add(key)
                self.errors.append(error)
                assert self.session.batch is not None
                self.again += self.session.batch.note(key, error)
        return failed

    def oddities(self, answers: BatchAnswers, asked: Iterable[str]) -> list[str]:
        """What was not as it should be, counted, in words."""
        unknown = len(answers.unknown(frozenset(asked)))
        counts = {
            "without an answer": self.missing,
            "that failed": len(self.errors) - self.missing,
        }
        said = [f"{counted(count, 'question')} {what}" for what, count in counts.items() if count]
        lines = {
            "for questions that were not asked": unknown,
            "that came twice": answers.doubled,
            "that cannot be read": answers.garbage,
        }
        return [*said, *(f"{counted(n, 'line')} {what}" for what, n in lines.items() if n)]

    def _of(self, request: Request) -> Collected:
        name = request.model.name
        if name not in self._collected:
            session = self.session
            outcomes = Outcomes(in_batches(request.model), os.environ)
            self._collected[name] = Collected(outcomes, self.spent, session.calls, session.cache)
        return self._collected[name]
