"""A plan's numbers, held against enumeration, simulation and statsmodels."""

from __future__ import annotations

import itertools
import math
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Attempt, Cluster, Decision
from selectllm.core.verdict_words import KindName
from selectllm.evaluation.comparison.ab import ab_word
from selectllm.evaluation.comparison.kinds import KINDS
from selectllm.evaluation.comparison.regress import regress_word
from selectllm.evaluation.comparison.ruling import Bounds, WordOf, rule
from selectllm.evaluation.comparison.swap import swap_word
from selectllm.evaluation.planning.forecast import Forecast, Unasked, outlay, pace_of
from selectllm.evaluation.planning.prices import Priced, price_table, priced
from selectllm.evaluation.planning.reach import (
    ASSUMED,
    Lifts,
    clusters_of,
    independent_differing,
    power_of,
    random_spread,
    reach,
    retention,
)
from selectllm.evaluation.planning.schema import CallPace, PlannedClusters, PlannedSpread
from selectllm.evaluation.planning.tokenizer import FILES, own_tokenizer
from selectllm.evaluation.suite_entries import Gate
from selectllm.models.model import ModelSpec, Price, Vote
from selectllm.stats.interval import Interval
from selectllm.stats.paired import Paired

GATE = Gate(margin=0.1, alpha=0.05)


def counted(number: int, *, groups: int | None = None, asked: int | None = None) -> PlannedClusters:
    asked = asked or number
    return PlannedClusters(
        asked=asked,
        pool=1000,
        counted=number,
        flat=asked - number,
        whole=0,
        unrated=0,
        groups=groups,
        effective_groups=groups,
        items=number * 10,
        to_rate=0,
    )


def piloted(sd: float, scale: float) -> PlannedSpread:
    return PlannedSpread(sd=sd, scale=scale, source="pilot")


def paced(tokens_out: float, seconds: float, asks: float) -> CallPace:
    return CallPace(asks=asks, seconds=seconds, tokens_out=tokens_out, source="pilot")


# --- how far two random pickers differ


def gains(u: Sequence[float], k: int) -> list[float]:
    """G of every set of k picks."""
    low, high = sum(sorted(u)[:k]), sum(sorted(u)[-k:])
    return [(sum(picks) - low) / (high - low) for picks in itertools.combinations(u, k)]


@given(
    st.lists(
        st.lists(st.integers(0, 4), min_size=4, max_size=6).filter(lambda u: len(set(u)) > 1),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 3),
)
def test_the_spread_of_random_picks_is_that_of_all_pairs_of_picks(
    utilities: list[list[int]], k: int
) -> None:
    squares, headroom = [], []
    for u in utilities:
        found = np.array(gains(u, k))
        squares.append(np.square(found[:, None] - found).mean())
        headroom.append(1 - found.mean())
    spread = random_spread(utilities, k)
    assert spread is not None
    assert spread.scale == pytest.approx(np.mean(headroom), rel=1e-9)
    assert spread.sd == pytest.approx(math.sqrt(np.mean(squares)) / np.mean(headroom), rel=1e-9)
    assert (spread.source, spread.clusters) == ("random picks", len(utilities))


def test_clusters_that_decide_nothing_have_no_part_in_the_spread() -> None:
    assert random_spread([[3, 3, 3], [1, 2]], 2) is None
    assert random_spread([], 2) is None
    assert random_spread([[1, 2, 5], [3, 3, 3], [1, 2]], 2) == random_spread([[1, 2, 5]], 2)


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_items_that_independent_pickers_treat_differently_are_counted_as_by_enumeration(
    draws: int,
) -> None:
    m, k = 5, 2
    share = Fraction(k, m)
    differ = Fraction(0)
    for bits in itertools.product((0, 1), repeat=2 * draws):
        if sum(bits[:draws]) != sum(bits[draws:]):
            chance = Fraction(1)
            for bit in bits:
                chance *= share if bit else 1 - share
            differ += chance
    assert independent_differing(m, k, draws) == pytest.approx(float(m * differ), rel=1e-12)


def test_one_draw_differs_in_2k_times_1_minus_k_over_m_items() -> None:
    assert independent_differing(10, 2) == pytest.approx(2 * 2 * (1 - 0.2))


# --- which clusters count


def cluster(number: int, *members: str, group: str | None = None) -> Cluster:
    return Cluster(number, members, group)


def test_flat_and_whole_clusters_are_left_out_and_unrated_ones_may_count() -> None:
    clusters = [
        cluster(0, "a", "b", "c"),
        cluster(1, "d", "e", "f"),
        cluster(2, "g", "h", "i"),
        cluster(3, "j", "k"),
    ]
    values = dict.fromkeys("def", 3.0) | {"a": 1.0, "b": 2.0, "c": 2.0, "g": 5.0}
    found = clusters_of(clusters, 9, 2, values)
    assert (found.asked, found.pool, found.counted) == (3, 9, 2)
    assert (found.flat, found.whole, found.unrated, found.groups) == (1, 1, 1, None)
    assert (found.items, found.to_rate) == (6, 2)


def test_without_a_utility_every_item_is_to_be_rated() -> None:
    clusters = [cluster(0, "a", "b", "c", group="x"), cluster(1, "d", "e", "f", group="y")]
    found = clusters_of(clusters, 2, 1, None)
    assert (found.flat, found.counted, found.unrated, found.to_rate) == (None, 2, 2, 6)
    assert (found.groups, found.effective_groups) == (2, 2)


def test_groups_of_unequal_size_say_as_much_as_fewer_groups_of_one_size() -> None:
    groups = ["x"] * 6 + ["y", "z"]
    clusters = [cluster(n, f"{n}a", f"{n}b", group=group) for n, group in enumerate(groups)]
    found = clusters_of(clusters, 16, 1, None)
    assert (found.groups, found.effective_groups) == (3, pytest.approx(8**2 / 38))


# --- power


def drawn(mean: float, sd: float, n: int, scale: float, tries: int = 2000) -> list[Paired]:
    """Samples of d around `mean`, both in captured units."""
    values = np.random.default_rng([n, tries]).normal(mean, sd, (tries, n)) * scale
    return [Paired(row, np.full(n, scale)) for row in values]


@pytest.mark.parametrize("kind", ["eval", "ab", "swap", "regress"])
@pytest.mark.parametrize(("sd", "n"), [(0.3, 30), (0.42, 120), (0.7, 500)])
def test_what_is_detectable_is_found_by_the_rule_in_8_of_10_tries(
    kind: KindName, sd: float, n: int
) -> None:
    alpha = 0.025 if kind in ("eval", "ab") else 0.05
    found = power_of(KINDS[kind], piloted(sd, 0.5), counted(n), GATE)
    assert found.detectable is not None
    shown = [d.p_above() < alpha for d in drawn(found.detectable, sd, n, 0.5)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.03)
    assert (found.for_equal is None) == (kind in ("swap", "regress"))


@pytest.mark.parametrize(("kind", "mean"), [("ab", 0.1), ("regress", 0.0)])
def test_as_many_clusters_as_it_says_tell_the_margin_in_8_of_10_tries(
    kind: KindName, mean: float
) -> None:
    """`ab` finds a gain as large as it; `regress` rules it out as a loss, at equal quality."""
    n = power_of(KINDS[kind], piloted(0.4, 0.5), counted(50), GATE).for_margin
    null, alpha = (0.0, 0.025) if kind == "ab" else (-0.1, 0.05)
    shown = [d.p_above(null) < alpha for d in drawn(mean, 0.4, n, 0.5)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.03)


def test_as_many_clusters_as_it_says_show_equal_arms_equivalent_in_8_of_10_tries() -> None:
    n = power_of(KINDS["ab"], piloted(0.3, 0.5), counted(50), GATE).for_equal
    assert n is not None
    samples = drawn(0.0, 0.3, n, 0.5)
    inside = [max(d.p_above(-GATE.margin), d.p_below(GATE.margin)) < 0.05 for d in samples]
    assert np.mean(inside) == pytest.approx(0.8, abs=0.03)


def test_several_arms_share_alpha() -> None:
    spread, n = piloted(0.4, 0.5), 100
    alone = power_of(KINDS["ab"], spread, counted(n), GATE)
    shared = power_of(KINDS["ab"], spread, counted(n), GATE, contrasts=3)
    assert shared.alpha == pytest.approx(0.05 / 3)
    assert alone.detectable is not None
    assert shared.detectable is not None
    assert shared.detectable > alone.detectable


def test_groups_are_the_units_and_few_of_them_say_little() -> None:
    spread, n = piloted(0.4, 0.5), 400
    found = {
        groups: power_of(KINDS["regress"], spread, counted(n, groups=groups), GATE)
        for groups in (5, 20, 100)
    }
    alone = power_of(KINDS["regress"], spread, counted(n), GATE)
    least = [found[20].detectable, found[100].detectable, alone.detectable]
    assert None not in least
    assert found[5].detectable is None or found[5].detectable > 1
    assert least == sorted(least, key=lambda each: -(each or 0))
    for groups, power in found.items():
        assert power.groups_for_margin is not None
        assert power.for_margin == math.ceil(power.groups_for_margin * n / groups)
        assert power.for_margin > alone.for_margin
    assert alone.groups_for_margin is None


def test_what_groups_can_show_goes_by_their_effective_number() -> None:
    spread, uneven = piloted(0.4, 0.5), counted(400, groups=100)
    uneven = uneven.model_copy(update={"effective_groups": 20.0})
    even = counted(400, groups=20)
    assert power_of(KINDS["regress"], spread, uneven, GATE) == power_of(
        KINDS["regress"], spread, even, GATE
    )


def test_one_cluster_detects_nothing() -> None:
    assert power_of(KINDS["ab"], ASSUMED, counted(1), GATE).detectable is None
    assert power_of(KINDS["ab"], ASSUMED, counted(0), GATE).detectable is None


# --- what can be said at all


WORD_OF: Mapping[KindName, WordOf] = {
    "eval": ab_word,
    "ab": ab_word,
    "swap": swap_word,
    "regress": regress_word,
}


def word(
    kind: KindName, values: np.ndarray, scale: float, margin: float | None, least: float = -1.0
) -> str:
    """What the verdict's own rule says of `values`."""
    paired = Paired(values, np.full(len(values), scale), least=least)
    mean = float(values.mean()) / scale
    here = Interval(mean, mean, mean)
    word_of = WORD_OF[kind]
    return rule(word_of, paired, Bounds.of(here, here), margin, (0.05, 0.05)).word


@pytest.mark.parametrize("kind", ["eval", "ab", "regress"])
@pytest.mark.parametrize("scale", [0.5, 0.7])
def test_the_rule_gives_its_word_to_zeros_from_so_many_clusters_on(
    kind: KindName, scale: float
) -> None:
    spread = piloted(0.4, scale)
    found = reach(KINDS[kind], 0.1, spread, counted(15), 0.05)
    assert found is not None
    assert not found.possible
    assert word(kind, np.zeros(found.least), scale, 0.1) == found.word
    assert word(kind, np.zeros(found.least - 1), scale, 0.1) == "inconclusive"
    enough = reach(KINDS[kind], 0.1, spread, counted(found.least), 0.05)
    assert enough is not None
    assert enough.possible


def test_15_clusters_cannot_pass_at_the_usual_margin() -> None:
    found = reach(KINDS["regress"], 0.1, piloted(0.4, 0.5), counted(15, asked=20), 0.05)
    assert found is not None
    assert (found.word, found.least, found.groups) == ("pass", 53, None)
    assert found.asked == math.ceil(53 * 20 / 15)


def test_a_narrow_margin_takes_as_many_more() -> None:
    found = reach(KINDS["regress"], 0.02, ASSUMED, counted(100), 0.05)
    assert found is not None
    assert (found.least, found.possible) == (265, False)


def test_groups_are_what_is_counted() -> None:
    found = reach(KINDS["regress"], 0.1, ASSUMED, counted(90, groups=9), 0.05)
    assert found is not None
    assert (found.least, found.groups, found.possible) == (530, 53, False)
    many = reach(KINDS["regress"], 0.1, ASSUMED, counted(90, groups=90), 0.05)
    assert many is not None
    assert many.possible


def test_swap_reaches_safe_where_the_rule_says_safe_of_equal_models() -> None:
    scale, captured, retain = 0.5, 0.8, 0.5
    margin = (1 - retain) * captured
    spread = piloted(0.4, scale)
    found = reach(KINDS["swap"], margin, spread, counted(5), 0.05, retain)
    assert found is not None
    assert not found.possible
    x = np.full(found.least, margin * scale)
    worst = -(1 - scale) - retain * scale  # the newcomer picks the worst, the incumbent the best
    assert word("swap", x, scale, None, worst) == "safe"
    assert word("swap", x[1:], scale, None, worst) == "inconclusive"
    assert reach(KINDS["swap"], 0.0, ASSUMED, counted(15), 0.05) is None


# --- swap


@pytest.mark.parametrize("share", [0.9, 0.8, 0.7])
def test_as_many_clusters_as_it_says_show_a_share_to_be_kept_in_8_of_10_tries(
    share: float,
) -> None:
    found = retention(
        share, 0.3, PlannedSpread(sd=0.42, scale=0.5, source="assumption"), None, counted(50), 0.05
    )
    assert found.sd == pytest.approx(0.42 * math.sqrt((1 + share**2) / 2))
    assert found.clusters is not None
    tries = 300_000 // found.clusters
    worst = -0.5 - share * 0.5  # of x, where r is a half
    samples = drawn((1 - share) * 0.3, found.sd, found.clusters, 0.5, min(2000, tries))
    shown = [replace(x, least=worst).p_above() < 0.05 for x in samples]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.1 if len(samples) < 500 else 0.03)


def test_independent_arms_spread_in_x_as_simulated() -> None:
    rng, retain = np.random.default_rng(2), 0.7
    a, b = rng.normal(0, 0.3, (2, 200_000))
    spread = piloted(float(np.std(b - a)), 0.5)
    found = retention(retain, 0.3, spread, None, counted(9), 0.05)
    assert found.sd == pytest.approx(np.std(b - retain * a), rel=0.01)


def test_a_pilot_gives_the_spread_of_x_itself() -> None:
    lifts = Lifts(np.array([0.1, 0.4, 0.2]), np.array([0.3, 0.1, 0.2]))
    found = retention(0.8, 0.2, ASSUMED, lifts, counted(9), 0.05)
    assert found.sd == pytest.approx(np.std([0.22, -0.22, 0.04], ddof=1))


@pytest.mark.parametrize(("retain", "captured"), [(1.0, 0.3), (0.9, 0.0), (0.9, -0.1)])
def test_nothing_can_be_retained_of_nothing(retain: float, captured: float) -> None:
    assert retention(retain, captured, ASSUMED, None, counted(9), 0.05).clusters is None


# --- what calls take

SPEC = ModelSpec(name="m", id="openai/m")
PRICE = Priced(Price(2.0, 10.0), "suite")


def asking(*unasked: Unasked, spec: ModelSpec = SPEC, tokens_by: str = "estimate") -> Forecast:
    return Forecast("short@1", spec, len(unasked), (), 0, unasked, tokens_by)


def test_an_outlay_is_the_sum_of_its_calls() -> None:
    found = asking(Unasked(100, 50, 32, 3), Unasked(300, 50, 32, 1), tokens_by="o200k_base")
    spent = outlay(found, paced(20.0, 3.6, 1.5), PRICE, 4)
    assert (spent.calls, spent.calls_most) == (3, 4)
    assert (spent.tokens_in, spent.tokens_out) == (600, 60)
    assert spent.usd == pytest.approx((600 * 2 + 60 * 10) / 1e6)
    # Three calls of 100 that show 0, 1 and 2 replies of 50 with a complaint of at most 120.
    tokens_in = 3 * 100 + 3 * (50 + 120) + 300
    assert spent.usd_most == pytest.approx((tokens_in * 2 + 4 * 50 * 10) / 1e6)
    assert spent.hours == pytest.approx(3 * 3.6 / 4 / 3600)


@pytest.mark.parametrize(
    ("asks", "calls"),
    [(3.0, 2), (4.5, 3), (1.0, 2)],  # as many as ballots; half asked again; a pilot without a vote
)
def test_the_pace_of_a_vote_is_shared_by_its_ballots(asks: float, calls: int) -> None:
    voting = ModelSpec(name="m", id="openai/m", vote=Vote(orders=3))
    found = asking(Unasked(100, 50, 32, 3), Unasked(100, 50, 32, 3), spec=voting)
    spent = outlay(found, paced(20.0, 3.6, asks), PRICE, 1)
    assert (spent.calls, spent.tokens_in, spent.tokens_out) == (calls, 100 * calls, 20 * calls)


def test_no_pace_of_a_pilot_expects_more_calls_than_there_may_be() -> None:
    found = asking(Unasked(100, 50, 32, 3), Unasked(100, 50, 32, 1))
    spent = outlay(found, paced(20.0, 3.6, 9.0), PRICE, 1)
    assert spent.calls == spent.calls_most == 4


def test_the_ceiling_allows_for_the_error_of_an_estimate() -> None:
    spent = outlay(asking(Unasked(100, 50, 32, 1)), paced(5, 1, 1), PRICE, 1)
    assert spent.usd_most == pytest.approx((130 * 2 + 50 * 10) / 1e6)


def test_what_is_not_priced_is_not_free() -> None:
    spent = outlay(asking(Unasked(100, 50, 32, 1)), paced(5, 1, 1), None, 1)
    assert (spent.usd, spent.usd_most) == (None, None)
    nothing = outlay(asking(), paced(5, 1, 1), None, 1)
    assert (nothing.usd, nothing.usd_most, nothing.calls) == (0.0, 0.0, 0)


def test_the_embedded_engine_takes_one_call_at_a_time() -> None:
    call, pace = Unasked(100, 50, 32, 1), paced(5, 36, 1)
    local = asking(call, spec=ModelSpec(name="l", id="local/smollm2-135m"))
    assert outlay(local, pace, None, 8).hours == pytest.approx(0.01)
    assert outlay(asking(call), pace, None, 8).hours == pytest.approx(0.01 / 8)


def decision(*attempts: tuple[int | None, float]) -> Decision:
    made = tuple(Attempt("0" * 64, "[1]", "stop", 9, out, 0.0, s, True) for out, s in attempts)
    return Decision(0, 0, 0, 0, ("a", "b"), ("a",), "ok", attempts=made)


def test_a_pace_is_the_mean_of_calls_that_were_made() -> None:
    made = [decision((4, 1.0), (8, 3.0)), decision((6, 2.0)), decision()]
    assert pace_of(made, "pilot") == paced(6.0, 2.0, 1.5)
    assert pace_of([decision((None, 1.0))], "pilot") is None
    assert pace_of([], "replies") is None


# --- tokenizers and prices


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection fails the test."""

    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection was tried: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai/gpt-4o-mini", "o200k_base"),
        ("azure/gpt-4.1", "o200k_base"),
        ("openrouter/openai/gpt-4", "cl100k_base"),
    ],
)
@pytest.mark.usefixtures("no_network")
def test_openai_models_are_counted_by_their_own_vocabulary(model: str, name: str) -> None:
    tokenizer = own_tokenizer(model)
    assert tokenizer is not None
    assert tokenizer.name == name
    text = "Où est <|endoftext|> 12345?\n"
    assert tokenizer.count(text) == len(tiktoken.get_encoding(name).encode_ordinary(text))


@pytest.mark.parametrize(
    "model", ["openai/m", "anthropic/claude-3-5-haiku-latest", "ollama_chat/llama3.1:8b", "mock/x"]
)
def test_a_model_of_unknown_vocabulary_has_no_tokenizer(model: str) -> None:
    assert own_tokenizer(model) is None


@pytest.mark.usefixtures("no_network")
def test_a_vocabulary_that_is_missing_or_damaged_is_not_downloaded(tmp_path: Path) -> None:
    assert own_tokenizer("openai/gpt-4o", tmp_path) is None
    damaged = tmp_path / FILES["o200k_base"][0]
    damaged.write_bytes(b"IQ== 0\n")
    assert own_tokenizer("openai/gpt-4o", tmp_path) is None
    assert damaged.read_bytes() == b"IQ== 0\n"
    shutil.rmtree(tmp_path)
    assert own_tokenizer("openai/gpt-4o", tmp_path) is None


def test_prices_say_where_they_are_from() -> None:
    assert priced(ModelSpec(name="l", id="local/x", price=Price(1, 1))) == Priced(
        Price(0, 0), "free"
    )
    assert priced(ModelSpec(name="s", id="openai/x", price=Price(1, 2))) == Priced(
        Price(1, 2), "suite"
    )
    known = priced(ModelSpec(name="g", id="openai/gpt-4o-mini"))
    assert known is not None
    assert known.source == "litellm"
    assert priced(ModelSpec(name="u", id="openai/never-heard-of")) is None


def test_the_price_table_is_dated_by_what_it_knows() -> None:
    from importlib.metadata import version

    table = price_table()
    assert table.version == version("litellm")
    assert table.newest_model is not None
    assert table.newest_model > "2024-08-06"
