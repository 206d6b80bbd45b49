"""People rate a random sample of clusters, a judge rates all: sheets, verdicts, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selectllm.cli import main
from selectllm.core.errors import RunError, SuiteError, UsageError, UtilityError
from selectllm.evaluation.suite import load_suite
from selectllm.jobs.comparing import aa, ab, swap
from selectllm.jobs.evaluating import evaluate
from selectllm.jobs.gating import keep_baseline, regress
from selectllm.jobs.importing import import_sheets
from selectllm.jobs.options import RatingRequest, SheetSettings
from selectllm.jobs.planning import plan
from selectllm.jobs.rating import ask
from selectllm.jobs.sets import sets
from selectllm.jobs.sync import finished
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.support.jobs import Heard, fails
from tests.support.sheets import fill, rows_of

ARMS = {"a": "strategy:first", "b": "strategy:longest"}
SUITE = """\
name: assisted
pool: pool.jsonl
utilities:
  - {name: judge, source: ratings, column: judge, kind: model, rater: seven, range: [1, 5]}
clusters: {by: random, size: 5}
picks: 2
strategies: [first, longest]
"""
HUMAN = "  - {name: human, source: import, file: sheet.ratings.jsonl, range: [1, 5]}\n"
GATE = "gate: {utility: human, assisted_by: judge}\n"


def truth(item_id: str) -> int:
    """What people say."""
    return int(item_id.removeprefix("item-")) * 13 % 5 + 1


def judged(number: int) -> float:
    """What the judge says: near what people say, with an opinion of its own."""
    return min(5.0, max(1.0, truth(f"item-{number:03}") + (number * 7 % 9 - 4) / 4))


def assisted_suite(folder: Path, *changes: tuple[str, str]) -> Path:
    text = SUITE.replace("clusters:", f"{HUMAN}clusters:") + GATE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "assisted.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 items that a judge rated, 80 clusters; people rated 30 of these, drawn by seed 0."""
    folder = tmp_path_factory.mktemp("assisted")
    rows = [
        {name: row[name] for name in ("id", "instruction", "input")} | {"judge": judged(number)}
        for number, row in enumerate(pool_rows(400))
    ]
    write_jsonl(folder / "pool.jsonl", rows)
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")
    heard = Heard(folder)
    finished(ask(Path("suite.yaml"), request(sample=30), session=heard.session()))
    fill(folder / "sheet.csv", truth)
    finished(import_sheets([Path("sheet.csv")], session=heard.session()))
    assisted_suite(folder)
    return folder


@pytest.fixture
def heard(made: Path, tmp_path: Path) -> Heard:
    """The same, to be changed."""
    shutil.copytree(made, tmp_path / "here")
    return Heard(tmp_path / "here")


def request(out: str = "sheet.csv", **named: Any) -> RatingRequest:
    return RatingRequest(out=Path(out), **named)


def compared(heard: Heard, suite: str = "assisted.yaml", out: str = "run", **named: Any) -> Any:
    return ab(suite, **(ARMS | named), out=out, session=heard.session())


def asked_of(heard: Heard, out: str, **named: Any) -> list[str]:
    """The ids of a sheet of the suite."""
    finished(ask(Path("suite.yaml"), request(out, **named), session=heard.session()))
    return sorted(row["id"] for row in rows_of(heard.folder / out)[1])


# The sample


def test_a_sample_is_of_whole_clusters_drawn_by_its_seed(heard: Heard) -> None:
    first = asked_of(heard, "again.csv", sample=30)
    assert first == sorted(row["id"] for row in rows_of(heard.folder / "sheet.csv")[1])
    assert len(first) == 150
    assert asked_of(heard, "other.csv", sample=30, seed=1) != first
    larger = asked_of(heard, "larger.csv", sample=40)
    assert set(first) < set(larger)
    sample = json.loads((heard.folder / "larger.ask.json").read_text("utf-8"))["sample"]
    assert (sample["clusters"], sample["of"], sample["seed"]) == (40, 80, 0)


def test_a_sheet_without_a_sample_says_nothing_of_one(heard: Heard) -> None:
    asked_of(heard, "all.csv")
    assert "sample" not in (heard.folder / "all.ask.json").read_text("utf-8")


def test_more_clusters_than_there_are_cannot_be_drawn(heard: Heard) -> None:
    job = ask(Path("suite.yaml"), request("more.csv", sample=81), session=heard.session())
    fails(job, "81 clusters", "80", argument="sample")


def test_a_larger_sample_takes_what_was_rated_and_joins_it(heard: Heard) -> None:
    rest = asked_of(heard, "more.csv", sample=40, rated=Path("sheet.ratings.jsonl"))
    assert len(rest) == 50
    fill(heard.folder / "more.csv", truth)
    joining = SheetSettings(add=Path("sheet.ratings.jsonl"))
    imported = finished(
        import_sheets([Path("more.csv")], Path("both.jsonl"), joining, session=heard.session())
    )
    assert imported.ratings.sample.clusters == 40
    assisted_suite(heard.folder, ("sheet.ratings.jsonl", "both.jsonl"))
    verdict = finished(compared(heard))
    assert verdict.details.assisted.rated == 40


@pytest.mark.parametrize("named", [{"seed": 3, "sample": 30}, {}])
def test_ratings_of_another_draw_are_not_joined(heard: Heard, named: dict[str, Any]) -> None:
    asked_of(heard, "other.csv", **named)
    fill(heard.folder / "other.csv", truth)
    joining = SheetSettings(add=Path("sheet.ratings.jsonl"))
    job = import_sheets([Path("other.csv")], None, joining, session=heard.session())
    with pytest.raises(UtilityError, match="sample"):
        finished(job)


# The verdict


def test_a_verdict_says_which_part_is_human_and_what_the_judge_saves(heard: Heard) -> None:
    verdict = finished(compared(heard)).details
    found = verdict.assisted
    assert verdict.utility.name == "human"
    assert (found.name, found.rater, found.rated, found.judged) == ("judge", "seven", 30, 80)
    assert verdict.clusters == 30
    assert 0.4 < found.correlation < 1
    assert 0 < found.tuning <= 1
    assert 0 < found.saved < 1
    assert verdict.p is None
    assert verdict.captured.a is not None
    assert verdict.needed.rated > found.rated
    written = json.loads((heard.folder / "run/results.json").read_text("utf-8"))
    assert written["verdicts"][0]["assisted"]["judged"] == 80


def test_people_who_rate_everything_need_no_judge(heard: Heard) -> None:
    rows = [{"id": row["id"], "value": truth(row["id"])} for row in pool_rows(400)]
    write_jsonl(heard.folder / "sheet.ratings.jsonl", rows)
    assisted = finished(compared(heard)).details
    assert (assisted.assisted.rated, assisted.assisted.tuning) == (80, 0)
    assert assisted.assisted.saved == 0
    assisted_suite(heard.folder, (GATE, "gate: {utility: human}\n"))
    alone = finished(compared(heard, out="alone")).details
    assert alone.assisted is None
    assert assisted.difference.estimate == pytest.approx(alone.difference.estimate)
    assert assisted.difference.low == pytest.approx(alone.difference.low)


def test_a_constant_judge_is_no_error_and_saves_nothing(heard: Heard) -> None:
    rows = [row | {"judge": 3} for row in read_jsonl(heard.folder / "pool.jsonl")]
    write_jsonl(heard.folder / "pool.jsonl", rows)
    found = finished(compared(heard)).details.assisted
    assert (found.correlation, found.tuning, found.saved) == (None, 0, 0)


def test_a_judge_may_rate_on_a_scale_of_its_own(heard: Heard) -> None:
    usual = finished(compared(heard)).details
    rows = read_jsonl(heard.folder / "pool.jsonl")
    write_jsonl(
        heard.folder / "pool.jsonl", [row | {"judge": 10 * row["judge"] - 10} for row in rows]
    )
    assisted_suite(heard.folder, ("rater: seven, range: [1, 5]", "rater: seven, range: [0, 40]"))
    tens = finished(compared(heard, out="tens")).details
    assert tens.difference.estimate == pytest.approx(usual.difference.estimate)
    assert tens.assisted.correlation == pytest.approx(usual.assisted.correlation)


def test_several_arms_share_the_error_rate(heard: Heard) -> None:
    verdict = finished(compared(heard, b=["strategy:longest", "strategy:shortest"]))
    both = [each.details for each in (verdict, *verdict.further)]
    assert all(each.p_holm is not None and each.assisted.rated == 30 for each in both)


def test_groups_are_allowed_for(heard: Heard) -> None:
    rows = read_jsonl(heard.folder / "pool.jsonl")
    grouped = [row | {"topic": str(number // 40)} for number, row in enumerate(rows)]
    write_jsonl(heard.folder / "pool.jsonl", grouped)
    by_topic = ("size: 5}", "size: 5, group: topic}")
    (heard.folder / "suite.yaml").write_text(SUITE.replace(*by_topic), encoding="utf-8")
    asked_of(heard, "topics.csv", sample=40)
    fill(heard.folder / "topics.csv", truth)
    finished(import_sheets([Path("topics.csv")], session=heard.session()))
    assisted_suite(heard.folder, by_topic, ("sheet.ratings", "topics.ratings"))
    verdict = finished(compared(heard)).details
    assert verdict.groups == 10
    assert verdict.assisted.rated == 40
    assert verdict.difference is not None


def test_only_the_differing_items_of_the_sample_are_rated(heard: Heard) -> None:
    finished(ab("suite.yaml", **ARMS, out="first", session=heard.session()))
    wanted = request("few.csv", sample=30, differing=True)
    finished(ask(Path("first"), wanted, session=heard.session()))
    items = [row["id"] for row in rows_of(heard.folder / "few.csv")[1]]
    assert set(items) < {row["id"] for row in rows_of(heard.folder / "sheet.csv")[1]}
    fill(heard.folder / "few.csv", truth)
    finished(import_sheets([Path("few.csv")], session=heard.session()))
    assisted_suite(heard.folder, ("sheet.ratings", "few.ratings"))
    verdict = finished(compared(heard, differing=True)).details
    assert verdict.unit == "range"
    assert (verdict.assisted.rated, verdict.assisted.judged) == (30, 80)
    assert verdict.captured.a is None
    with pytest.raises(UtilityError, match="not rated"):
        finished(compared(heard, out="all"))


def test_a_sequential_design_becomes_a_fixed_one_and_says_why(heard: Heard) -> None:
    finished(compared(heard, design="sequential"))
    assert any("fixed design" in note and "judge" in note for note in heard.notes)


def test_a_finished_run_is_verified_and_told(heard: Heard, capsys: Any) -> None:
    finished(compared(heard))
    assert main(["verify", str(heard.folder / "run")]) == 0
    for form in ("terminal", "markdown"):
        capsys.readouterr()
        assert main(["report", str(heard.folder / "run"), "--as", form]) == 0
        told = " ".join(capsys.readouterr().out.split())
        assert "30 of 80 clusters" in told
        assert "human ratings" in told
    assert main(["report", str(heard.folder / "run"), "--html"]) == 0
    page = (heard.folder / "run/report.html").read_text("utf-8")
    assert "30 of 80 clusters" in page


def test_eval_tells_the_judge_s_agreement_alone(heard: Heard) -> None:
    results = finished(evaluate("assisted.yaml", out="run", session=heard.session())).results
    assert [utility.name for utility in results.utilities] == ["judge"]


def test_a_suite_without_a_judge_is_recorded_as_before(heard: Heard) -> None:
    finished(ab("suite.yaml", **ARMS, out="run", session=heard.session()))
    for name in ("run.json", "results.json", "utilities.jsonl"):
        text = (heard.folder / "run" / name).read_text("utf-8")
        assert "assisted" not in text.replace('"suite": "assisted"', "")
        assert "sample" not in text


# Before anything is rated


def test_a_plan_says_how_many_ratings_are_left_to_buy(heard: Heard) -> None:
    wide = (GATE, GATE.replace("judge}", "judge, margin: 0.4}"))
    assisted_suite(heard.folder, wide)
    arguments: dict[str, Any] = {"kind": "ab", "raters": 2, "rating_cost": 0.5}
    session = heard.session()
    results = finished(plan("assisted.yaml", **arguments, session=session)).results
    bill = results.ratings.assisted
    assert (bill.judge, bill.source, bill.rated, bill.judged) == ("judge", "random picks", 30, 80)
    assert 0.4 < bill.correlation < 1
    assert bill.rated < bill.wanted < bill.alone
    assert bill.items == 5 * (bill.wanted - bill.rated)
    assert (bill.ratings, bill.usd) == (2 * bill.items, bill.items)
    finished(compared(heard))
    named = {"a": "strategy:first", "b": ("strategy:longest",), "pilot": heard.folder / "run"}
    piloted = plan("assisted.yaml", **arguments, **named, session=session)
    assert finished(piloted).results.ratings.assisted.source == "pilot"
    (heard.folder / "plain.yaml").write_text(SUITE, encoding="utf-8")
    plain = finished(plan("plain.yaml", kind="ab", session=session)).results
    assert "assisted" not in plain.to_json()["ratings"]


# What cannot be


def without_sample(folder: Path) -> None:
    """Ratings that somebody chose."""
    rows = read_jsonl(folder / "sheet.ratings.jsonl")[1:]
    write_jsonl(
        folder / "sheet.ratings.jsonl",
        [{"id": row["id"], "value": row["value"]} for row in rows],
    )


def with_one_outside(folder: Path) -> None:
    rows = read_jsonl(folder / "sheet.ratings.jsonl")
    rated = {row["id"] for row in rows[1:]}
    outside = next(row["id"] for row in pool_rows(400) if row["id"] not in rated)
    rows[0]["ratings"]["items"] += 1
    more = {"id": outside, "value": 3, "ratings": {"sheet": 3}}
    write_jsonl(folder / "sheet.ratings.jsonl", [*rows, more])


def with_one_missing(folder: Path) -> None:
    rows = read_jsonl(folder / "sheet.ratings.jsonl")
    rows[0]["ratings"]["items"] -= 1
    write_jsonl(folder / "sheet.ratings.jsonl", rows[:-1])


def with_a_gap_of_the_judge(folder: Path) -> None:
    rows = read_jsonl(folder / "pool.jsonl")
    del rows[7]["judge"]
    write_jsonl(folder / "pool.jsonl", rows)


def with_fewer_clusters(folder: Path) -> None:
    assisted_suite(folder, ("size: 5}", "size: 5, limit: 60}"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_sample, "not of a random sample"),
        (with_one_outside, "not in the 30 clusters"),
        (with_one_missing, "1 of the 150 items"),
        (with_a_gap_of_the_judge, "judge"),
        (with_fewer_clusters, "drawn from 80 others than the 60"),
    ],
)
def test_ratings_that_are_no_sample_of_ours_are_refused(
    heard: Heard, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(heard.folder)
    with pytest.raises(UtilityError, match=words):
        finished(compared(heard))


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("gate: {utility: human, assisted_by: jugde}\n", "'jugde' is none of"),
        ("gate: {assisted_by: judge}\n", "gate.utility is missing"),
        ("gate: {utility: judge, assisted_by: judge}\n", "cannot help itself"),
    ],
)
def test_a_gate_names_two_utilities(heard: Heard, gate: str, words: str) -> None:
    with pytest.raises(SuiteError, match=words):
        load_suite(assisted_suite(heard.folder, (GATE, gate)))


def test_what_takes_no_judge_says_why(heard: Heard) -> None:
    modelled = (
        "strategies: [first, longest]",
        "prompts: [short@1]\nmodels: [mock/first, mock/random]",
    )
    assisted_suite(heard.folder, modelled, (GATE, f"{GATE}sets: {{budgets: [10]}}\n"))
    session = heard.session()
    with pytest.raises(UsageError, match="swap cannot use a judge"):
        finished(swap("assisted.yaml", "mock/first", "mock/random", session=session))
    with pytest.raises(UsageError, match="aa cannot use a judge"):
        finished(aa("assisted.yaml", model="mock/first", session=session))
    with pytest.raises(UsageError, match="sets cannot use a judge"):
        finished(sets("assisted.yaml", session=session))
    with pytest.raises(UsageError, match="regress cannot use a judge"):
        finished(regress("assisted.yaml", "none.json", session=session))
    for kind in ("swap", "regress"):
        with pytest.raises(UsageError, match=f"{kind} cannot use a judge"):
            finished(plan("assisted.yaml", kind=kind, session=session))
    finished(evaluate("assisted.yaml", out="run", session=session))
    with pytest.raises(RunError, match="baseline"):
        keep_baseline(heard.folder / "run", heard.folder / "baseline.json")
