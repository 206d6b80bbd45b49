"""What the figures of a run are computed from: all of it is in the run's folder.

`results` works on this alone, so that `verify` can recompute every figure from a folder, without
the suite, the pool or a model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from selectllm.core.codec import load_json, sha256_json
from selectllm.core.errors import RunError, UtilityError
from selectllm.core.files import read_json
from selectllm.core.types import Cluster
from selectllm.core.verdict_words import KindName
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.baseline import Baseline, read_baseline
from selectllm.evaluation.comparison.rated_sample import sampled
from selectllm.evaluation.suite_entries import Gate
from selectllm.selection.clustering.clusters_file import read_clusters
from selectllm.utility.utility import Utility, utility_from

FORMAT = 1  # of manifests
Design = Literal["fixed", "sequential"]


@dataclass(frozen=True, slots=True)
class ComparisonDesign:
    """What the arms of a run are compared for.

    `arms`: the first is the reference; of `regress`, the pairs under test. `looks`: of a
    sequential `ab`, at each look the clusters asked and how many of them decide; empty in a fixed
    design. `why`: why it is fixed though sequential was asked for. `retain`: the share of the
    incumbent's quality that `swap` demands. `differing`: only items that one arm picked are
    rated. `by`: what `aa` varies.
    """

    kind: KindName
    arms: tuple[Arm, ...]
    looks: tuple[tuple[int, int], ...] = ()
    why: str | None = None
    retain: float | None = None
    differing: bool = False
    by: Literal["orders", "repeats"] | None = None

    def to_json(self) -> dict[str, Any]:
        """As the manifest has it."""
        lists = {"arms": [arm.to_json() for arm in self.arms], "looks": list(map(list, self.looks))}
        return asdict(self) | lists

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> ComparisonDesign:
        """The inverse of `to_json`."""
        arms = tuple(Arm(**arm) for arm in row["arms"])
        looks = tuple((asked, counted) for asked, counted in row["looks"])
        return cls(**{**row, "arms": arms, "looks": looks})

    @property
    def design(self) -> Design:
        """How `ab` asks."""
        return "sequential" if self.looks else "fixed"


@dataclass(frozen=True)
class RunInputs:
    """A run without its decisions.

    `pairs`: (prompt reference, model name) of every selector. `specs`: the models' settings by
    name; `prompts`: hashes by reference. `utilities` cover the clusters' items, but for the
    deciding one of a comparison of differing items.
    """

    suite: str
    picks: int
    orders: int
    clusters: tuple[Cluster, ...]
    utilities: tuple[Utility, ...]
    pairs: tuple[tuple[str, str], ...]
    prompts: Mapping[str, str]
    specs: Mapping[str, Mapping[str, Any]]
    strategies: tuple[str, ...]
    gate: Gate
    comparison: ComparisonDesign | None = None
    baseline: Baseline | None = None

    @property
    def headline(self) -> Utility | None:
        """The utility that decides: the gate's, else the first."""
        return deciding(self.utilities, self.gate)

    @property
    def order(self) -> list[int]:
        """The ids of the clusters in the order in which they are asked."""
        return [cluster.id for cluster in self.clusters]

    @property
    def covering(self) -> tuple[Utility, ...]:
        """The utilities that every item of the clusters has a value of."""
        differing = self.comparison is not None and self.comparison.differing
        if not differing and self.judge is None:
            return self.utilities
        return tuple(utility for utility in self.utilities if utility is not self.headline)

    @property
    def judge(self) -> Utility | None:
        """The utility that stands in where people did not rate; None without one."""
        name = self.gate.assisted_by
        return next((utility for utility in self.utilities if utility.name == name), None)

    @cached_property
    def sample(self) -> tuple[int, ...]:
        """The ids of the clusters that people rated, in the order drawn; none without a judge.

        Raises UtilityError for ratings that are of no random sample that selectllm drew.
        """
        utility, design = self.headline, self.comparison
        if utility is None or self.judge is None:
            return ()
        whole = design is None or not design.differing
        drawn = sampled(self.clusters, self.picks, utility, whole=whole)
        return tuple(cluster.id for cluster in drawn)

    @cached_property
    def groups(self) -> Mapping[int, str] | None:
        """The group of each cluster, None without `clusters.group`."""
        groups = {cluster.id: cluster.group for cluster in self.clusters}
        named = {number: group for number, group in groups.items() if group is not None}
        return named or None

    def asked(self, decided: Collection[int]) -> int:
        """How many clusters were asked, of which those in `decided` (ids) have decisions.

        All, but for a sequential comparison that stopped at an earlier look.
        """
        if self.comparison is None or not self.comparison.looks:
            return len(self.clusters)
        positions = (n for n, cluster in enumerate(self.clusters, 1) if cluster.id in decided)
        last = max(positions, default=0)
        return min(asked for asked, _ in self.comparison.looks if asked >= last)

    def first(self, clusters: int) -> RunInputs:
        """The same with its first clusters only."""
        return replace(self, clusters=self.clusters[:clusters])


def deciding(utilities: Sequence[Utility], gate: Gate) -> Utility | None:
    """The utility that decides: the gate's, else the first; None without any."""
    return next((utility for utility in utilities if gate.utility in (None, utility.name)), None)


def run_inputs(
    manifest: Mapping[str, Any],
    clusters: Sequence[Cluster],
    values: Mapping[str, Mapping[str, float]],
    baseline: Baseline | None = None,
) -> RunInputs:
    """What a manifest describes. `values`: by utility name and item id."""
    comparison = manifest["comparison"]
    return RunInputs(
        suite=manifest["suite"],
        picks=manifest["picks"],
        orders=manifest["orders"],
        clusters=tuple(clusters),
        utilities=tuple(utility_from(row, values[row["name"]]) for row in manifest["utilities"]),
        pairs=tuple((prompt, model) for prompt, model in manifest["pairs"]),
        prompts=manifest["prompts"],
        specs=manifest["models"],
        strategies=tuple(manifest["strategies"]),
        gate=Gate.model_validate(manifest["gate"]),
        comparison=comparison and ComparisonDesign.from_json(comparison),
        baseline=baseline,
    )


def read_run_inputs(folder: Path) -> RunInputs:
    """The evidence in a run folder, its parts held against the hashes in its manifest.

    Raises RunError for a file that is missing, damaged, or does not belong to this manifest.
    """
    manifest = read_manifest(folder)
    try:
        clusters = read_clusters(folder / "clusters.json")
        values = _read_values(folder / "utilities.jsonl", manifest)
        baseline = read_baseline(folder / "baseline.json") if manifest["baseline_sha256"] else None
        inputs = run_inputs(manifest, clusters, values, baseline)
    except (KeyError, TypeError, ValueError, AttributeError, UtilityError) as error:
        raise RunError(
            f"{folder}: run.json is not a manifest that this version can read ({error!r}). Run it "
            "again"
        ) from None
    _check(folder, manifest, inputs)
    return inputs


def read_manifest(folder: Path) -> Mapping[str, Any]:
    """What the run in `folder` was made from. Raises RunError if this version cannot read that."""
    manifest = read_json(folder / "run.json").get("manifest")
    if not isinstance(manifest, dict):
        raise RunError(f"{folder / 'run.json'} has no manifest. Is the folder a run?")
    given = manifest.get("format")
    if isinstance(given, int) and given > FORMAT:
        raise RunError(
            f"{folder / 'run.json'} has format {given}, and this version of selectllm reads "
            f"{FORMAT}. It was written by a later version: update selectllm"
        )
    return manifest


def _read_values(path: Path, manifest: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, float]] = {row["name"]: {} for row in manifest["utilities"]}
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}). Run it again") from None
    for number, line in enumerate(lines, start=1):
        try:
            row = load_json(line) if line else {}
            if number == 1 or not line:  # the header, and what follows the last line
                continue
            for name, value in row["values"].items():
                values[name][row["id"]] = float(value)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise RunError(
                f"{path}:{number} cannot be read as utilities ({error!r}). Run it again"
            ) from None
    return values


def _check(folder: Path, manifest: Mapping[str, Any], inputs: RunInputs) -> None:
    clusters = sha256_json([[c.id, c.members, c.group] for c in inputs.clusters])
    hashes = {"clusters.json": (clusters, manifest["clusters_sha256"])}
    for utility, row in zip(inputs.utilities, manifest["utilities"], strict=True):
        hashes[f"utilities.jsonl ({utility.name})"] = (utility.sha256, row["sha256"])
    if inputs.baseline is not None:
        hashes["baseline.json"] = (inputs.baseline.sha256, manifest["baseline_sha256"])
    different = [name for name, (ours, theirs) in hashes.items() if ours != theirs]
    if different:
        raise RunError(
            f"{folder} was changed: {', '.join(different)} no longer match the manifest of "
            "the run. Run the evaluation again"
        )
