"""`selectllm utility knn` and `ifd`: values computed for a pool's items, as a utility file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import click
import yaml
from pydantic import ValidationError

from selectllm.cli.options import FILE, Common, Function, common_options, grouped
from selectllm.cli.session import open_session
from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError
from selectllm.core.strict import Strict
from selectllm.data.hub import is_hub, located, parse_hub
from selectllm.data.pool import load_pool, parse_mapping
from selectllm.utility.entries import IfdEntry, KnnEntry
from selectllm.utility.knn import Answer
from selectllm.utility.sources import UtilitySources, utility_of
from selectllm.utility.utility import Utility
from selectllm.utility.utility_file import UtilityHeader, write_utility

Entry = TypeVar("Entry", bound=Strict)


@dataclass(frozen=True, slots=True)
class ComputeOptions:
    """What the utility is called, where it goes, and how the pool is read."""

    out: Path | None
    name: str
    columns: tuple[str, ...]


def compute_options(source: str) -> Callable[[Function], Function]:
    """The options that the verbs share; `source`: the verb."""
    return grouped(
        "options",
        ComputeOptions,
        click.option(
            "-o", "--out", type=FILE, help=f"Utility file to write [POOL.{source}.utility.jsonl]."
        ),
        click.option("--name", default=source, show_default=True, help="What it is called."),
        click.option(
            "--map",
            "columns",
            multiple=True,
            metavar="NAME=COL",
            help="Column of the pool that holds instruction, input, response or id; repeatable.",
        ),
    )


@click.command()
@click.argument("pool_file", metavar="POOL")
@click.option("--test", metavar="FILE", required=True, help="Held-out items with responses.")
@click.option("--k", type=click.IntRange(1), default=5, show_default=True, help="Neighbours.")
@click.option(
    "--answer",
    type=click.Choice(["cosine", "rouge-l"]),
    default="cosine",
    show_default=True,
    help="How well one response serves for another.",
)
@compute_options("knn")
@common_options
def knn(
    pool_file: str, test: str, k: int, answer: str, options: ComputeOptions, common: Common
) -> None:
    """How well the responses of POOL's items would serve held-out test items: a proxy.

    Exact KNN-Shapley values: an item is worth what its response adds where test items are
    answered with the responses of their k nearest items.
    """
    entry = _entry(
        KnnEntry, name=options.name, source="knn", test=test, k=k, answer=cast(Answer, answer)
    )
    _compute(pool_file, entry, options, common)


@click.command()
@click.argument("pool_file", metavar="POOL")
@click.option("--model", metavar="LM", help="local/NAME, a folder or a hub name [smollm2-135m].")
@compute_options("ifd")
@common_options
def ifd(pool_file: str, model: str | None, options: ComputeOptions, common: Common) -> None:
    """How little the instructions of POOL's items help a language model to respond: a proxy.

    Instruction-following difficulty, turned so that higher is better: what is hard to follow has
    much to teach, and what misleads has nothing.
    """
    entry = _entry(IfdEntry, name=options.name, source="ifd", model=model)
    _compute(pool_file, entry, options, common)


def _entry(kind: type[Entry], **said: Any) -> Entry:
    """What a suite would say. Raises UsageError for an option that it could not."""
    try:
        return kind(**said)
    except ValidationError as error:
        first = error.errors()[0]
        option = first["loc"][0]
        raise UsageError(f"--{option}: {first['input']!r} is no {option}; name one") from None


def _compute(
    pool_file: str, entry: KnnEntry | IfdEntry, options: ComputeOptions, common: Common
) -> None:
    """Build the utility as a suite does, write it, and say how a suite names the file."""
    path = out_file(Path(pool_file), entry.source, options.out)
    place = located(Path.cwd(), pool_file)
    loaded = load_pool(place, columns=parse_mapping(options.columns))
    session = open_session(common, Path.cwd()).of_pool(loaded)
    began = time.process_time()
    with session.progress("embedding" if entry.source == "knn" else "scoring") as advance:
        embedder = session.embedder(advance)
        sources = UtilitySources(Path.cwd(), embedder, session.workspace.cache, progress=advance)
        utility = utility_of(entry, loaded.pool, sources)
    cost = {"cpu_seconds": round(time.process_time() - began, 3)}
    utility = replace(utility, cost=cost)
    header = write_utility(path, utility, loaded.pool.sha256)
    click.echo(told(path, utility, header, as_json=common.as_json))


def out_file(pool: Path, source: str, out: Path | None) -> Path:
    """Where the utility goes: `out`, or POOL without its suffixes and with .SOURCE.utility.jsonl.

    Of a pool on the hub NAME.SOURCE.utility.jsonl in the current folder. Raises UsageError for a
    name that is not .jsonl, and for the pool itself.
    """
    if out is None and is_hub(pool):
        return Path(f"{Path(parse_hub(pool).source).name}.{source}.utility.jsonl")
    if out is None:
        name = pool.with_suffix("") if pool.suffix.lower() == ".gz" else pool
        return name.with_name(f"{name.stem}.{source}.utility.jsonl")
    if out.suffix != ".jsonl":
        raise UsageError(f"-o {out}: a utility file is JSON lines; end the name in .jsonl")
    if out.resolve() == pool.resolve():
        raise UsageError(f"-o {out}: is the pool itself, which is not overwritten; name another")
    return out


def told(path: Path, utility: Utility, header: UtilityHeader, *, as_json: bool) -> str:
    """What was written, and how a suite names it."""
    if as_json:
        names = ("name", "kind", "rater", "reliability")
        described = {name: getattr(utility, name) for name in names}
        counted = {"items": len(utility.values), "cost": dict(utility.cost)}
        return canonical_json({"file": str(path), "sha256": header.sha256} | described | counted)
    known = "unknown" if utility.reliability is None else f"{utility.reliability:.2f}"
    entry = {"name": utility.name, "source": "import", "file": path.name}
    shown = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10**6).strip()
    return (
        f"{path}: {len(utility.values)} items, kind: {utility.kind}, reliability {known}\n"
        f"in the suite: {shown}"
    )
