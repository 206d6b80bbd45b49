"""What a selection would ask, in words or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from selectllm.core.codec import canonical_json

if TYPE_CHECKING:
    from selectllm.jobs.selection_plan import SelectionPlan


def show_ahead(plan: SelectionPlan, *, as_json: bool) -> None:
    """Print a plan to stdout."""
    from selectllm.report.wording import counted

    if as_json:
        click.echo(canonical_json(plan.to_json()))
        return
    if plan.prefilter_calls:
        click.echo(
            f"The prefilter first takes {counted(plan.prefilter_calls, 'call')}, if every reply is "
            "valid."
        )
    for number, this in enumerate(plan.rounds):
        asked = (
            f"{counted(this.clusters, 'cluster')} of about {this.size} items, with at least "
            f"{counted(this.picks, 'pick')} from each."
        )
        one = "is" if this.clusters == 1 else "are"
        whole = (
            f"{counted(this.clusters, 'cluster')} of {this.size} items {one} taken whole, without "
            "asking."
        )
        click.echo(f"Round {number}: {asked if this.calls else whole}")
    if plan.rounds:
        click.echo(
            f"{plan.selector} is asked {counted(plan.calls, 'time')} if every reply is valid, and "
            f"at most {counted(plan.calls_at_most, 'time')}. The prompts have about {plan.tokens} "
            "tokens (an estimate)."
        )
    else:
        count = "the items at or above the threshold" if plan.budget is None else plan.budget
        click.echo(
            f"The strategy {plan.selector} would select {count} of "
            f"{counted(plan.items, 'item')}, with {counted(plan.calls, 'call')} "
            f"({plan.calls_at_most} at most)."
        )
    if plan.sent is not None and plan.calls:
        for line in _sent(plan):
            click.echo(line)


def _sent(plan: SelectionPlan) -> list[str]:
    """What is sent beyond what is cached."""
    assert plan.sent is not None
    sent, outlay = plan.sent, plan.sent.outlay
    if sent.looked_up:
        cached = f"{sent.cached:,} of the {sent.looked_up:,} decisions that could be looked up"
    else:
        cached = "not known before the pool is embedded, so none is assumed"
    price = "an unknown price (to give it, use --model-arg price=...)"
    if outlay.usd is not None and outlay.usd_most is not None:
        price = f"{outlay.usd:.4f} USD ({outlay.usd_most:.4f} at most)"
    return [
        f"Already cached: {cached}.",
        f"To be sent: about {outlay.calls:,} calls with {outlay.tokens_in:,} tokens in and "
        f"{outlay.tokens_out:,} tokens out, for {price}, in about {outlay.hours * 3600:,.0f} "
        "seconds.",
    ]
