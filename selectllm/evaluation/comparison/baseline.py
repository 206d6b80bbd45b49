"""Baselines: what each pair of a run picked, kept in one file that `regress` compares with.

A baseline never changes by itself: `baseline set` writes one from a run. Per cluster it holds the
members with their utility, and per pair the picks, statuses and G, so that comparing needs
neither the run nor the machine that it was made on. It carries a hash of its own content.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from selectllm.core.codec import canonical_json, load_json, sha256_json
from selectllm.core.errors import RunError
from selectllm.core.files import atomic_write
from selectllm.core.names import listed
from selectllm.core.types import Cluster, Decision, Pool
from selectllm.data.stored_items import not_in
from selectllm.utility.utility import Utility, utility_from, utility_row

FORMAT = 1
SETTINGS = ("picks", "orders", "repeats", "seed", "clusters")
"""What a suite must say as the baseline's run did, beside its pool and utility."""

NEEDED = {"suite", "pool_sha256", "settings", "utility", "clusters", "entries"}
SET_AGAIN = "selectllm eval SUITE -o RUN, then selectllm baseline set RUN -o BASELINE"
SAME_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class Entry:
    """What one pair did. `prompt`: `name@version`; `spec`: the model's settings, as in run.json.

    `decisions` have no attempts, and their candidates in the order of their ids. `gain`: G by
    cluster, of the clusters that decide something.
    """

    prompt: str
    prompt_sha256: str
    model: str
    spec: Mapping[str, Any]
    decisions: tuple[Decision, ...]
    gain: Mapping[int, float]

    @property
    def key(self) -> tuple[str, str]:
        """(prompt name without its version, model name): what it is found by."""
        return self.prompt.partition("@")[0], self.model

    @property
    def name(self) -> str:
        """`prompt + model`."""
        return f"{self.prompt} + {self.model}"


@dataclass(frozen=True)
class Baseline:
    """The content of a baseline file. `settings`: by the names in SETTINGS."""

    suite: str
    pool_sha256: str
    settings: Mapping[str, Any]
    clusters: tuple[Cluster, ...]
    utility: Utility
    entries: tuple[Entry, ...]

    @cached_property
    def sha256(self) -> str:
        """Hash of its content."""
        return sha256_json(self.content)

    @property
    def endpoints(self) -> Mapping[str, str]:
        """Where its models answered, by name, as far as that is told; see model.Request."""
        told = ((entry.model, entry.spec.get("endpoint")) for entry in self.entries)
        return {model: where for model, where in told if isinstance(where, str)}

    @cached_property
    def content(self) -> Mapping[str, Any]:
        """The file's content without its hash (schema: schemas/baseline.json)."""
        return {
            "format": FORMAT,
            "suite": self.suite,
            "pool_sha256": self.pool_sha256,
            "settings": dict(self.settings),
            "utility": utility_row(self.utility),
            "clusters": [_cluster_row(cluster, self.utility.values) for cluster in self.clusters],
            "entries": [_entry_row(entry) for entry in self.entries],
        }


def _entry_row(entry: Entry) -> dict[str, Any]:
    decided: dict[int, list[Any]] = defaultdict(list)
    for d in entry.decisions:
        decided[d.cluster].append([d.order, d.repeat, d.status, list(d.picks)])
    return {
        "prompt": entry.prompt,
        "prompt_sha256": entry.prompt_sha256,
        "model": entry.model,
        "spec": dict(entry.spec),
        "clusters": [
            {"id": cluster, "gain": entry.gain.get(cluster), "decisions": sorted(decisions)}
            for cluster, decisions in sorted(decided.items())
        ],
    }


def _cluster_row(cluster: Cluster, values: Mapping[str, float]) -> dict[str, Any]:
    return {
        "id": cluster.id,
        "group": cluster.group,
        "members": list(cluster.members),
        "utility": [values[member] for member in cluster.members],
    }


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write `baseline` as JSON with a cluster, and a pair's decisions in it, on a line each."""
    content = baseline.content
    with atomic_write(path) as handle:
        handle.write("{\n")
        for name, value in content.items():
            if name not in ("clusters", "entries"):
                handle.write(f' "{name}": {canonical_json(value)},\n')
        handle.write(f' "clusters": {_lines(content["clusters"])},\n "entries": [')
        for number, entry in enumerate(content["entries"]):
            head = canonical_json({key: entry[key] for key in entry if key != "clusters"})
            comma = "," if number else ""
            handle.write(f'{comma}\n  {head[:-1]},"clusters": {_lines(entry["clusters"])}}}')
        handle.write(f'\n ],\n "sha256": "{baseline.sha256}"\n}}\n')


def _lines(rows: Sequence[Any]) -> str:
    return "[\n   " + ",\n   ".join(canonical_json(row) for row in rows) + "\n  ]"


def read_baseline(path: Path) -> Baseline:
    """The baseline in `path`. Raises RunError if it is missing, damaged or of another format."""
    try:
        content: Any = load_json(path.read_bytes())
    except FileNotFoundError:
        raise RunError(
            f"{path}: There is no such baseline. To make one, run: selectllm baseline set RUN -o "
            f"{path}"
        ) from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: the baseline cannot be read as JSON ({error})") from None
    if not isinstance(content, dict) or not NEEDED <= content.keys() | {"format"}:
        raise RunError(
            f"{path} is not a baseline. To make one, run: selectllm baseline set RUN -o {path}"
        )
    if content.get("format") != FORMAT:
        raise RunError(
            f"{path} is not a baseline of format {FORMAT} (format: {content.get('format')}). Set "
            "it again with selectllm baseline set"
        )
    claimed = content.pop("sha256", None)
    if claimed != sha256_json(content):
        raise RunError(
            f"{path}: its sha256 does not fit its content, so it was edited or cut. Restore it, or "
            "set it again with selectllm baseline set"
        )
    try:
        baseline = _from_json(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} is not a baseline ({error!r}). Set it again") from None
    _check_clusters(path, baseline)
    return baseline


def _check_clusters(path: Path, baseline: Baseline) -> None:
    """Every pair must have decided every cluster that leaves a choice."""
    picks = baseline.settings["picks"]
    expected = {c.id for c in baseline.clusters if len(c.members) > picks}
    for entry in baseline.entries:
        decided = {decision.cluster for decision in entry.decisions}
        if decided != expected:
            raise RunError(
                f"{path}: {entry.name} has decisions on {len(decided & expected)} of the "
                f"baseline's {len(expected)} clusters, so not all can be compared. Set it again "
                "from a finished run"
            )


def _from_json(content: Mapping[str, Any]) -> Baseline:
    clusters = tuple(
        Cluster(row["id"], tuple(row["members"]), row["group"]) for row in content["clusters"]
    )
    values = {
        member: float(value)
        for row in content["clusters"]
        for member, value in zip(row["members"], row["utility"], strict=True)
    }
    members = {cluster.id: cluster.members for cluster in clusters}
    return Baseline(
        suite=content["suite"],
        pool_sha256=content["pool_sha256"],
        settings=content["settings"],
        clusters=clusters,
        utility=utility_from(content["utility"], values),
        entries=tuple(_entry(row, members) for row in content["entries"]),
    )


def _entry(row: Mapping[str, Any], members: Mapping[int, tuple[str, ...]]) -> Entry:
    decisions = tuple(
        Decision(
            cluster=cluster["id"],
            order=order,
            repeat=repeat,
            round=0,
            shown=members[cluster["id"]],
            picks=tuple(picks),
            status=status,
            prompt=row["prompt"],
            prompt_sha256=row["prompt_sha256"],
            model=row["model"],
        )
        for cluster in row["clusters"]
        for order, repeat, status, picks in cluster["decisions"]
    )
    return Entry(
        prompt=row["prompt"],
        prompt_sha256=row["prompt_sha256"],
        model=row["model"],
        spec=row["spec"],
        decisions=decisions,
        gain={c["id"]: float(c["gain"]) for c in row["clusters"] if c["gain"] is not None},
    )


def check_pool(baseline: Baseline, pool: Pool) -> None:
    """Raise RunError unless `pool` is the one that the baseline's run was made from."""
    missing = not_in(pool, [member for each in baseline.clusters for member in each.members])
    if missing or baseline.pool_sha256 != pool.sha256:
        gone = (
            f"{len(missing)} of its items are gone: {', '.join(missing[:5])}"
            if missing
            else ("the ids fit, but texts or their order differ")
        )
        raise RunError(
            f"{pool.source or 'the pool'} is not the pool that the baseline was made from "
            f"({gone}). Restore it, or set the baseline again"
        )


def agreed(utility: Utility, baseline: Baseline) -> Utility:
    """The baseline's utility, once `utility` (the suite's own) is found to be the same.

    Values computed on another machine may differ in their last digits, so they are compared
    within a millionth of their spread, and the recorded ones are used, with what the suite says
    of their validation. Raises RunError otherwise.
    """
    recorded = baseline.utility
    for name in ("name", "source", "kind", "range"):
        ours, theirs = getattr(utility, name), getattr(recorded, name)
        if ours != theirs:
            raise RunError(
                f"utility {utility.name}: its {name} is {ours!r}, and the baseline's {theirs!r}. "
                f"Undo the change, or set the baseline again: {SET_AGAIN}"
            )
    values = list(recorded.values.values())
    near = SAME_SHARE * (max(values) - min(values))
    different = [
        item_id
        for item_id, value in recorded.values.items()
        if item_id not in utility.values or abs(utility.values[item_id] - value) > near
    ]
    if different:
        raise RunError(
            f"utility {utility.name}: its values differ from the baseline's for {len(different)} "
            f"items: {listed(different)}. Undo the change, or set the baseline again: {SET_AGAIN}"
        )
    return replace(recorded, validation=utility.validation)
