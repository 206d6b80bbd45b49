"""How many calls a job makes, counted where every reply passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selectllm.core.errors import ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import Model, Request, expect


@dataclass(slots=True)
class CallCount:
    """Calls so far. `sent`: answered by a provider. `cached`: answered from the cache or a pack.

    `failed`: tries that a provider did not answer, those that were made again included.
    """

    sent: int = 0
    cached: int = 0
    failed: int = 0


class Counted:
    """A model whose calls are counted."""

    def __init__(self, inner: Model, count: CallCount) -> None:
        self._inner = inner
        self._count = count

    def expect(self, requests: Sequence[Request]) -> None:
        """Tell the inner model."""
        expect(self._inner, requests)

    async def complete(self, request: Request) -> Reply:
        """The inner model's reply. Raises as it does."""
        try:
            reply = await self._inner.complete(request)
        except ProviderError as error:
            self._count.failed += max(1, len(error.attempts))
            raise
        self._count.sent += not reply.cached
        self._count.cached += reply.cached
        self._count.failed += len(reply.failed)
        return reply

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()
