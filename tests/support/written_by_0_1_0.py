"""A workspace that release 0.1.0 wrote, and the commands that made it.

For every contract on what is finished or half done: nothing has to be run first. Nothing answers
where its model was served, so whatever asks fails.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from selectllm.evaluation.runs.verify import RULED
from tests.conftest import Command, Outcome

GOLDEN = Path(__file__).parents[1] / "golden" / "written_by_0_1_0"
VECTORS = ("--vectors", "vectors.npy")
FLOAT = re.compile(rb"\d+\.\d{13,}")
ASKED = ("eval", "suites/asked.yaml", *VECTORS)
RECORDED = ("eval", "suites/recorded.yaml", *VECTORS)
REGRESS = ("regress", "suites/recorded.yaml", "--baseline", "baseline.json", *VECTORS)
RANDOM = ("suites/scripted.yaml", "--a", "mock/random")
FEW = ("--limit", 3)
RUNS: dict[str, tuple[tuple[object, ...], int]] = {
    "asked": (ASKED, 0),
    "regress": (REGRESS, 0),
    "ab": (("ab", *RANDOM, "--b", "mock/oracle", "--design", "sequential"), 0),
    "voting": (("ab", *RANDOM, "--b", "voting", *FEW), 3),
    "differing": (("ab", *RANDOM, "--b", "mock/oracle", "--differing", *FEW), 3),
    "aa": (("aa", "suites/scripted.yaml", "--model", "mock/random", *FEW), 0),
    "swap": (("swap", *RANDOM[:1], "--from", "mock/oracle", "--to", "mock/random", *FEW), 3),
}
"""What made each run folder, and what it ended with."""
SELECTED: dict[str, tuple[object, ...]] = {
    "chosen.jsonl": (
        *("--budget", 8, "--prompt", "mine@1", "--model", "openai/m"),
        *("--api-base", "http://127.0.0.1:8123/v1", "--cluster-size", 40, "--by", "diverse"),
    ),
    "spread.jsonl": ("--budget", 5, "--strategy", "k-center"),
}
OTHERS: dict[str, tuple[object, ...]] = {
    "sets": ("sets", "suites/sets.yaml", *VECTORS),
    "search": ("optimize", "suites/grid.yaml", "--grid"),
    "training": (
        *("export", "sets", "--pool", "pool.jsonl", "--layout", "alpaca", "--layout", "chat"),
    ),
}


def written(folder: str = ".") -> dict[str, bytes]:
    """Every file but those of the cache, without the versions of packages."""
    paths = (path for path in Path(folder).rglob("*") if path.is_file())
    return {
        str(path): without_versions(path) for path in paths if path.parts[0] not in ("cache", "new")
    }


def measured(path: Path) -> Any:
    """A results.json without what comparisons end with: their rule for few clusters has changed."""
    results = json.loads(path.read_text(encoding="utf-8"))
    parts = [*results.get("verdicts", ()), results.get("noise")]
    for part in filter(None, parts):
        for name in RULED & part.keys():
            del part[name]
    return results


def without_versions(path: Path) -> bytes:
    """What the file holds, but for the versions of packages, and what comparisons end with.

    Of a selection without ranks, scores and reasons, which rows have since.
    """
    content = path.read_bytes()
    with contextlib.suppress(ValueError):  # it may have been damaged for a test
        if path.name == "results.json":
            return json.dumps(measured(path)).encode()
        if path.name in SELECTED:
            return unranked(content)
        if path.name == "sets.json":
            return FLOAT.sub(_in_12_digits, content)
        if path.name in ("run.json", "optimize.json"):
            return json.dumps(json.loads(content) | {"versions": None}).encode()
    return content


def _in_12_digits(figure: re.Match[bytes]) -> bytes:
    """A figure without the digits that depend on the processor: eigenvalues are of its BLAS."""
    return b"%.12g" % float(figure[0])


def unranked(selection: bytes) -> bytes:
    """The lines of a selection without what 0.1.0 did not say of a pick."""
    rows = [json.loads(line) for line in selection.splitlines()]
    for row in rows:
        for name in ("rank", "score", "reason"):
            row["_selectllm"].pop(name, None)
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def again(selectllm: Command, *words: object, out: str) -> Outcome:
    """A command of 0.1.0 with its results in `out`; nothing may be sent."""
    offline = () if words[0] == "export" else ("--offline",)
    return selectllm(*words, "-o", out, *offline)


def golden() -> dict[str, bytes]:
    """The workspace as it was written."""
    paths = (path for path in GOLDEN.rglob("*") if path.is_file())
    names = {path.relative_to(GOLDEN): path for path in paths}
    return {
        str(name): without_versions(path)
        for name, path in names.items()
        if name.parts[0] != "cache"
    }
