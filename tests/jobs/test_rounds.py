"""Rounds of annotation: what is annotated is left out and chosen beside, and a log knows all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from selectllm.core.errors import EncoderError, PoolError, RunError, UsageError
from selectllm.core.types import Item, Pool
from selectllm.data.annotated import annotated_in
from selectllm.data.encoders import Encoder, FunctionEncoder
from selectllm.data.pool import load_pool
from selectllm.evaluation.sets.diversity import coverage, kmeans_groups, mean_distance
from selectllm.jobs.engine import LocalEngine
from selectllm.jobs.rounds import Rounds, rounds
from selectllm.jobs.selecting import ahead, select
from selectllm.jobs.selection import Selection
from selectllm.jobs.session import Session
from selectllm.jobs.settings import SelectArguments
from selectllm.jobs.sync import finished
from selectllm.models.model import ModelSpec
from selectllm.selection.strategies.candidates import Candidates, seeded_rows
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.made_vectors import blobs, random_vectors, unit
from tests.support.provider_server import Answer, ProviderServer, completion

ROUNDS = Path("rounds.jsonl")
ITEMS = 60


@pytest.fixture
def vectors() -> np.ndarray:
    return random_vectors(ITEMS, 16)


@pytest.fixture
def session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str], vectors: np.ndarray
) -> Iterator[Session]:
    """A session in the current folder, with pool.jsonl of 60 items and their vectors."""
    monkeypatch.chdir(tmp_path)
    rows = pool_rows(ITEMS)
    write_jsonl(Path("pool.jsonl"), [{**row, "topic": f"t{row['rating'] % 3}"} for row in rows])
    np.save("v.npy", vectors)
    with Session(cache=tmp_path / "cache", vectors="v.npy", notes=notes.append) as session:
        yield session


def chosen(session: Session, **arguments: Unpack[SelectArguments]) -> Selection:
    return finished(select("pool.jsonl", session=session, **arguments))


def ids(selection: Selection) -> list[str]:
    return [item.id for item in selection.items]


def in_log() -> Rounds:
    return finished(rounds(ROUNDS))


def a_round(session: Session, number: int, **arguments: Unpack[SelectArguments]) -> list[str]:
    """Round `number`, whose decisions are kept beside the log of rounds."""
    how: SelectArguments = {"budget": 10, "strategy": "k-center", **arguments}
    return ids(chosen(session, rounds=ROUNDS, log=f"r{number}.decisions.jsonl", **how))


# --- given


def test_what_is_annotated_is_left_out_by_id_or_by_text(session: Session, notes: list[str]) -> None:
    rows = read_jsonl(Path("pool.jsonl"))
    corrected = {**rows[3], "instruction": "Explain topic 3, please"}
    unnamed = {**rows[4], "id": "y", "instruction": rows[4]["instruction"].upper()}
    elsewhere = {"id": "x", "instruction": "Who wrote this?"}
    write_jsonl(Path("done.jsonl"), [rows[0], rows[1], corrected, unnamed, elsewhere])
    left = chosen(session, budget=56, strategy="first", given="done.jsonl")
    assert {row["id"] for row in rows} - {*ids(left)} == {
        row["id"] for row in (rows[0], rows[1], rows[3], rows[4])
    }
    assert notes[0] == (
        "Of 5 annotated items, 3 were found in the pool by their ids, 1 by their texts, and 1 are "
        "not in the pool and only count as covered."
    )


@pytest.mark.parametrize("strategy", ["k-center", "facility-location", "d-optimal", "k-means"])
def test_geometry_counts_the_distance_to_what_is_given(session: Session, strategy: str) -> None:
    np.save("v.npy", blobs(6, 10))
    with Session(cache="cache2", vectors="v.npy") as own:
        done = Pool.from_records([{"id": f"item-{n:03}", "instruction": "-"} for n in (0, 10, 20)])
        given = Pool([i for i in own_pool().items if i.id in done.by_id], "x")
        picks = ids(chosen(own, budget=3, strategy=strategy, given=given))
    assert sorted(int(pick[-3:]) // 10 for pick in picks) == [3, 4, 5]


@pytest.mark.parametrize(
    ("strategy", "is_told"),
    [
        ("centroid", True),
        ("rouge-diversity", True),
        ("per:topic:centroid", True),
        ("k-center", False),
        ("longest", False),
    ],
)
def test_a_strategy_that_does_not_look_at_what_is_given_says_so(
    session: Session, notes: list[str], strategy: str, is_told: bool
) -> None:
    given = Pool([own_pool().by_id["item-005"]], "x")
    assert len(chosen(session, budget=5, strategy=strategy, given=given).items) == 5
    told = [note for note in notes if "compares the items that are left with each other" in note]
    assert [note.startswith(f"Note: {strategy} ") for note in told] == [True] * is_told
    notes.clear()
    chosen(session, budget=5, strategy=strategy)
    assert notes == []


def own_pool() -> Pool:
    return Pool.from_records(read_jsonl(Path("pool.jsonl")))


def test_near_duplicates_of_annotated_items_can_be_left_out(
    session: Session, notes: list[str], vectors: np.ndarray
) -> None:
    vectors[41] = vectors[5]
    np.save("v2.npy", vectors)
    given = Pool([own_pool().by_id["item-005"]], "x")
    with Session(cache="cache2", vectors="v2.npy", notes=notes.append) as own:
        near = chosen(own, budget=20, strategy="first", given=given, distinct=0.99)
        assert "item-041" not in {item.id for item in near.pool.items}
        assert notes[-1].endswith("and 1 that are near an annotated item.")
        kept = chosen(own, budget=20, strategy="first", given=given)
        assert "item-041" in {item.id for item in kept.pool.items}


def test_clusters_are_dealt_from_the_rest_and_a_prompt_may_show_what_is_covered(
    session: Session, server: ProviderServer
) -> None:
    Path("beside.jinja").write_text(
        "---\ndescription: d\nreply: indices\nlabels: numbers\n---\n{% block user %}"
        "{% if annotated %}Covered:{% for one in annotated %} <{{ one.instruction }}>{% endfor %}"
        "{% endif %}\n{% for item in items %}[{{ item.label }}] {{ item.instruction }}\n"
        "{% endfor %}Pick {{ k }}.{% endblock %}",
        encoding="utf-8",
    )
    rows = read_jsonl(Path("pool.jsonl"))
    write_jsonl(Path("done.jsonl"), rows[:30])
    how: SelectArguments = {
        "budget": 6,
        "prompt": "./beside.jinja",
        "model": ModelSpec(name="m", id="openai/m", api_base=server.base_url),
        "by": "random",
    }
    picks = ids(chosen(session, given="done.jsonl", **how))
    assert set(picks) <= {row["id"] for row in rows[30:]}
    for request in server.requests:
        covered, _, candidates = request.body["messages"][0]["content"].partition("\n")
        assert covered.count("<") == 20
        assert all(f"<{row['instruction']}>" not in covered for row in rows[30:])
        assert all(f"] {row['instruction']}\n" not in candidates for row in rows[:30])
    chosen(session, **how)
    assert not server.requests[-1].body["messages"][0]["content"].startswith("Covered")


def test_annotated_items_of_another_pool_are_refused_with_how_many_ids_matched(
    session: Session, server: ProviderServer
) -> None:
    write_jsonl(Path("other.jsonl"), [{"id": f"x{n}", "instruction": f"y {n}"} for n in range(7)])
    same_ids = [{"id": f"item-{n:03}", "instruction": f"other {n}"} for n in range(9)]
    write_jsonl(Path("same.jsonl"), same_ids)
    how: SelectArguments = {
        "budget": 5,
        "strategy": "rating:quality@1+m",
        "models": {"m": ModelSpec(name="m", id="openai/m", api_base=server.base_url)},
    }
    with pytest.raises(UsageError, match=r"other\.jsonl: 0 of its 7 ids are in pool\.jsonl"):
        chosen(session, given="other.jsonl", **how)
    with pytest.raises(UsageError, match=r"9 of its 9 ids are in .* 9 of them stand for another"):
        chosen(session, given="same.jsonl", **how)
    with pytest.raises(UsageError, match=r"All 60 items of pool\.jsonl are annotated"):
        chosen(session, given="pool.jsonl", **how)
    write_jsonl(Path("most.jsonl"), read_jsonl(Path("pool.jsonl"))[:57])
    with pytest.raises(UsageError, match=r"`budget` 5 must be from 1 to 3.* left of"):
        chosen(session, given="most.jsonl", **how)
    assert server.count == 0


texts = st.sampled_from(["one", "two", "three", "four", "five"])
items = st.lists(st.tuples(st.integers(0, 9), texts), max_size=8, unique_by=lambda one: one[0])


@given(items, items)
def test_an_item_is_annotated_if_and_only_if_its_id_or_its_text_is(
    pool_items: list[tuple[int, str]], given_items: list[tuple[int, str]]
) -> None:
    pool = Pool([Item(str(id), text) for id, text in pool_items], "x")
    given_ = [Item(str(id), text.upper()) for id, text in given_items]
    expected = [
        item.id
        for item in pool.items
        if any(one.id == item.id or one.text.lower() == item.text for one in given_)
    ]
    try:
        found = annotated_in(pool, given_, "given")
    except UsageError:
        both = [one for one in given_ if one.id in pool.by_id]
        changed = sum(one.text.lower() != pool.by_id[one.id].text for one in both)
        assert not expected or 2 * changed > len(both)
        return
    assert [item.id for item in found.inside] == expected
    assert found.by_id + found.by_text + len(found.outside) == len(given_)


# --- rounds


@pytest.mark.parametrize(
    "strategy", ["k-center", "facility-location", "random", "per:topic:longest"]
)
def test_no_item_comes_twice_in_any_round(session: Session, strategy: str) -> None:
    picks = [item for n in range(6) for item in a_round(session, n, strategy=strategy)]
    assert sorted(picks) == sorted(row["id"] for row in pool_rows(ITEMS))
    log = in_log()
    assert [row.round for row in log.rounds] == [1, 2, 3, 4, 5, 6]
    assert [item for row in log.rounds for item in sorted(row.ids)] == [
        item for n in range(6) for item in sorted(picks[10 * n : 10 * n + 10])
    ]
    with pytest.raises(UsageError, match=r"All 60 items of pool\.jsonl are annotated or selected"):
        a_round(session, 6)


def test_a_round_by_a_model_and_one_by_a_strategy_know_each_other(session: Session) -> None:
    first = ids(
        chosen(
            session, budget=12, prompt="short@1", model="mock/random", by="random", rounds=ROUNDS
        )
    )
    second = ids(chosen(session, budget=12, strategy="longest", rounds=ROUNDS))
    assert not {*first} & {*second}
    assert [row.selector for row in in_log().rounds] == [
        "short@1+mock/random",
        "strategy:longest",
    ]


def test_rounds_cover_what_one_round_covers(session: Session) -> None:
    """Five rounds of k-center are one of them: each goes on from what is given."""
    at_once = ids(chosen(session, budget=50, strategy="k-center"))
    in_rounds = [item for n in range(5) for item in a_round(session, n)]
    assert sorted(in_rounds) == sorted(at_once)
    covered = [row.coverage for row in in_log().rounds]
    assert all(cover is not None for cover in covered)
    distances = [cover.mean_distance for cover in covered if cover]
    assert distances == sorted(distances, reverse=True)
    assert 0 <= distances[-1] < distances[0]


QUICKSTART = Path(__file__).parents[2] / "eval" / "data" / "quickstart.jsonl"


@pytest.fixture(scope="module")
def quickstart() -> tuple[Pool, np.ndarray]:
    """The starter pool and vectors of its words: 180 items, 24 numbers each."""
    pool = load_pool(QUICKSTART).pool
    words = TfidfVectorizer(sublinear_tf=True).fit_transform([item.text for item in pool.items])
    return pool, unit(TruncatedSVD(24, random_state=0).fit_transform(words))


@pytest.mark.parametrize("strategy", ["k-center", "facility-location", "k-means", "d-optimal"])
def test_five_rounds_cover_the_starter_pool_as_one_does_within_five_percent(
    quickstart: tuple[Pool, np.ndarray], tmp_path: Path, strategy: str
) -> None:
    pool, vectors = quickstart
    np.save(tmp_path / "v.npy", vectors)
    groups = kmeans_groups(seeded_rows(Candidates(pool.items, 0, vectors)), 18, 0)
    place = {item.id: position for position, item in enumerate(pool.items)}
    found: list[list[float]] = []
    with Session(tmp_path, cache="cache", vectors="v.npy") as session:
        for seed in range(3):
            how: dict[str, Any] = {"strategy": strategy, "seed": seed, "session": session}
            one = finished(select(pool, budget=60, **how))
            five = [
                finished(select(pool, budget=12, rounds=f"{seed}.jsonl", **how)) for _ in range(5)
            ]
            in_rounds = [item for each in five for item in each.items]
            assert len({item.id for item in in_rounds}) == 60
            row = []
            for items in (one.items, in_rounds):
                picks = [place[item.id] for item in items]
                row += [coverage(groups, picks), mean_distance(vectors, picks)]
            found.append(row)
    one_groups, one_distance, five_groups, five_distance = np.mean(found, axis=0)
    assert five_groups >= 0.95 * one_groups
    assert five_distance <= 1.05 * one_distance


def test_what_was_annotated_before_the_first_round_counts_in_each(session: Session) -> None:
    write_jsonl(Path("done.jsonl"), read_jsonl(Path("pool.jsonl"))[:15])
    picks = [item for n in range(4) for item in a_round(session, n, given="done.jsonl")]
    assert len({*picks} | {f"item-{n:03}" for n in range(15)}) == 55
    assert {row.given for row in in_log().rounds} == {15}


def test_what_was_given_to_an_earlier_round_alone_is_told(
    session: Session, notes: list[str]
) -> None:
    write_jsonl(Path("done.jsonl"), read_jsonl(Path("pool.jsonl"))[:15])
    a_round(session, 0, given="done.jsonl")
    a_round(session, 1, given="done.jsonl")
    assert not any("every round" in note for note in notes)
    a_round(session, 2)
    assert any(
        note.startswith("Warning: Round 2 was selected beside 15 items that") for note in notes
    )


def test_bad_rows_of_what_is_given_can_be_left_out(session: Session, notes: list[str]) -> None:
    row = read_jsonl(Path("pool.jsonl"))[0]
    write_jsonl(Path("done.jsonl"), [row, {**row, "response": "by another annotator"}])
    with pytest.raises(PoolError, match=r"done\.jsonl:2: id 'item-000' is already used .*skip_bad"):
        chosen(session, budget=5, strategy="first", given="done.jsonl")
    left = chosen(session, budget=5, strategy="first", given="done.jsonl", skip_bad=True)
    assert ids(left)[0] == "item-001"
    assert "Left out of done.jsonl: 1 bad row." in notes


def test_a_round_that_is_run_again_is_the_same_and_is_not_doubled(
    session: Session, notes: list[str]
) -> None:
    first, second, third = (a_round(session, n) for n in range(3))
    before = ROUNDS.read_bytes()
    assert a_round(session, 1) == second
    assert notes[-2].startswith("This is round 2 again: its decisions are in r1.decisions.jsonl")
    assert ROUNDS.read_bytes() == before
    assert len({*first, *second, *third}) == 30


def test_a_round_that_others_build_on_is_not_made_otherwise(session: Session) -> None:
    a_round(session, 0), a_round(session, 1)
    before = ROUNDS.read_bytes()
    with pytest.raises(UsageError, match="Round 1 selected 10 items with seed 0, and 1 later"):
        a_round(session, 0, budget=11)
    Path("r0.decisions.jsonl").unlink()
    with pytest.raises(RunError, match="Round 1, run again, selects other items"):
        a_round(session, 0, strategy="longest")
    assert ROUNDS.read_bytes() == before


def test_a_round_killed_before_its_row_is_whole_can_be_repeated(session: Session) -> None:
    first, second = a_round(session, 0), a_round(session, 1)
    whole = ROUNDS.read_bytes()
    for cut in (20, 300):
        ROUNDS.write_bytes(whole[:-cut])
        assert a_round(session, 1) == second
        assert ROUNDS.read_bytes() == whole
    assert not {*first} & {*second}


def test_a_damaged_log_is_told_and_can_be_mended(session: Session, selectllm: Command) -> None:
    first, second = a_round(session, 0), a_round(session, 1)
    lines = ROUNDS.read_bytes().splitlines(keepends=True)
    ROUNDS.write_bytes(b"".join([*lines[:2], b"?" + lines[2][1:]]))
    told = selectllm("rounds", ROUNDS)
    assert told.code == 2
    assert "rounds.jsonl:3 is not a round" in told.err
    assert "selectllm log repair rounds.jsonl" in told.err
    assert "1 round that can be read" in selectllm("log", "repair", ROUNDS).out
    ROUNDS.write_bytes(b"".join([lines[0], lines[2]]))
    refused = selectllm(
        *("select", "pool.jsonl", "--budget", 3, "--strategy", "longest"),
        *("--rounds", ROUNDS, "-o", "new.jsonl"),
    )
    assert (refused.code, "Or name the file of its items with --given" in refused.err) == (2, True)
    ROUNDS.write_bytes(b"".join(lines[:2]))
    assert a_round(session, 1) == second
    assert [{*row.ids} for row in in_log().rounds] == [{*first}, {*second}]


@pytest.fixture
def lost(session: Session) -> list[list[str]]:
    """What three rounds selected, the second of which was lost in a repair of the log."""
    made = [a_round(session, number) for number in range(3)]
    lines = ROUNDS.read_bytes().splitlines(keepends=True)
    ROUNDS.write_bytes(b"".join([*lines[:2], lines[3]]))
    return made


def test_a_round_that_was_lost_is_told_and_put_back_by_running_it_again(
    session: Session, lost: list[list[str]], notes: list[str]
) -> None:
    assert "Round 2 is missing from the log of rounds. To put it back," in in_log().text
    assert a_round(session, 1) == lost[1]
    assert "Round 2 is missing from rounds.jsonl. This command puts it back," in notes[-2]
    log = in_log()
    assert [{*row.ids} for row in log.rounds] == [{*picks} for picks in lost]
    assert "missing" not in log.text
    fourth = a_round(session, 3)
    assert not {*fourth} & {item for picks in lost for item in picks}


def test_a_new_round_waits_for_one_that_was_lost_or_is_given_its_items(
    session: Session, lost: list[list[str]]
) -> None:
    before = ROUNDS.read_bytes()
    with pytest.raises(UsageError, match=r"Round 2 is missing .* Or name the file of its items"):
        a_round(session, 3)
    assert ROUNDS.read_bytes() == before
    given = Pool([own_pool().by_id[item] for item in lost[1]], "x")
    fourth = a_round(session, 3, given=given)
    assert not {*fourth} & {item for picks in lost for item in picks}
    assert [row.round for row in in_log().rounds] == [1, 3, 4]


def test_a_lost_round_is_not_put_back_with_items_of_later_rounds(
    session: Session, lost: list[list[str]]
) -> None:
    Path("r1.decisions.jsonl").write_bytes(b"")  # what it decided is lost, too
    before = ROUNDS.read_bytes()
    with pytest.raises(RunError, match="Round 2, which is missing from the log, selects items"):
        a_round(session, 1, budget=45)
    assert ROUNDS.read_bytes() == before


class Encoding(LocalEngine):
    """One machine whose encoder gives as many texts their vectors as `good` says, then fails."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.good = good

    def encoder(self, name: str | None) -> Encoder:
        def encode(texts: Sequence[str]) -> np.ndarray:
            self.good -= len(texts)
            if self.good < 0:
                raise EncoderError("it cannot be loaded")
            return unit(np.random.default_rng(0).standard_normal((len(texts), 8)))

        return FunctionEncoder("encoding", encode)


def test_a_round_is_kept_where_the_encoder_fails_once_the_items_are_selected(
    session: Session, notes: list[str]
) -> None:
    with Session(cache="cache2", engine=Encoding(30), notes=notes.append) as own:
        picks = a_round(own, 0, prefilter="longest:0.5")
    assert notes[-1].startswith("Warning: The coverage of the round is not measured. ")
    (row,) = in_log().rounds
    assert ([*row.ids], row.coverage) == (picks, None)
    assert "Its coverage was not measured." in in_log().text


@pytest.mark.parametrize(
    "how",
    [
        {"strategy": "random"},
        {"strategy": None, "prompt": "short@1", "model": "mock/random", "by": "random"},
    ],
)
def test_nothing_is_embedded_for_the_coverage_alone(
    session: Session, notes: list[str], how: dict[str, Any]
) -> None:
    engine = Encoding(60)
    with Session(cache="cache2", engine=engine, notes=notes.append) as own:
        a_round(own, 0, **how)
        assert "because the 60 items of the pool would have to be embedded" in notes[-1]
        assert engine.good == 60
        a_round(own, 1)  # k-center needs vectors of what is left
        a_round(own, 2, **how)
    assert engine.good == 0
    assert [row.coverage is None for row in in_log().rounds] == [True, False, False]


def test_a_log_of_rounds_of_another_pool_is_refused(session: Session) -> None:
    a_round(session, 0)
    rows = read_jsonl(Path("pool.jsonl"))
    write_jsonl(Path("pool.jsonl"), [{**row, "id": f"x{row['id']}"} for row in rows])
    with pytest.raises(UsageError, match=r"0 of their ids are in pool\.jsonl"):
        a_round(session, 1)
    write_jsonl(Path("pool.jsonl"), [{**row, "instruction": "other"} for row in rows])
    with pytest.raises(UsageError, match="stand for other texts"):
        a_round(session, 1)


def test_rounds_of_other_turns_of_the_same_chats_say_what_to_choose(tmp_path: Path) -> None:
    said = ("system", "user", "assistant", "user", "assistant")
    chats = [
        {
            "messages": [
                {"role": role, "content": f"{role} {n} {at}"} for at, role in enumerate(said)
            ]
        }
        for n in range(9)
    ]
    write_jsonl(tmp_path / "chats.jsonl", chats)
    with Session(tmp_path, cache="cache") as own:
        how: SelectArguments = {"budget": 3, "strategy": "first", "rounds": "r.jsonl"}
        finished(select("chats.jsonl", session=own, **how))
        with pytest.raises(UsageError, match="Use the `columns` and turns of that round"):
            finished(select("chats.jsonl", session=own, columns={"turns": "first"}, **how))
        more = finished(select("chats.jsonl", session=own, **how))
    assert [len(item.turns) for item in more.items] == [5, 5, 5]


def test_a_pool_may_grow_between_rounds(session: Session, notes: list[str]) -> None:
    first = a_round(session, 0, strategy="longest")
    rows = read_jsonl(Path("pool.jsonl"))
    gone = first[0]
    more = [{"id": f"new-{n}", "instruction": f"New {n}"} for n in range(1, 3)]
    write_jsonl(Path("pool.jsonl"), [row for row in rows if row["id"] != gone] + more)
    np.save("v2.npy", random_vectors(len(rows) + 1, 16))
    with Session(cache="cache", vectors="v2.npy", notes=notes.append) as own:
        second = a_round(own, 1, strategy="shortest", budget=2)
    assert sorted(second) == ["new-1", "new-2"]
    assert f"1 items of round 1 are no longer in the pool: '{gone}'." in notes


@pytest.mark.parametrize(
    ("file", "words"), [("pool.jsonl", "is read by this command"), ("r.txt", "holds text")]
)
def test_no_other_file_is_taken_for_a_log_of_rounds(
    session: Session, file: str, words: str
) -> None:
    Path("r.txt").write_text("notes of mine", encoding="utf-8")
    before = Path(file).read_bytes()
    with pytest.raises(UsageError, match=words):
        chosen(session, budget=3, strategy="first", rounds=file)
    assert Path(file).read_bytes() == before


def test_a_dry_run_leaves_out_the_same_and_writes_nothing(session: Session) -> None:
    a_round(session, 0)
    before = ROUNDS.read_bytes()
    plan = finished(ahead("pool.jsonl", session=session, budget=5, strategy="first", rounds=ROUNDS))
    assert (plan.items, plan.budget) == (50, 5)
    finished(ahead("pool.jsonl", session=session, budget=5, strategy="first", rounds="new.jsonl"))
    assert not Path("new.jsonl").exists()
    assert ROUNDS.read_bytes() == before


def test_a_quota_holds_in_a_round_and_is_told(session: Session, notes: list[str]) -> None:
    selection = chosen(session, budget=10, strategy="longest", per="topic")
    counts = sorted(sum(i.row["topic"] == f"t{n}" for i in selection.items) for n in range(3))
    assert counts == [2, 4, 4]
    chosen(session, budget=1, strategy="longest", per="topic")
    assert notes[-1].startswith("Of 3 groups by topic, 2 get none of the 1 pick")
    with pytest.raises(UsageError, match=r"`per` goes with .* rating:quality@1\+MODEL"):
        chosen(session, budget=5, prompt="short@1", model="mock/first", per="topic")


# --- through the verbs


def test_the_next_round_is_proposed_by_the_selector_of_the_last(
    session: Session, selectllm: Command
) -> None:
    chosen(session, budget=12, prompt="short@1", model="mock/random", by="random", rounds=ROUNDS)
    following = selectllm("rounds", ROUNDS).out.splitlines()[-1]
    assert "select POOL --budget N --prompt short@1 --model mock/random --rounds" in following


def test_the_verb_prints_what_each_round_selected(session: Session, selectllm: Command) -> None:
    for number in (1, 2):
        run = selectllm(
            *("select", "pool.jsonl", "--budget", 10, "--strategy", "k-center", "--seed", 3),
            *("--vectors", "v.npy", "--rounds", ROUNDS, "-o", f"r{number}.jsonl", "--quiet"),
        )
        assert run.code == 0, run.err
    none = selectllm("rounds", "none.jsonl")
    assert (none.code, none.err.split(" A log")[0]) == (2, "selectllm: none.jsonl does not exist.")
    told = selectllm("rounds", ROUNDS)
    assert told.code == 0
    first, second, together, following = told.out.splitlines()
    assert first.startswith(
        "Round 1: 10 items by strategy:k-center with seed 3. After it, the annotated"
    )
    assert second.startswith("Round 2: 10 items by strategy:k-center with seed 3.")
    assert together == "Together they selected 20 of 60 items."
    by = "--strategy k-center"  # as the last round
    assert following.startswith(f"For the next round, run: selectllm select POOL --budget N {by}")
    data = selectllm("rounds", ROUNDS, "--json").json
    assert [row["log"] for row in data["rounds"]] == [
        "r1.jsonl.decisions.jsonl",
        "r2.jsonl.decisions.jsonl",
    ]
    assert data["rounds"][1]["coverage"]["groups"] == 6


def test_a_round_whose_process_is_killed_goes_on_and_pays_for_nothing_twice(
    session: Session, selectllm: Command
) -> None:
    """SIGKILL while the model is asked: the round is not in the log, its replies are kept."""
    a_round(session, 0, strategy="longest")

    def slow(body: Any, headers: Any, n: int) -> Answer:
        return Answer(200, completion("[1]"), delay=60.0 if n == 3 else 0.0)

    with ProviderServer(slow) as server:
        words = [
            *("select", "pool.jsonl", "--budget", "10", "--prompt", "short@1", "--by", "random"),
            *("--model", "openai/m", "--api-base", server.base_url, "-j", "1"),
            *("--cache", "cache", "--vectors", "v.npy", "--rounds", str(ROUNDS)),
            *("-o", "r2.jsonl", "--quiet", "--model-arg", "transport=direct"),
        ]
        process = subprocess.Popen([sys.executable, "-m", "selectllm", *words])
        log = Path("r2.jsonl.decisions.jsonl")
        while not (log.exists() and server.count == log.read_bytes().count(b"\n") >= 4):
            assert process.poll() is None  # three decisions are kept, a fourth is asked for
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert len(in_log().rounds) == 1
        assert not Path("r2.jsonl").exists()
        assert selectllm(*words).code == 0
        assert server.count == 11  # ten clusters, and the one that it was killed at once more
    first, second = in_log().rounds
    assert len({*first.ids, *second.ids}) == 20
    assert {row["id"] for row in read_jsonl(Path("r2.jsonl"))} == {*second.ids}
