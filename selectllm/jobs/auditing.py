"""Audit a prompt and a model: ask what should make no difference, and see whether it does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

from selectllm.core.errors import ReplyMissing, UsageError
from selectllm.core.files import real
from selectllm.core.progress import ticks
from selectllm.core.types import Decision, Reply
from selectllm.core.verdict_words import Polarity
from selectllm.evaluation.audit.comparison import check_comparable, compared
from selectllm.evaluation.audit.drift import TIMES, drift_tasks
from selectllm.evaluation.audit.results import AuditDecisions, audit_results
from selectllm.evaluation.audit.schema import AuditPlan, AuditResults, ProbePlan
from selectllm.evaluation.audit.subject import Subject
from selectllm.evaluation.planning.destinations import destinations
from selectllm.evaluation.planning.forecast import (
    Forecast,
    Recall,
    assumed_pace,
    forecast,
    outlay,
    pace_of,
    summed,
)
from selectllm.evaluation.planning.prices import priced
from selectllm.evaluation.planning.schema import Outlay, destinations_told
from selectllm.evaluation.suite import Suite
from selectllm.jobs.arguments import parted
from selectllm.jobs.audited import Audited, open_audit
from selectllm.jobs.budgets import budgets_left
from selectllm.jobs.evaluating import EvaluatingArguments, suite_of, write_record
from selectllm.jobs.options import Auditing, Evaluating
from selectllm.jobs.outputs import check_begun
from selectllm.jobs.session import Session, opened
from selectllm.jobs.session_settings import Settings
from selectllm.jobs.turns import turn
from selectllm.selection.ask import make_decisions
from selectllm.selection.decision_log import DecisionLog
from selectllm.selection.selector import Selector
from selectllm.selection.task import Task

RESULTS = "audit.json"
DAMAGED = "not the result of an audit ({why}). Run it again"


class AuditArguments(EvaluatingArguments, total=False):
    """The same as keyword arguments, with those of an evaluation and of a session."""

    prompt: str | None
    model: str | None
    compare_prompt: Sequence[str]
    probe: Sequence[str]
    orders: int
    repeats: int
    again: int
    baseline: Path | str | None


@dataclass(frozen=True, eq=False)
class Audit:
    """An audit that was carried out.

    `results`: what it found, as audit.json has it. `folder`: where that and the logs are.
    `decisions`: by probe. `spent_usd`: what this call cost.
    """

    results: AuditResults = field(repr=False)
    folder: Path
    decisions: Mapping[str, Sequence[Decision]] = field(repr=False)
    spent_usd: float = 0.0

    @property
    def word(self) -> str:
        """`measured`, or `cannot tell`; beside a baseline `worse`, `held` or `cannot tell`."""
        if self.results.comparison is not None:
            return self.results.comparison.word
        return "measured" if self.results.measured else "cannot tell"

    @property
    def polarity(self) -> Polarity:
        """Whether that is good news, bad news, or leaves the question open."""
        return {"worse": "bad", "cannot tell": "open"}.get(self.word, "good")  # type: ignore[return-value]

    def report(self, format: str = "terminal") -> str:
        """The results as `terminal`, `markdown`, `json`, `junit`, `github` or `html`."""
        from selectllm.jobs.reporting import rendered

        return rendered(self.results, format)

    def _repr_html_(self) -> str:
        from selectllm.jobs.reporting import in_a_notebook

        return in_a_notebook(self.results)


async def audit(
    suite: Suite | Path | str,
    *,
    session: Session | None = None,
    **arguments: Unpack[AuditArguments],
) -> Audit:
    """Audit a prompt and a model on the clusters of `suite`, for what should make no difference.

    Order, labels, length, copies and planted attack texts should not; the report says how far they
    do, how valid replies are, and whether the model still answers as when the cache was filled.
    `prompt`, `model`: the pair; None for the suite's only one. `compare_prompt`: other prompts,
    whose resistance to the attacks is compared with this one's; one with a variable `defence` in
    each of its values. `probe`: which probes, of evaluation.audit.subject.PROBES; () for all.
    `orders`: in which each cluster is shown; `repeats`: replies to one question; `again`: cached
    calls that are asked again at most, past the cache. `baseline`: an audit that was recorded, its
    folder or its file, to compare with. The other arguments are those of `evaluate`.

    Writes a folder with a log of each probe and audit.json; run again, it goes on where it
    stopped. Raises UsageError for input that cannot work, before anything is asked; ReplyMissing,
    BudgetReached or ProviderError where asking ends, with what succeeded kept.
    """
    auditing, evaluating, settings = _divided(arguments)
    suite = evaluating.applied(suite_of(suite, session, settings))
    async with opened(session, settings, suite.folder) as session:
        recorded = _recorded_audit(session, auditing)
        audited = open_audit(session, suite, auditing, evaluating.record)
        folder = _folder(session, audited, evaluating)
        if recorded is not None:
            _check_baseline(recorded, audited, session.path(str(auditing.baseline)), folder)
        async with turn(folder):
            return await _carried_out(session, audited, folder, recorded, evaluating)


async def plan_audit(
    suite: Suite | Path | str,
    *,
    session: Session | None = None,
    **arguments: Unpack[AuditArguments],
) -> AuditPlan:
    """Say what `audit` will ask with the same arguments, by probe. Nothing is sent or written.

    The candidates that are planted again, and the cached calls that are asked again, follow from
    the first replies: where these are not known, as many of others stand for them.
    """
    auditing, evaluating, settings = _divided(arguments)
    suite = evaluating.applied(suite_of(suite, session, settings))
    async with opened(session, settings, suite.folder, reading=True) as session:
        audited = open_audit(session, suite, auditing, evaluating.record)
        return await _planned(session, audited)


def _divided(arguments: AuditArguments) -> tuple[Auditing, Evaluating, Settings]:
    """What belongs to the audit, to the evaluation of the suite, and to the session."""
    auditing, rest = parted(Auditing, arguments)
    evaluating, settings = parted(Evaluating, rest)
    rivals, probes = _names(auditing.compare_prompt), _names(auditing.probe)
    return replace(auditing, compare_prompt=rivals, probe=probes), evaluating, settings


def _names(value: Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _folder(session: Session, audited: Audited, evaluating: Evaluating) -> Path:
    if evaluating.out is not None:
        return session.path(evaluating.out)
    return session.workspace.runs / audited.default_name


def _recorded_audit(session: Session, auditing: Auditing) -> AuditResults | None:
    """The audit to compare with. Raises RunError for what is none."""
    if auditing.baseline is None:
        return None
    path = session.path(auditing.baseline)
    return AuditResults.read(path / RESULTS if path.is_dir() else path, DAMAGED)


def _check_baseline(recorded: AuditResults, audited: Audited, path: Path, folder: Path) -> None:
    check_comparable(recorded, audited.suite.name, audited.subject, str(path))
    if real(path) in (real(folder), real(folder / RESULTS)):
        raise UsageError(
            f"`baseline` {path} is the folder of this very audit, so nothing would be compared. "
            "Keep the recorded audit elsewhere, or choose another folder with `out`",
            argument="baseline",
        )


async def _carried_out(
    session: Session,
    audited: Audited,
    folder: Path,
    recorded: AuditResults | None,
    evaluating: Evaluating,
) -> Audit:
    check_begun(folder)
    before = session.ledger.spent
    try:
        asked = await _asked(session, audited, folder)
    except ReplyMissing as error:
        pack = audited.suite.replies and audited.suite.at(audited.suite.replies)
        raise ReplyMissing(str(error), pack=pack or None) from None
    finally:
        for selector in _selectors(audited):
            await selector.model.close()
    results = audit_results(audited.subject, asked, audited.suite.name, audited.pool_sha256)
    if recorded is not None:
        results = results.model_copy(update={"comparison": compared(results, recorded)})
    results.write(folder / RESULTS)
    decisions = {**asked.decisions, "rivals": [d for ds in asked.rivals.values() for d in ds]}
    if evaluating.record is not None:
        kept = [d for probe, ds in decisions.items() if probe != "drift" for d in ds]
        write_record(session, audited.suite, session.path(evaluating.record), kept)
    return Audit(results, folder, decisions, session.ledger.spent - before)


def _selectors(audited: Audited) -> list[Selector]:
    subject = audited.subject
    anew = [] if subject.anew is None else [subject.anew]
    return [subject.selector, *subject.rivals, *anew]


async def _asked(session: Session, audited: Audited, folder: Path) -> AuditDecisions:
    """Every probe's decisions; what its log holds already is not asked again."""

    async def ask(probe: str, tasks: Sequence[Task]) -> list[Decision]:
        place = folder / f"{probe}.decisions.jsonl"
        with (
            DecisionLog(place, audited.manifest | {"probe": probe}) as log,
            session.progress(probe) as progress,
        ):
            tick = ticks(progress, sum(not log.done(task.key) for task in tasks))
            await make_decisions(tasks, audited.ask, log, tick)
            return [log[task.key] for task in tasks]

    decisions = {name: await ask(name, tasks) for name, tasks in audited.known_ahead().items()}
    rivals: dict[str, list[Decision]] = {each.prompt.ref: [] for each in audited.subject.rivals}
    for decision in decisions.pop("rivals", ()):
        rivals[str(decision.prompt)].append(decision)
    base = AuditDecisions(decisions).base
    if tasks := audited.copies(base):
        decisions["copies"] = await ask("copies", tasks)
    why = None
    if "drift" in audited.subject.settings.probes:
        again = [*drift_tasks(audited.subject, base)]
        if session.settings.offline:
            why = "nothing is sent with `offline`, so no cached call could be asked again"
        elif again:
            decisions["drift"] = await ask("drift", again)
    return AuditDecisions(decisions, rivals, why)


async def _planned(session: Session, audited: Audited) -> AuditPlan:
    pack, subject = audited.shared.pack, audited.subject

    def recall(key: str) -> Reply | None:
        return pack.get(key) or session.cache.get(key)

    ahead = audited.known_ahead()
    forecasts = {name: await _forecast(audited, tasks, recall) for name, tasks in ahead.items()}
    known = {each.cluster: each for each in forecasts["order"][0].known if each.order == 0}
    if copies := audited.copies(known):
        forecasts["copies"] = await _forecast(audited, copies, recall)
    if "drift" in subject.settings.probes and not session.settings.offline:
        again = [*drift_tasks(subject, known)]
        forecasts["drift"] = await _forecast(audited, again, None)
    probes = tuple(_probe_plan(name, parts, session) for name, parts in forecasts.items())
    total = summed([probe.outlay for probe in probes])
    budgets = budgets_left(audited.shared.ledger, session.shared)
    return AuditPlan(
        suite=audited.suite.name,
        prompt=subject.selector.prompt.ref,
        model=subject.selector.spec.name,
        clusters=len(subject.clusters),
        probes=probes,
        total=total,
        notes=(*_notes(subject), *(each.told(total.usd).removesuffix(".") for each in budgets)),
    )


def _notes(subject: Subject) -> Iterator[str]:
    """Who is going to see the texts, and what cannot be foretold."""
    asked = [(each.prompt, each.spec) for each in (subject.selector, *subject.rivals)]
    yield destinations_told(destinations(asked, [], os.environ)).removesuffix(".")
    if "drift" in subject.settings.probes:
        yield (
            f"drift asks cached calls {TIMES} times more and past the cache, at most "
            f"{subject.settings.again} of them; before anything is cached there are none"
        )


async def _forecast(
    audited: Audited, tasks: Sequence[Task], recall: Recall | None
) -> list[Forecast]:
    """What the tasks will ask, for each selector among them."""
    selectors = {(t.selector.prompt.ref, t.selector.prompt.sha256): t.selector for t in tasks}
    if not selectors:
        selectors = {("", ""): audited.subject.selector}
    return [
        await forecast(
            selector,
            [task for task in tasks if task.selector.prompt == selector.prompt],
            audited.ask,
            recall,
        )
        for selector in selectors.values()
    ]


def _probe_plan(name: str, parts: Sequence[Forecast], session: Session) -> ProbePlan:
    outlays: list[Outlay] = []
    for part in parts:
        pace = pace_of(part.known, "replies") or assumed_pace(part)
        price = priced(part.spec) if part.unasked else None
        outlays.append(outlay(part, pace, price, session.settings.concurrency))
    return ProbePlan(
        probe=name,
        decisions=sum(part.decisions for part in parts),
        known=sum(len(part.known) for part in parts),
        outlay=summed(outlays),
    )
