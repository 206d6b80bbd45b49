"""ab, swap and aa: words, figures, and arms that are named wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import UsageError
from selectllm.jobs.comparing import aa
from selectllm.jobs.sync import finished


def test_an_oracle_is_better_than_chance_and_chance_is_worse(folder: Path) -> None:
    verdict = sl.ab("suite.yaml", a="random", b="oracle")
    assert (verdict.word, verdict.needed, verdict.further) == ("better", None, ())
    assert (verdict.a, verdict.b) == ("short@1 + random", "short@1 + oracle")
    assert verdict.difference is not None
    assert verdict.difference.low > 0
    turned = sl.ab("suite.yaml", a="oracle", b="random")
    assert turned.word == "worse"
    assert turned.difference is not None
    assert turned.difference.estimate == pytest.approx(-verdict.difference.estimate)


def test_several_arms_have_a_verdict_each(folder: Path) -> None:
    verdict = sl.ab("suite.yaml", a="strategy:random", b=["oracle", "random"])
    assert [each.b for each in (verdict, *verdict.further)] == [
        "short@1 + oracle",
        "short@1 + random",
    ]
    assert verdict.word == "better"
    assert verdict._repr_html_().startswith("<pre")


def test_an_open_verdict_says_what_is_needed(folder: Path) -> None:
    verdict = sl.ab("suite.yaml", a="strategy:first", b="random", limit=4)
    assert verdict.word == "inconclusive"
    assert verdict.reason
    assert verdict.needed is not None
    assert verdict.needed.clusters > 4


def test_a_model_may_take_the_place_of_its_equal(folder: Path) -> None:
    verdict = sl.swap("suite.yaml", from_="random", to="oracle")
    assert verdict.details.kind == "swap"
    assert verdict.details.swap.retain == 0.9
    assert sl.swap("suite.yaml", from_="oracle", to="random").word == "not safe"


@pytest.mark.usefixtures("few_resamples")
def test_a_pair_against_itself_shows_noise(folder: Path) -> None:
    run = finished(aa("suite.yaml", model="random"))
    assert run.run.suite.orders == 2
    assert run.results.noise.by == "orders"
    with sl.Session() as session:
        assert session.aa("suite.yaml", model="random").results == run.results


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (sl.ab, {"a": "oracl", "b": "random"}, "`a` 'oracl' is not an arm of the suite"),
    (sl.ab, {"a": "oracle", "b": "oracle"}, "`a` and `b`: .* contain one arm twice"),
    (sl.ab, {"a": "short", "b": "oracle"}, "`a` 'short' names no model"),
    (sl.ab, {"a": "oracle", "b": "random", "model": "gpt"}, "`model` 'gpt' is not in the suite"),
    (sl.ab, {"a": "oracle", "b": "random", "design": "fix"}, "`design`: .*'fix'"),
    (sl.swap, {"from_": "oracle", "to": "oracle"}, "`from_` and `to` are both 'oracle'"),
    (sl.swap, {"from_": "oracle", "to": "gpt"}, "`to`: .*'gpt'.*in the suite"),
    (sl.swap, {"from_": "oracle", "to": "random", "retain": 0}, "`retain` 0"),
]


@pytest.mark.parametrize(("job", "arguments", "message"), REFUSED)
def test_arms_that_there_are_not_are_refused(
    folder: Path, job: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        job("suite.yaml", **arguments)
    assert not (folder / "eval").exists()


def test_a_half_that_is_open_is_asked_for(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"has several: oracle, random\. Say which one") as raised:
        finished(aa("suite.yaml"))
    assert raised.value.argument == "model"
