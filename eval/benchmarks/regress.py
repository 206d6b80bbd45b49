"""What the gate costs: `selectllm regress` on 5,000 recorded decisions, offline.

    python eval/benchmarks/regress.py [--clusters 2500]

Two prompts through one model of a local server, recorded once with `eval --record`; a baseline is
set from that run. Then the gate runs in a process of its own, from the recorded replies alone, once
with the same picks and once with every tenth reply changed. CPU seconds beyond the interpreter and
imports, and which heavy libraries were loaded.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIZE = 10
HEAVY = ("litellm", "torch", "sklearn", "sentence_transformers", "polars")


def main() -> None:
    """Record, set the baseline, and time the gate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=2500)
    parser.add_argument("--role", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        print(json.dumps(gate(arguments.role)))
        return
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        record(folder, arguments.clusters)
        print("replies                 decisions  CPU s beyond imports  imports  verdicts")
        for name in ("as recorded", "every tenth changed"):
            if name != "as recorded":
                change_replies(folder / "replies.jsonl")
            found = timed(folder)
            print(
                f"{name:22} {found['decisions']:10,} {found['cpu']:21.2f} {found['imports']:8.2f}"
                f"  {', '.join(found['words'])}"
            )
            print(f"heavy libraries loaded: {', '.join(found['heavy']) or 'none'}")


def record(folder: Path, clusters: int) -> None:
    """A rated pool, a suite, its replies and its baseline, in `folder`."""
    from selectllm.cli import main as selectllm
    from tests.support.provider_server import ProviderServer

    rows = [
        {"id": f"i{n:06}", "instruction": f"Explain topic {n}.", "rating": n * 7919 % 13}
        for n in range(clusters * SIZE)
    ]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with ProviderServer(process=True) as server:
        suite = {
            "name": "gate",
            "pool": "pool.jsonl",
            "utilities": [{"name": "rating", "source": "ratings", "column": "rating"}],
            "clusters": {"by": "random", "size": SIZE},
            "picks": 2,
            "prompts": ["short@1", "criteria@1"],
            "models": [{"name": "m", "id": "openai/m", "api_base": server.base_url}],
        }
        path = folder / "suite.yaml"
        path.write_text(json.dumps(suite), encoding="utf-8")
        run = str(folder / "run")
        shared = ["--cache", str(folder / "cache"), "--quiet", "--json", "-j", "32"]
        pack = ["--record", str(folder / "replies.jsonl")]
        with contextlib.redirect_stdout(io.StringIO()):
            assert selectllm(["eval", str(path), "-o", run, *pack, *shared]) == 0
            assert selectllm(["baseline", "set", run, "-o", str(folder / "base.json")]) == 0
        path.write_text(json.dumps(suite | {"replies": "replies.jsonl"}), encoding="utf-8")


def change_replies(pack: Path) -> None:
    """Other picks in every tenth recorded reply."""
    rows = [json.loads(line) for line in pack.read_text(encoding="utf-8").splitlines()]
    for row in rows[::10]:
        row["reply"]["text"] = "[9, 10]"
    pack.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def timed(folder: Path) -> dict[str, Any]:
    """The gate in a new process, with an empty cache and a new run folder."""
    command = [sys.executable, __file__, "--role", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def gate(folder: Path) -> dict[str, Any]:
    """Run the gate here; what it took and what it loaded."""
    from selectllm.cli import GARBAGE
    from selectllm.cli import main as selectllm
    from selectllm.cli import regress as verb  # noqa: F401  (what start-up is)
    from selectllm.jobs import gating  # noqa: F401
    from selectllm.report import terminal  # noqa: F401

    gc.set_threshold(*GARBAGE)  # as the command does
    imports = time.process_time()
    out = tempfile.mkdtemp(dir=folder)
    words = ["regress", str(folder / "suite.yaml"), "--baseline", str(folder / "base.json")]
    options = ["--offline", "--quiet", "--json", "-o", f"{out}/run", "--cache", f"{out}/cache"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        selectllm([*words, *options])
    found = json.loads(printed.getvalue())
    return {
        "cpu": time.process_time() - imports,
        "imports": imports,
        "decisions": sum(pair["decisions"] for pair in found["pairs"]),
        "words": [verdict["word"] for verdict in found["verdicts"]],
        "heavy": [name for name in HEAVY if name in sys.modules],
    }


if __name__ == "__main__":
    main()
