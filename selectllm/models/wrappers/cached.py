"""Models that answer from the reply cache: ask nothing twice, or nothing at all."""

from __future__ import annotations

from collections.abc import Sequence

from selectllm.core.errors import ReplyMissing
from selectllm.core.types import Reply
from selectllm.models.model import Model, Request, expect
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.single_flight import single_flight


class Cached:
    """A model whose replies are kept: each request identity is asked once, ever.

    Single flight holds across threads and processes (single_flight.py).
    """

    def __init__(self, inner: Model, cache: ReplyCache) -> None:
        self._inner = inner
        self._cache = cache
        self._ahead: dict[str, Reply] = {}  # found together, each for one call
        self._missing: set[str] = set()  # looked for together, and not found

    def expect(self, requests: Sequence[Request]) -> None:
        """Look all of them up at once, a tenth of the work of one after the other."""
        self._ahead.update(self._cache.many([request.key for request in requests]))
        missing = [request for request in requests if request.key not in self._ahead]
        self._missing.update(request.key for request in missing)
        expect(self._inner, missing)

    async def complete(self, request: Request) -> Reply:
        """The cached reply, else the inner model's, kept before it is handed out."""
        if (known := self._ahead.pop(request.key, None)) is not None:
            return known

        async def work() -> Reply:
            reply = await self._inner.complete(request)
            await self._cache.keep_soon(request, reply)
            return reply

        def look() -> Reply | None:
            return self._cache.get(request.key)

        looked = request.key in self._missing
        self._missing.discard(request.key)
        cache = self._cache
        return await single_flight(
            cache.lock_file, request.key, look, work, held=cache.held, looked=looked
        )

    async def close(self) -> None:
        """Close the inner model; the cache is its owner's."""
        await self._inner.close()


class Offline:
    """A model that is never asked: what is not recorded or cached is missing (exit 5)."""

    async def complete(self, request: Request) -> Reply:
        """Raise ReplyMissing."""
        raise ReplyMissing(f"no recorded or cached reply of {request.model.name}")

    async def close(self) -> None:
        """Nothing was opened."""
