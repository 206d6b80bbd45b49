"""A budget by name: of a suite, of a session, and of both together."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import selectllm as sl
from selectllm.core.errors import BudgetReached, SuiteError, UsageError
from selectllm.models.wrappers.rates import LATE
from selectllm.models.wrappers.shared_budget import budgets
from selectllm.models.wrappers.shared_state import SharedState
from tests.support.cli_files import RATED, served, write_suite
from tests.support.provider_server import ProviderServer

PRICED = {"price": {"input": 100, "output": 200}, "max_tokens": 100}  # about 0.02 USD a call


@pytest.fixture(autouse=True)
def pool(forty: Path) -> Path:
    """Every test has 8 clusters."""
    return forty


def asking(server: ProviderServer, *changes: str, **settings: object) -> Path:
    return write_suite(RATED, served(server, **PRICED, **settings), *changes)


def spent(cache: str = "cache") -> float:
    return budgets(SharedState(Path(cache)))["team"].usd


def test_a_suites_budget_holds_over_runs_and_a_higher_limit_goes_on(server: ProviderServer) -> None:
    suite = asking(server, "budget: {name: team, limit: 0.15}")
    with pytest.raises(BudgetReached, match=r"'team' .* `budget\.limit` 0\.15 USD reached"):
        sl.evaluate(suite, out="run", cache="cache")
    paid = server.count
    assert 0 < paid < 8
    with pytest.raises(BudgetReached):
        sl.evaluate(suite, out="another", cache="cache")
    assert server.count == paid
    run = sl.evaluate(asking(server, "budget: {name: team, limit: 5}"), out="run", cache="cache")
    assert server.count == 8
    assert spent() == pytest.approx(run.results.pairs[0].replay_cost_usd)


def test_a_session_and_a_suite_may_spend_from_one_budget(server: ProviderServer) -> None:
    suite = asking(server, "budget: {name: team, requests: 100}")
    with sl.Session(shared_budget="other", max_requests=3, cache="cache") as session:
        with pytest.raises(BudgetReached, match=r"'other' .* 3 requests reached: 3 sent"):
            session.evaluate(suite, out="run")
    both = budgets(SharedState(Path("cache")))
    assert (both["team"].requests, both["other"].requests, server.count) == (3, 3, 3)


def test_tokens_can_be_limited_without_any_price(server: ProviderServer) -> None:
    suite = write_suite(RATED, served(server, max_tokens=100))
    with pytest.raises(BudgetReached, match=r"`max_total_tokens` 1,500 tokens reached"):
        sl.evaluate(suite, out="run", max_total_tokens=1500)
    assert 0 < server.count < 8


def test_a_rate_is_kept_by_a_whole_evaluation() -> None:
    arrived: list[float] = []
    with ProviderServer(lambda *_: arrived.append(time.monotonic())) as server:
        sl.evaluate(asking(server, rpm=300), out="run", cache="cache")
    assert len(arrived) == 8
    assert arrived[-1] - arrived[0] > 7 * (60 / 300 - LATE) - 0.1


def test_other_rates_and_budgets_are_the_same_run(server: ProviderServer) -> None:
    first = sl.evaluate(asking(server), out="run", cache="cache")
    changed = asking(server, "budget: {name: team, limit: 9}", rpm=6000, tpm=10**7)
    second = sl.evaluate(changed, out="run", cache="cache")
    assert server.count == 8
    assert first.results == second.results


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{name: team}", "should say how much may be spent"),
        ("{limit: 3}", "'budget.name' is missing"),
        ("{name: team, limit: -1}", "budget.limit: -1"),
        ("{name: team, usd: 1}", "unknown key 'budget.usd'"),
    ],
)
def test_a_budget_that_limits_nothing_is_refused(
    server: ProviderServer, entry: str, words: str
) -> None:
    with pytest.raises(SuiteError, match=words):
        sl.evaluate(asking(server, f"budget: {entry}"))


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"shared_budget": "team"}, "shared_budget"),
        ({"shared_budget": " ", "max_cost": 1.0}, "shared_budget"),
        ({"max_requests": -1}, "max_requests"),
        ({"max_total_tokens": -1}, "max_total_tokens"),
    ],
)
def test_limits_that_cannot_be_name_their_argument(
    settings: dict[str, object], argument: str
) -> None:
    with pytest.raises(UsageError) as caught:
        sl.Session(**settings)  # type: ignore[arg-type]
    assert caught.value.argument == argument


def test_a_plan_says_what_is_left_and_whether_that_is_enough(server: ProviderServer) -> None:
    suite = asking(server, "budget: {name: team, limit: 0.25}")
    untouched = sl.plan(suite, cache="cache")
    [left] = untouched.results.shared_budgets
    assert (left.name, left.limit_usd, left.spent_usd) == ("team", 0.25, 0.0)
    assert "Of the budget 'team' 0.2500 of 0.2500 USD are left." in flat(untouched.report())
    assert not Path("cache/shared.sqlite3").exists()  # a plan writes nothing
    sl.evaluate(suite, out="run", cache="cache")
    [left] = sl.plan(suite, cache="cache").results.shared_budgets
    assert left.spent_usd == pytest.approx(spent())
    assert left.spent_usd > 0.1
    other = asking(server, "budget: {name: team, limit: 0.25}", "short@1 -> criteria@1")
    told = flat(sl.plan(other, cache="cache").report())
    assert f"{0.25 - spent():.4f} of 0.2500 USD are left. That is less than the" in told
    assert "that this can be expected to cost" in told


def test_a_selection_and_an_audit_say_it_too(server: ProviderServer) -> None:
    suite = asking(server, "budget: {name: team, requests: 100}")
    with sl.Session(shared_budget="other", max_requests=3, cache="cache") as session:
        dividing = {"by": "random", "prompt": "short@1", "model": "openai/m"}
        plan = session.plan("pool.jsonl", budget=4, **dividing)
        assert "Of the budget 'other' 3 of 3 requests are left." in plan.text
        audit = session.plan_audit(suite)
    assert "Of the budget 'team' 100 of 100 requests are left" in audit.notes
    assert "Of the budget 'other' 3 of 3 requests are left" in audit.notes


def flat(text: str) -> str:
    return " ".join(text.split())
