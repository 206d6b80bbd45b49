"""Selected items handed over to those who answer them: what `handover` and `select --to` do."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.choices import TargetName
from selectllm.core.errors import PromptError, UsageError
from selectllm.core.files import real
from selectllm.core.names import unknown
from selectllm.core.shown import counted
from selectllm.core.types import Decision, Item, Question
from selectllm.data.hub import located
from selectllm.data.pool import load_pool
from selectllm.data.stored_items import named
from selectllm.evaluation.comparison.run_inputs import read_run_inputs
from selectllm.evaluation.runs.verify import finished_decisions
from selectllm.jobs.contents import SELECTION
from selectllm.jobs.options import HandoverSettings
from selectllm.jobs.outputs import check_written
from selectllm.jobs.pool_of_picks import is_selection
from selectllm.jobs.rating import columns_of_run, pool_of_run
from selectllm.jobs.selected import ROWS, log_beside, read_selected
from selectllm.prompting.prompt import labels_for
from selectllm.prompting.replies.reasons import reasons_in
from selectllm.report.next_steps import columns_words, command
from selectllm.selection.by_model import Chosen
from selectllm.selection.output import write_selection
from selectllm.selection.ways.following import way_of
from selectllm.utility.handover.handed import HandedItem, handed_items
from selectllm.utility.handover.targets import TARGETS, handover_files, write_handover

if TYPE_CHECKING:
    from selectllm.jobs.selection import Selection
    from selectllm.jobs.session import Session


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What was written: `out` is imported, of `files` the last one says how.

    `selection`: the items with all their columns, to which answers are joined. `columns`: which of
    them hold what.
    """

    out: Path
    files: tuple[Path, ...]
    items: int
    filled: int
    selection: Path
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What was handed over, and what comes next."""
        filled = f" ({self.filled} of them chosen at random)" if self.filled else ""
        words = ("answers", self.selection, "ANSWERS", "-o", "training.jsonl")
        return (
            f"Wrote {counted(self.items, 'item')}{filled} to {self.out}, for people to answer.\n"
            f"How to import them, and how to read the answers back: {self.files[-1]}\n"
            f"When they are answered, run: {command(*words, *columns_words(self.columns))}"
        )

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        return {
            "out": str(self.out),
            "files": [str(file) for file in self.files],
            "selection": str(self.selection),
            "items": self.items,
            "filled": self.filled,
        }


def handover_path(source: Path, to: TargetName, out: Path | None) -> Path:
    """Where items are handed over. Raises UsageError for a suffix that is not the tool's."""
    suffix = TARGETS[to].suffix
    if out is None:
        return source.with_name(f"{source.name.partition('.')[0] or 'pool'}.handover{suffix}")
    if out.suffix.lower() != suffix:
        raise UsageError(f"`out` {out}: for {to}, the name must end in {suffix}", argument="out")
    return out


def check_handover(out: Path, to: TargetName, read: Collection[Path], session: Session) -> None:
    """Raise UsageError where nothing can be written at `out`; `read`: the files that are read."""
    first = out.parent / f"{out.name}{TARGETS[to].first}"
    check_written("out", first, None, read, session.workspace)


def hand_over_selection(
    selection: Selection,
    to: TargetName,
    out: Path,
    columns: Mapping[str, str],
    *,
    session: Session,
) -> HandedOver:
    """Write what was just selected, and beside it the rows with all their columns.

    `columns`: as it was selected with.
    Raises UsageError where nothing was selected, or the tool cannot take an item.
    """
    clusters = {(choice.round, choice.cluster) for choice in selection.chosen}
    decisions = [
        decision
        for decision in selection.decisions
        if decision.model is not None and (decision.round, decision.cluster) in clusters
    ]
    shown = dict.fromkeys(chain.from_iterable(decision.shown for decision in decisions))
    texts = {item.id: item for item in named(selection.pool, [*shown])}  # not of the whole pool
    handed = handed_items(selection.chosen, decisions, texts)
    rows = out.with_name(f"{out.name}{ROWS}")
    return _written(handed, to, out, rows, session, columns)


async def hand_over(source: Path, settings: HandoverSettings, *, session: Session) -> HandedOver:
    """Write the items of a selection, or those that a pair picked in a run, for those who answer.

    Raises RunError for what is neither, UsageError for a run of several pairs without `arm`.
    """
    place = session.path(source)
    if not place.exists():
        raise UsageError(f"{source} does not exist. Check the path")
    named = source if source.name else real(place)  # the current folder has no name
    out = handover_path(named, settings.to, settings.out)
    check_handover(session.path(out), settings.to, [place], session)
    if place.is_dir() and not is_selection(place):
        handed, rows = _of_run(place, settings, session), session.path(out)
        rows = rows.with_name(f"{rows.name}{ROWS}")
        return _written(
            handed, settings.to, session.path(out), rows, session, columns_of_run(place)
        )
    if settings.arm is not None:
        raise UsageError(
            f"`arm`: {source} is a selection, which has only one arm. Leave it out", argument="arm"
        )
    handed = _of_selection(place, settings, session)
    out, columns = session.path(out), settings.columns
    return _written(handed, settings.to, out, place, session, columns, kept=True)


def _written(
    handed: Sequence[HandedItem],
    to: TargetName,
    out: Path,
    rows: Path,
    session: Session,
    columns: Mapping[str, str],
    *,
    kept: bool = False,
) -> HandedOver:
    """Write the files; the selection itself too, unless it is `kept` where it is."""
    if not handed:
        raise UsageError("nothing was selected, so there is nothing to hand over")
    source = Path(os.path.relpath(rows, out.parent)).as_posix()
    if not TARGETS[to].turns and (longer := sum(bool(one.turns) for one in handed)):
        able = [name for name, target in TARGETS.items() if target.turns]
        session.note(
            f"Note: {longer:,} of {len(handed):,} items are conversations with more turns than a "
            f"question and its answer. {to} cannot show turns, and shows only their instruction, "
            f"input and response. {', '.join(able)} show every turn."
        )
    files = handover_files(TARGETS[to], out, handed, source, columns_words(columns))
    if not kept:
        check_written("out", rows, SELECTION, [], session.workspace)
    written = write_handover(out, files)
    if not kept:
        write_selection(rows, [one.choice for one in handed])
    filled = sum(one.choice.filled for one in handed)
    return HandedOver(out, tuple(written), len(handed), filled, rows, columns)


def _of_selection(path: Path, settings: HandoverSettings, session: Session) -> list[HandedItem]:
    chosen = read_selected(path, settings.columns)
    texts: Mapping[str, Item] = {}
    decisions = _decisions_beside(path)
    if settings.pool is not None:
        pool = load_pool(
            located(session.path(Path()), settings.pool), columns=settings.columns
        ).pool
        texts = pool.by_id
        if absent := next((c.item.id for c in chosen if c.item.id not in texts), None):
            raise UsageError(
                f"`pool` {settings.pool}: has no item {absent!r}, which {path} selected. Name the "
                "pool that it was made from",
                argument="pool",
            )
    elif decisions:
        session.note(
            "Note: Only the ids of the items that were not selected are shown. To show their "
            "texts, name the pool: `pool` FILE."
        )
    return handed_items(chosen, decisions, texts)


def _decisions_beside(path: Path) -> list[Decision]:
    """The clusters of a selection; none where no log is beside it, or a strategy selected."""
    log = log_beside(path)
    latest = () if log is None else log.latest.values()
    return [decision for decision in latest if decision.model is not None]


def _of_run(folder: Path, settings: HandoverSettings, session: Session) -> list[HandedItem]:
    """What one pair picked in each cluster, shown in the first order and repeat."""
    inputs, pool = read_run_inputs(folder), pool_of_run(folder)
    arms: dict[str, list[Decision]] = {}
    for decision in finished_decisions(folder, inputs):
        if decision.model is not None and not decision.order and not decision.repeat:
            arms.setdefault(f"{decision.prompt}+{decision.model}", []).append(decision)
    if settings.arm is None and len(arms) != 1:
        raise UsageError(
            f"`arm`: {folder} has {len(arms)} pairs. Name the one whose picks are handed over: "
            f"{', '.join(arms) or 'none'}",
            argument="arm",
        )
    arm = settings.arm or next(iter(arms))
    if arm not in arms:
        raise UsageError(f"`arm`: {unknown('pair', arm, arms)}", argument="arm")
    decisions = arms[arm]
    chosen = [
        Chosen(pool.by_id[pick], decision.cluster, 0, arm, rank=rank, reason=reasons.get(pick))
        for decision in decisions
        for reasons in (_reasons(decision, pool.by_id, session),)
        for rank, pick in enumerate(decision.picks, start=1)
    ]
    return handed_items(chosen, decisions, pool.by_id)


def _reasons(decision: Decision, items: Mapping[str, Item], session: Session) -> Mapping[str, str]:
    """What the reply says of the picks; nothing if the prompt is gone."""
    try:
        prompt = session.library.load(decision.prompt or "", session.base)
    except PromptError:
        return {}
    if not decision.replies or prompt.sha256 != decision.prompt_sha256 or way_of(prompt):
        return {}
    shown = tuple(items[item_id] for item_id in decision.shown)
    labels = labels_for(prompt, len(shown))
    question = Question(shown, labels, len(decision.picks), prompt.reply, prompt.folders)
    picks = [decision.shown.index(pick) for pick in decision.picks]
    reply = decision.replies[-1]
    given = reasons_in(reply.reply, question, picks, reply.finish_reason)
    return {decision.shown[position]: reason for position, reason in given.items()}
