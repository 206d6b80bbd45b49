"""ab, sequential: looking in between, with error rates that hold over all looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import selectllm as sl
from selectllm.jobs.comparing import Verdict
from tests.conftest import pool_rows, write_jsonl
from tests.support.cli_files import RATED, served, write_suite
from tests.support.provider_server import ProviderServer

LAST = Path("run/results.json")
LOG = Path("run/decisions.jsonl")

pytestmark = pytest.mark.usefixtures("folder")


def rated(count: int) -> None:
    """A rated pool that makes `count` / 5 clusters."""
    write_jsonl(Path("pool.jsonl"), pool_rows(count))


def beside(server: ProviderServer, model: str) -> Path:
    """A suite of the provider's model m, and a scripted one."""
    named = served(server, id="hosted_vllm/m").replace("-> ", f"-> {model}, ")
    return write_suite(RATED, named)


def sequential(suite: Path, a: str, b: str | Sequence[str]) -> Verdict:
    return sl.ab(suite, a, b, design="sequential", out="run")


def test_it_stops_once_decided_and_says_what_that_saved(server: ProviderServer) -> None:
    rated(2000)
    verdict = sequential(beside(server, "mock/oracle"), "m", "mock/oracle")
    design = verdict.details.design
    assert (verdict.word, design.kind) == ("better", "sequential")
    assert [look.clusters for look in design.looks] == [100]
    assert design.calls_saved is not None
    assert design.calls_saved > 0
    assert server.count < 400
    assert verdict.run.results.clusters < 400
    assert verdict.details.p is None


def test_an_open_question_is_asked_to_the_end(server: ProviderServer) -> None:
    rated(1000)
    verdict = sequential(beside(server, "mock/random"), "m", "mock/random")
    design = verdict.details.design
    assert verdict.word == "inconclusive"
    assert (len(design.looks), design.calls_saved) == (5, 0)
    assert verdict.needed is not None
    assert verdict.needed.clusters > 0


@pytest.mark.parametrize("b", ["mock/random", "strategy:longest"])
def test_interrupted_in_a_later_look_it_goes_on_to_the_same_results(
    server: ProviderServer, b: str
) -> None:
    rated(1000)
    suite = beside(server, "mock/random")
    assert sequential(suite, "m", b).word == "inconclusive"
    before = LAST.read_bytes()
    lines = LOG.read_text(encoding="utf-8").splitlines(keepends=True)
    asked = [n for n, line in enumerate(lines) if '"model":"m"' in line]
    for end in (len(lines), asked[110], asked[180]):
        LOG.write_text("".join(lines[:end]), encoding="utf-8")
        LAST.unlink()
        assert sequential(suite, "m", b).word == "inconclusive"
        assert LAST.read_bytes() == before


def test_a_tiny_alpha_leaves_no_error_to_spend_at_the_first_look() -> None:
    rated(2600)
    suite = write_suite(RATED, "gate: {alpha: 0.000001}")
    verdict = sequential(suite, "mock/first", "strategy:first")
    assert verdict.word in ("equivalent", "inconclusive")
    first = verdict.details.design.looks[0]
    assert first.clusters == 104
    # Its boundary is infinite; the interval is then all that the difference can be.
    assert first.low is not None
    assert first.high is not None
    assert first.low < -1
    assert first.high > 1


@pytest.mark.parametrize(
    ("count", "b", "why"),
    [
        (300, ["strategy:first"], "fewer than 150"),
        (2000, ["strategy:first", "strategy:longest"], "more than two arms"),
        (2000, ["strategy:first"], "recorded or cached"),
    ],
)
def test_where_it_saves_nothing_the_design_is_fixed_and_says_why(
    count: int, b: list[str], why: str
) -> None:
    rated(count)
    notes: list[str] = []
    verdict = sl.ab(
        write_suite(RATED), "strategy:shortest", b, design="sequential", notes=notes.append
    )
    design = verdict.details.design
    assert design.kind == "fixed"
    assert why in (design.why or "")
    assert any(why in note for note in notes)
