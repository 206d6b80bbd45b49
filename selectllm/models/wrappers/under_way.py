"""Questions that a batch is to answer already, asked by a run that does not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from selectllm.core.types import Reply
from selectllm.models.model import Model, Request


class ToldUnderWay:
    """A model that tells `note`, once, that a question which it is asked is in a batch, too.

    `awaited`: the keys of such questions, looked up when the first one is asked.
    """

    def __init__(
        self, model: Model, awaited: Callable[[], Collection[str]], note: Callable[[str], None]
    ) -> None:
        self._model, self._note = model, note
        self._look: Callable[[], Collection[str]] = awaited
        self._awaited: Collection[str] | None = None

    async def complete(self, request: Request) -> Reply:
        """The model's reply."""
        if self._awaited is None:
            self._awaited = self._look()
        if request.key in self._awaited:
            self._awaited = ()
            self._note(
                f"Note: Questions of {request.model.name} that are asked now are in a batch that "
                "is under way, too, so they are paid for twice. To wait for the batch instead, "
                "stop this command and run it with `batch`."
            )
        return await self._model.complete(request)

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()
