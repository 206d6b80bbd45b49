"""Models of the user's own: `python/module:attr`.

`attr` is a class or function that is called with the model's entry (ModelSpec) and gives a
`Model`. Its replies are cached and recorded as any others. The request identity holds the name and
the sha256 of the module's file, so that an edit asks anew; what the module takes from elsewhere
is for the entry's `revision` to tell apart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from selectllm.core.errors import ModelError, ProviderError
from selectllm.core.plugins import Plugin, Port, calling, is_reference, load
from selectllm.core.types import Reply
from selectllm.models.model import Model, ModelSpec, Request

Factory = Callable[[ModelSpec], Model]

_PORT: Port[Factory] = Port(
    what="model",
    kind="function or class",
    contract="selectllm.models.providers.own",
    error=ModelError,
)


def find_factory(spec: ModelSpec, base: Path | None = None) -> Plugin[Factory]:
    """What makes the model of `spec`, of an installed module or of one in the folder `base`.

    Raises ModelError for what cannot be used.
    """
    return load(_PORT, _reference(spec), base)


def own_identity(spec: ModelSpec, base: Path | None = None) -> str:
    """What the request identity says of who answers: the code as it is now."""
    return f"sha256:{find_factory(spec, base).code_sha256}"


def _reference(spec: ModelSpec) -> str:
    reference = spec.id.partition("/")[2]
    if not is_reference(reference):
        raise ModelError(f"model {spec.name!r}: write a model of your own as python/MODULE:ATTR")
    return reference


class OwnModel:
    """A model of the user's own, held to what a model is.

    Raises ModelError for code that cannot be used or makes no model. `complete` raises
    ProviderError for what goes wrong in it; the other questions go on. A call costs what its
    reply says (`cost_usd`), and nothing if it does not say.
    """

    def __init__(self, spec: ModelSpec, base: Path | None = None) -> None:
        factory = find_factory(spec, base).object
        with calling(f"model {spec.name}", ModelError):
            self._inner = factory(spec)
        if not all(callable(getattr(self._inner, name, None)) for name in ("complete", "close")):
            raise ModelError(
                f"model {spec.name!r}: its code returned {type(self._inner).__name__}, which "
                "has no method `complete` or no method `close`. See selectllm.Model"
            )
        self._spec = spec

    async def complete(self, request: Request) -> Reply:
        """The reply of the user's code."""
        name, started = self._spec.name, time.perf_counter()
        try:
            async with asyncio.timeout(self._spec.timeout):
                with calling(f"model {name}", ProviderError):
                    reply = await self._inner.complete(request)
        except TimeoutError as error:  # ours alone: what the code raises came out otherwise
            raise ProviderError(
                f"{name}: no reply within {self._spec.timeout:g} s (the model's timeout).",
                retryable=True,
            ) from error
        if not isinstance(reply, Reply):
            raise ProviderError(
                f"model {name} returned {type(reply).__name__}. Return a "
                "selectllm.core.types.Reply",
                fatal=True,
            )
        if not isinstance(reply.text, str):
            raise ProviderError(
                f"model {name} returned a Reply whose text is {type(reply.text).__name__}. The "
                "text must be a str",
                fatal=True,
            )
        return replace(
            reply,
            cost_usd=reply.cost_usd or 0.0,
            seconds=reply.seconds or time.perf_counter() - started,
        )

    async def close(self) -> None:
        """Close the user's model."""
        with calling(f"model {self._spec.name}", ModelError):
            await self._inner.close()
