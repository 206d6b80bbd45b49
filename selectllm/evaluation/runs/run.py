"""A run: one evaluation of a suite, loaded and checked, and the folder that holds it.

run.json         manifest: versions, hashes, seeds, suite, price snapshot
clusters.json    membership, hash-checked
utilities.jsonl  the utilities of the clusters' items
baseline.json    of `regress`: what it compares with
decisions.jsonl  every decision, as it was made
results.json     what came of it; the same inputs and replies give the same bytes
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from selectllm.core.codec import canonical_json, pretty_json, sha256_json
from selectllm.core.errors import RunError
from selectllm.core.files import atomic_write, read_json, write_text
from selectllm.core.jsonl_log import check_manifest, is_manifest
from selectllm.core.types import Cluster, Item, Pool
from selectllm.core.versions import installed
from selectllm.data.hub import seen_from
from selectllm.data.stored_items import named
from selectllm.evaluation.comparison.baseline import Baseline, write_baseline
from selectllm.evaluation.comparison.run_inputs import (
    FORMAT,
    ComparisonDesign,
    RunInputs,
    deciding,
)
from selectllm.evaluation.suite import Suite
from selectllm.selection.clustering.clusters_file import write_clusters
from selectllm.selection.decision_log import is_fruitless
from selectllm.selection.scorers.item_scorer import Meter
from selectllm.selection.selector import Selector
from selectllm.selection.strategies import Strategy
from selectllm.selection.task import AskSettings
from selectllm.utility.utility import Utility, utility_row

PACKAGES = ("selectllm", "numpy", "scipy", "scikit-learn", "sentence-transformers", "litellm")


@dataclass(frozen=True)
class Run:
    """Everything that an evaluation is made of.

    `clusters`: in the seeded order, cut to the limit. `encoder`: identity of the encoder, None
    if none was needed. `comparison`: what its arms are compared for, None in `eval`. `baseline`:
    the reference of `regress`. `meter`: what measures items for its strategies.
    """

    suite: Suite
    pool: Pool
    clusters: tuple[Cluster, ...]
    selectors: tuple[Selector, ...]
    strategies: tuple[Strategy, ...]
    utilities: tuple[Utility, ...]
    meter: Meter
    encoder: str | None = None
    comparison: ComparisonDesign | None = None
    baseline: Baseline | None = None

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the run was made from: equal manifests and replies give equal results."""
        specs = {selector.spec.name: selector for selector in self.selectors}
        suite = self.suite
        return {
            "format": FORMAT,
            "suite": suite.name,
            "pool_sha256": self.pool.sha256,
            "clusters_sha256": sha256_json([[c.id, c.members, c.group] for c in self.clusters]),
            "clusters": suite.clusters.model_dump(mode="json"),
            "encoder": self.encoder,
            "picks": suite.picks,
            "orders": suite.orders,
            "repeats": suite.repeats,
            "reask": suite.reask,
            "seed": suite.seed,
            "structured": suite.structured,
            "gate": suite.gate.recorded(),
            "utilities": [utility_row(utility.of(self.members)) for utility in self.utilities],
            "prompts": {s.prompt.ref: s.prompt.sha256 for s in self.selectors},
            "models": {
                name: selector.spec.recorded(selector.endpoint) for name, selector in specs.items()
            },
            "pairs": [[s.prompt.ref, s.spec.name] for s in self.selectors],
            "strategies": [strategy.name for strategy in self.strategies],
            "comparison": self.comparison and self.comparison.to_json(),
            "baseline_sha256": self.baseline and self.baseline.sha256,
            **self._measures(),
        }

    def _measures(self) -> dict[str, Any]:
        """What the strategies' measures depend on, by strategy, if there are any."""
        described = ((strategy.name, strategy.describe(self.meter)) for strategy in self.strategies)
        measures = {name: measure for name, measure in described if measure}
        return {"measures": measures} if measures else {}

    @property
    def settings(self) -> AskSettings:
        """How its questions are asked."""
        return self.meter.settings

    @property
    def members(self) -> list[str]:
        """The ids of all items in its clusters."""
        return [member for cluster in self.clusters for member in cluster.members]

    @cached_property
    def by_id(self) -> Mapping[str, Item]:
        """All items in its clusters, by id."""
        return {item.id: item for item in named(self.pool, self.members)[:]}

    @cached_property
    def inputs(self) -> RunInputs:
        """What its results are computed from, as its folder holds it."""
        selectors = self.selectors
        return RunInputs(
            suite=self.suite.name,
            picks=self.suite.picks,
            orders=self.suite.orders,
            clusters=self.clusters,
            utilities=tuple(utility.of(self.members) for utility in self.utilities),
            pairs=tuple((each.prompt.ref, each.spec.name) for each in selectors),
            prompts=self.manifest["prompts"],
            specs=self.manifest["models"],
            strategies=tuple(strategy.name for strategy in self.strategies),
            gate=self.suite.gate,
            comparison=self.comparison,
            baseline=self.baseline,
        )

    @property
    def default_name(self) -> str:
        """SUITE-<first 12 digits of the manifest's hash>."""
        return f"{self.suite.name}-{sha256_json(self.manifest)[:12]}"

    @property
    def headline(self) -> Utility | None:
        """The utility that decides: the gate's, else the first."""
        return deciding(self.utilities, self.suite.gate)


def check_folder(folder: Path, run: Run) -> None:
    """Raise RunError if `folder` holds a run with another manifest that got any answer."""
    described = folder / "run.json"
    begun = (folder / "results.json").exists() or not is_fruitless(folder / "decisions.jsonl")
    if described.exists() and begun:
        check_manifest(described, read_json(described).get("manifest"), run.manifest)


def is_begun(folder: Path, run: Run) -> bool:
    """Whether `folder` holds a run with this manifest already."""
    described = folder / "run.json"
    if not described.exists():
        return False
    return is_manifest(read_json(described).get("manifest"), run.manifest)


def start_folder(folder: Path, run: Run) -> None:
    """Write what is known before anything is asked, into a folder that passed `check_folder`."""
    described = folder / "run.json"
    division = run.suite.clusters
    write_clusters(
        folder / "clusters.json",
        run.clusters,
        by="file" if division.file else division.by,
        size=division.size,
        seed=run.suite.seed,
        pool_sha256=run.pool.sha256,
        encoder=run.encoder,
    )
    _write_utilities(folder / "utilities.jsonl", run)
    if run.baseline is not None:
        write_baseline(folder / "baseline.json", run.baseline)
    if not is_begun(folder, run):
        content = {
            "manifest": run.manifest,
            "versions": versions(),
            # Not in the manifest: where a file lies makes no difference to what comes of it.
            "pool": {
                "path": seen_from(folder, run.pool.source),
                "columns": dict(run.suite.columns),
            },
        }
        write_text(described, pretty_json(content))


def _write_utilities(path: Path, run: Run) -> None:
    with atomic_write(path) as handle:
        handle.write(canonical_json({"utilities": run.manifest["utilities"]}) + "\n")
        for member in sorted(run.members):
            values = {u.name: u.values[member] for u in run.utilities if member in u.values}
            handle.write(canonical_json({"id": member, "values": values}) + "\n")


def versions() -> dict[str, str | None]:
    """Python's version and those of the packages that a result may depend on."""
    return {"python": platform.python_version(), **installed(PACKAGES)}


def evaluated_before(runs: Path, selector: Selector, size: int, k: int) -> bool:
    """Whether a finished run in `runs` used this prompt and model for k picks of `size`."""
    how = _asked_how(selector.spec.fields())
    for results in runs.glob("*/results.json"):
        try:
            manifest = read_json(results.with_name("run.json"))["manifest"]
            if (
                selector.prompt.sha256 in manifest["prompts"].values()
                and how in [_asked_how(model) for model in manifest["models"].values()]
                and (manifest["clusters"]["size"], manifest["picks"]) == (size, k)
            ):
                return True
        except (RunError, KeyError, TypeError, AttributeError):
            continue  # not a run of this format: it tells nothing
    return False


def _asked_how(model: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """The model's id, and what of its settings makes it another selector."""
    return model["id"], model.get("vote"), model.get("answer")
