"""An audit beside a recorded one: worse, held, or not to be told."""

from __future__ import annotations

import pytest

from selectllm.core.errors import UsageError
from selectllm.evaluation.audit.attacks import STYLES
from selectllm.evaluation.audit.comparison import ALPHA, DRIFT, check_comparable, compared
from selectllm.evaluation.audit.schema import AuditComparison
from tests.support.audit_pickers import (
    audited,
    best,
    first,
    longest,
    mute,
    noisy,
    obeying,
    subject_of,
)

SUBJECT = subject_of()
RECORD = audited(SUBJECT, noisy(best(SUBJECT), 0.2, seed=1))


def words(found: AuditComparison) -> dict[str, str]:
    return {row.name: row.word for row in found.measures}


def test_the_same_picker_is_held() -> None:
    found = compared(audited(SUBJECT, noisy(best(SUBJECT), 0.2, seed=2)), RECORD)
    assert found.word == "held"
    assert set(words(found).values()) == {"held"}
    assert found.notes == ()
    assert found.alpha == ALPHA


def test_an_audit_equals_itself() -> None:
    found = compared(RECORD, RECORD)
    assert found.word == "held"
    assert {row.worsening.estimate for row in found.measures if row.worsening} == {0}


def test_a_picker_that_came_to_obey_is_worse_in_every_style() -> None:
    found = compared(audited(SUBJECT, obeying(best(SUBJECT))), RECORD)
    assert found.word == "worse"
    worse = {name for name, word in words(found).items() if word == "worse"}
    assert {name for name in worse if name.startswith("hijack")} == {
        f"hijack.{style}" for style in STYLES
    }
    assert "hijack.order" in found.reason


def test_a_picker_that_came_to_go_by_slot_is_worse_in_order() -> None:
    told = words(compared(audited(SUBJECT, first), RECORD))
    assert told["order.slot-bias"] == told["order.consistency"] == "worse"
    assert told["length.agreement-left"] == "worse"
    assert told["hijack.praise"] == "held"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_lean_to_either_side_is_worse_than_none(sign: int) -> None:
    def lean(task: object) -> list[int]:
        return longest(task)[::sign]  # type: ignore[arg-type]

    assert words(compared(audited(SUBJECT, lean), RECORD))["length.preference"] == "worse"


def test_what_became_better_is_held() -> None:
    told = words(compared(RECORD, audited(SUBJECT, first)))
    assert {name for name, word in told.items() if word == "worse"} <= {
        "labels.letters",  # the record picks at random in a fifth of its decisions, and
        "labels.shifted",  # takes two copies where who goes by slot takes one
        "parsing.repeats",
        "copies.exact",
        "copies.paraphrase",
    }
    assert told["order.slot-bias"] == told["order.consistency"] == "held"


def test_a_model_that_fell_silent_is_worse_by_its_valid_replies() -> None:
    found = compared(audited(SUBJECT, mute), RECORD)
    assert found.word == "worse"
    assert words(found) == {"parsing.valid": "worse", "parsing.at-once": "worse"}
    assert any("not measured now" in note and "order.consistency" in note for note in found.notes)


def test_silence_beside_silence_is_no_success() -> None:
    silent = audited(SUBJECT, mute)
    found = compared(silent, silent)
    assert found.word == "cannot tell"
    assert "no reply gave a single pick" in found.reason


def test_other_clusters_cannot_be_told() -> None:
    other = RECORD.model_copy(
        update={
            "clusters": tuple(c.model_copy(update={"sha256": "f" * 64}) for c in RECORD.clusters)
        }
    )
    found = compared(RECORD, other)
    assert found.word == "cannot tell"
    assert "none of these clusters" in found.reason


def test_clusters_are_found_by_what_is_in_them_not_by_number() -> None:
    moved = RECORD.model_copy(
        update={
            "clusters": tuple(
                c.model_copy(update={"id": c.id + 100}) for c in reversed(RECORD.clusters)
            ),
            "measures": tuple(
                m.model_copy(
                    update={"by_cluster": {str(int(c) + 100): v for c, v in m.by_cluster.items()}}
                )
                for m in RECORD.measures
            ),
        }
    )
    assert {
        row.worsening.estimate for row in compared(RECORD, moved).measures if row.worsening
    } == {0}


def test_too_few_clusters_cannot_be_told() -> None:
    few = subject_of(clusters=5)
    record, now = audited(few, best(few)), audited(few, first)
    found = compared(now, record)
    assert found.word == "cannot tell"
    assert found.measures == ()
    assert any("too few clusters" in note for note in found.notes)
    part = compared(now, RECORD)  # its clusters are the first five of the recorded ones
    assert part.word == "cannot tell"
    assert {row.clusters for row in part.measures} <= {3, 4, 5}
    assert "too few for any change to show" in part.measures[0].reason


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"suite": "other"}, "suite other"),
        ({"prompt": "rank@1"}, "prompt rank"),
        ({"model": "gpt"}, "model gpt"),
        ({"picks": 3}, "picks 3"),
    ],
)
def test_a_record_of_something_else_is_bad_input(change: dict[str, object], says: str) -> None:
    other = RECORD.model_copy(update=change)
    with pytest.raises(UsageError, match=says) as caught:
        check_comparable(other, "suite", SUBJECT, "audit.json")
    assert caught.value.argument == "baseline"


def test_another_version_of_the_prompt_is_compared_and_named() -> None:
    other = RECORD.model_copy(update={"prompt": "short@2", "prompt_sha256": "f" * 64})
    check_comparable(other, "suite", SUBJECT, "audit.json")
    found = compared(RECORD, other)
    assert found.prompt_before == "short@2"
    assert any("short@1 is compared with short@2" in note for note in found.notes)


def test_a_model_that_has_moved_is_worse_whatever_was_recorded() -> None:
    picker = noisy(best(SUBJECT), 0.2, seed=2)
    found = compared(audited(SUBJECT, picker, again=first), RECORD)
    assert found.word == "worse"
    assert {name for name, word in words(found).items() if word == "worse"} == {DRIFT}
    assert "worse than recorded: drift" in found.reason
    steady = compared(audited(SUBJECT, best(SUBJECT), again=best(SUBJECT)), RECORD)
    assert (steady.word, words(steady)[DRIFT]) == ("held", "held")


def test_drift_is_one_of_the_measures_that_are_adjusted() -> None:
    moved = audited(SUBJECT, best(SUBJECT), again=first)
    row = next(row for row in compared(moved, RECORD).measures if row.name == DRIFT)
    assert moved.drift is not None
    assert moved.drift.text is not None
    assert moved.drift.picks is not None
    assert row.p == min(moved.drift.text.p_holm, moved.drift.picks.p_holm)
    assert row.p_holm == pytest.approx(min(1.0, row.p * len(compared(moved, RECORD).measures)))


def test_where_drift_cannot_be_told_it_is_left_out() -> None:
    none = compared(audited(SUBJECT, best(SUBJECT)), RECORD)
    assert DRIFT not in words(none)
    alone = audited(SUBJECT, mute, again=mute)
    assert compared(alone, audited(SUBJECT, mute)).word != "held"
