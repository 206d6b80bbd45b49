"""From settings and suites to what may be spent: by a session, and by all of a workspace."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from selectllm.core.errors import UsageError, check_number, check_whole

if TYPE_CHECKING:
    from selectllm.evaluation.planning.budget_left import BudgetLeft
    from selectllm.evaluation.suite_entries import BudgetEntry
    from selectllm.jobs.session_settings import SessionSettings
    from selectllm.models.wrappers.budget import Ledger
    from selectllm.models.wrappers.shared_budget import SharedBudget
    from selectllm.models.wrappers.shared_state import SharedState

Note = Callable[[str], object]


def check_limits(settings: SessionSettings) -> None:
    """Raise UsageError for limits that cannot be, and for a shared budget without any."""
    check_number("max_cost", settings.max_cost)
    cost = settings.max_cost
    if cost is not None and cost < 0:
        raise UsageError(f"`max_cost` {cost} is not an amount. Give it in USD", argument="max_cost")
    for name in ("max_total_tokens", "max_requests"):
        limit = getattr(settings, name)
        check_whole(name, limit)
        if limit is not None and limit < 0:
            raise UsageError(f"`{name}` {limit} is below 0. Give a whole number", argument=name)
    if settings.shared_budget is None:
        return
    if not settings.shared_budget.strip():
        raise UsageError(
            "`shared_budget` is empty. Give the budget a name", argument="shared_budget"
        )
    if (cost, settings.max_total_tokens, settings.max_requests) == (None, None, None):
        raise UsageError(
            f"`shared_budget` {settings.shared_budget!r} has no limit. Say how much may be spent "
            "under that name, with `max_cost`, `max_total_tokens` or `max_requests`",
            argument="shared_budget",
        )


def ledger_of(settings: SessionSettings, state: SharedState, note: Note) -> Ledger:
    """The ledger of a session. The limits are its own, or those of the budget that it shares."""
    from selectllm.models.wrappers.bill import Limits
    from selectllm.models.wrappers.budget import Ledger
    from selectllm.models.wrappers.shared_budget import SharedBudget

    limits = Limits(settings.max_cost, settings.max_total_tokens, settings.max_requests)
    unpriced = settings.allow_unpriced
    if settings.shared_budget is None:
        return Ledger(limits=limits, allow_unpriced=unpriced, note=note)
    shared = SharedBudget(state, settings.shared_budget, limits, note)
    return Ledger(shared=shared, allow_unpriced=unpriced, note=note)


def suite_budget(entry: BudgetEntry, state: SharedState, note: Note) -> SharedBudget:
    """The budget that a suite names."""
    from selectllm.models.wrappers.bill import Limits
    from selectllm.models.wrappers.shared_budget import SharedBudget

    limits = Limits(entry.limit, entry.tokens, entry.requests, of_suite=True)
    return SharedBudget(state, entry.name, limits, note)


def budgets_left(ledger: Ledger, state: SharedState) -> tuple[BudgetLeft, ...]:
    """What is left of every shared budget that is spent from `ledger`; nothing is written."""
    from selectllm.evaluation.planning.budget_left import BudgetLeft
    from selectllm.models.wrappers.bill import Bill
    from selectllm.models.wrappers.shared_budget import budgets

    known = budgets(state)
    return tuple(
        BudgetLeft(
            name=each.name,
            limit_usd=each.limits.usd,
            limit_tokens=each.limits.tokens,
            limit_requests=each.limits.requests,
            spent_usd=spent.usd,
            spent_tokens=spent.tokens,
            spent_requests=spent.requests,
        )
        for each in ledger.shared_budgets()
        for spent in [known.get(each.name, Bill())]
    )


def spent_told(ledger: Ledger) -> str:
    """What was spent, as the beginning of a sentence, with what of it is not known."""
    doubts = []
    if ledger.unpriced_calls:
        doubts.append(f"{ledger.unpriced_calls} calls have no known price")
    if ledger.assumed_calls:
        doubts.append(
            f"{ledger.assumed_calls} calls did not say what they cost and are counted at the "
            f"highest amount that they can cost, {ledger.assumed:.4f} USD"
        )
    return f"cost {ledger.spent:.4f} USD" + (f" ({'; '.join(doubts)})" if doubts else "")
