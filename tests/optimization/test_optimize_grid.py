"""A grid keeps to its budget, its survivors to their rank, its effects to least squares."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from statsmodels.regression import linear_model

from selectllm.core.errors import PromptError, UsageError
from selectllm.core.types import Item
from selectllm.optimization.grid_effects import effects
from selectllm.optimization.grid_schedule import (
    DEFAULT,
    DIGITS,
    FINALISTS,
    LEAST,
    USUAL,
    SearchRound,
    default_budget,
    ranked,
    schedule,
)
from selectllm.optimization.grid_search import Grid, said
from selectllm.prompting.prompt import parse_prompt, render
from selectllm.stats.intervals import holm

MANY = st.integers(2, 200)
CLUSTERS = st.integers(LEAST, 500)
HEAD = "---\ndescription: d\nreply: indices\nlabels: numbers\n"
BODY = (
    "---\n{% block user %}{{ reasons }} {% if short %}s{% endif %}"
    "{% for item in items %}[{{ item.label }}]{% endfor %}{% endblock %}\n"
)
VARIABLES = "variables: {reasons: [none, before, after], short: [true, false]}\n"


# --- the schedule


@given(MANY, CLUSTERS, st.integers(0, 20_000))
def test_a_schedule_never_exceeds_its_budget_nor_its_clusters(
    settings: int, clusters: int, more: int
) -> None:
    budget = settings * LEAST + more
    found = schedule(settings, clusters, budget)
    assert found.decisions <= budget
    assert sum(each.clusters for each in found.rounds) <= clusters
    assert found.rounds[0].settings == settings
    assert found.rounds[0].clusters >= LEAST
    assert all(each.clusters >= 1 for each in found.rounds)


@given(MANY, CLUSTERS, st.integers(0, 20_000))
def test_each_round_keeps_fewer_and_asks_them_on_at_least_as_many_until_few_are_left(
    settings: int, clusters: int, more: int
) -> None:
    found = schedule(settings, clusters, settings * LEAST + more)
    sizes = [each.settings for each in found.rounds]
    assert sizes == sorted(set(sizes), reverse=True)
    assert found.kept == (*(size - 1 for size in sizes[1:]), min(FINALISTS, sizes[-1] - 1))
    asked = [each.clusters for each in found.rounds]
    whole = asked[:-1] if sum(asked) == clusters else asked
    assert whole == sorted(whole)  # only the last may be short of clusters


def test_halving_gives_each_round_an_equal_share() -> None:
    found = schedule(25, 150, 25 * 3 * 10)
    assert found.rounds == (
        SearchRound(25, 10),
        SearchRound(13, 19),
        SearchRound(7, 36),
    )  # the default beside 12, 6
    assert found.kept == (12, 6, 3)


def test_a_small_budget_has_fewer_rounds_after_which_more_go_at_once() -> None:
    assert schedule(24, 150, 24 * LEAST).rounds == (SearchRound(24, LEAST),)
    assert schedule(25, 150, 25 * LEAST * 2).rounds == (SearchRound(25, LEAST), SearchRound(9, 13))


def test_a_budget_for_everything_asks_everything_at_once() -> None:
    assert schedule(24, 30, 10_000).rounds == (SearchRound(24, 30),)


def test_less_than_round_one_is_refused_with_what_is_needed() -> None:
    with pytest.raises(UsageError, match=r"--budget 119: .* 24 settings takes 120 decisions"):
        schedule(24, 150, 119)


@given(MANY, CLUSTERS)
def test_the_usual_budget_is_enough_and_leaves_no_cluster_unasked(
    settings: int, clusters: int
) -> None:
    found = schedule(settings, clusters, default_budget(settings, clusters))
    assert found.rounds[0].clusters >= min(USUAL, clusters)
    assert sum(each.clusters for each in found.rounds) == clusters


# --- who goes on


CHANGES = [0, *[1 + n % 3 for n in range(50)]]


@given(st.dictionaries(st.integers(0, 50), st.floats(-1, 1), min_size=1), st.integers(0, 9))
@example({0: 0.0, 1: 0.0, 2: 9.913679002663126e-11}, 0)  # the same to DIGITS: fewer changes first
def test_those_who_captured_more_go_first_and_the_default_is_none_of_them(
    captured: dict[int, float], seed: int
) -> None:
    found = ranked(captured, CHANGES, seed)
    assert sorted(found) == sorted(captured.keys() - {DEFAULT})
    told_apart = [round(captured[n], DIGITS) for n in found]
    assert told_apart == sorted(told_apart, reverse=True)


def test_among_equals_the_fewest_changes_go_first_then_an_order_that_the_seed_draws() -> None:
    equal = dict.fromkeys(range(12), 0.5)
    orders = [ranked(equal, CHANGES, seed) for seed in range(5)]
    for order in orders:
        assert [CHANGES[n] for n in order] == sorted(CHANGES[n] for n in order)
    assert len({tuple(order) for order in orders}) > 1
    assert ranked(equal, CHANGES, 3) == ranked(dict(reversed(equal.items())), CHANGES, 3)


def test_what_differs_by_rounding_is_equal() -> None:
    assert ranked({1: 0.1 + 0.2, 2: 0.3, 3: 0.29}, [0, 2, 1, 1], seed=0) == [2, 1, 3]


# --- effects

DESIGN = [{"a": a, "b": b} for a, b in itertools.product([False, True], repeat=2)]


def drawn(n: int = 40) -> tuple[list[dict[int, float]], dict[int, float]]:
    """G of each of DESIGN's settings on n clusters, and r: `a` helps, `b` does not."""
    rng = np.random.default_rng(5)
    base, chance = rng.uniform(0.2, 0.6, n), rng.uniform(0.3, 0.6, n)
    gains = [base + 0.2 * each["a"] + rng.normal(0, 0.1, n) for each in DESIGN]
    return [dict(enumerate(each.tolist())) for each in gains], dict(enumerate(chance.tolist()))


def test_effects_are_those_of_least_squares_with_errors_clustered() -> None:
    gains, chance = drawn()
    n, headroom = len(chance), 1 - np.mean(list(chance.values()))
    rows = [
        (gain, each["a"] - 0.5, each["b"] - 0.5, cluster)
        for each, by_cluster in zip(DESIGN, gains, strict=True)
        for cluster, gain in by_cluster.items()
    ]
    y, a, b, cluster = map(np.array, zip(*rows, strict=True))
    design = np.column_stack([np.ones_like(a), a, b])
    fitted = linear_model.OLS(y / headroom, design).fit(
        cov_type="cluster", cov_kwds={"groups": cluster.astype(int), "use_correction": False}
    )
    found = effects(DESIGN, gains, chance)
    assert [(each.variable, each.value, each.default) for each in found] == [
        ("a", True, False),
        ("b", True, False),
    ]
    for number, effect in enumerate(found, start=1):
        assert effect.estimate is not None
        assert effect.estimate.mean == pytest.approx(fitted.params[number])
        error = fitted.bse[number] * np.sqrt(n / (n - 1))  # HC0 over clusters, to n - 1
        assert effect.estimate.std_error == pytest.approx(error)
        assert effect.estimate.df == n - 1


def test_the_interval_of_an_effect_is_that_of_its_mean_over_clusters() -> None:
    gains, chance = drawn()
    headroom = 1 - np.mean(list(chance.values()))
    off, on = (np.array([list(gains[n].values()) for n in pair]) for pair in ((0, 1), (2, 3)))
    values = (on.mean(axis=0) - off.mean(axis=0)) / headroom
    reference = linear_model.OLS(values, np.ones_like(values)).fit()
    told = effects(DESIGN, gains, chance)[0].told().to_json()
    assert [told["effect"]["low"], told["effect"]["high"]] == pytest.approx(
        reference.conf_int()[0].tolist()
    )
    assert told["p"] == pytest.approx(reference.pvalues[0])


def test_p_values_are_holms_over_all_effects() -> None:
    gains, chance = drawn()
    told = [each.told().to_json() for each in effects(DESIGN, gains, chance)]
    assert [each["p_holm"] for each in told] == holm([each["p"] for each in told])
    assert told[0]["p_holm"] < 0.001 < told[1]["p_holm"]


def test_every_value_is_held_against_the_default_of_its_variable() -> None:
    settings = [{"reasons": value} for value in ("none", "before", "after")]
    gains = [{0: 0.2, 1: 0.4}, {0: 0.3, 1: 0.5}, {0: 0.1, 1: 0.5}]
    found = effects(settings, gains, {0: 0.5, 1: 0.5})
    assert [(each.value, each.default) for each in found] == [("before", "none"), ("after", "none")]
    assert [each.estimate and each.estimate.mean for each in found] == pytest.approx([0.2, 0.0])


def test_clusters_of_one_group_give_no_interval() -> None:
    gains, chance = drawn()
    told = effects(DESIGN, gains, chance, dict.fromkeys(chance, "one"))[0].told().to_json()
    assert (told["effect"], told["p"], told["p_holm"]) == (None, None, None)


def test_settings_asked_on_different_clusters_are_not_compared() -> None:
    gains, chance = drawn()
    del gains[3][7]
    with pytest.raises(ValueError, match="the same clusters"):
        effects(DESIGN, gains, chance)


# --- the settings of a prompt


def grid(variables: str) -> Grid:
    source = HEAD + variables + BODY
    if not variables:
        source = source.replace("{{ reasons }} {% if short %}s{% endif %}", "")
    return Grid.of(parse_prompt(source.encode(), "p.jinja", "p", 1))


def test_a_grid_has_every_combination_and_the_parent_first() -> None:
    found = grid(VARIABLES)
    assert len(found.settings) == 6
    assert found.prompts[0].ref == "p@1"
    refs = [prompt.ref for prompt in found.prompts]
    assert refs[1] == "p[short=false]@draft"
    assert refs[5] == "p[reasons=after, short=false]@draft"
    texts = {render(prompt, [Item("i", "one")], 1)[0]["content"] for prompt in found.prompts}
    assert len(texts) == 6


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ("", "this one has none"),
        ("variables: {reasons: before, short: true}\n", "this one has one value of each"),
        (f"variables: {{reasons: {[*range(9)]}, short: {[*range(30)]}}}\n", "270 combinations"),
    ],
)
def test_a_prompt_with_nothing_to_try_is_refused(variables: str, words: str) -> None:
    with pytest.raises(PromptError, match=words):
        grid(variables)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b"]), st.booleans() | st.integers() | st.text(), min_size=1
        ),
        min_size=2,
        max_size=2,
    )
)
def test_different_settings_are_said_differently(pair: Sequence[Mapping[str, Any]]) -> None:
    first, second = (sorted((k, type(v).__name__, v) for k, v in each.items()) for each in pair)
    assert (first == second) == (
        said(dict(sorted(pair[0].items()))) == said(dict(sorted(pair[1].items())))
    )
