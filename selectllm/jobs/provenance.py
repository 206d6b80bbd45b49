"""How a run was made, in words: hashes, versions, seeds, and the command that makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from selectllm.core.files import read_json
from selectllm.core.types import Pool
from selectllm.data.hub import is_hub
from selectllm.report.html.evidence import Provenance

HASH = 12  # digits of a hash that are shown
Fact = tuple[str, str]


def provenance(folder: Path, manifest: Mapping[str, Any]) -> Provenance:
    """What run.json of `folder` says, with this manifest."""
    described = read_json(folder / "run.json")
    facts = [*_asked(manifest), *_sources(manifest, described), *_versions(described)]
    when = _day_of(folder / "decisions.jsonl")
    return Provenance(shlex.join(_command(manifest)), when, tuple(facts))


def _day_of(file: Path) -> str:
    last = datetime.fromtimestamp(file.stat().st_mtime).astimezone()
    return f"{last.day} {last:%B %Y}"


def provenance_of_selection(
    file: Path, manifest: Mapping[str, Any], pool: Pool | None
) -> Provenance:
    """What the log of a selection says, {} without one; `pool`: what it was made from, if known."""
    source = "POOL" if pool is None or not pool.source else pool.source
    source = source if is_hub(Path(source)) else Path(source).name
    words = ["selectllm", *_selecting(source, file, manifest)] if manifest else []
    facts = [("selection", file.name)]
    if sha256 := manifest.get("pool_sha256"):
        facts.append(("pool", f"{source} ({_short(sha256)})"))
    if (prompt := manifest.get("prompt")) is not None:
        facts.append(("prompt", f"{prompt} ({_short(manifest['prompt_sha256'])})"))
        model = {key: each for key, each in manifest["model"].items() if each not in (None, {}, [])}
        facts.append(("model", ", ".join(f"{key} {each}" for key, each in model.items())))
    named = ("by", "cluster_size", "encoder", "distinct", "prefilter", "seed", "reask")
    facts += [(name.replace("_", " "), str(manifest[name])) for name in named if name in manifest]
    return Provenance(shlex.join(words), _day_of(file), tuple(facts), "in the folder of the pool")


def _selecting(source: str, file: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """The command; settings of the model that it was given are among the facts."""
    yield from ("select", source)
    if manifest.get("threshold") is not None:
        yield from ("--threshold", str(manifest["threshold"]))
    else:
        yield from ("--budget", str(manifest["budget"]))
    if manifest.get("strategy") is not None:
        yield from ("--strategy", manifest["strategy"])
    else:
        yield from ("--prompt", manifest["prompt"], "--model", manifest["model"]["id"])
        yield from ("--by", str(manifest["by"]), "--cluster-size", str(manifest["cluster_size"]))
    for name in ("distinct", "prefilter"):
        yield from (f"--{name}", str(manifest[name])) if name in manifest else ()
    yield from ("--seed", str(manifest["seed"]), "-o", file.name)


def _command(manifest: Mapping[str, Any]) -> Iterator[str]:
    """The command, with the suite's name for its file, whose place no run knows."""
    comparison = manifest["comparison"] or {}
    kind = comparison.get("kind", "eval")
    yield from ("selectllm", kind, f"{manifest['suite']}.yaml")
    arms = comparison.get("arms", [])
    if kind == "ab":
        for flag, arm in zip(["--a", *["--b"] * len(arms)], arms, strict=False):
            yield from (flag, _arm(arm))
        yield from ("--design", "sequential") if comparison["looks"] else ()
        yield from ("--differing",) if comparison["differing"] else ()
    elif kind == "swap":
        yield from ("--from", arms[0]["model"], "--to", arms[1]["model"])
        yield from ("--prompt", arms[0]["prompt"], "--retain", str(comparison["retain"]))
    elif kind == "aa":
        yield from ("--prompt", arms[0]["prompt"], "--model", arms[0]["model"])
        yield from ("--by", comparison["by"])
    elif kind == "regress":
        yield from ("--baseline", "BASELINE.json")
    # Whether the suite or an option said these is not known; named here, they hold either way.
    yield from ("--seed", str(manifest["seed"]))
    limit = manifest["clusters"].get("limit")
    yield from () if limit is None else ("--limit", str(limit))


def _arm(arm: Mapping[str, Any]) -> str:
    strategy = arm["strategy"]
    return f"{arm['prompt']}+{arm['model']}" if strategy is None else f"strategy:{strategy}"


def _asked(manifest: Mapping[str, Any]) -> Iterator[Fact]:
    division = manifest["clusters"]
    how = f"from {division['file']}" if division.get("file") else f"by {division['by']}"
    group = f", grouped by {division['group']}" if division.get("group") else ""
    yield "clusters", f"{how}, of {division['size']}{group} ({_short(manifest['clusters_sha256'])})"
    picks, orders = manifest["picks"], manifest["orders"]
    yield "asked", f"{picks} picks, {orders} orders, {manifest['repeats']} repeats"
    yield "seed", str(manifest["seed"])
    if manifest.get("encoder"):
        yield "encoder", str(manifest["encoder"])


def _sources(manifest: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[Fact]:
    path = str(described.get("pool", {}).get("path", "")) or "unknown"
    yield "pool", f"{path.rpartition('/')[2]} ({_short(manifest['pool_sha256'])})"
    for utility in manifest["utilities"]:
        yield "utility", f"{utility['name']}, {utility['source']} ({_short(utility['sha256'])})"
    for ref, sha256 in sorted(manifest["prompts"].items()):
        yield "prompt", f"{ref} ({_short(sha256)})"
    for name, spec in sorted(manifest["models"].items()):
        named = spec["id"] if spec["id"] == name else f"{name}: {spec['id']}"
        set_ = {key: spec.get(key) for key in ("revision", "temperature", "max_tokens", "vote")}
        told = ", ".join(f"{key} {value}" for key, value in set_.items() if value is not None)
        yield "model", f"{named} ({told})" if told else named
    if manifest["strategies"]:
        yield "strategies", ", ".join(manifest["strategies"])
    if manifest["baseline_sha256"]:
        yield "baseline", f"({_short(manifest['baseline_sha256'])})"


def _versions(described: Mapping[str, Any]) -> Iterator[Fact]:
    versions = described.get("versions")
    if isinstance(versions, Mapping):
        yield "versions", ", ".join(f"{name} {each}" for name, each in versions.items() if each)


def _short(sha256: object) -> str:
    return f"sha256 {str(sha256)[:HASH]}"
