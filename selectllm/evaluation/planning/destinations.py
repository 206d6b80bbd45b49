"""Who is going to see what of a pool: every host that is asked, and the columns that it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from selectllm.evaluation.planning.schema import Destination
from selectllm.models.model import ModelSpec
from selectllm.models.providers.hosts import host_of
from selectllm.prompting.prompt import Prompt

ASKED_OF_ITEMS = ("instruction", "input")
"""What strategies that ask a model about an item show of it."""


def destinations(
    selectors: Iterable[tuple[Prompt, ModelSpec]],
    measuring: Iterable[ModelSpec],
    environment: Mapping[str, str],
) -> tuple[Destination, ...]:
    """Every host, with the models that it is asked for and the columns that it is sent.

    `measuring`: the models that strategies ask about single items. What stays on this machine is
    no destination. Raises ModelError for a base URL that cannot be.
    """
    asked = [(spec, prompt.shows) for prompt, spec in selectors]
    asked += [(spec, ASKED_OF_ITEMS) for spec in measuring]
    seen: dict[str, list[tuple[ModelSpec, Sequence[str]]]] = {}
    for spec, columns in asked:
        host = host_of(spec, environment)
        if host is not None:
            seen.setdefault(host, []).append((spec, columns))
    return tuple(
        Destination(
            host=host,
            models=tuple(dict.fromkeys(spec.name for spec, _ in sent)),
            columns=tuple(dict.fromkeys(column for _, columns in sent for column in columns)),
        )
        for host, sent in seen.items()
    )
