"""An engine: where models answer and encoders run. One port, so that no job knows which it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from selectllm.core.workers import Here, Workers

if TYPE_CHECKING:
    from selectllm.data.encoders import Encoder
    from selectllm.models.connect import Connections
    from selectllm.models.model import Model, ModelSpec


class Engine(Workers, Protocol):
    """Where the work of a session is done: it asks, embeds, maps and sorts.

    Cache, budget, retries, logs and rate limits stay with the session whichever engine it has:
    an engine gives the innermost model, which talks to a provider, the encoder, and workers for
    what can be computed in pieces. Results are the same bytes whichever it is.
    """

    def model(self, spec: ModelSpec, shared: Connections) -> Model:
        """What talks to the provider of `spec`; nothing is loaded or sent before it is asked."""
        ...

    def encoder(self, name: str | None) -> Encoder:
        """The encoder of that name, or the one that every installation has. Raises EncoderError."""
        ...

    def close(self) -> None:
        """Release what it opened; it opens again what is asked of it later."""
        ...


class LocalEngine(Here):
    """The engine of one machine: everything happens in the process that asks."""

    def model(self, spec: ModelSpec, shared: Connections) -> Model:
        """The provider's model, or the embedded one."""
        from selectllm.models.connect import innermost

        return innermost(spec, shared)

    def encoder(self, name: str | None) -> Encoder:
        """A sentence-transformers model, loaded when it is first used."""
        from selectllm.data.encoders import load_encoder

        return load_encoder(name)

    def close(self) -> None:
        """Nothing was opened."""
