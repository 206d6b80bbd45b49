"""Paired differences of real runs: one of scripted models, which is made, and any run folder."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import yaml

from selectllm.cli import main as selectllm
from selectllm.evaluation.comparison.arm_results import arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.rated_differences import differing
from selectllm.evaluation.comparison.run_inputs import read_run_inputs
from selectllm.selection.decision_log import read_log
from selectllm.stats.paired import Paired

ROOT = Path(__file__).resolve().parents[2]


def scripted_run(folder: Path) -> Path:
    """The quickstart's suite with two scripted models, on all of its items."""
    suite = yaml.safe_load((ROOT / "eval" / "suites" / "quickstart.yaml").read_text("utf-8"))
    suite |= {
        "pool": str(ROOT / "eval" / "data" / "quickstart.jsonl"),
        "utilities": suite["utilities"][:1],
        "clusters": {"by": "random", "size": 10},
        "prompts": ["short@1"],
        "models": ["mock/first", "mock/random"],
        "strategies": [],
    }
    path, run = folder / "scripted.yaml", folder / "scripted"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    places = ["--cache", str(folder / "cache"), "-o", str(run)]
    with contextlib.redirect_stdout(io.StringIO()):
        code = selectllm(["eval", str(path), *places, "--offline", "--quiet"])
    assert code == 0, f"selectllm eval ended with {code}"
    return run


def real_differences(folder: Path) -> Paired:
    """The first two selectors of a run, the second against the first, where both have decided."""
    inputs = read_run_inputs(folder)
    latest = read_log(folder / "decisions.jsonl").latest.values()
    arms = inputs.comparison.arms if inputs.comparison else ()
    a, b = (arms or [Arm(*pair) for pair in inputs.pairs])[:2]
    decisions = [d for d in latest if d.status != "error" and Arm(d.prompt, d.model) in (a, b)]
    counts = Counter(decision.cluster for decision in decisions)
    most = max(counts.values())
    whole = [cluster for cluster in inputs.clusters if counts[cluster.id] == most]
    inputs = replace(inputs, clusters=tuple(whole))
    made = arm_results(inputs, [d for d in decisions if counts[d.cluster] == most])
    found = PairedComparison.of(inputs, made[a], made[b]).paired
    assert found is not None
    unlike = differing(made[a].decisions, made[b].decisions, inputs.picks).values()
    share = sum(map(len, unlike)) / sum(len(cluster.members) for cluster in whole)
    print(f"{b.name} against {a.name}: {len(found)} clusters,")
    print(
        f"{found.nonzero} differ, sd(d) {found.sd:.2f}; one alone picked {share:.0%} of the items"
    )
    return found
