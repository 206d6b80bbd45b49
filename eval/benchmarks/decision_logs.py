"""Decision logs of any size, and paired differences of real runs (a scripted one, or any folder).

    python eval/benchmarks/decision_logs.py [--decisions 300000]

writes a log of that many decisions and reads it back in a process of its own: CPU seconds and peak
memory.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import yaml

from selectllm.cli import main as selectllm
from selectllm.core.codec import sha256_text
from selectllm.core.types import Attempt, Decision
from selectllm.evaluation.comparison.arm_results import arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.rated_differences import differing
from selectllm.evaluation.comparison.run_inputs import read_run_inputs
from selectllm.selection.decision_log import DecisionLog, read_log
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


READ = """
import sys, time
from pathlib import Path
from selectllm.selection.decision_log import read_log

count = len(read_log(Path(sys.argv[1])).latest)
status = Path("/proc/self/status").read_text()  # getrusage counts what the parent had, too
peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
print(f"read back: {count:,} decisions, {time.process_time():.1f} CPU s, {peak:.0f} MB at the peak")
"""


def write_log(path: Path, decisions: int) -> None:
    """A log of `decisions`, each of 10 candidates, 2 picks and one short reply."""
    with DecisionLog(path, {"format": 1}) as log:
        for number in range(decisions):
            shown = tuple(f"item-{(number * 10 + i) % decisions:06}" for i in range(10))
            key = sha256_text(str(number))
            reply = Attempt(key, f"[{number % 10 + 1}, 2]", "stop", 350, 8, 0.0004, 0.81, False)
            log.append(
                Decision(
                    cluster=number // 10,
                    order=number % 10,
                    repeat=0,
                    round=0,
                    shown=shown,
                    picks=shown[:2],
                    status="ok",
                    prompt="short@1",
                    prompt_sha256=sha256_text("short"),
                    model="gpt",
                    attempts=(reply,),
                )
            )


def main() -> None:
    """Write a log, and read it back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=300_000)
    decisions = parser.parse_args().decisions
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decisions.jsonl"
        began = time.process_time()
        write_log(path, decisions)
        size = path.stat().st_size / 1e6
        print(f"written: {size:.0f} MB, {time.process_time() - began:.1f} CPU s", flush=True)
        subprocess.run([sys.executable, "-c", READ, str(path)], check=True)


if __name__ == "__main__":
    main()
