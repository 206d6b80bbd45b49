"""Batches at the providers: what a service of batches does, and which provider has one.

A service sends a batch, finds one again that was sent by a process which did not live to note it,
and brings back its answers. It keeps nothing itself (jobs/batch_journal.py does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from selectllm.core.errors import ModelError
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.batch_anthropic import AnthropicBatches
from selectllm.models.providers.batch_calls import BatchStatus, Sought
from selectllm.models.providers.batch_lines import BatchAnswers
from selectllm.models.providers.batch_openai import OpenAIBatches
from selectllm.models.providers.providers import PROVIDERS, provider_of


class BatchService(Protocol):
    """A provider's batches. Every method raises ProviderError, in our words and without a key.

    `most`, `most_bytes`: what one batch may hold.
    """

    most: int
    most_bytes: int

    async def line(self, request: Request) -> bytes:
        """The question as a batch has it. Raises ProviderError for what the model does not take."""
        ...

    async def upload(self, name: str, lines: Sequence[bytes]) -> str | None:
        """Bring the questions there, which asks nothing yet.

        What `find` needs: the file's id, or the newest batch so far; None if it is not known.
        """
        ...

    async def create(self, name: str, file: str | None, lines: Sequence[bytes]) -> str:
        """Have the batch done; its id. Never made twice: a ProviderError may come though it was."""
        ...

    async def find(self, sought: Sought) -> str | None:
        """The id of a batch that was created, though nobody noted it."""
        ...

    async def status(self, batch: str) -> BatchStatus:
        """How far the batch is."""
        ...

    async def answers(self, status: BatchStatus) -> BatchAnswers:
        """What came back."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def check_batches(spec: ModelSpec) -> None:
    """Raise ModelError for a model that cannot be asked in batches."""
    able = ", ".join(f"{name}/" for name, facts in PROVIDERS.items() if facts.batches)
    if provider_of(spec).batches is None:
        raise ModelError(
            f"model {spec.name!r}: {spec.provider}/ does not support batches here. These do: "
            f"{able}, and every server with OpenAI's /files and /batches as openai/MODEL with "
            "api_base. Leave `batch` out, or have the questions done by hand with selectllm "
            "batch export",
            argument="batch",
        )
    if spec.answer != "text" and provider_of(spec).batches != "openai":
        raise ModelError(
            f"model {spec.name!r}: answer: {spec.answer} does not go with batches of "
            f"{spec.provider}/, whose API lists no log-probabilities. Leave `batch` out, or "
            "let it answer in text",
            argument="batch",
        )


def open_batches(spec: ModelSpec, environment: Mapping[str, str]) -> BatchService:
    """The batches of the model's provider. Raises ModelError as `check_batches` does."""
    check_batches(spec)
    if provider_of(spec).batches == "anthropic":
        return AnthropicBatches(spec, environment)
    return OpenAIBatches(spec, environment)
