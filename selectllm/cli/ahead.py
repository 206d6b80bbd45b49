"""What a selection would ask, in words or as JSON."""

from __future__ import annotations

import click

from selectllm.core.codec import canonical_json
from selectllm.jobs.selection_plan import SelectionPlan


def show_ahead(plan: SelectionPlan, *, as_json: bool) -> None:
    """Print a plan to stdout."""
    if as_json:
        click.echo(canonical_json(plan.to_json()))
        return
    if plan.prefilter_calls:
        click.echo(
            f"the prefilter takes {plan.prefilter_calls} calls first, if every reply is valid"
        )
    for number, this in enumerate(plan.rounds):
        asked = f"{this.clusters} clusters of about {this.size}, {this.picks} or more picks each"
        whole = f"{this.clusters} clusters of {this.size} are taken whole, unasked"
        click.echo(f"round {number}: {asked if this.calls else whole}")
    if plan.rounds:
        click.echo(
            f"at most {plan.calls_at_most} calls, {plan.calls} if every reply is valid; about "
            f"{plan.tokens} prompt tokens (an estimate) to {plan.selector}"
        )
    else:
        count = "those that reach the threshold" if plan.budget is None else plan.budget
        click.echo(
            f"strategy {plan.selector} would take {count} of {plan.items} items, with {plan.calls} "
            f"calls ({plan.calls_at_most} at most)"
        )
    if plan.sent is not None and plan.calls:
        for line in _sent(plan):
            click.echo(line)


def _sent(plan: SelectionPlan) -> list[str]:
    """What is sent beyond what is cached."""
    assert plan.sent is not None
    sent, outlay = plan.sent, plan.sent.outlay
    if sent.looked_up:
        cached = f"{sent.cached:,} of {sent.looked_up:,} decisions that could be looked up"
    else:
        cached = "not known before the pool is embedded; counted as nothing"
    price = "a price that is not known (name it with --model-arg price)"
    if outlay.usd is not None and outlay.usd_most is not None:
        price = f"{outlay.usd:.4f} USD ({outlay.usd_most:.4f} at most)"
    return [
        f"cached: {cached}",
        f"to be sent: about {outlay.calls:,} calls, {outlay.tokens_in:,} tokens in and "
        f"{outlay.tokens_out:,} out, for {price}, in about {outlay.hours * 3600:,.0f} s",
    ]
