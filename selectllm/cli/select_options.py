"""What `selectllm select` is told on the command line, as what the job is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from selectllm.cli.option_words import TOOL, option
from selectllm.cli.options import STRATEGY, OrOwn, grouped, map_option
from selectllm.core.choices import OnInvalid, Partition, TargetName
from selectllm.core.errors import UsageError
from selectllm.data.hub import is_hub, parse_hub
from selectllm.jobs.named_model import NamedModels, named_model
from selectllm.jobs.options import ModelOptions

if TYPE_CHECKING:
    from selectllm.jobs.settings import SelectArguments


@dataclass(frozen=True, slots=True)
class SelectOptions:
    """What `select` is told besides the pool and the common options."""

    budget: int | None
    threshold: float | None
    prompt: str | None
    model: str | None
    strategy: str | None
    by: str
    size: str
    on_invalid: OnInvalid
    max_filled: float
    reask: int
    seed: int
    columns: Mapping[str, str]
    skip_bad: bool
    dry_run: bool
    distinct: str | None
    prefilter: str | None
    sort: bool
    to: TargetName | None
    out: Path | None


select_options = grouped(
    "options",
    SelectOptions,
    option("--budget", type=int),
    option(
        "--threshold",
        type=float,
        metavar="X",
        help="Select every item that scores at least X, instead of a fixed number (--budget).",
    ),
    option("--prompt"),
    option("--model"),
    STRATEGY,
    option("--by", type=OrOwn(sorted(get_args(Partition))), default="diverse", show_default=True),
    option(
        "--cluster-size",
        "size",
        default="auto",
        show_default=True,
        metavar="M",
        help="The number of candidates in each cluster. auto divides the pool's size by --budget "
        "and keeps the result between 5 and 50.",
    ),
    option(
        "--on-invalid",
        type=click.Choice(get_args(OnInvalid)),
        default="fill",
        show_default=True,
        help="What to do where the model gives no valid pick. fill: pick at random and mark it. "
        "skip: select fewer items. fail: stop and write nothing.",
    ),
    option(
        "--max-filled",
        type=float,
        default=0.2,
        show_default=True,
        metavar="SHARE",
        help="Write nothing (exit code 1) if more than this share of the picks would be random.",
    ),
    option(
        "--reask",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="Ask again up to N times after a reply that is not valid.",
    ),
    option("--seed", type=int, default=0, show_default=True),
    map_option,
    option(
        "--skip-bad",
        is_flag=True,
        help="Leave out rows that cannot be read, and write them with their reasons to "
        "OUT.rejected.jsonl.",
    ),
    option(
        "--dry-run",
        is_flag=True,
        help="Report what would be asked, and what it would cost. Nothing is sent or written.",
    ),
    option(
        "--distinct",
        metavar="exact|COSINE",
        help="First leave out repeated items: those with exactly the same text, or with a cosine "
        "similarity of at least this (such as 0.95).",
    ),
    option(
        "--prefilter",
        metavar="STRATEGY:SHARE",
        help="First keep only the share of the pool that a strategy ranks highest, such as "
        "longest:0.5.",
    ),
    option(
        "--sort",
        is_flag=True,
        help="Write the best item of every cluster first, then the second best, and so on. Picks "
        "that were made at random come last. Without --sort, the order of the pool is kept.",
    ),
    option(
        "--to",
        type=click.Choice(get_args(TargetName)),
        metavar=f"[{'|'.join(get_args(TargetName))}]",
        help=TOOL,
    ),
    option(
        "-o",
        "--out",
        type=click.Path(path_type=Path),
        show_default="POOL.selected.jsonl, or with --to POOL.handover and the tool's suffix",
    ),
)


def out_file(pool_file: Path, out: Path | None, to: TargetName | None = None) -> Path:
    """Where the selection goes: `out`, or POOL without its suffixes and with .selected.jsonl.

    Of a pool on the hub NAME.selected.jsonl in the current folder. `to`: for which tool.
    Raises UsageError for a name that is not .jsonl, or not the tool's, and for the pool itself.
    """
    if is_hub(pool_file):
        pool_file = Path(Path(parse_hub(pool_file).source).name)
    if to is not None:
        from selectllm.jobs.handing import handover_path

        out = handover_path(pool_file, to, out)
    elif out is None:
        return _plain_out(pool_file)
    if to is None and out.suffix != ".jsonl":
        raise UsageError(
            f"-o {out}: The selection is written as JSON lines. End the name in .jsonl."
        )
    if out.resolve() == pool_file.resolve():
        raise UsageError(
            f"-o {out} is the pool itself, which is not overwritten. Choose another file."
        )
    return out


def _plain_out(pool_file: Path) -> Path:
    """POOL without its suffixes and with .selected.jsonl."""
    name = pool_file.with_suffix("") if pool_file.suffix.lower() == ".gz" else pool_file
    while has_magic(name.name) and not pool_file.exists():  # of a pattern, the folder it is in
        name = name.parent
    return name.with_name(f"{name.stem}.selected.jsonl")


def given_size(text: str) -> int | None:
    """--cluster-size as a number; None for auto. Raises UsageError for anything else."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--cluster-size {text!r} must be a whole number above 0, or auto.")
    return int(text)


def arguments_of(options: SelectOptions, named: ModelOptions, log: Path) -> SelectArguments:
    """What the command line asks for; the decisions go to `log`.

    Raises UsageError for a column or a cluster size that cannot be, ModelError for a setting.
    """
    from selectllm.jobs.settings import SelectArguments

    model = named_model(options.model, named) if options.model else None
    return SelectArguments(
        budget=options.budget,
        threshold=options.threshold,
        prompt=options.prompt,
        model=model,
        strategy=options.strategy,
        models=NamedModels.of(named, model),
        by=options.by,
        cluster_size=given_size(options.size),
        on_invalid=options.on_invalid,
        max_filled=options.max_filled,
        reask=options.reask,
        seed=options.seed,
        columns=options.columns,
        skip_bad=options.skip_bad,
        distinct=options.distinct,
        prefilter=options.prefilter,
        sort=options.sort,
        log=log,
    )
