"""Selected items carry their rank, score and reason, and come in order of worth when asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Unpack

import pytest

from selectllm.core.errors import UsageError
from selectllm.jobs.selecting import select
from selectllm.jobs.selection import Selection
from selectllm.jobs.session import Session
from selectllm.jobs.settings import SelectArguments
from selectllm.jobs.sync import finished
from selectllm.models.model import ModelSpec, Vote
from selectllm.selection.strategies import Strategy
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.support.provider_server import ProviderServer

RATER = "rating:quality@1+openai/m"
RANDOM: SelectArguments = {"by": "random", "cluster_size": 10}
LOG = Path("log.jsonl")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session in the current folder, with pool.jsonl: 40 rated items."""
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "pool.jsonl", pool_rows())
    with Session(cache=tmp_path / "cache") as session:
        yield session


def chosen(session: Session, **arguments: Unpack[SelectArguments]) -> Selection:
    return finished(select("pool.jsonl", session=session, **arguments))


def replying(
    session: Session, prompt: str, reply: str | Callable[..., str], **arguments: Any
) -> Selection:
    """Eight items of four clusters, by a model that replies so."""
    given = (lambda messages: reply) if isinstance(reply, str) else reply
    with ProviderServer(reply=given) as server:
        vote = arguments.pop("vote", None)
        spec = ModelSpec(name="openai/m", id="openai/m", api_base=server.base_url, vote=vote)
        asked: SelectArguments = {**RANDOM, "budget": 8, "prompt": prompt, "model": spec}
        return chosen(session, **{**asked, **arguments})


def by_cluster(selection: Selection) -> dict[int, list[tuple[int | None, float | None]]]:
    """(rank, score) of the picks of every cluster, by rank."""
    pairs: dict[int, list[tuple[int | None, float | None]]] = {}
    for choice in selection.chosen:
        pairs.setdefault(choice.cluster, []).append((choice.rank, choice.score))
    return {cluster: sorted(of, key=str) for cluster, of in sorted(pairs.items())}


def shown_first(selection: Selection, slot: int) -> list[str]:
    """What stood in that slot (from 1) of every cluster."""
    return [decision.shown[slot - 1] for decision in selection.decisions]


# --- by a model


@pytest.mark.parametrize(
    ("prompt", "reply"),
    [
        ("short@1", "[7, 3]"),
        ("rank@1", " > ".join(f"[{n}]" for n in (7, 3, 1, 2, 4, 5, 6, 8, 9, 10))),
        ("rubric@1", '{"reasons": "Both need thought.", "picks": [7, 3]}'),
    ],
)
def test_the_rank_is_the_place_in_the_reply(session: Session, prompt: str, reply: str) -> None:
    selection = replying(session, prompt, reply)
    assert by_cluster(selection) == {cluster: [(1, None), (2, None)] for cluster in range(4)}
    first = {choice.item.id for choice in selection.chosen if choice.rank == 1}
    assert first == {*shown_first(selection, 7)}
    reasons = {choice.reason for choice in selection.chosen}
    assert reasons == ({"Both need thought."} if prompt == "rubric@1" else {None})


def test_scores_of_a_reply_stand_beside_the_rank(session: Session) -> None:
    lines = "\n".join(f"[{n}]: {9.5 if n == 4 else 8 if n == 2 else 1}" for n in range(1, 11))
    selection = replying(session, "score@1", lines)
    assert by_cluster(selection) == {cluster: [(1, 9.5), (2, 8.0)] for cluster in range(4)}
    assert {c.item.id for c in selection.chosen if c.rank == 1} == {*shown_first(selection, 4)}


def test_a_vote_gives_borda_points(session: Session) -> None:
    """Each order picks its first two slots: a pick is worth (2m - 1 - k) / 2, the rest less."""
    twice = Vote(orders=1, repeats=2, by="borda")
    selection = replying(session, "short@1", "[1, 2]", vote=twice, budget=4)
    assert by_cluster(selection) == {cluster: [(1, 18.0)] for cluster in range(4)}
    again = replying(session, "short@1", "[1, 2]", vote=Vote(orders=3), log=LOG)
    m, k = 10, 2
    for choice in again.chosen:
        (decision,) = (d for d in again.decisions if d.cluster == choice.cluster)
        assert choice.rank == decision.picks.index(choice.item.id) + 1
        points = {3: 3 * (2 * m - 1 - k) / 2, 2: 2 * 8.5 + 3.5, 1: 8.5 + 2 * 3.5}
        assert choice.score in points.values()


def test_the_reply_that_counted_is_the_last_one(session: Session) -> None:
    def second(messages: Any) -> str:
        return "[9, 2]\nBoth are rare enough." if len(messages) > 2 else "None is any good at all."

    selection = replying(session, "short@1", second)
    assert {choice.reason for choice in selection.chosen} == {"Both are rare enough."}
    assert {choice.rank for choice in selection.chosen} == {1, 2}


def test_what_nobody_chose_has_no_rank(session: Session) -> None:
    def partly(messages: Any) -> str:
        return '{"reasons": "Worth it, all of them.", "picks": [2]}'

    filled = replying(session, "rubric@1", partly, max_filled=1)
    assert {(c.filled, c.rank, c.reason is None) for c in filled.chosen} == {
        (False, 1, False),
        (True, None, True),
    }
    whole = chosen(session, budget=40, prompt="short@1", model="mock/random", **RANDOM)
    assert {(choice.by, choice.rank) for choice in whole.chosen} == {("all", None)}


# --- by a strategy


@pytest.mark.parametrize(("strategy", "sign"), [("longest", -1), ("shortest", 1)])
def test_a_strategy_ranks_the_pool_by_its_score(session: Session, strategy: str, sign: int) -> None:
    selection = chosen(session, budget=6, strategy=strategy, sort=True)
    assert [choice.rank for choice in selection.chosen] == [1, 2, 3, 4, 5, 6]
    assert [choice.score for choice in selection.chosen] == [
        float(len(choice.item.text)) for choice in selection.chosen
    ]
    order = [sign * (choice.score or 0) for choice in selection.chosen]
    assert order == sorted(order)


@pytest.mark.parametrize("strategy", ["random", "first", "centroid", "k-center"])
def test_a_strategy_without_a_score_ranks_all_the_same(session: Session, strategy: str) -> None:
    selection = chosen(session, budget=3, strategy=strategy, sort=True)
    assert [(c.rank, c.score) for c in selection.chosen] == [(1, None), (2, None), (3, None)]


def test_ratings_are_scores_also_from_the_log(session: Session) -> None:
    def marks(messages: Any) -> str:
        return f"[1]: {1 + len(str(messages)) % 7}"

    with ProviderServer(reply=marks) as server:
        models = {"openai/m": ModelSpec("openai/m", "openai/m", api_base=server.base_url)}
        asked: SelectArguments = {"budget": 5, "strategy": RATER, "models": models, "log": LOG}
        first = chosen(session, **asked)
        assert all(choice.score and 1 <= choice.score <= 7 for choice in first.chosen)
        ranked = sorted(first.chosen, key=lambda choice: choice.rank or 0)
        scores = [choice.score or 0 for choice in ranked]
        assert scores == sorted(scores, reverse=True)
        assert chosen(session, **asked).chosen == first.chosen
        rows = read_jsonl(LOG)
        assert rows[1].pop("scores") == scores
        write_jsonl(LOG, rows)  # as 0.2.0 wrote it
        old = chosen(session, **asked).chosen
    assert [(c.rank, c.score) for c in old] == [(c.rank, None) for c in first.chosen]


@pytest.mark.parametrize("numbers", [[1.0], [float("nan")] * 40, "x" * 40])
def test_a_score_of_ones_own_is_a_finite_number_for_each(session: Session, numbers: Any) -> None:
    own = Strategy("own", lambda candidates, n: list(range(n)), score=lambda candidates: numbers)
    with pytest.raises(UsageError, match="own"):
        chosen(session, budget=2, strategy=own)


# --- in order of worth


def test_sorted_the_best_of_every_cluster_come_first_and_fills_last(session: Session) -> None:
    def partly(messages: Any) -> str:
        return "[2, 5]" if "topic 0 " in str(messages) else "[8]"

    arguments = {"max_filled": 1, "on_invalid": "fill"}
    pool_order = replying(session, "short@1", partly, **arguments)
    ids = [item.id for item in pool_order.items]
    assert ids == sorted(ids)
    selection = replying(session, "short@1", partly, sort=True, **arguments)
    assert {*selection.items} == {*pool_order.items}
    keys = [(c.filled, c.rank or 0, c.cluster) for c in selection.chosen]
    assert keys == sorted(keys)
    assert [filled for filled, _, _ in keys] == [False] * 5 + [True] * 3
    selection.write("out.jsonl")
    assert [row["id"] for row in read_jsonl(Path("out.jsonl"))] == [i.id for i in selection.items]


def test_rows_and_frames_say_what_the_file_says(session: Session) -> None:
    selection = replying(session, "rubric@1", '{"reasons": "They teach a lot.", "picks": [7, 3]}')
    selection.write("out.jsonl")
    names = ("cluster", "round", "by", "filled", "rank", "reason")
    marks = [row["_selectllm"] for row in read_jsonl(Path("out.jsonl"))]
    assert marks == [{name: row[name] for name in names} for row in selection.rows()]
    frame = selection.to_polars()
    assert frame["rank"].to_list() == [choice.rank for choice in selection.chosen]
    assert json.dumps(marks[0]["reason"]) == '"They teach a lot."'
