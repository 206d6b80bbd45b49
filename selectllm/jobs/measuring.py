"""What a strategy goes by, got for a pool: its vectors, and a number for every item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from selectllm.core.errors import UsageError, blaming
from selectllm.core.shown import capital
from selectllm.core.types import Attempt, Decision, Pool
from selectllm.jobs.session import Session
from selectllm.models.model import ModelSpec
from selectllm.models.providers.reasoning import stops_thinking
from selectllm.selection.ask import all_thinking, spent_unseen
from selectllm.selection.scorers.item_scorer import Measured, Meter
from selectllm.selection.strategies import Candidates, Strategy
from selectllm.utility.ratings import ratings

if TYPE_CHECKING:
    from selectllm.jobs.beside import Beside
    from selectllm.selection.by_model import SelectSettings

NOTHING = Measured({})


class _Models(Mapping[str, ModelSpec]):
    """The models that were given, every other by its id; none is listed."""

    def __init__(self, strategy: Strategy, given: Mapping[str, ModelSpec]) -> None:
        self._strategy, self._given = strategy, given

    def __getitem__(self, name: str) -> ModelSpec:
        given = self._given.get(name)
        if given is None and "/" not in name:
            raise UsageError(
                f"Strategy {self._strategy.name}: {name!r} is not a model. Write it as "
                "PROVIDER/MODEL"
            )
        return given or ModelSpec(name=name, id=name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _Columns(Mapping[str, Mapping[str, float]]):
    """Every numeric column of a pool as a utility; none is listed."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._read: dict[str, Mapping[str, float]] = {}

    def __getitem__(self, column: str) -> Mapping[str, float]:
        if column not in self._read:
            utility = ratings(self._pool, name=column, column=column, kind="human")
            self._read[column] = utility.values
        return self._read[column]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def meter_for(
    session: Session,
    pool: Pool,
    strategy: Strategy,
    settings: SelectSettings,
    models: Mapping[str, ModelSpec] | None = None,
) -> Meter:
    """What measures `pool` for `strategy`; a utility is a numeric column of the pool.

    `models`: as in SelectRequest. Raises a UsageError for what cannot be measured.
    """
    meter = Meter(
        library=session.library,
        base=session.base,
        shared=session.connections(),
        folder=session.workspace.cache,
        specs=_Models(strategy, {} if models is None else models),
        utilities=_Columns(pool),
        settings=settings.ask,
        seed=settings.seed,
        embedder=session.embedder() if strategy.needs_vectors else None,
    )
    strategy.check(pool.items, meter)
    return meter


async def candidates_for(
    session: Session,
    pool: Pool,
    strategy: Strategy,
    settings: SelectSettings,
    meter: Meter,
    beside: Beside,
) -> tuple[Candidates, Measured]:
    """The pool with the vectors and values that `strategy` needs. Raises as `score` does."""
    vectors, values, measured, given = None, None, NOTHING, None
    if strategy.needs_vectors:
        with session.computing("embedding") as advance, blaming("encoder"):
            vectors = session.embedder(advance).of(pool.items)
        given = beside.vectors(session)
    if strategy.scorer is not None:
        with session.computing("measuring") as advance:
            measuring = replace(meter, progress=advance)
            measured = await strategy.scorer.score(pool.items, measuring)
        values = np.array([measured.values[item.id] for item in pool.items])
        missing = int(np.isnan(values).sum())
        if missing:
            session.note(
                f"{missing} of {len(pool)} items could not be measured, so they are not picked."
            )
        known = values[~np.isnan(values)]
        all_taken = settings.budget >= len(pool)  # with a threshold, too: nothing is drawn
        if len(known) > 1 and (known == known[0]).all() and not all_taken:
            session.note(
                f"Warning: {strategy.name} gives all of the {len(known)} items that it could "
                f"measure the same value ({known[0]:g}), so which of them are picked is chance."
            )
    candidates = Candidates(pool.items, settings.seed, vectors, values, session.engine, given)
    return candidates, measured


def note_equal_ballots(session: Session, spec: ModelSpec) -> None:
    """Note a vote of repeats that come out alike."""
    if spec.vote and spec.vote.repeats > 1 and (spec.temperature == 0 or spec.answer != "text"):
        session.note(
            f"Note: {spec.name}: vote.repeats: {spec.vote.repeats} mostly repeat one reply. Set a "
            "temperature above 0, or let it vote by orders"
        )


def note_used_up(
    session: Session, specs: Iterable[ModelSpec], decisions: Iterable[Decision]
) -> None:
    """Note the models whose replies are thinking without an answer, and what to set."""
    attempts = defaultdict[str | None, list[Attempt]](list)
    for decision in decisions:
        attempts[decision.model] += decision.attempts
    for spec in specs:
        asked = attempts[spec.name]
        lost = [attempt for attempt in asked if spent_unseen(attempt) or all_thinking(attempt)]
        if lost:
            cut = any(attempt.finish_reason == "length" for attempt in lost)
            text = "answer" if any(attempt.reply.strip() for attempt in lost) else "text"
            session.note(
                f"Note: {len(lost)} of {len(asked)} replies of {spec.name} have no {text}: "
                f"{thought_only(spec, cut)}, or in the suite's entry of the model"
            )


def thought_only(spec: ModelSpec, cut: bool) -> str:
    """Why a reply is thinking alone, and what to set, as arguments of a model.

    `cut`: it was cut at max_tokens.
    """
    why = "it ended after thinking"
    if cut:
        why = f"its reasoning used up max_tokens ({spec.max_tokens:,})"
    ways = [f"give it more room with `max_tokens={4 * spec.max_tokens}`"]
    if spec.reasoning == "off":
        why += ", though it was told not to think (`reasoning: off`)"
    elif stops_thinking(spec):
        ways.insert(0, "stop it from thinking with `reasoning=off`")
    elif spec.reasoning in ("medium", "high"):
        ways.insert(0, "let it think less with `reasoning=low`")
    return f"{why}. {capital(', or '.join(ways))}"
