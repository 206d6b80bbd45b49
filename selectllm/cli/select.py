"""`selectllm select`: exactly N items of a pool."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click

from selectllm.ask import AskSettings, Selector
from selectllm.cli.named_model import named_model
from selectllm.cli.options import FILE, Common, ModelOptions, common_options, grouped, model_options
from selectllm.cli.session import Session, counter, open_session
from selectllm.codec import canonical_json, seeded_hash
from selectllm.connect import open_selector
from selectllm.decisions import DecisionLog
from selectllm.divide import Division, divide
from selectllm.errors import SelectLLMError, UsageError
from selectllm.partition import PARTITIONS
from selectllm.pool import load_pool, parse_mapping, write_rejected
from selectllm.prompt import render
from selectllm.run import evaluated_before
from selectllm.select import (
    Chosen,
    OnInvalid,
    SelectSettings,
    check_budget,
    rounds_ahead,
    select_by_model,
    select_by_strategy,
)
from selectllm.selection import write_selection
from selectllm.strategies import Candidates, find_strategy
from selectllm.tokens import estimate_tokens
from selectllm.types import Cluster, Decision, Pool


@dataclass(frozen=True, slots=True)
class SelectOptions:
    """What `select` is told besides the pool and the common options."""

    budget: int
    prompt: str | None
    model: str | None
    strategy: str | None
    by: str
    size: str
    on_invalid: OnInvalid
    reask: int
    seed: int
    columns: tuple[str, ...]
    skip_bad: bool
    dry_run: bool
    out: Path | None


select_options = grouped(
    "options",
    SelectOptions,
    click.option("--budget", type=int, required=True, metavar="N", help="Items to select."),
    click.option("--prompt", metavar="NAME@VERSION", help="Selection prompt."),
    click.option("--model", metavar="PROVIDER/MODEL", help="Model that is shown the clusters."),
    click.option("--strategy", metavar="NAME", help="Select without a model instead."),
    click.option(
        "--by",
        type=click.Choice(sorted(PARTITIONS)),
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
        "--reask",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="Further attempts after a reply that is not valid.",
    ),
    click.option("--seed", type=int, default=0, show_default=True),
    click.option(
        "--map",
        "columns",
        multiple=True,
        metavar="NAME=COLUMN",
        help="Where the pool keeps id, instruction, input or response; repeatable.",
    ),
    click.option("--skip-bad", is_flag=True, help="Leave bad rows out, into OUT.rejected.jsonl."),
    click.option(
        "--dry-run", is_flag=True, help="Say what would be asked; send and write nothing."
    ),
    click.option("-o", "--out", type=FILE, help="Where the selection goes [POOL.selected.jsonl]."),
)


@click.command()
@click.argument("pool_file", metavar="POOL", type=click.Path(path_type=Path))
@select_options
@model_options
@common_options
def select(
    pool_file: Path, options: SelectOptions, model_options: ModelOptions, common: Common
) -> None:
    """Select exactly N items of POOL, by a prompt and a model or by a strategy.

    Writes the items with all their columns, and OUT.decisions.jsonl. Run again, it goes on where
    it stopped.
    """
    by_model = options.prompt is not None and options.model is not None
    if by_model == (options.strategy is not None) or (
        options.strategy is not None and (options.prompt or options.model)
    ):
        raise UsageError("select needs either --prompt and --model, or --strategy")
    out = options.out or pool_file.with_name(f"{pool_file.name.split('.')[0]}.selected.jsonl")
    if out.suffix != ".jsonl":
        raise UsageError(f"-o {out}: the selection is JSON lines; end the name in .jsonl")
    loaded = load_pool(pool_file, columns=parse_mapping(options.columns), skip_bad=options.skip_bad)
    pool = loaded.pool
    check_budget(options.budget, pool)
    session = open_session(common, Path.cwd())
    work = _by_model if by_model else _by_strategy
    chosen = work(session, pool, options, model_options, out)
    if chosen is None:
        return
    if loaded.rejected:
        write_rejected(_beside(out, "rejected"), loaded.rejected)
        session.note(f"{len(loaded.rejected)} bad rows left out: {_beside(out, 'rejected')}")
    write_selection(out, pool, chosen)
    _report(session, chosen, options, out)


def _by_strategy(
    session: Session, pool: Pool, options: SelectOptions, _: ModelOptions, out: Path
) -> list[Chosen] | None:
    strategy = find_strategy(options.strategy or "")
    if options.dry_run:
        click.echo(f"strategy {strategy.name} would take {options.budget} of {len(pool)} items")
        return None
    vectors = None
    if strategy.needs_vectors:
        with session.progress("embedding") as advance:
            vectors = session.embedder(advance).vectors([item.text for item in pool.items])
    candidates = Candidates(pool.items, options.seed, vectors)
    chosen = select_by_strategy(candidates, strategy, options.budget)
    manifest = _manifest(pool, options) | {"strategy": strategy.name}
    decision = Decision(
        cluster=0,
        order=0,
        repeat=0,
        round=0,
        shown=tuple(item.id for item in pool.items),
        picks=tuple(choice.item.id for choice in chosen),
        status="ok",
        strategy=strategy.name,
    )
    with DecisionLog(_beside(out, "decisions"), manifest) as log:
        if not log.decisions():
            log.append(decision)
    return chosen


def _by_model(
    session: Session, pool: Pool, options: SelectOptions, named: ModelOptions, out: Path
) -> list[Chosen] | None:
    prompt = session.library.load(options.prompt or "")
    selector = open_selector(prompt, named_model(options.model or "", named), session.connections())
    settings = SelectSettings(
        budget=options.budget,
        size=_size(options.size),
        seed=options.seed,
        on_invalid=options.on_invalid,
        ask=AskSettings(concurrency=session.common.concurrency, reask=options.reask),
    )
    ahead = rounds_ahead(len(pool), settings)
    if options.dry_run:
        _dry_run(pool, selector, settings, ahead)
        return None
    clusters, size = ahead[-1]
    k = max(1, options.budget // clusters)
    if not evaluated_before(session.workspace.runs, selector, size, k):
        session.note(
            f"note: no run in {session.workspace.runs} has evaluated {prompt.ref} with "
            f"{selector.spec.name} at {k} of {size}: how good these picks are is not known"
        )
    manifest = _manifest(pool, options) | {
        "prompt": prompt.ref,
        "prompt_sha256": prompt.sha256,
        "model": selector.spec.fields() | {"endpoint": selector.endpoint},
        "by": options.by,
        "cluster_size": options.size,
        "reask": options.reask,
        "encoder": session.embedder().encoder.identity,
    }
    with DecisionLog(_beside(out, "decisions"), manifest) as log:
        return asyncio.run(_ask(session, pool, selector, settings, options.by, log))


async def _ask(
    session: Session,
    pool: Pool,
    selector: Selector,
    settings: SelectSettings,
    by: str,
    log: DecisionLog,
) -> list[Chosen]:
    def division(part: Pool, size: int, seed: int) -> tuple[Cluster, ...]:
        with session.progress("embedding") as advance:
            embedder = session.embedder(advance)
            return divide(part, Division(by, size, seed), embedder, session.clusters)

    try:
        with session.progress("deciding") as advance:
            tick = counter(advance, sum(count for count, _ in rounds_ahead(len(pool), settings)))
            return await select_by_model(pool, selector, settings, division, log, tick)
    finally:
        await selector.model.close()


def _dry_run(
    pool: Pool, selector: Selector, settings: SelectSettings, ahead: list[tuple[int, int]]
) -> None:
    """Rounds, calls and tokens, without dividing, sending or writing.

    A random sample of the pool stands in for every cluster.
    """
    calls = tokens = 0
    sample = sorted(pool.items, key=lambda item: seeded_hash("sample", settings.seed, item.id))
    for number, (count, size) in enumerate(ahead):
        k = max(1, settings.budget // count) if count <= settings.budget else 1
        shown = sample[:size]
        if k >= len(shown):
            click.echo(f"round {number}: {count} clusters of {size} are taken whole, unasked")
            continue
        click.echo(f"round {number}: {count} clusters of about {size}, {k} or more picks each")
        calls += count
        tokens += count * estimate_tokens(render(selector.prompt, shown, k))
    click.echo(
        f"at most {calls * (1 + settings.ask.reask)} calls, {calls} if every reply is valid; "
        f"about {tokens} prompt tokens (an estimate) to {selector.spec.name}"
    )


def _manifest(pool: Pool, options: SelectOptions) -> dict[str, Any]:
    return {
        "format": 1,
        "verb": "select",
        "pool_sha256": pool.sha256,
        "budget": options.budget,
        "seed": options.seed,
    }


def _beside(out: Path, what: str) -> Path:
    return out.with_name(f"{out.name}.{what}.jsonl")


def _size(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"--cluster-size {text!r}: must be a whole number above 0, or auto")
    return int(text)


def _report(session: Session, chosen: list[Chosen], options: SelectOptions, out: Path) -> None:
    filled = sum(choice.filled for choice in chosen)
    summary = {
        "out": str(out),
        "selected": len(chosen),
        "filled": filled,
        "spent_usd": session.ledger.spent,
    }
    if session.common.as_json:
        click.echo(canonical_json(summary))
    else:
        by = Counter(choice.by for choice in chosen)
        click.echo(f"{len(chosen)} items in {out} ({', '.join(sorted(by))})")
        if filled:
            click.echo(f"{filled} of them fill gaps that the model left: marked `filled`")
    if len(chosen) < options.budget:
        raise SelectLLMError(
            f"{len(chosen)} of {options.budget} items: replies were not valid, and --on-invalid "
            "is skip"
        )
