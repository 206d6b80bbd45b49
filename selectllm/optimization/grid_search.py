"""Every setting of a prompt's variables, and successive halving over them."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from selectllm.core.codec import canonical_json
from selectllm.core.errors import PromptError
from selectllm.core.types import Cluster, Decision
from selectllm.evaluation.metrics.agreement import Agreement
from selectllm.evaluation.runs.execute import shown_items
from selectllm.evaluation.runs.run import Run
from selectllm.optimization.grid_effects import Effect, Settings, effects
from selectllm.optimization.grid_schedule import DEFAULT, Schedule, ranked
from selectllm.optimization.versions import Versions
from selectllm.prompting.prompt import Prompt, all_settings, render, with_settings
from selectllm.prompting.variables import Value
from selectllm.selection.concurrency import run_all

MOST = 256  # settings
LEAD = 1e-9  # captured by which a setting leads the default, beyond rounding
_PLAIN = re.compile(r"(?!true$|false$|null$)[A-Za-z_][\w-]*")


@dataclass(frozen=True)
class Grid:
    """Every combination of the values of a prompt's variables, by number, the defaults first.

    `prompts`: what each is asked by; that of the defaults is the parent itself.
    """

    settings: tuple[Settings, ...]
    prompts: tuple[Prompt, ...]

    @classmethod
    def of(cls, parent: Prompt) -> Grid:
        """The grid of `parent`. Raises PromptError if its variables leave nothing, or too much."""
        count = math.prod(len(values) for _, values in parent.variables)
        if count > MOST:
            raise PromptError(
                f"{parent.path}: its variables have {count:,} combinations, and `grid` tries "
                f"{MOST} at most. Declare fewer values"
            )
        settings = all_settings(parent)
        if len(settings) < 2:
            lacking = "one has one value of each" if parent.variables else "one has none"
            raise PromptError(
                f"{parent.path}: `grid` tries values of a prompt's variables, and this {lacking}. "
                f"Declare some in its front matter (`variables: {{reasons: [none, before]}}`), or "
                "take parts@1"
            )
        drafts = (_draft(parent, chosen, settings[DEFAULT]) for chosen in settings[1:])
        return cls(settings, (parent, *drafts))

    @property
    def changes(self) -> tuple[int, ...]:
        """How many variables of each setting have another value than by default."""
        usual = self.settings[DEFAULT]
        return tuple(sum(each[n] != usual[n] for n in usual) for each in self.settings)

    def check(self, run: Run, clusters: Sequence[Cluster]) -> None:
        """Raise PromptError if a setting cannot be shown, before anything is asked."""
        largest = max(clusters, key=lambda cluster: len(cluster.members))
        shown = shown_items(run, largest, 0)
        for prompt in self.prompts:
            replace(run.selectors[0], prompt=prompt)  # what log-probabilities cannot answer
            render(prompt, shown, run.suite.picks)


def _draft(parent: Prompt, chosen: Settings, defaults: Settings) -> Prompt:
    """`parent` with these settings; its name says which, since drafts share their reference."""
    other = {name: value for name, value in chosen.items() if value != defaults[name]}
    return replace(with_settings(parent, chosen), name=f"{parent.name}[{said(other)}]")


def said(settings: Settings) -> str:
    """`criteria=false, labels=letters`: different settings are said differently."""
    return ", ".join(f"{name}={_said(value)}" for name, value in settings.items())


def _said(value: Value) -> str:
    plain = isinstance(value, str) and _PLAIN.fullmatch(value)
    return str(value) if plain else canonical_json(value)


@dataclass(frozen=True, slots=True)
class RoundMade:
    """One round: the ids of its new clusters, which settings were asked, which went on.

    `survivors`: best first, without the default one, which always goes on.
    """

    clusters: tuple[int, ...]
    settings: tuple[int, ...]
    survivors: tuple[int, ...]


@dataclass(frozen=True)
class Halved:
    """What a search ended with.

    `measured` holds every setting by its number, on all clusters about which it was asked.
    `effects` are those of the first round. `finalists` are the settings to be confirmed, the best
    first; there are none if the defaults did best.
    """

    rounds: tuple[RoundMade, ...]
    measured: Mapping[int, Agreement]
    effects: tuple[Effect, ...]
    finalists: tuple[int, ...]


async def halve(
    versions: Versions, grid: Grid, clusters: Sequence[Cluster], schedule: Schedule
) -> Halved:
    """Carry out `schedule` over the settings of `grid`, on `clusters` in their order.

    Raises as Versions.decide_by does.
    """
    seed = versions.run.suite.seed
    left = list(range(len(grid.prompts)))
    made: defaultdict[int, list[Decision]] = defaultdict(list)
    measured: dict[int, Agreement] = {}
    found: list[Effect] = []
    rounds: list[RoundMade] = []
    for planned, kept in zip(schedule.rounds, schedule.kept, strict=True):
        new, clusters = clusters[: planned.clusters], clusters[planned.clusters :]
        await _ask(versions, grid, left, new, made)
        measured |= {number: versions.agreement(made[number]) for number in left}
        found = found or _effects(versions, grid, measured)
        captured = {number: captured_by(measured[number]) for number in left}
        survivors = ranked(captured, grid.changes, seed)[:kept]
        ids = tuple(cluster.id for cluster in new)
        rounds.append(RoundMade(ids, tuple(left), tuple(survivors)))
        left = sorted([DEFAULT, *survivors])
    # All that are left were asked on the same clusters; only who leads is worth confirming.
    finalists = (number for number in survivors if captured[number] > captured[DEFAULT] + LEAD)
    return Halved(tuple(rounds), measured, tuple(found), tuple(finalists))


async def _ask(
    versions: Versions,
    grid: Grid,
    numbers: Sequence[int],
    clusters: Sequence[Cluster],
    made: Mapping[int, list[Decision]],
) -> None:
    """Decide every cluster by every setting, cluster by cluster; into `made`, in their order."""
    decided: dict[tuple[int, int], Decision] = {}

    async def one(question: tuple[Cluster, int]) -> None:
        cluster, number = question
        decided[cluster.id, number] = await versions.decide_by(grid.prompts[number], cluster)

    questions = [(cluster, number) for cluster in clusters for number in numbers]
    await run_all(questions, one, versions.settings.concurrency)
    for cluster, number in questions:
        made[number].append(decided[cluster.id, number])


def captured_by(found: Agreement) -> float:
    """Captured as an estimate alone, which there is of a single cluster, too."""
    chance = found.chance
    reached = sum(found.gain[cluster] - chance[cluster] for cluster in chance)
    return reached / sum(1 - each for each in chance.values())


def _effects(versions: Versions, grid: Grid, measured: Mapping[int, Agreement]) -> list[Effect]:
    """Of round one, in which all settings were asked on the same clusters."""
    gains = [measured[number].gain for number in range(len(grid.settings))]
    return effects(grid.settings, gains, measured[DEFAULT].chance, versions.run.inputs.groups)
