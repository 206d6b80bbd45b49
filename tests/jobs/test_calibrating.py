"""A judge held against people: agreement, leanings, disagreements, savings, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from selectllm.cli import main
from selectllm.core.errors import UsageError, UtilityError
from selectllm.jobs.calibrating import calibrate
from selectllm.jobs.options import CalibrateSettings
from selectllm.jobs.sync import finished
from selectllm.report.calibration import _facts
from selectllm.report.schemas import schema
from selectllm.utility.imported import imported
from selectllm.utility.schema import Calibration
from tests.conftest import pool_rows, write_jsonl
from tests.support.jobs import Heard

SUITE = """\
name: calibrated
pool: pool.jsonl
utilities:
  - {name: people, source: ratings, column: people, range: [1, 5]}
  - {name: judge, source: ratings, column: judge, kind: model, range: [1, 5]}
  - {name: tens, source: ratings, column: tens, kind: model, range: [0, 40]}
  - {name: long, source: ratings, column: long, kind: model}
  - {name: dull, source: ratings, column: dull, kind: model, range: [1, 5]}
clusters: {by: random, size: 5}
picks: 2
strategies: [first]
gate: {utility: people, assisted_by: judge}
"""


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    """200 items with four judges, of which people rated the first 150."""
    rows = []
    for number, row in enumerate(pool_rows(200)):
        people = number * 13 % 5 + 1
        judge = min(5, max(1, people + (number * 7 % 9 - 4) / 3))
        rows.append(
            {name: row[name] for name in ("id", "instruction", "input")}
            | ({"people": people} if number < 150 else {})
            | {"judge": judge, "tens": 10 * judge - 10, "long": len(row["instruction"]), "dull": 3}
        )
    write_jsonl(tmp_path / "pool.jsonl", rows)
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    return Heard(tmp_path)


def calibrated(heard: Heard, **named: Any) -> Calibration:
    job = calibrate(Path("suite.yaml"), CalibrateSettings(**named), session=heard.session())
    return finished(job)


def test_a_judge_is_held_against_what_people_rated(heard: Heard) -> None:
    found = calibrated(heard)
    assert (found.human.name, found.judge.name) == ("people", "judge")
    assert (found.items, found.unjudged, found.scale) == (150, 0, (1, 5))
    assert found.alpha is not None
    assert found.kappa is not None
    assert 0.5 < found.alpha < 1
    assert 0.5 < found.kappa < 1
    assert found.spearman.low is not None
    assert 0.5 < found.spearman.low < found.spearman.value < 1
    assert found.preferences.agree > 0.8
    assert found.preferences.odds > 1
    assert len(found.disagreements) == 10
    gaps = [abs(each.difference) for each in found.disagreements]
    assert gaps == sorted(gaps, reverse=True)
    assert 0 < found.savings.saved < 0.9
    assert 0 < found.savings.clusters <= 30


def test_another_scale_is_laid_over_that_of_people(heard: Heard) -> None:
    usual, tens = calibrated(heard), calibrated(heard, judge="tens")
    for name in ("alpha", "kappa", "mean_difference"):
        assert getattr(tens, name) == pytest.approx(getattr(usual, name))
    assert tens.savings.correlation == pytest.approx(usual.savings.correlation)
    assert any("scale" in note for note in tens.notes)


def test_a_judge_that_loves_length_is_found_out(heard: Heard) -> None:
    found = calibrated(heard, judge="long", worst=3)
    assert (found.scale, found.alpha, found.kappa, found.mean_difference) == (None,) * 4
    assert found.length.judge.value > 0.9
    assert found.length.excess.low > 0
    assert abs(found.length.human.value) < 0.3
    assert found.savings.saved < 0.1
    assert len(found.disagreements) == 3
    assert any("the same scale" in note for note in found.notes)


def test_a_judge_that_rates_all_alike_saves_nothing(heard: Heard) -> None:
    found = calibrated(heard, judge="dull")
    assert (found.spearman.value, found.preferences.odds) == (None, None)
    assert found.preferences.agree == 0.5
    assert found.savings.saved is None
    assert any("alike" in note for note in found.notes)
    saves = dict(_facts(found))["saves"]
    assert "the same rating" in saves
    assert "--sample" not in saves


def test_people_are_not_held_against_themselves(heard: Heard) -> None:
    with pytest.raises(UsageError, match=r"`judge`: 'people'"):
        calibrated(heard, judge="people")


def test_a_model_without_one_usable_rating_is_told_as_that(heard: Heard) -> None:
    with pytest.raises(UtilityError, match=r"none of the 150 items"):
        calibrated(heard, judge="rating:quality@1+mock/reply:abc", out=Path("judge.jsonl"))
    assert not (heard.folder / "judge.jsonl").exists()


def test_a_rating_prompt_with_a_model_is_a_judge_as_well(heard: Heard) -> None:
    judge = 'rating:quality@1+mock/reply:{"score": 4}'
    (heard.folder / "prompts/mine").mkdir(parents=True)
    (heard.folder / "prompts/mine/v1.jinja").write_text(
        "---\ndescription: d\nreply: scores\nlabels: numbers\n---\n"
        "{% block user %}Score.\n{% for item in items %}[{{ item.label }}] "
        "{{ item.instruction }}\n{% endfor %}{% endblock %}\n",
        encoding="utf-8",
    )
    judge = "rating:./prompts/mine/v1.jinja+mock/reply:1: 4"
    found = calibrated(heard, judge=judge, out=Path("judge.jsonl"))
    assert found.judge.kind == "model"
    assert found.items == 150
    written = imported(heard.folder / "judge.jsonl", name="judge")
    assert (written.kind, len(written.values), set(written.values.values())) == ("model", 200, {4})


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"judge": "jugde"}, "judge"),
        ({"human": "nobody"}, "people"),
        ({"judge": "slot:1"}, "does not give each item a number"),
        ({"out": Path("judge.jsonl")}, "already"),
    ],
)
def test_what_is_no_judge_is_refused(heard: Heard, named: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        calibrated(heard, **named)


def test_a_gate_that_names_nobody_asks_for_a_name(heard: Heard) -> None:
    text = SUITE.replace("gate: {utility: people, assisted_by: judge}\n", "")
    (heard.folder / "suite.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="human"):
        calibrated(heard, judge="judge")
    assert calibrated(heard, judge="judge", human="people").items == 150


def test_too_few_items_say_nothing(heard: Heard) -> None:
    rows = [{"id": "item-000", "value": 3}, {"id": "item-001", "value": 4}]
    write_jsonl(heard.folder / "few.jsonl", rows)
    text = SUITE.replace("source: ratings, column: people", "source: import, file: few.jsonl")
    (heard.folder / "suite.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UtilityError, match="2 items"):
        calibrated(heard)


def test_it_is_told_on_a_terminal_in_json_and_in_reports(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(heard.folder)
    words = ["utility", "calibrate", "suite.yaml", "--cache", "cache"]
    assert main(words) == 0
    told = " ".join(capsys.readouterr().out.split())
    for word in ("alpha", "kappa", "Spearman", "human ratings", "where they differ most"):
        assert word in told
    assert main([*words, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert Calibration.of(content).to_json() == content
    Draft202012Validator(schema("calibration")).validate(content)
    reports = [f"--report={form}=c.{form}" for form in ("json", "html", "markdown")]
    assert main([*words, *reports]) == 0
    capsys.readouterr()
    assert json.loads((heard.folder / "c.json").read_text("utf-8")) == content
    assert "where they differ most" in (heard.folder / "c.html").read_text("utf-8")
    assert main(["report", "c.json"]) == 0
    assert " ".join(capsys.readouterr().out.split()) == told
