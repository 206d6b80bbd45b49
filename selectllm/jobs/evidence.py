"""What a run's page shows beside its figures, read from the run folder; nothing is asked."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selectllm.core.errors import PromptError, RunError, SelectLLMError
from selectllm.core.files import read_json
from selectllm.core.types import Attempt, Decision, Item, Pool
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.run_inputs import RunInputs, read_manifest, read_run_inputs
from selectllm.evaluation.metrics.gains import DecisionGains
from selectllm.evaluation.metrics.lengths import length_edges, picks_by_length
from selectllm.jobs.computing import all_stays
from selectllm.jobs.provenance import provenance
from selectllm.jobs.rating import SCALE, pool_of_run
from selectllm.jobs.workspace import Workspace
from selectllm.models.model import ModelSpec
from selectllm.models.providers.mock import MockModel
from selectllm.prompting.library import PromptLibrary
from selectllm.prompting.parts import Numbered, Part, Parted, PartedPrompt
from selectllm.prompting.prompt import Prompt
from selectllm.report.formats import Place
from selectllm.report.html.evidence import (
    AskedRatings,
    LengthBin,
    PromptShape,
    RunEvidence,
    Showing,
    ShownArm,
    ShownAttempt,
    ShownChoice,
    ShownCluster,
    ShownItem,
)
from selectllm.selection.decision_log import read_log
from selectllm.selection.replay import shown_by_attempts
from selectllm.selection.selector import Selector
from selectllm.selection.task import AskSettings, Task
from selectllm.selection.ways.following import way_of
from selectllm.utility.annotation.asked import default_rubric
from selectllm.utility.annotation.sheets import HOW_TO_FILL, SHEET_MARK

SEARCH = "optimize.json"  # of a folder whose decisions are those of a search, not of one run
SCRIPT = MockModel(ModelSpec("no model", "mock/first"))  # which is not asked
ByArm = Mapping[str, Mapping[int, float]]
"""G by arm and cluster: 0 for the worst possible picks, 1 for the best."""


def place_of(workspace: Workspace | None, formats: Collection[str], run: Path | None) -> Place:
    """Where reports in these formats are read, and of the folder `run` what a page shows."""
    checkout = Path(os.environ.get("GITHUB_WORKSPACE", ".")).resolve()
    if workspace is None:
        return Place(None, checkout)
    if "html" not in formats or run is None:
        return Place(workspace.root, checkout)
    return place_of_run(run, workspace, checkout)


def place_of_run(folder: Path, workspace: Workspace, checkout: Path | None = None) -> Place:
    """Where a page of the run in `folder` is read, with its cases; prompts lie in `workspace`."""
    evidence = read_evidence(folder, PromptLibrary(workspace.prompts))
    return Place(workspace.root, checkout, evidence)


@all_stays()
def read_evidence(folder: Path, library: PromptLibrary) -> RunEvidence | None:
    """The cases of the run in `folder`; None if it is the folder of no run.

    `library`: where its prompts are looked for. A pool or a prompt that is not there any more, or
    has changed, is told in the notes. Raises RunError for a run that is damaged, with the line.
    """
    if not (folder / "decisions.jsonl").exists() or (folder / SEARCH).exists():
        return None
    inputs, decisions = read_asked(folder)
    evidence = evidence_of(folder, inputs, decisions, library)
    return replace(evidence, notes=(*evidence.notes, *_lost(folder, decisions)))


def _lost(folder: Path, decisions: Sequence[Decision]) -> Iterator[str]:
    """That the log was cut since the results were computed from it; strategies are not counted."""
    results = folder / "results.json"
    pairs = read_json(results).get("pairs", []) if results.exists() else []
    asked = sum(pair["decisions"] for pair in pairs)
    named = {(pair["prompt"], pair["model"]) for pair in pairs}
    logged = sum((decision.prompt, decision.model) in named for decision in decisions)
    if logged < asked:
        yield (
            f"The log of this run has lost decisions: {logged:,} of {asked:,} are left, and only "
            "those are among the cases. The figures are those of all."
        )


def read_asked(folder: Path) -> tuple[RunInputs, list[Decision]]:
    """The run in `folder`, of the clusters that it asked, and its decisions.

    Raises RunError for what is missing or damaged, with the line, and for another run's log.
    """
    manifest, inputs = read_manifest(folder), read_run_inputs(folder)
    log = read_log(folder / "decisions.jsonl")
    if log.manifest != manifest:
        raise RunError(
            f"{folder / 'decisions.jsonl'} is the log of another run than {folder / 'run.json'}. "
            "Restore the one that belongs to it, or run the suite again"
        )
    decisions = [log.latest[key] for key in sorted(log.latest)]
    return inputs.first(inputs.asked({decision.cluster for decision in decisions})), decisions


def evidence_of(
    folder: Path, inputs: RunInputs, decisions: Sequence[Decision], library: PromptLibrary
) -> RunEvidence:
    """The cases of the run in `folder`, of these clusters and decisions; see `read_evidence`."""
    manifest = read_manifest(folder)
    collected = _collected(folder, inputs, decisions, library)
    gains = _gains(inputs, collected.by_arm)
    reference, judged = _compared(inputs, list(collected.by_arm))
    headline = inputs.headline
    return RunEvidence(
        picks=inputs.picks,
        arms=tuple(ShownArm(arm.name, *_parts(arm)) for arm in collected.by_arm),
        utilities=tuple(utility.name for utility in inputs.utilities),
        deciding=None if headline is None else headline.name,
        reference=reference,
        judged=judged,
        items=tuple(collected.items()),
        clusters=tuple(_clusters(inputs, gains, list(collected.by_arm))),
        showings=tuple(collected.showings.values()),
        choices=tuple(collected.choices),
        replies=collected.replies.texts,
        shapes=tuple(collected.shapes),  # which number the pieces
        pieces=collected.pieces.texts,
        labels={ref: each.prompt.labels for ref, each in collected.prompts.items()},
        lengths=tuple(collected.lengths()),
        asked=_asked(inputs, manifest["pool_sha256"]) if len(collected.by_arm) > 1 else None,
        provenance=provenance(folder, manifest),
        notes=tuple(collected.notes),
        simulated=_simulated(inputs),
    )


def _simulated(inputs: RunInputs) -> tuple[str, ...]:
    """The models, if all of them are scripts that answer without being asked anything."""
    scripted = [name for name, spec in inputs.specs.items() if str(spec["id"]).startswith("mock/")]
    return tuple(sorted(scripted)) if len(scripted) == len(inputs.specs) else ()


def _collected(
    folder: Path, inputs: RunInputs, decisions: Sequence[Decision], library: PromptLibrary
) -> _Collected:
    """Raises RunError for decisions on items that are not the run's."""
    try:
        collected = _Collected(inputs, decisions, *_pool(folder), read_manifest(folder))
        collected.render_with(library)
    except KeyError as error:
        raise RunError(
            f"{folder / 'decisions.jsonl'}: mentions {error}, which is not in the run. The log "
            "was changed: restore it, or run the suite again"
        ) from None
    return collected


def _parts(arm: Arm) -> tuple[str | None, str | None, str | None]:
    return arm.prompt, arm.model, arm.strategy


def _pool(folder: Path) -> tuple[Pool | None, list[str]]:
    try:
        return pool_of_run(folder), []
    except SelectLLMError as error:
        return None, [f"The texts of the items are not shown: {error}."]


def _gains(inputs: RunInputs, by_arm: Mapping[Arm, Sequence[Decision]]) -> ByArm:
    utility = inputs.headline
    if utility is None or utility not in inputs.covering:
        return {}
    gains = DecisionGains(utility.values, inputs.picks)
    return {arm.name: gains.of(decisions) for arm, decisions in by_arm.items()}


def _clusters(inputs: RunInputs, gains: ByArm, arms: Sequence[Arm]) -> Iterator[ShownCluster]:
    for cluster in inputs.clusters:
        found = (gains.get(arm.name, {}).get(cluster.id) for arm in arms)
        lost = tuple(None if gain is None else round(1 - gain, 4) for gain in found)
        yield ShownCluster(cluster.id, cluster.group, lost)


def _compared(inputs: RunInputs, arms: Sequence[Arm]) -> tuple[int, int]:
    """The numbers of two arms that are held against each other first."""
    named = inputs.comparison.arms if inputs.comparison is not None else ()
    numbers = [arms.index(arm) for arm in named if arm in arms]
    numbers += [number for number in range(len(arms)) if number not in numbers]
    return (numbers[0], numbers[1]) if len(numbers) > 1 else (0, 0)


def _asked(inputs: RunInputs, pool_sha256: str) -> AskedRatings:
    utility = inputs.headline
    scale = (utility.range if utility else None) or SCALE
    rubric = default_rubric(scale)
    return AskedRatings(inputs.suite, pool_sha256, scale, rubric, HOW_TO_FILL, SHEET_MARK)


@dataclass
class _Collected:
    """Everything that stands once on the page, gathered decision by decision."""

    inputs: RunInputs
    decisions: Sequence[Decision]
    pool: Pool | None
    notes: list[str]
    manifest: Mapping[str, Any]
    by_arm: dict[Arm, list[Decision]] = field(init=False)
    numbers: dict[str, int] = field(init=False)
    showings: dict[tuple[str, ...], Showing] = field(default_factory=dict)
    choices: list[ShownChoice] = field(default_factory=list)
    _numbered: dict[Parted, int] = field(default_factory=dict)
    prompts: dict[str, PartedPrompt] = field(default_factory=dict)
    ways: dict[str, Prompt] = field(default_factory=dict)
    replies: Numbered = field(default_factory=Numbered)
    pieces: Numbered = field(default_factory=Numbered)

    def __post_init__(self) -> None:
        members = (member for cluster in self.inputs.clusters for member in cluster.members)
        self.numbers = {member: number for number, member in enumerate(members)}
        arms = [Arm(*pair) for pair in self.inputs.pairs]
        arms += [Arm(strategy=name) for name in self.inputs.strategies]
        found: dict[Arm, list[Decision]] = {arm: [] for arm in arms}
        for decision in self.decisions:
            found[Arm(decision.prompt, decision.model, decision.strategy)].append(decision)
        self.by_arm = {arm: made for arm, made in found.items() if made}

    def items(self) -> Iterator[ShownItem]:
        """Every item of the clusters, by its number."""
        utilities = self.inputs.utilities
        for member in self.numbers:
            item = Item(member, "") if self.pool is None else self.pool.by_id[member]
            values = tuple(utility.values.get(member) for utility in utilities)
            yield ShownItem(member, item.instruction, item.input, values)

    def render_with(self, library: PromptLibrary) -> None:
        """Put together the choices, each with the shape of what it was shown."""
        self._load(library)
        positions = {cluster.id: at for at, cluster in enumerate(self.inputs.clusters)}
        shaped: dict[tuple[str | None, int], int | None] = {}
        order = {showing: at for at, showing in enumerate(self._show(positions))}
        for number, decisions in enumerate(self.by_arm.values()):
            for decision in decisions:
                showing = order[decision.shown]
                key = decision.prompt, showing
                if key not in shaped:
                    shaped[key] = self._shape(decision)
                self.choices.append(self._choice(decision, number, showing, shaped[key]))

    def _show(self, positions: Mapping[int, int]) -> dict[tuple[str, ...], Showing]:
        for decision in self.decisions:
            if decision.shown not in self.showings:
                items = tuple(self.numbers[item] for item in decision.shown)
                cluster = positions[decision.cluster]
                self.showings[decision.shown] = Showing(cluster, decision.order, items)
        return self.showings

    def _load(self, library: PromptLibrary) -> None:
        for ref, sha256 in self.inputs.prompts.items():
            try:
                prompt = library.load(ref)
            except PromptError as error:
                self.notes.append(f"Prompt {ref} is not shown: {error}.")
                continue
            if way_of(prompt) is not None:
                self._load_way(ref, prompt, sha256)
            elif prompt.sha256 == sha256:
                self.prompts[ref] = PartedPrompt(prompt, self.inputs.picks)
            else:
                self.notes.append(
                    f"Prompt {ref} is not shown: its file is not the one that the run used."
                )

    def _load_way(self, ref: str, prompt: Prompt, sha256: str) -> None:
        """Of a prompt that asks several questions about each cluster."""
        told = "but not which candidates each of them showed: its file is not the run's."
        if prompt.sha256 == sha256:
            self.ways[ref] = prompt
            told = "and which candidates each of them showed."
        self.notes.append(
            f"Prompt {ref} asks several questions about each cluster. Their replies are shown, "
            f"{told}"
        )

    def _slots(self, decision: Decision) -> Sequence[tuple[int, ...] | None]:
        """For every attempt the slots of the candidates that it showed, of some of them."""
        nothing = [None] * len(decision.attempts)
        prompt = self.ways.get(decision.prompt or "")
        if prompt is None or self.pool is None:
            return nothing
        given = self.inputs.specs[decision.model or ""]
        kept = ("id", "context", "max_tokens", "structured", "extra", "answer", "reasoning")
        settings = {name: given[name] for name in kept if name in given}
        spec = ModelSpec(name=decision.model or "", **settings)
        task = Task(
            Selector(prompt, spec, SCRIPT),
            decision.cluster,
            tuple(self.pool.by_id[item] for item in decision.shown),
            self.inputs.picks,
            order=decision.order,
            repeat=decision.repeat,
            seed=self.manifest["seed"] + decision.repeat,
        )
        found = shown_by_attempts(task, decision, AskSettings(reask=self.manifest["reask"]))
        slots = {item: slot for slot, item in enumerate(decision.shown)}
        return nothing if found is None else [tuple(slots[i] for i in ids) for ids in found]

    def _shape(self, decision: Decision) -> int | None:
        prompt = self.prompts.get(decision.prompt or "")
        if prompt is None or self.pool is None:
            return None
        items = [self.pool.by_id[item] for item in decision.shown]
        try:
            parted = prompt.of(items)
        except PromptError:
            return None
        return self._numbered.setdefault(parted, len(self._numbered))

    @property
    def shapes(self) -> Iterator[tuple[PromptShape, ...]]:
        """Every prompt's parts once, by number, with pieces by theirs."""
        for parted in self._numbered:
            yield tuple(PromptShape(role, self._numbers(parts)) for role, parts in parted)

    def _numbers(self, parts: Sequence[Part]) -> tuple[int | tuple[int, int], ...]:
        return tuple(part if isinstance(part, tuple) else self.pieces.of(part) for part in parts)

    def _choice(self, decision: Decision, arm: int, showing: int, shape: int | None) -> ShownChoice:
        slots = {item: slot for slot, item in enumerate(decision.shown)}
        return ShownChoice(
            arm=arm,
            showing=showing,
            repeat=decision.repeat,
            picks=tuple(slots[item] for item in decision.picks),
            status=decision.status,
            problems=decision.problems,
            attempts=tuple(map(self._attempt, decision.attempts, self._slots(decision))),
            shape=shape,
        )

    def _attempt(self, attempt: Attempt, shown: tuple[int, ...] | None) -> ShownAttempt:
        return ShownAttempt(
            self.replies.of(attempt.reply),
            attempt.finish_reason,
            attempt.tokens_in,
            attempt.tokens_out,
            attempt.cost_usd,
            attempt.kind,
            shown,
        )

    def lengths(self) -> Iterator[LengthBin]:
        """How often items were picked by their length, of every arm."""
        if self.pool is None:
            return
        lengths = {member: len(self.pool.by_id[member].text) for member in self.numbers}
        edges = length_edges(lengths.values())
        for arm, decisions in self.by_arm.items():
            for each in picks_by_length(decisions, lengths, edges):
                yield LengthBin(arm.name, each.low, each.high, each.shown, each.picked)
