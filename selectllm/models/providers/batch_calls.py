"""HTTP calls about batches, made again where that may help, and what they tell of a batch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from selectllm.core.errors import ModelError, ProviderError
from selectllm.core.stopping import rest
from selectllm.core.types import empty
from selectllm.models.model import ModelSpec
from selectllm.models.providers.body import Heard, at, json_of
from selectllm.models.providers.client import Client, fault_of, raised
from selectllm.models.providers.endpoint import endpoint, missing_key, secrets
from selectllm.models.providers.failures import Fault, refused, told

TRIES = 6  # of a call that may be made again
BYTES_PER_SECOND = 100_000  # that a slow connection moves at least
UNLISTED = (404, 405, 501)  # statuses by which a server says that it has no such list
PAGES = 10  # of a list of batches that are looked through
NONE: Mapping[str, str] = empty()


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """How far a batch is. `word`: the provider's own; `reason`: why it failed, "" if it did not.

    `files`: where its answers are, once there are any. `stopped`: it ended before it was done, and
    somebody should look at it before it is sent again.
    """

    id: str
    word: str
    ended: bool = False
    stopped: bool = False
    reason: str = ""
    total: int = 0
    done: int = 0
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sought:
    """What is known of a batch that may have been sent.

    `file`: what `upload` gave; None if that is not known. `others`: batches that it is not.
    """

    name: str
    count: int
    file: str | None = None
    others: Collection[str] = ()


class BatchCalls:
    """HTTP calls about the batches of one model. Raises ModelError as DirectModel does."""

    def __init__(
        self, spec: ModelSpec, environment: Mapping[str, str], root: str, headers: Mapping[str, str]
    ) -> None:
        if (lacking := missing_key(spec, environment)) is not None:
            raise ModelError(lacking)
        self._spec, self._root, self._headers = spec, root, headers
        self._endpoint = endpoint(spec, environment)
        self._hidden = secrets(spec, environment)
        self.client = Client()

    async def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        kind: str = "application/json",
        *,
        tries: int = TRIES,
        headers: Mapping[str, str] = NONE,
    ) -> Heard:
        """What the server answers with a status below 300. Raises ProviderError."""
        for tried in range(1, tries + 1):
            outcome = await self._once(method, path, body, {**headers, "Content-Type": kind})
            if isinstance(outcome, Heard) and outcome.status_code < 300:
                return outcome
            error = self._error(outcome, method)
            if not error.retryable or tried == tries:
                raise error
            await rest(min(30.0, max(error.retry_after or 0.0, 0.5 * 2.0**tried)))
        raise AssertionError(tries)

    async def data(self, method: str, path: str, body: Any = None, *, tries: int = TRIES) -> Any:
        """The same, as JSON both ways."""
        sent = b"" if body is None else json.dumps(body).encode()
        return json_of((await self.call(method, path, sent, tries=tries)).content)

    def failed(self, fault: Fault) -> ProviderError:
        """The fault in our words."""
        return told(fault, self._spec, self._endpoint, self._hidden)

    def id_of(self, data: Any, what: str) -> str:
        """The `id` in what the server answered. Raises ProviderError where there is none."""
        found = at(data, "id")
        if isinstance(found, str) and found:
            return found
        raise self.failed(Fault("broken", f"the server names no {what}", 200))

    async def _once(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> Heard | Fault:
        headers = {**self._headers, **headers}
        seconds = self._spec.timeout + len(body) / BYTES_PER_SECOND
        try:
            async with asyncio.timeout(seconds):
                return await self.client.send(method, self._root + path, headers, body)
        except raised() as error:
            return fault_of(error)

    def _error(self, outcome: Heard | Fault, method: str) -> ProviderError:
        if isinstance(outcome, Fault):
            return self.failed(outcome)
        error = self.failed(refused(outcome))
        if outcome.status_code in UNLISTED:
            what = "knows no such batch or file" if method == "GET" else "takes no batches"
            return error.reworded(
                f"{self._spec.name} ({self._root}): the server {what} (HTTP "
                f"{outcome.status_code}). Check api_base and the key, or ask without batches. "
                "To have the questions done by hand, see selectllm batch export"
            )
        return error
