"""Who is going to see what of a pool: every host that is asked, and the columns that it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from selectllm.evaluation.planning.schema import Destination
from selectllm.models.model import ModelSpec
from selectllm.models.providers.endpoint import sent_key
from selectllm.models.providers.hosts import host_of
from selectllm.prompting.prompt import Prompt
from selectllm.selection.scorers.item_scorer import Ahead, Meter
from selectllm.selection.strategies import Strategy

ASKED_OF_ITEMS = ("instruction", "input")
"""What strategies show of an item that ask a model about it without a prompt of the library."""

WHOLE = (*ASKED_OF_ITEMS, "response", "other columns")
"""What code of the user's is handed."""


def destinations(
    selectors: Iterable[tuple[Prompt, ModelSpec]],
    measuring: Iterable[Ahead],
    environment: Mapping[str, str],
    strategies: Iterable[Strategy] = (),
) -> tuple[Destination, ...]:
    """Every host, with the models that it is asked for and the columns that it is sent.

    `measuring`: what strategies ask about single items. `strategies`: those that select; one that
    is code of the user's is handed whole items, and may send them anywhere. What stays on this
    machine is no destination. Raises ModelError for a base URL that cannot be.
    """
    asked = [(spec, prompt.shows) for prompt, spec in selectors]
    asked += [
        (each.spec, ASKED_OF_ITEMS if each.selector is None else each.selector.prompt.shows)
        for each in measuring
    ]
    seen: dict[str, list[tuple[ModelSpec, Sequence[str]]]] = {}
    for spec, columns in asked:
        host = host_of(spec, environment)
        if host is not None:
            seen.setdefault(host, []).append((spec, columns))
    own = tuple(
        Destination(
            host=f"your own code {each.name}", models=(f"strategy:{each.name}",), columns=WHOLE
        )
        for each in strategies
        if _is_own(each)
    )
    return own + tuple(
        Destination(
            host=host,
            models=tuple(dict.fromkeys(spec.name for spec, _ in sent)),
            columns=tuple(dict.fromkeys(column for _, columns in sent for column in columns)),
            keys=tuple(
                dict.fromkeys(key for spec, _ in sent if (key := sent_key(spec, environment)))
            ),
        )
        for host, sent in seen.items()
    )


def _is_own(strategy: Strategy) -> bool:
    """Whether a strategy, or what it goes by, is code of the user's."""
    scorer = getattr(strategy.scorer, "code_sha256", None)
    return strategy.code_sha256 is not None or scorer is not None


def measured_by(strategies: Iterable[Strategy], meter: Meter) -> list[Ahead]:
    """Whom each of `strategies` asks that asks a model about single items, and by which prompt."""
    return [
        strategy.scorer.ahead((), meter)
        for strategy in strategies
        if strategy.scorer is not None and strategy.calls_per_item
    ]
