"""Asking in batches: a question without a reply is noted, for a batch to ask it with all others.

What is noted is missing until then (ReplyMissing), as it is offline. Once the batch's answers are
in the reply cache, the same job finds them there; what it asks in consequence is noted again.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path

from selectllm.core.errors import ProviderError, ReplyMissing
from selectllm.core.types import Reply
from selectllm.models.model import Model, ModelSpec, Request
from selectllm.models.providers.batch_lines import Outcome
from selectllm.models.providers.model_table import price_in_batches
from selectllm.models.providers.outcome import Outcomes
from selectllm.models.wrappers.bill import Bill
from selectllm.models.wrappers.budget import Budgeted, Ledger
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.cached import Cached
from selectllm.models.wrappers.counted import CallCount, Counted
from selectllm.models.wrappers.pace import Paces
from selectllm.models.wrappers.retry import Retrying, RetryPolicy
from selectllm.models.wrappers.truncation_guard import TruncationGuard

ROUNDS = 3  # batches in which a question is asked that the provider fails to answer
ONCE = RetryPolicy(attempts=1, patience=0.0, busy_attempts=1)


@dataclass
class Batch:
    """What one job asks in batches.

    `check`: raises ModelError for a model that cannot be asked so. `wanted`: by request key, what
    has no reply yet. `failed`: what could not be answered, and why. `place`: a file in which the
    job's batches are noted. `ledger`: what its answers are paid from. `whole`: models that run on
    this machine are not asked meanwhile either, unless they are scripted; what they lack is noted.
    """

    check: Callable[[ModelSpec], None]
    wanted: dict[str, Request] = field(default_factory=dict)
    failed: dict[str, ProviderError] = field(default_factory=dict)
    place: Path | None = None
    ledger: Ledger = field(default_factory=Ledger)
    whole: bool = False
    _tries: dict[str, int] = field(default_factory=dict)

    def ask(self, request: Request) -> Reply:
        """Note a question. Raises ReplyMissing, or what kept it from being answered."""
        error = self.failed.get(request.key)
        if error is not None:
            raise copy(error)
        self.wanted[request.key] = request
        raise ReplyMissing(f"no reply of {request.model.name} yet")

    def note(self, key: str, error: ProviderError) -> bool:
        """Note that a question was not answered; whether it goes into another batch."""
        self._tries[key] = self._tries.get(key, 0) + 1
        if error.retryable and self._tries[key] < ROUNDS:
            return True
        if error.retryable:
            error = error.reworded(f"{error} Gave up after {ROUNDS} batches.")
            error.retryable, error.fatal, error.kind = False, False, "request"
        self.failed[key] = error
        return False


class Batched:
    """A model whose questions wait for a batch. Raises ModelError as `Batch.check` does."""

    def __init__(self, spec: ModelSpec, batch: Batch) -> None:
        batch.check(spec)
        self._batch = batch

    async def complete(self, request: Request) -> Reply:
        """Note the question; there is no reply yet."""
        return self._batch.ask(request)

    async def close(self) -> None:
        """Nothing was opened."""


class Collected:
    """What a batch's answers become: the same as those of calls, by the same wrappers.

    They are priced as batches are, counted, settled in `ledger`, held to the whole prompt, and kept
    in `cache`.
    """

    def __init__(
        self, outcomes: Outcomes, ledger: Ledger, calls: CallCount, cache: ReplyCache
    ) -> None:
        self._outcomes, self._calls, self._cache = outcomes, calls, cache
        self._ledger = ledger

    async def keep(self, request: Request, outcome: Outcome) -> Reply:
        """The reply to `request`, kept. Raises ProviderError where it is none."""
        model: Model = _Given(self._outcomes, outcome)
        model = TruncationGuard(Budgeted(model, self._ledger, price_in_batches))
        model = Cached(Retrying(model, ONCE, Paces()), self._cache)
        return await Counted(model, self._calls).complete(request)


class _Given:
    """A model that has answered already."""

    def __init__(self, outcomes: Outcomes, outcome: Outcome) -> None:
        self._outcomes, self._outcome = outcomes, outcome

    async def complete(self, request: Request) -> Reply:
        """What came of it."""
        told = self._outcomes.told(request, self._outcome, 0.0)
        if isinstance(told, ProviderError):
            raise told
        return told

    async def close(self) -> None:
        """Nothing is open."""


def reservation_in_batches(ledger: Ledger, request: Request) -> Bill:
    """What to set aside for a question of a batch. Raises ModelError as Budgeted does."""
    nobody = Batched(request.model, Batch(lambda spec: None))
    return Budgeted(nobody, ledger, price_in_batches).reservation(request)


def in_batches(spec: ModelSpec) -> ModelSpec:
    """`spec` at the price of batches."""
    return replace(spec, price=price_in_batches(spec))
