"""The same call by way of litellm and directly, and what came of it each time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from selectllm.core.errors import ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import Model, ModelSpec, Price
from selectllm.models.providers.direct import DirectModel
from selectllm.models.providers.litellm import LiteLLMModel
from tests.support.provider_calls import request
from tests.support.provider_server import Answer, ProviderServer, Respond, Seen

Outcome = tuple[Any, ...]


class BothWays:
    """Calls on one event loop. `keep`: connections stay open: thousands of calls take seconds."""

    def __init__(self, server: ProviderServer, *, keep: bool) -> None:
        self.server = server
        self._keep = keep
        self._runner = asyncio.Runner()
        self._open: list[Model] = []

    def spec(self, model_id: str = "openai/m", **fields: Any) -> ModelSpec:
        given = {"api_base": self.server.base_url, "timeout": 10.0, "price": Price(1.0, 10.0)}
        return ModelSpec(name="arm", id=model_id, **{**given, **fields})

    def call(
        self,
        spec: ModelSpec,
        direct: bool,
        environment: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Reply | ProviderError:
        """The reply, or the error that was raised."""
        way = DirectModel if direct else LiteLLMModel
        model: Model = way(spec, environment=environment or {})
        self._open.append(model)
        try:
            return self._runner.run(model.complete(request(spec, **fields)))
        except ProviderError as raised:
            return raised
        finally:
            if not self._keep:
                self._close()

    def outcomes(
        self, spec: ModelSpec, environment: Mapping[str, str] | None = None, **fields: Any
    ) -> tuple[Outcome, Outcome]:
        """What came of it by way of litellm, and directly."""
        return (
            shown(self.call(spec, False, environment, **fields)),
            shown(self.call(spec, True, environment, **fields)),
        )

    def of(self, sent: Answer | Respond, model_id: str = "openai/m", **fields: Any) -> Any:
        """`outcomes` of a call that the server answers with `sent`."""
        self.server.queue(sent, sent)
        return self.outcomes(self.spec(model_id, **fields))

    @property
    def sent(self) -> tuple[Seen, Seen]:
        """The last two requests."""
        first, second = self.server.requests[-2:]
        return first, second

    def close(self) -> None:
        self._close()
        self._runner.close()

    def _close(self) -> None:
        while self._open:
            self._runner.run(self._open.pop().close())


def shown(came: Reply | ProviderError) -> Outcome:
    """All of an outcome that does not depend on the clock."""
    if isinstance(came, Reply):
        return came.text, came.finish_reason, came.tokens_in, came.tokens_out, came.cost_usd
    facts = {name: value for name, value in vars(came).items() if name != "reply"}
    said = "" if came.kind == "setting" else str(came)  # where our words are not litellm's
    return said, facts, came.reply and shown(came.reply)
