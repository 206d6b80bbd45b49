"""What is to be audited, opened: the pair, its clusters, and the models that answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selectllm.core.codec import sha256_json
from selectllm.core.errors import SuiteError, UsageError
from selectllm.core.names import unknown
from selectllm.core.shown import counted
from selectllm.data.stored_items import named
from selectllm.evaluation.audit.attacks import attacks
from selectllm.evaluation.audit.copies import can_tell_copies, copy_tasks, with_copies
from selectllm.evaluation.audit.hijack import hijack_tasks
from selectllm.evaluation.audit.labels import label_tasks
from selectllm.evaluation.audit.order import order_tasks
from selectllm.evaluation.audit.parsing import repeat_tasks
from selectllm.evaluation.audit.subject import PROBES, AuditSettings, Subject
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.run_inputs import deciding
from selectllm.evaluation.runs.execute import context_for
from selectllm.evaluation.runs.prepare import Sources, SuiteData, load_prompts, read_data
from selectllm.evaluation.suite import Suite
from selectllm.jobs.comparing import halves
from selectllm.jobs.evaluating import check_record, recorded_replies
from selectllm.jobs.options import Auditing
from selectllm.jobs.session import Session
from selectllm.models.connect import Connections, settled
from selectllm.models.model import ModelSpec
from selectllm.models.providers.providers import needs_num_ctx
from selectllm.prompting.prompt import Prompt, first_question, settings_of, with_settings
from selectllm.selection.selector import open_selector
from selectllm.selection.task import AskSettings, Task
from selectllm.selection.ways.following import check_asked

DEFENCE = "defence"
"""The variable of a prompt each of whose values is compared."""


@dataclass(frozen=True)
class Audited:
    """A subject, ready to be asked. `shared`: what its models share; `ask`: how they are asked."""

    suite: Suite
    subject: Subject
    shared: Connections
    ask: AskSettings
    pool_sha256: str

    @property
    def manifest(self) -> dict[str, Any]:
        """What the audit is made from: equal manifests and replies give equal results."""
        subject, suite = self.subject, self.suite
        selector, settings = subject.selector, subject.settings
        return {
            "audit": 1,
            "suite": suite.name,
            "pool_sha256": self.pool_sha256,
            "clusters_sha256": sha256_json([[c.id, c.members] for c in subject.clusters]),
            "picks": subject.k,
            "reask": suite.reask,
            "seed": settings.seed,
            "structured": suite.structured,
            "prompt": {selector.prompt.ref: selector.prompt.sha256},
            "model": selector.spec.recorded(selector.endpoint),
            "compared": {rival.prompt.ref: rival.prompt.sha256 for rival in subject.rivals},
            "probes": list(settings.probes),
            "orders": settings.orders,
            "repeats": settings.repeats,
            "again": settings.again,
            "attacks_sha256": attacks().sha256,
        }

    @property
    def default_name(self) -> str:
        """SUITE-audit-<first 12 digits of the manifest's hash>."""
        return f"{self.suite.name}-audit-{sha256_json(self.manifest)[:12]}"

    @property
    def orders(self) -> int:
        """In how many orders the clusters are shown; one where only other probes need them."""
        wanted = {"order", "length"} & {*self.subject.settings.probes}
        return self.subject.settings.orders if wanted else 1

    def known_ahead(self) -> dict[str, list[Task]]:
        """The questions that follow from nothing that is asked before, by probe."""
        subject = self.subject
        ways = {"labels": label_tasks, "hijack": hijack_tasks, "parsing": repeat_tasks}
        probes = subject.settings.probes
        asked = {"order": [*order_tasks(subject, self.orders)]}
        asked |= {name: [*make(subject)] for name, make in ways.items() if name in probes}
        if "hijack" in probes and subject.rivals:
            asked["rivals"] = [t for rival in subject.rivals for t in hijack_tasks(subject, rival)]
        return asked

    def copies(self, base: Mapping[int, Any]) -> list[Task]:
        """The questions with copies; none where they could not be told, or are not wanted."""
        wanted = "copies" in self.subject.settings.probes and can_tell_copies(self.subject)
        return [*copy_tasks(self.subject, base)] if wanted else []


def open_audit(
    session: Session, suite: Suite, auditing: Auditing, record: Path | str | None = None
) -> Audited:
    """The audit that is described, its models ready to be asked, what can be wrong checked.

    Raises UsageError for whatever cannot work.
    """
    auditing.check()
    check_record(session, suite, record)
    settings = AuditSettings(
        probes=_probes(auditing.probe),
        orders=auditing.orders,
        repeats=auditing.repeats,
        seed=suite.seed,
        again=auditing.again,
    )
    prompt, spec = _pair(session, suite, auditing)
    rivals = _rivals(session, suite, prompt, auditing.compare_prompt)
    pack = recorded_replies(session, suite, record)
    shared = session.connections(pack=pack, budget=suite.budget)
    shared = replace(shared, base=suite.folder)
    asking = () if suite.replies is not None else (spec,)
    with session.computing("embedding") as progress:
        embedder = session.embedder(progress, suite.encoder_name, asking)
        data = read_data(suite, Sources(embedder, session.clusters))
    session.note_pool(data.pool)
    _check_shown(data, suite, (prompt, *rivals))
    subject, shared = _subject(suite, data, (prompt, *rivals), spec, settings, shared)
    return Audited(
        suite=suite,
        subject=subject,
        shared=shared,
        ask=AskSettings(
            concurrency=session.settings.concurrency,
            reask=suite.reask,
            structured=suite.structured == "auto",
        ),
        pool_sha256=data.pool.sha256,
    )


def _probes(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in PROBES:
            raise UsageError(f"`probe`: {unknown('probe', name, PROBES)}", argument="probe")
    return tuple(probe for probe in PROBES if probe in names) if names else PROBES


def _pair(session: Session, suite: Suite, auditing: Auditing) -> tuple[Prompt, ModelSpec]:
    """The prompt and the model that are audited: one question at a time, without a vote."""
    prompts = load_prompts(suite, session.library)
    named = halves(suite, prompts, session.library)
    arm: Arm = named.with_default(prompt=auditing.prompt, model=auditing.model).only()
    prompt = next(prompt for prompt in prompts.values() if prompt.ref == arm.prompt)
    spec = next(spec for spec in suite.specs() if spec.name == arm.model)
    if spec.vote is not None:
        session.note(
            f"Note: {spec.name} votes in the suite. Its single replies are audited, and the table "
            "of orders shows what a vote would change"
        )
    return prompt, settled(replace(spec, vote=None), suite.folder)


def _rivals(
    session: Session, suite: Suite, prompt: Prompt, references: Sequence[str]
) -> tuple[Prompt, ...]:
    """The prompts to compare with; one with a variable `defence` in each of its values."""
    rivals: list[Prompt] = []
    for reference in references:
        loaded = session.library.load(reference, suite.folder)
        values = dict(loaded.variables).get(DEFENCE, ())
        if values and loaded.sha256 == prompt.sha256:  # its own wording is audited anyway
            values = tuple(each for each in values if each != settings_of(loaded)[DEFENCE])
            if not values:
                continue
        for value in values:
            settled_one = with_settings(loaded, {DEFENCE: value})
            name = f"{loaded.ref} {DEFENCE}={value}"
            rivals.append(replace(settled_one, name=name, version=loaded.version))
        rivals += [] if values else [loaded]
    known = [each.sha256 for each in (prompt, *rivals)]
    for rival in rivals:
        if known.count(rival.sha256) > 1:
            raise UsageError(
                f"`compare_prompt`: {rival.ref} is compared with itself. Name other prompts",
                argument="compare_prompt",
            )
    return tuple(rivals)


def _check_shown(data: SuiteData, suite: Suite, prompts: Sequence[Prompt]) -> None:
    """Raise an error for a prompt that cannot show the largest cluster."""
    largest = max(data.clusters, key=lambda cluster: len(cluster.members))
    items = named(data.pool, largest.members)[:]
    for prompt in prompts:
        first_question(prompt, items, suite.picks)
        check_asked(prompt, len(items))


def _subject(
    suite: Suite,
    data: SuiteData,
    prompts: Sequence[Prompt],
    spec: ModelSpec,
    settings: AuditSettings,
    shared: Connections,
) -> tuple[Subject, Connections]:
    clusters = tuple(c for c in data.clusters if len(c.members) > suite.picks)
    if len(clusters) < 2:
        raise SuiteError(
            f"clusters: {counted(len(clusters), 'cluster')} of {suite.name} "
            f"{'has' if len(clusters) == 1 else 'have'} more than the {suite.picks} items to "
            "pick, and an audit needs at least two. Use a larger pool, or raise clusters.limit "
            "or `limit`"
        )
    utility = deciding(data.utilities, suite.gate)
    members = [member for cluster in clusters for member in cluster.members]
    if utility is not None:
        rated = [member for member in members if member in utility.values]
        utility = None if len(rated) < len(members) else utility
        if utility is not None:
            shared = replace(shared, utility=with_copies(utility.values, members))

    items = {item.id: item for item in named(data.pool, members)[:]}

    def subject(shared: Connections) -> Subject:
        first, *others = (open_selector(prompt, spec, shared) for prompt in prompts)
        return Subject(
            selector=first,
            clusters=clusters,
            items=items,
            k=suite.picks,
            settings=settings,
            utility=utility,
            rivals=tuple(others),
            anew=open_selector(prompts[0], spec, replace(shared, anew=True)),
        )

    opened = subject(shared)
    if needs_num_ctx([spec]):
        shared = replace(shared, num_ctx=context_for(order_tasks(opened, 1)))
        opened = subject(shared)
    return opened, shared
