"""What came of a search: its report, and the file of the version that it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selectllm.core.files import write_text
from selectllm.core.shown import counted
from selectllm.core.versions import installed
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.metrics.agreement import Agreement
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.runs.schema import PairFigures
from selectllm.optimization.confirm import Confirmation
from selectllm.optimization.controls import controls
from selectllm.optimization.gepa_search import SearchResult
from selectllm.optimization.schema import (
    CapturedBySplit,
    CapturedByVersion,
    ClusterSplits,
    GuardedVersions,
    Guards,
    SearchOutcome,
    SearchPlan,
    SearchResults,
)
from selectllm.optimization.splits import Splits
from selectllm.optimization.template import Origin, written
from selectllm.prompting.library import PromptLibrary, next_number
from selectllm.prompting.prompt import Prompt, parse_prompt, with_parent

PARENT, WINNER = "parent", "winner"
PACKAGES = ("dspy", "gepa")


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """What a search was told: the parent, the model of all decisions, the teacher, the budget."""

    parent: str
    model: str
    teacher: str
    seed: int
    budget: int
    demonstrations: int

    def in_short(self, splits: Splits, found: SearchResult) -> str:
        """The search in one line, for front matter."""
        sizes = "/".join(str(size) for size in splits.sizes.values())
        versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
        return (
            f"GEPA, seed {self.seed}, teacher {self.teacher}, model {self.model}, "
            f"{found.decisions} of {self.budget} decisions, {found.demonstrations} demonstrations, "
            f"clusters {sizes} (sha256 {splits.sha256[:12]}), {versions}"
        )


def package_versions() -> dict[str, str | None]:
    """The versions of what searches; None where one is not installed."""
    return installed(PACKAGES)


@dataclass(frozen=True, slots=True)
class Seen:
    """How well both versions agree with the utility on the clusters that the search saw.

    The winner was chosen by these figures, so on `training` and `validation` it looks better than
    it is. That is the optimism.
    """

    training: Mapping[str, Agreement]
    validation: Mapping[str, Agreement]


def report(
    run: Run,
    plan: SearchSettings,
    splits: Splits,
    found: SearchResult,
    seen: Seen,
    confirmation: Confirmation | None,
) -> SearchResults:
    """The content of optimize.json; without `confirmation` nothing better was found."""
    assert run.headline is not None
    asked = confirmation.asked if confirmation else splits.confirmation
    return SearchResults(
        plan=SearchPlan(**asdict(plan)),
        utility=run.headline.summary(),
        packages=package_versions(),
        splits=splits_told(splits),
        search=SearchOutcome(**found.outcome),
        captured=CapturedBySplit(
            training=_versions(seen.training),
            validation=_versions(seen.validation),
            confirmation=None if confirmation is None else _confirmed(confirmation),
        ),
        guards=None if confirmation is None else _guards(confirmation),
        controls=controls(run, splits, asked),
        confirmed_on=len(asked) if confirmation else None,
        noise=None if confirmation is None else confirmation.noise,
        verdict=None if confirmation is None else confirmation.verdict,
    )


def splits_told(splits: Splits) -> ClusterSplits:
    """The splits as optimize.json has them."""
    return ClusterSplits(**splits.sizes, left_out=splits.left_out, sha256=splits.sha256)


def _versions(seen: Mapping[str, Agreement]) -> CapturedByVersion:
    return CapturedByVersion(**{version: agreement.captured for version, agreement in seen.items()})


def _confirmed(confirmation: Confirmation) -> CapturedByVersion:
    captured = confirmation.verdict.captured
    return CapturedByVersion(parent=captured.a, winner=captured.b)


def _guards(confirmation: Confirmation) -> GuardedVersions:
    """What a prompt must not buy its agreement with, of both versions."""
    parent, winner = (Guards(**guards_of(pair)) for pair in confirmation.results.pairs)
    return GuardedVersions(parent=parent, winner=winner)


def guards_of(pair: PairFigures) -> dict[str, Any]:
    """The fields of Guards, of one pair of results.json."""
    return {name: getattr(pair, name) for name in Guards.model_fields}


def verdict_in_short(parent: str, verdict: Verdict) -> str:
    """The verdict in one line, for front matter."""
    difference, utility = verdict.difference, verdict.utility
    told = f"{verdict.word} against {parent}"
    if difference is not None:
        told += (
            f": {difference.estimate:+.3f} captured ({difference.low:+.3f} to "
            f"{difference.high:+.3f})"
        )
    if utility is not None:
        told += f" of utility {utility.name} (kind: {utility.kind})"
    return f"{told} on {counted(verdict.clusters, 'confirmation cluster')}"


def write_version(library: PromptLibrary, folder: Path, name: str, text: str) -> str:
    """Write `text` as the next version of `name` in `folder`; returns its `name@version`.

    A version that says the same already, whatever search found it, is left as it is.
    """
    number = next_number(folder, name)
    path = folder / name / f"v{number}.jinja"
    made = with_parent(parse_prompt(text.encode(), str(path), name, number), None)
    for version in map(library.load, library.versions(name)):
        if with_parent(version, None) == made:
            return version.ref
    write_text(path, text)
    return f"{name}@{number}"


def version_file(
    plan: SearchSettings, splits: Splits, found: SearchResult, winner: Prompt, verdict: Verdict
) -> str:
    """The winner's file, with where it comes from and what came of it in its front matter."""
    origin = Origin(
        parent=plan.parent,
        description=f"What {plan.parent} asks, under instructions that a search found.",
        search=plan.in_short(splits, found),
        verdict=verdict_in_short(plan.parent, verdict),
    )
    return written(winner, origin)
