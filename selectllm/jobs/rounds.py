"""Rounds of annotation: what each selected, and what all that is annotated covers after it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from selectllm.core.errors import EncoderError, UsageError
from selectllm.core.shown import capital
from selectllm.core.types import Item, Pool
from selectllm.evaluation.sets.diversity import coverage, kmeans_groups, mean_distance
from selectllm.jobs.beside import Beside, check_again, encodes, log_name, missing_told
from selectllm.jobs.session import Session
from selectllm.jobs.settings import SelectRequest
from selectllm.prompting.prompt import Prompt
from selectllm.selection.by_model import Chosen
from selectllm.selection.round_log import missing_in, read_rounds, texts_sha256
from selectllm.selection.schema import Coverage, RoundRow
from selectllm.selection.strategies import Candidates, Strategy
from selectllm.selection.strategies.candidates import seeded_rows

PER_GROUP, MOST_GROUPS = 10, 100
"""Items of the pool for each k-means group that its coverage is counted in, and groups at most."""
LLOYD_UP_TO = 20_000  # items; more go through k-means in batches


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds in a log."""

    path: Path
    rounds: tuple[RoundRow, ...]

    @property
    def text(self) -> str:
        """One line for each round, then what has been selected in all."""
        if not self.rounds:
            return f"There are no rounds in {self.path}. To make one, run: {_next(self.path)}"
        total = 0
        lines = []
        for row in self.rounds:
            total += len(row.ids)
            lines.append(
                f"Round {row.round}: {len(row.ids)} items by {row.selector} with seed {row.seed}"
                + (f" ({row.filled} of them at random)" if row.filled else "")
                + f". {_covered(row.coverage)}"
            )
        last = self.rounds[-1]
        of = f" of {last.items}" if last.pool_sha256 else ""
        more = f", beside {last.given} that were annotated before" if last.given else ""
        lines.append(f"Together they selected {total}{of} items{more}.")
        if missing := missing_in(self.rounds):
            lines.append(missing_told(missing))
        return "\n".join([*lines, f"For the next round, run: {_next(self.path, last.selector)}"])

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        return {"log": str(self.path), "rounds": [asdict(row) for row in self.rounds]}


def _next(path: Path, selector: str = "strategy:k-center") -> str:
    """The command of the next round, by the selector of the last one."""
    kind, _, strategy = selector.partition("strategy:")
    prompt, _, model = kind.partition("+")
    chosen = ["--prompt", prompt, "--model", model] if kind else ["--strategy", strategy]
    words = ["selectllm", "select", "POOL", "--budget", "N", *chosen, "--rounds", str(path)]
    return shlex.join([*words, "-o", "NAME.jsonl"])


def _covered(cover: Coverage | None) -> str:
    if cover is None:
        return "Its coverage was not measured."
    return (
        f"After it, the annotated items cover {cover.reached} of {cover.groups} k-means groups of "
        "the pool, and the mean cosine distance from an item to the nearest of them is "
        f"{cover.mean_distance:.3f}."
    )


async def rounds(log: Path | str) -> Rounds:
    """The rounds that `select` kept in `log`. Raises UsageError for a file that is no such log."""
    path = Path(log)
    if not path.exists():
        raise UsageError(
            f"{path} does not exist. A log of rounds is written by: {_next(path)}", argument="log"
        )
    return Rounds(path, tuple(read_rounds(path)))


def log_round(
    session: Session,
    pool: Pool,
    request: SelectRequest,
    found: Beside,
    chosen: Sequence[Chosen],
    *,
    embeds: bool,
) -> None:
    """Write what was selected into the log of rounds, once; `pool`: the whole.

    `embeds`: selecting took vectors, so that those of the whole pool may be made for its coverage.
    """
    if found.log is None:
        return
    ids = {choice.item.id for choice in chosen}
    items = [item for item in pool.items if item.id in ids]
    earlier = {item for one in found.rounds for item in one.ids}
    row = RoundRow(
        round=found.number,
        budget=request.budget,
        selector=_selector(request),
        seed=request.seed,
        ids=tuple(item.id for item in items),
        filled=sum(choice.filled for choice in chosen),
        texts_sha256=texts_sha256(items),
        pool=pool.source,
        pool_sha256=pool.sha256,
        items=len(pool),
        given=len([item for item in found.items if item.id not in earlier]),
        log=log_name(session, request),
        coverage=None,
    )
    check_again(row, found)
    if found.again is not None and found.again.ids == row.ids:
        return
    if encodes(session) and not (embeds or session.embedder().knows(pool.items)):
        session.note(
            f"The coverage of the round is not measured, because the {len(pool):,} items of the "
            "pool would have to be embedded for it alone. To measure it, give their `vectors`."
        )
    else:
        row = _with_coverage(session, pool, row, [*found.inside, *items])
    found.log.append(row)


def _selector(request: SelectRequest) -> str:
    if request.strategy is not None:
        strategy = request.strategy
        name = strategy.name if isinstance(strategy, Strategy) else strategy
        return f"strategy:{name}" if request.per is None else f"strategy:per:{request.per}:{name}"
    prompt, model = request.prompt, request.model
    asked = prompt.ref if isinstance(prompt, Prompt) else prompt
    return f"{asked}+{model if isinstance(model, str) or model is None else model.name}"


def _with_coverage(session: Session, pool: Pool, row: RoundRow, chosen: list[Item]) -> RoundRow:
    if not encodes(session):
        session.note("The coverage of the round is not measured, since nothing here can embed.")
        return row
    try:
        with session.computing("embedding") as advance:
            vectors = np.asarray(session.embedder(advance).of(pool.items))
    except EncoderError as error:  # the items are selected, and may have been paid for
        session.note(f"Warning: The coverage of the round is not measured. {capital(str(error))}.")
        return row
    place = {item.id: position for position, item in enumerate(pool.items)}
    positions = sorted(place[item.id] for item in chosen)
    count = max(1, min(MOST_GROUPS, len(pool) // PER_GROUP))
    rows = seeded_rows(Candidates(pool.items, 0, vectors))
    groups = kmeans_groups(rows, count, 0, lloyd_up_to=LLOYD_UP_TO)
    share = coverage(groups, positions)
    distance = mean_distance(vectors, positions)
    return replace(row, coverage=Coverage(distance, len(groups), round(share * len(groups))))
