"""Nothing is cut silently: a reply to a prompt that the server shortened is no reply."""

from __future__ import annotations

from selectllm.core.errors import ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import Model, Request
from selectllm.models.tokens import looks_cut, most_tokens


class TruncationGuard:
    """A model whose replies count only if the whole prompt was read.

    Raises ProviderError `input_truncated` when the provider reports far fewer prompt tokens than
    the prompt has by our estimate (servers such as Ollama drop the beginning without a word). It
    carries the reply, which was paid for.
    """

    def __init__(self, inner: Model) -> None:
        self._inner = inner

    async def complete(self, request: Request) -> Reply:
        """The inner model's reply to the whole prompt."""
        reply = await self._inner.complete(request)
        if reply.finish_reason in ("too_long", "refused"):
            return reply
        if not looks_cut(most_tokens(request.messages), reply.tokens_in):
            return reply  # as nearly all are; to estimate takes twice as long
        estimate = request.tokens
        if looks_cut(estimate, reply.tokens_in):
            raise ProviderError(
                f"{request.model.name}: input_truncated: the provider read {reply.tokens_in} "
                f"prompt tokens where about {estimate} were sent. Raise the server's context "
                "length, or give the model its real `context:` so that long prompts are not sent",
                kind="input_truncated",
                reply=reply,
            )
        return reply

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()
