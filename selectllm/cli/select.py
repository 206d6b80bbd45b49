"""`selectllm select`: exactly N items of a pool."""

from __future__ import annotations

import asyncio
import shlex
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from selectllm.cli.evaluation import warn_of_equal_ballots
from selectllm.cli.named_model import named_model
from selectllm.cli.options import Common, ModelOptions, common_options, model_options
from selectllm.cli.prefilter import Narrowed, left_of
from selectllm.cli.select_by_strategy import candidates_for, meter_for
from selectllm.cli.select_options import (
    SelectOptions,
    given_size,
    is_by_model,
    out_file,
    select_options,
)
from selectllm.cli.session import CommandSession, open_session
from selectllm.core.codec import canonical_json
from selectllm.core.errors import ReplyMissing, SelectLLMError
from selectllm.core.types import Cluster, Decision, Pool
from selectllm.data.pool import load_pool, parse_mapping, write_rejected
from selectllm.evaluation.runs.run import evaluated_before
from selectllm.jobs.session import ticks
from selectllm.selection.by_model import (
    Chosen,
    RoundAhead,
    SelectSettings,
    check_budget,
    questions_ahead,
    select_by_model,
)
from selectllm.selection.by_strategy import check_descending, chosen_by, reaching, strategy_decision
from selectllm.selection.clustering.cluster_pool import ClusterSettings, cluster_pool
from selectllm.selection.clustering.partition import find_partition
from selectllm.selection.decision_log import DecisionLog
from selectllm.selection.output import manifest_by_model, manifest_by_strategy, write_selection
from selectllm.selection.scorers.item_scorer import Meter
from selectllm.selection.selector import Selector, open_selector
from selectllm.selection.strategies import Strategy, find_strategy
from selectllm.selection.task import AskSettings, calls_per_decision, most_calls


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
    by_model = is_by_model(options)
    out = out_file(pool_file, options.out)
    loaded = load_pool(pool_file, columns=parse_mapping(options.columns), skip_bad=options.skip_bad)
    pool = loaded.pool
    # With a threshold, how many reach it is known only once the items are measured.
    budget = len(pool) if options.budget is None else options.budget
    check_budget(budget, pool)
    settings = SelectSettings(
        budget=budget,
        size=given_size(options.size),
        seed=options.seed,
        on_invalid=options.on_invalid,
        ask=AskSettings(concurrency=common.concurrency, reask=options.reask),
    )
    session = open_session(common, Path.cwd()).of_pool(loaded)
    _check_selector(session, pool, options, settings, model_options)
    left = left_of(session, pool, options, settings)
    if options.budget is None:
        settings = replace(settings, budget=len(left.pool))
    call = Selection(session, left.pool, settings, out, left)
    select_one_way = _by_model if by_model else _by_strategy
    chosen = select_one_way(call, options, model_options)
    if chosen is None:
        return
    if loaded.rejected:
        write_rejected(_beside(out, "rejected"), loaded.rejected)
        session.note(f"{len(loaded.rejected)} bad rows left out: {_beside(out, 'rejected')}")
    write_selection(out, call.pool, chosen)
    _report(session, chosen, options.budget, out)


def _check_selector(
    session: CommandSession,
    pool: Pool,
    options: SelectOptions,
    settings: SelectSettings,
    named: ModelOptions,
) -> None:
    """Raise a UsageError for a selector that cannot work, before a prefilter asks anything."""
    if options.strategy is None:
        prompt = session.library.load(options.prompt or "")
        spec = named_model(options.model or "", named)
        open_selector(prompt, spec, session.connections())
        find_partition(options.by, Path.cwd())
        warn_of_equal_ballots(session, spec)
        return
    strategy = find_strategy(options.strategy, Path.cwd())
    meter_for(session, pool, strategy, settings, named)
    if options.threshold is not None:
        check_descending(strategy)


@dataclass(frozen=True, slots=True)
class Selection:
    """One call of `select`, its files read and its options checked; `left`: its pool, and why."""

    session: CommandSession
    pool: Pool
    settings: SelectSettings
    out: Path
    left: Narrowed

    @property
    def log(self) -> Path:
        """Where the decisions go."""
        return _beside(self.out, "decisions")


def _by_strategy(
    call: Selection, options: SelectOptions, named: ModelOptions
) -> list[Chosen] | None:
    """What the strategy picks; None for a dry run."""
    session, pool, settings = call.session, call.pool, call.settings
    strategy = find_strategy(options.strategy or "", Path.cwd())
    meter = meter_for(session, pool, strategy, settings, named)
    if options.dry_run:
        _print_strategy_ahead(call, options, strategy)
        return None
    manifest = manifest_by_strategy(pool, strategy, settings) | dict(call.left.by)
    if options.threshold is not None:
        manifest |= {"budget": None, "threshold": options.threshold}
    if measure := strategy.describe(meter):
        manifest |= {"measure": measure, "reask": options.reask}
    if strategy.needs_vectors:
        manifest |= {"encoder": session.embedder().identity}
    with DecisionLog(call.log, manifest) as log:
        if not log.decisions():
            log.append(_decided(call, strategy, meter, options.threshold))
        decision = log.decisions()[0]
    if options.threshold is not None:
        settings = replace(settings, budget=len(decision.picks))
    return chosen_by(decision, pool.items, settings)


def _decided(
    call: Selection, strategy: Strategy, meter: Meter, threshold: float | None
) -> Decision:
    """What the strategy decides, once what it goes by is measured."""
    try:
        candidates, measured = candidates_for(
            call.session, call.pool, strategy, call.settings, meter
        )
    except ReplyMissing as error:
        raise ReplyMissing(f"{error}. Record them by the same call without --offline") from None
    budget = call.settings.budget
    if threshold is not None:
        budget = reaching(candidates, strategy, threshold)
    attempts = [each for item in call.pool.items for each in measured.attempts.get(item.id, ())]
    return strategy_decision(candidates, strategy, budget, attempts)


def _by_model(call: Selection, options: SelectOptions, named: ModelOptions) -> list[Chosen] | None:
    """What the model picks; None for a dry run."""
    session, pool, settings = call.session, call.pool, call.settings
    prompt = session.library.load(options.prompt or "")
    selector = open_selector(prompt, named_model(options.model or "", named), session.connections())
    ahead = questions_ahead(pool, selector, settings)
    if options.dry_run:
        _print_ahead(call, ahead, selector)
        return None
    last = ahead[-1]
    if not evaluated_before(session.workspace.runs, selector, last.size, last.picks):
        session.note(
            f"note: no run in {session.workspace.runs} has evaluated {prompt.ref} with "
            f"{selector.spec.name} at {last.picks} of {last.size}: how good these picks are is "
            "not known"
        )
    encoder = session.embedder().identity
    manifest = manifest_by_model(pool, selector, settings, options.by, encoder) | dict(call.left.by)
    with DecisionLog(call.log, manifest) as log:
        calls = sum(this.calls for this in ahead) // calls_per_decision(selector.spec)
        try:
            return asyncio.run(_ask(call, selector, options.by, log, calls))
        except ReplyMissing as error:
            told = ("--budget", str(settings.budget), "--prompt", prompt.ref, "--model")
            command = ("selectllm", "select", pool.source, *told, selector.spec.id)
            raise ReplyMissing(
                f"{error}. Record them by the same call without --offline: {shlex.join(command)} "
                "and its other options"
            ) from None


async def _ask(
    call: Selection, selector: Selector, by: str, log: DecisionLog, calls: int
) -> list[Chosen]:
    session = call.session

    def division(part: Pool, size: int, seed: int) -> tuple[Cluster, ...]:
        with session.progress("embedding") as advance:
            embedder = session.embedder(advance)
            return cluster_pool(
                part, ClusterSettings(by, size, seed, Path.cwd()), embedder, session.clusters
            )

    try:
        with session.progress("deciding") as advance:
            tick = ticks(advance, calls)
            return await select_by_model(call.pool, selector, call.settings, division, log, tick)
    finally:
        await selector.model.close()


def _print_strategy_ahead(call: Selection, options: SelectOptions, strategy: Strategy) -> None:
    count = "those that reach the threshold" if options.budget is None else call.settings.budget
    calls = strategy.calls_per_item * len(call.pool)
    asks_again = strategy.scorer is not None and strategy.scorer.asks_again
    most = calls * (1 + options.reask) if asks_again else calls
    if call.session.common.as_json:
        summary = {"rounds": [], "calls": calls, "calls_at_most": most}
        click.echo(canonical_json(summary | {"prefilter_calls": call.left.calls}))
        return
    _print_prefilter_ahead(call)
    click.echo(
        f"strategy {strategy.name} would take {count} of {len(call.pool)} items, with {calls} "
        f"calls ({most} at most)"
    )


def _print_prefilter_ahead(call: Selection) -> None:
    if call.left.calls:
        click.echo(f"the prefilter takes {call.left.calls} calls first, if every reply is valid")


def _print_ahead(call: Selection, ahead: list[RoundAhead], selector: Selector) -> None:
    """What would be asked, as text or as JSON; nothing was divided, sent or written."""
    session, settings, spec = call.session, call.settings, selector.spec
    calls = sum(this.calls for this in ahead)
    most = calls // calls_per_decision(spec) * most_calls(spec, settings.ask.reask)
    if not session.common.as_json:
        _print_prefilter_ahead(call)
        click.echo(_ahead_text(ahead, selector, most))
        return
    summary = {
        "rounds": [asdict(this) for this in ahead],
        "calls": calls,
        "calls_at_most": most,
        "prefilter_calls": call.left.calls,
        "tokens": sum(this.tokens for this in ahead),
    }
    click.echo(canonical_json(summary))


def _ahead_text(ahead: list[RoundAhead], selector: Selector, most: int) -> str:
    lines = []
    for number, this in enumerate(ahead):
        asked = f"{this.clusters} clusters of about {this.size}, {this.picks} or more picks each"
        whole = f"{this.clusters} clusters of {this.size} are taken whole, unasked"
        lines.append(f"round {number}: {asked if this.calls else whole}")
    calls = sum(this.calls for this in ahead)
    lines.append(
        f"at most {most} calls, {calls} if every reply is valid; "
        f"about {sum(this.tokens for this in ahead)} prompt tokens (an estimate) to "
        f"{selector.spec.name}"
    )
    return "\n".join(lines)


def _beside(out: Path, what: str) -> Path:
    return out.with_name(f"{out.name}.{what}.jsonl")


def _report(session: CommandSession, chosen: list[Chosen], budget: int | None, out: Path) -> None:
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
    if budget is not None and len(chosen) < budget:
        raise SelectLLMError(
            f"{len(chosen)} of {budget} items: replies were not valid, and --on-invalid is skip"
        )
