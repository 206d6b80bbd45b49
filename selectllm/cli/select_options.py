"""What `selectllm select` is told on the command line, as what the job is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import click

from selectllm.cli.named_model import NamedModels, named_model
from selectllm.cli.options import ModelOptions, OrOwn, grouped, map_option
from selectllm.core.errors import UsageError
from selectllm.data.hub import is_hub, parse_hub
from selectllm.jobs.handing import handover_path
from selectllm.jobs.settings import SelectArguments
from selectllm.selection.by_model import OnInvalid
from selectllm.selection.clustering.partition import PARTITIONS
from selectllm.utility.handover.targets import TARGETS, TargetName


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
    click.option("--budget", type=int, metavar="N", help="Items to select."),
    click.option(
        "--threshold",
        type=float,
        metavar="X",
        help="Instead of --budget: every item that a strategy gives at least this.",
    ),
    click.option("--prompt", metavar="NAME@VERSION", help="Selection prompt."),
    click.option("--model", metavar="PROVIDER/MODEL", help="Model that is shown the clusters."),
    click.option("--strategy", metavar="NAME", help="Select without a model instead."),
    click.option(
        "--by",
        type=OrOwn(sorted(PARTITIONS)),
        default="diverse",
        show_default=True,
        help="How the pool is divided into clusters.",
    ),
    click.option(
        "--cluster-size",
        "size",
        default="auto",
        show_default=True,
        metavar="M",
        help="Candidates per cluster; auto: pool / N, within 5 to 50.",
    ),
    click.option(
        "--on-invalid",
        type=click.Choice(get_args(OnInvalid)),
        default="fill",
        show_default=True,
        help="Picks that the model did not make: filled at random, skipped, or a failure.",
    ),
    click.option(
        "--max-filled",
        type=float,
        default=0.2,
        show_default=True,
        metavar="SHARE",
        help="Write nothing (exit 1) if more than this share of the picks would be random.",
    ),
    click.option(
        "--reask",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="Further attempts after a reply that is not valid.",
    ),
    click.option("--seed", type=int, default=0, show_default=True),
    map_option("Where the pool keeps id, instruction, input or response; repeatable."),
    click.option("--skip-bad", is_flag=True, help="Leave bad rows out, into OUT.rejected.jsonl."),
    click.option(
        "--dry-run", is_flag=True, help="Say what would be asked; send and write nothing."
    ),
    click.option(
        "--distinct",
        metavar="exact|COSINE",
        help="Leave near-duplicates out first: the same text, or from this cosine on (e.g. 0.95).",
    ),
    click.option(
        "--prefilter",
        metavar="STRATEGY:SHARE",
        help="Keep only this share of the pool, by a strategy, e.g. longest:0.5.",
    ),
    click.option(
        "--sort",
        is_flag=True,
        help="Write the best of every cluster first, then the second best, and so on; picks made "
        "at random come last. Without it rows keep the pool's order.",
    ),
    click.option(
        "--to",
        type=click.Choice([*TARGETS]),
        help="Write the items for the people who answer them, as this tool imports them.",
    ),
    click.option(
        "-o",
        "--out",
        type=click.Path(path_type=Path),
        help="Where the selection goes [POOL.selected.jsonl; with --to POOL.handover.SUFFIX].",
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
        out = handover_path(pool_file, to, out)
    elif out is None:
        return _plain_out(pool_file)
    if to is None and out.suffix != ".jsonl":
        raise UsageError(f"-o {out}: the selection is JSON lines; end the name in .jsonl")
    if out.resolve() == pool_file.resolve():
        raise UsageError(f"-o {out}: is the pool itself, which is not overwritten; name another")
    return out


def _plain_out(pool_file: Path) -> Path:
    """POOL without its suffixes and with .selected.jsonl."""
    name = pool_file.with_suffix("") if pool_file.suffix.lower() == ".gz" else pool_file
    return name.with_name(f"{name.stem}.selected.jsonl")


def given_size(text: str) -> int | None:
    """--cluster-size as a number; None for auto. Raises UsageError for anything else."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--cluster-size {text!r}: must be a whole number above 0, or auto")
    return int(text)


def arguments_of(options: SelectOptions, named: ModelOptions, log: Path) -> SelectArguments:
    """What the command line asks for; the decisions go to `log`.

    Raises UsageError for a column or a cluster size that cannot be, ModelError for a setting.
    """
    given = named.api_base is not None or bool(named.model_arg)
    return SelectArguments(
        budget=options.budget,
        threshold=options.threshold,
        prompt=options.prompt,
        model=named_model(options.model, named) if options.model else None,
        strategy=options.strategy,
        models=NamedModels(named) if given and options.strategy else None,
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
