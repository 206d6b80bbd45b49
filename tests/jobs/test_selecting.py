"""select: exactly N items of a pool, or a reason; and what it would ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import polars as pl
import pytest
from jsonschema import Draft202012Validator

from selectllm.core.codec import sha256_texts
from selectllm.core.errors import (
    PoolError,
    ProviderError,
    ReplyMissing,
    RunError,
    SelectionOverFilled,
    SelectionShort,
    SelectLLMError,
    UsageError,
)
from selectllm.core.types import Item, Pool
from selectllm.data import row_writers
from selectllm.data.pool import load_pool
from selectllm.jobs.selected import read_selected
from selectllm.jobs.selecting import ahead, select
from selectllm.jobs.selection import Selection
from selectllm.jobs.session import Session
from selectllm.jobs.settings import SelectArguments
from selectllm.jobs.sync import finished
from selectllm.models.model import ModelSpec
from selectllm.report.schemas import schema
from selectllm.selection.strategies import STRATEGIES, Strategy
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import AT_ONCE
from tests.support.made_vectors import random_vectors
from tests.support.provider_server import Answer, ProviderServer, error

MOCK: SelectArguments = {"prompt": "short@1", "model": "mock/random", "by": "random"}
INVALID: SelectArguments = {**MOCK, "model": "mock/reply:no idea"}
RATER = "rating:quality@1+openai/m"
LOG = Path("log.jsonl")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str]) -> Iterator[Session]:
    """A session in the current folder, with pool.jsonl: 40 rated items."""
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "pool.jsonl", pool_rows())
    with Session(cache=tmp_path / "cache", notes=notes.append) as session:
        yield session


def chosen(
    session: Session, pool: Pool | str = "pool.jsonl", **arguments: Unpack[SelectArguments]
) -> Selection:
    return finished(select(pool, session=session, **arguments))


def ids(selection: Selection) -> list[str]:
    return [item.id for item in selection.items]


def pool_of(*rows: dict[str, Any]) -> Pool:
    """A pool that is no file."""
    items = tuple(Item(row["id"], row["instruction"], row=row) for row in rows)
    return Pool(items, sha256_texts(item.id for item in items))


def served(server: ProviderServer) -> ModelSpec:
    return ModelSpec(name="openai/m", id="openai/m", api_base=server.base_url)


# --- how many, which, in which order


@pytest.mark.parametrize("budget", [1, 2, 7, 13, 39, 40])
@pytest.mark.parametrize("size", [None, 2, 6, 40, 100])
def test_exactly_n_distinct_items_come_out(session: Session, budget: int, size: int | None) -> None:
    selection = chosen(session, budget=budget, cluster_size=size, **MOCK)
    assert len(set(ids(selection))) == len(selection) == budget
    assert (selection.filled, selection.short, selection.spent_usd) == (0, 0, 0.0)


@pytest.mark.parametrize("strategy", ["random", "longest", "shortest", "first", "centroid"])
def test_a_strategy_selects_n_items_of_the_whole_pool(session: Session, strategy: str) -> None:
    selection = chosen(session, budget=5, strategy=strategy)
    assert len(set(ids(selection))) == 5
    assert selection.by == (f"strategy:{strategy}",)
    assert [decision.strategy for decision in selection.decisions] == [strategy]


def test_the_longest_are_the_longest_and_the_first_the_first(session: Session) -> None:
    lengths = {row["id"]: len(row["instruction"]) + len(row["input"]) for row in pool_rows()}
    longest = set(ids(chosen(session, budget=4, strategy="longest")))
    assert min(lengths[i] for i in longest) >= max(lengths[i] for i in lengths.keys() - longest)
    assert ids(chosen(session, budget=4, strategy="first")) == [f"item-00{n}" for n in range(4)]


def test_a_strategy_may_be_an_object(session: Session) -> None:
    last = Strategy("last", lambda candidates, n: list(range(len(candidates.items)))[-n:])
    assert ids(chosen(session, budget=2, strategy=last)) == ["item-038", "item-039"]
    assert ids(chosen(session, budget=2, strategy=STRATEGIES["first"])) == ["item-000", "item-001"]


def test_a_slot_is_a_strategy(session: Session) -> None:
    selection = chosen(session, budget=3, strategy="slot:39")
    assert set(ids(selection)) == {"item-038", "item-039", "item-000"}
    for name in ("slot:0", "slot:x", "slot:"):
        with pytest.raises(UsageError, match="slot:3"):
            chosen(session, budget=3, strategy=name)


def test_a_pool_in_memory_selects_as_its_file_does(session: Session) -> None:
    pool = load_pool(Path("pool.jsonl")).pool
    assert ids(chosen(session, pool, budget=9, **MOCK)) == ids(chosen(session, budget=9, **MOCK))


def test_paths_are_relative_to_the_sessions_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "data" / "pool.jsonl", pool_rows(10))
    monkeypatch.chdir(tmp_path)
    with Session("data", cache=tmp_path / "cache") as session:
        selection = chosen(session, budget=2, log="log.jsonl", **MOCK)
    assert len(selection) == 2
    assert (tmp_path / "data" / "log.jsonl").exists()


def test_without_a_session_one_is_opened_with_the_settings(session: Session) -> None:
    selection = finished(select("pool.jsonl", budget=3, cache=Path("other"), **MOCK))
    assert len(selection) == 3
    assert Path("other").is_dir()
    with pytest.raises(TypeError, match="offline"):
        chosen(session, budget=3, offline=True, **MOCK)
    with pytest.raises(TypeError, match="budgett"):
        finished(select("pool.jsonl", budget=3, budgett=3, **MOCK))  # type: ignore[call-arg]


def test_it_works_inside_a_running_loop(session: Session) -> None:
    async def page() -> tuple[Selection, Selection]:
        return await select("pool.jsonl", session=session, budget=3, **MOCK), chosen(
            session, budget=3, **MOCK
        )

    awaited, waited = asyncio.run(page())
    assert ids(awaited) == ids(waited)


def test_the_selection_follows_the_seed_and_not_the_order_of_the_file(session: Session) -> None:
    write_jsonl(Path("backwards.jsonl"), pool_rows()[::-1])
    first = set(ids(chosen(session, budget=9, **MOCK)))
    assert set(ids(chosen(session, "backwards.jsonl", budget=9, **MOCK))) == first
    assert set(ids(chosen(session, budget=9, seed=1, **MOCK))) != first


def test_ids_of_any_text_are_kept(session: Session) -> None:
    odd = ["a,b", "a\u2028b", "x\ny", "\x1f", "日本", " ", "a\x1fb", '"q"', "1+1", "é"]
    pool = pool_of(*({"id": name, "instruction": f"Say {n}"} for n, name in enumerate(odd)))
    selection = chosen(session, pool, budget=4, cluster_size=4, **MOCK)
    assert len(selection) == 4
    assert set(ids(selection)) < set(odd)
    selection.write("odd.jsonl")
    lines = Path("odd.jsonl").read_bytes().split(b"\n")[:-1]
    assert [json.loads(line)["id"] for line in lines] == ids(selection)


# --- what it gives


def test_written_rows_keep_all_their_columns_and_pool_order(session: Session) -> None:
    selection = chosen(session, budget=9, **MOCK)
    selection.write("out.jsonl")
    original = {row["id"]: row for row in pool_rows()}
    rows = read_jsonl(Path("out.jsonl"))
    for row in rows:
        Draft202012Validator(schema("selection")).validate(row)
        assert {name: row[name] for name in row if name != "_selectllm"} == original[row["id"]]
    assert [row["id"] for row in rows] == ids(selection) == sorted(ids(selection))
    with pytest.raises(UsageError, match="is the pool itself"):
        selection.write("pool.jsonl")
    assert len(read_jsonl(Path("pool.jsonl"))) == 40


@pytest.mark.parametrize("name", ["out.csv", "out.arrow", "out.json", "out.jsonl.gz", ".."])
def test_rows_are_not_written_under_the_name_of_another_format(session: Session, name: str) -> None:
    selection = chosen(session, budget=4, **MOCK)
    with pytest.raises(UsageError, match=r"End the name in \.jsonl or \.parquet") as refused:
        selection.write(name)
    assert refused.value.argument == "path"
    assert name == ".." or not Path(name).exists()


@pytest.mark.parametrize(
    "arguments",
    [
        {"strategy": "k-center"},
        {"strategy": "longest", "sort": True},
        {"strategy": "facility-location", "distinct": "0.999"},
        {"strategy": "oracle:rating", "prefilter": "longest:0.5"},
        MOCK,
    ],
    ids=["k-center", "longest", "distinct", "prefilter", "model"],
)
def test_a_pool_of_many_files_gives_what_one_file_gives(
    tmp_path: Path, session: Session, arguments: SelectArguments
) -> None:
    np.save("v.npy", random_vectors(40))
    Path("pool").mkdir()
    frame = pl.from_dicts(pool_rows())
    for part in range(3):
        frame[14 * part : 14 * part + 14].write_parquet(f"pool/part-{part}.parquet")
    frame.write_parquet("whole.parquet")
    written = []
    for pool in ("pool", "whole.parquet"):
        with Session(cache=tmp_path / "cache", vectors="v.npy") as session:
            chosen(session, pool, budget=6, **arguments).write("out.jsonl")
        written.append(read_jsonl(Path("out.jsonl")))
    assert written[0] == written[1]


def test_decisions_on_other_clusters_are_not_mixed_in(session: Session) -> None:
    chosen(session, budget=9, log=LOG, **MOCK)
    manifest, *decisions = read_jsonl(LOG)
    decisions[0]["cluster"], decisions[1]["cluster"] = 1, 0  # as if the pool was divided otherwise
    write_jsonl(LOG, [manifest, *decisions])
    before = LOG.read_bytes()
    with pytest.raises(RunError, match=r"log.jsonl holds decisions on other clusters"):
        chosen(session, budget=9, log=LOG, **MOCK)
    assert LOG.read_bytes() == before


def test_a_selection_in_parquet_is_the_one_in_json_lines(session: Session) -> None:
    selection = chosen(session, budget=9, sort=True, **INVALID, max_filled=1)
    for name in ("out.jsonl", "out.parquet", "out.parquet"):  # the second replaces the first
        selection.write(name)
    assert pl.read_parquet("out.parquet").height == 9
    assert read_selected(Path("out.parquet"), {}) == read_selected(Path("out.jsonl"), {})
    pl.DataFrame({"mine": [1]}).write_parquet("other.parquet")
    with pytest.raises(UsageError, match="holds data of another kind, not a selection"):
        selection.write("other.parquet")


def test_a_selection_in_a_folder_is_the_one_in_json_lines_and_a_pool(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_writers, "PART_ROWS", 4)
    selection = chosen(session, budget=9, sort=True, **INVALID, max_filled=1)
    for name in ("out.jsonl", "out/", "out/"):  # the second replaces the first
        selection.write(name)
    assert [path.name for path in sorted(Path("out").iterdir())] == [
        f"part-0000{number}.parquet" for number in range(3)
    ]
    assert read_selected(Path("out"), {}) == read_selected(Path("out.jsonl"), {})
    again = session.select("out", budget=9, strategy="first")
    assert again.pool.items == list(selection.items)
    Path("out/mine.txt").touch()
    with pytest.raises(UsageError, match="holds data of another kind, not a selection"):
        selection.write("out")
    Path("file").touch()
    with pytest.raises(UsageError, match="file is a file"):
        selection.write("file")


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_frames_have_a_row_for_each_item(session: Session, library: str) -> None:
    selection = chosen(session, budget=4, **MOCK)
    frame = getattr(selection, f"to_{library}")()
    assert list(frame["id"]) == ids(selection)
    assert set(frame["by"]) == {"short@1+mock/random"}


def test_a_notebook_shows_the_first_items_escaped(session: Session) -> None:
    rows = [{"id": f"<{n}>", "instruction": "<b>" + "x" * 500} for n in range(30)]
    page = chosen(session, pool_of(*rows), budget=20, strategy="first")._repr_html_()
    assert "20 of 30 items (strategy:first). Spent 0.0000 USD" in page
    assert "&lt;0&gt;" in page
    assert "<b>" not in page
    assert "and 10 more" in page
    assert max(map(len, page.split("<td>"))) < 200


def test_nothing_is_written_unless_it_is_asked_for(session: Session) -> None:
    chosen(session, budget=3, **MOCK)
    chosen(session, budget=3, strategy="first")
    assert sorted(path.name for path in Path().iterdir()) == ["cache", "pool.jsonl"]


def test_the_log_says_what_was_asked_and_answered(session: Session) -> None:
    selection = chosen(session, budget=8, log=LOG, **MOCK)
    manifest, *rows = read_jsonl(LOG)
    assert manifest["manifest"]["prompt"] == "short@1"
    assert len(rows) == len(selection.decisions) == 8
    for row, decision in zip(rows, selection.decisions, strict=True):
        Draft202012Validator(schema("decision")).validate(row)
        assert set(decision.picks) < set(decision.shown)
        assert row["attempts"][0]["reply"].startswith("[")


def test_a_rerun_asks_nothing_and_gives_the_same(session: Session, server: ProviderServer) -> None:
    asked: SelectArguments = {**MOCK, "model": served(server), "budget": 8, "log": LOG}
    first = chosen(session, **asked)
    count, logged = server.count, LOG.read_bytes()
    again = chosen(session, **asked)
    assert server.count == count == 8
    assert ids(again) == ids(first)
    assert LOG.read_bytes() == logged
    in_memory = chosen(session, **{**asked, "log": None})  # from the reply cache
    assert (ids(in_memory), server.count) == (ids(first), 8)


def test_a_log_of_another_call_is_not_mixed_up(session: Session) -> None:
    chosen(session, budget=3, log=LOG, **MOCK)
    before = LOG.read_bytes()
    with pytest.raises(RunError, match=r"a different budget \(3\).* `log`, or delete"):
        chosen(session, budget=4, log=LOG, **MOCK)
    assert LOG.read_bytes() == before


# --- replies that are no picks, and none


def test_invalid_replies_are_filled_and_marked(session: Session) -> None:
    selection = chosen(session, budget=6, max_filled=1, **INVALID)
    assert (len(selection), selection.filled) == (6, 6)
    assert all(choice.filled for choice in selection.chosen)


@pytest.mark.parametrize("budget", [6, 1])  # of one round, and of a tournament
def test_random_picks_above_their_limit_are_an_error_that_keeps_the_log(
    session: Session, budget: int
) -> None:
    with pytest.raises(SelectionOverFilled, match='"no idea"') as refused:
        chosen(session, budget=budget, log=LOG, **INVALID)
    assert (refused.value.argument, refused.value.exit_code) == ("max_filled", 1)
    assert refused.value.filled == refused.value.picks == len(read_jsonl(LOG)) - 1
    assert isinstance(refused.value, SelectionShort)


def test_the_limit_is_a_share_of_the_picks(session: Session) -> None:
    def useful(messages: Any) -> str:  # in one of two clusters
        return "[1]" if "topic 0 " in str(messages) else "?"

    with ProviderServer(reply=useful) as server:
        asked: SelectArguments = {**MOCK, "model": served(server), "cluster_size": 20}
        assert chosen(session, budget=2, max_filled=0.5, **asked).filled == 1
        with pytest.raises(SelectionOverFilled):
            chosen(session, budget=2, max_filled=0.49, **asked)


def test_a_rerun_with_a_higher_limit_asks_nothing(session: Session) -> None:
    with ProviderServer(reply=lambda messages: "?") as server:
        asked: SelectArguments = {**MOCK, "model": served(server), "budget": 6, "log": LOG}
        with pytest.raises(SelectionOverFilled):
            chosen(session, **asked)
        before = server.count
        assert chosen(session, max_filled=1, **asked).filled == 6
        assert server.count == before > 0


def test_a_strategy_that_measures_nothing_is_over_the_limit(session: Session) -> None:
    with ProviderServer(reply=lambda messages: "fine") as server:
        for _ in range(2):  # from the replies, and from the log
            with pytest.raises(SelectionOverFilled, match=r'"fine".*not score every') as refused:
                chosen(session, **rated(server, budget=4, log=LOG))
            assert (refused.value.filled, refused.value.picks) == (4, 4)
        assert chosen(session, **rated(server, budget=4, log=LOG, max_filled=1)).filled == 4


def test_a_threshold_over_nothing_measured_is_a_computed_answer_and_keeps_the_log(
    session: Session,
) -> None:
    with ProviderServer(reply=lambda messages: "fine") as server:
        for _ in range(2):  # from the replies, and from the log
            with pytest.raises(SelectionOverFilled, match=r'"fine".*not score every') as refused:
                chosen(session, **rated(server, threshold=3, log=LOG))
            assert (refused.value.exit_code, refused.value.picks) == (1, 40)
            assert str(LOG) in str(refused.value)
    assert len(read_jsonl(LOG)) == 2
    corrected = {"models": None, "strategy": "rating:quality@1+mock/reply:[1]: 4"}
    with ProviderServer(reply=lambda messages: "[1]: 4") as server:
        assert len(chosen(session, **{**rated(server, threshold=3, log=LOG), **corrected})) == 40


def test_a_plan_names_whom_the_prefilter_asks_and_what_its_prompt_shows(session: Session) -> None:
    rater = "rating:answered@1+anthropic/claude-3-5-haiku-latest"
    for way in ({"strategy": "first"}, MOCK):
        arguments: SelectArguments = {"budget": 4, "prefilter": f"{rater}:0.5", **way}  # type: ignore[typeddict-item]
        (host,) = finished(ahead("pool.jsonl", session=session, **arguments)).destinations
        assert host.host == "api.anthropic.com"
        assert set(host.columns) == {"instruction", "input", "response"}


def test_a_prefilter_that_measures_nothing_leaves_nothing(session: Session) -> None:
    useless = "rating:quality@1+mock/reply:fine:0.5"
    with pytest.raises(SelectionShort, match="none of 40 items") as refused:
        chosen(session, budget=4, strategy="first", prefilter=useless)
    assert refused.value.argument == "prefilter"


def test_on_invalid_skip_is_short_and_fail_an_error(session: Session) -> None:
    selection = chosen(session, budget=6, on_invalid="skip", **INVALID)
    assert (selection.items, selection.short) == ((), 6)
    with pytest.raises(SelectLLMError, match="no valid picks") as refused:
        chosen(session, budget=6, on_invalid="fail", **INVALID)
    assert refused.value.argument == "on_invalid"


def test_a_tournament_without_winners_comes_out_short(session: Session) -> None:
    selection = chosen(session, budget=1, on_invalid="skip", **INVALID)
    assert (selection.items, selection.short) == ((), 1)


def test_offline_what_is_missing_is_told_without_a_command(session: Session) -> None:
    async def offline(**arguments: Unpack[SelectArguments]) -> Selection:
        async with Session(cache=Path("empty"), offline=True) as without:
            return await select("pool.jsonl", session=without, **arguments)

    for arguments, words in (
        (SelectArguments(**{**MOCK, "model": "openai/m"}), "8 of short@1 with openai/m"),
        (SelectArguments(strategy=RATER), "40 of 40 items"),
    ):
        with pytest.raises(ReplyMissing, match=words) as missing:
            finished(offline(budget=8, **arguments))
        assert "--" not in str(missing.value)
        assert "selectllm " not in str(missing.value)


# --- bad input


def test_bad_rows_are_an_error_or_left_out(session: Session) -> None:
    write_jsonl(Path("bad.jsonl"), [*pool_rows(10), {"instruction": ""}])
    with pytest.raises(PoolError, match=r"bad.jsonl:11"):
        chosen(session, "bad.jsonl", budget=3, **MOCK)
    selection = chosen(session, "bad.jsonl", budget=3, skip_bad=True, **MOCK)
    assert [row.line for row in selection.rejected] == [11]


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"budget": 0, **MOCK}, "budget"),
        ({"budget": 41, **MOCK}, "budget"),
        ({"budget": 3, "cluster_size": 1, **MOCK}, "cluster_size"),
        ({"budget": 3, "cluster_size": 0, **MOCK}, "cluster_size"),
        ({"budget": 3, "on_invalid": "fil", **MOCK}, "on_invalid"),
        ({"budget": 3, "reask": -1, **MOCK}, "reask"),
        ({"budget": 3, "strategy": "first", "distinct": 1.5}, "distinct"),
        ({"budget": 3, "strategy": "first", "distinct": "near"}, "distinct"),
        ({"budget": 3, "strategy": "first", "prefilter": "longest"}, "prefilter"),
        ({"budget": 3, "strategy": "first", "prefilter": "longest:0"}, "prefilter"),
        ({"budget": 3, "strategy": "first", "prefilter": "longest:2"}, "prefilter"),
        ({"budget": 3, "strategy": "first", "prefilter": ":0.5"}, "prefilter"),
        ({"threshold": 3, "strategy": "longest"}, "threshold"),
        ({"threshold": float("nan"), "strategy": RATER}, "threshold"),
        ({"budget": 3, "strategy": "first", "models": {}}, "models"),
    ],
)
def test_what_is_wrong_with_an_argument_is_told_with_its_name(
    session: Session, arguments: SelectArguments, argument: str
) -> None:
    for job in (select, ahead):
        with pytest.raises(UsageError, match=f"`{argument}`") as refused:
            finished(job("pool.jsonl", session=session, **arguments))
        assert refused.value.argument == argument
        assert "--" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"budget": 3}, "either `prompt` and `model`, or `strategy`"),
        ({"budget": 3, "prompt": "short@1"}, "either `prompt` and `model`, or `strategy`"),
        ({"budget": 3, "strategy": "random", **MOCK}, "either `prompt` and `model`"),
        ({"strategy": "longest"}, "either `budget`, or"),
        ({"strategy": RATER, "budget": 3, "threshold": 3}, "either `budget`, or"),
        ({"threshold": 3, **MOCK}, "`threshold` goes with `strategy`"),
        ({"budget": 3, "strategy": "longst"}, "Did you mean 'longest'"),
        ({"budget": 3, "strategy": "first", "prefilter": "nosuch:0.5"}, "nosuch"),
        ({"budget": 3, **MOCK, "by": "divers"}, "diverse"),
        ({"budget": 3, **MOCK, "max_filled": 20}, "`max_filled` 20 must be a share from 0 to 1"),
        ({"budget": 3, **MOCK, "prompt": "shrt@1"}, "shrt"),
        ({"budget": 3, **MOCK, "model": "mock/frist"}, "mock/first"),
        ({"budget": 3, **MOCK, "columns": {"instruction": "nope"}}, "nope"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    session: Session, arguments: SelectArguments, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        chosen(session, **arguments)


# --- near-duplicates and a share, left out first

ALIKE = (
    {"id": "a", "instruction": "Name a planet."},
    {"id": "b", "instruction": "name  a planet."},
    {"id": "c", "instruction": "Name one planet."},
    {"id": "d", "instruction": "How are bricks made?"},
)


def test_exact_repeats_go_whatever_their_case_and_spaces(
    session: Session, notes: list[str]
) -> None:
    selection = chosen(session, pool_of(*ALIKE), strategy="random", budget=3, distinct="exact")
    assert ids(selection) == ["a", "c", "d"]
    assert "3 of 4 items are distinct" in notes[0]
    with pytest.raises(UsageError, match="`budget` 4 must be from 1 to 3"):
        chosen(session, pool_of(*ALIKE), strategy="random", budget=4, distinct="exact")


def test_a_prefilter_leaves_the_share_that_its_strategy_puts_first(session: Session) -> None:
    selection = chosen(session, strategy="random", budget=20, prefilter="longest:0.5")
    lengths = sorted((len(row["instruction"]) for row in pool_rows()), reverse=True)
    kept = [len(item.instruction) for item in selection.items]
    assert min(kept) >= lengths[21]  # the input counts as well
    assert len(selection.pool) == 20


def test_what_left_items_out_is_in_the_log(session: Session) -> None:
    chosen(session, strategy="first", budget=3, distinct="exact", prefilter="longest:0.5", log=LOG)
    manifest = read_jsonl(LOG)[0]["manifest"]
    assert (manifest["distinct"], manifest["prefilter"]) == ("exact", "longest:0.5")


# --- what a model says of each item


def marks(messages: object) -> str:
    """A score by the number that an item of the pool names: 1 to 10, no answer for number 5."""
    number = int(str(messages).split("Explain topic ")[1].split(" ")[0])
    return "I would rather not say." if number == 5 else f"[1]: {number % 10 + 1}"


def rated(server: ProviderServer, **arguments: Unpack[SelectArguments]) -> SelectArguments:
    return {"strategy": RATER, "models": {"openai/m": served(server)}, **arguments}


def test_a_rating_that_is_the_same_for_all_items_is_told_to_be_chance(
    session: Session, notes: list[str]
) -> None:
    with ProviderServer(reply=lambda messages: "[1]: 5") as server:
        assert len(ids(chosen(session, **rated(server, budget=8)))) == 8
    (note,) = notes
    assert RATER in note
    assert "all of the 40 items" in note
    assert "(5)" in note


def test_the_highest_rated_are_selected_and_every_reply_is_in_the_log(
    session: Session, notes: list[str]
) -> None:
    with ProviderServer(reply=marks) as server:
        selection = chosen(session, **rated(server, budget=8, log=LOG))
        asked = server.count
    assert notes == ["1 of 40 items could not be measured, so they are not picked."]
    assert ids(selection) == [f"item-{number:03}" for number in (8, 9, 18, 19, 28, 29, 38, 39)]
    assert asked == 39 + 3  # an invalid reply is asked again twice
    (decision,) = selection.decisions
    assert len(decision.attempts) == asked
    assert read_jsonl(LOG)[0]["manifest"]["measure"]["prompt_sha256"]


def test_a_threshold_takes_all_that_reach_it(session: Session) -> None:
    with ProviderServer(reply=marks) as server:
        selection = chosen(session, **rated(server, threshold=10))
        assert ids(selection) == ["item-009", "item-019", "item-029", "item-039"]
        assert (selection.budget, selection.short) == (None, 0)
        with pytest.raises(UsageError, match=r"threshold` 11.* 10"):
            chosen(session, **rated(server, threshold=11))


@pytest.mark.parametrize(("on_invalid", "filled"), [("fill", ["item-005"]), ("skip", [])])
def test_an_item_without_a_rating_only_fills_a_gap(
    session: Session, on_invalid: Any, filled: list[str]
) -> None:
    with ProviderServer(reply=marks) as server:
        selection = chosen(session, **rated(server, budget=40, on_invalid=on_invalid))
    assert len(selection) == 39 + len(filled)
    assert [choice.item.id for choice in selection.chosen if choice.filled] == filled
    assert selection.short == 1 - len(filled)


def test_a_rating_that_fails_is_no_value_and_a_rerun_asks_only_the_rest(
    session: Session, no_waiting: None
) -> None:
    def last_fails(body: object, headers: object, number: int) -> Answer | None:
        return Answer(500, error("down"), AT_ONCE) if "topic 39" in str(body) else None

    with ProviderServer(last_fails, reply=marks) as server:
        with pytest.raises(ProviderError):
            chosen(session, **rated(server, budget=4))
        server.state.respond = None
        before = server.count
        assert len(chosen(session, **rated(server, budget=4))) == 4
        assert server.count == before + 1


def test_a_rating_may_filter_before_a_model_selects(
    session: Session, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProviderServer(reply=marks) as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
        selection = chosen(session, budget=2, prefilter=f"{RATER}:0.2", **MOCK)
    assert "`prefilter` keeps 8 of 40 items." in notes
    assert {int(name[-1]) for name in ids(selection)} <= {8, 9}


def test_models_are_those_of_a_prefilter_too(session: Session, notes: list[str]) -> None:
    with ProviderServer(reply=marks) as server:
        models = {"openai/m": served(server)}
        asked = SelectArguments(budget=2, prefilter=f"{RATER}:0.2", models=models)
        for more in (MOCK, SelectArguments(strategy="first")):
            assert {int(name[-1]) for name in ids(chosen(session, **asked, **more))} <= {8, 9}
        assert server.count == 39 + 3


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("oracle:quality", "quality"),
        ("oracle:instruction", "instruction"),
        ("rating:short@1+openai/m", "asks for indices"),
        ("rating:nothing@1+openai/m", "nothing"),
        ("rating:quality@1+gpt", "'gpt' is not a model. Write it as PROVIDER/MODEL"),
        ("open-endedness:gpt", "'gpt' is not a model"),
        ("perplexity-low:./nowhere", "./nowhere"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_asked(
    session: Session, strategy: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        chosen(session, budget=4, strategy=strategy)


@pytest.mark.parametrize(
    "strategy", ["ifd", "response-perplexity-low", "rating:answered@1+openai/m"]
)
def test_what_goes_by_responses_refuses_a_pool_that_lacks_some(
    session: Session, strategy: str
) -> None:
    rows = [{**row, "response": None} if i < 3 else row for i, row in enumerate(pool_rows())]
    write_jsonl(Path("pool.jsonl"), rows)
    with pytest.raises(UsageError, match=r"3 of 40 items have none.*item-000"):
        chosen(session, budget=4, strategy=strategy)


# --- what it would ask


def test_a_dry_run_tells_its_rounds_calls_and_tokens(session: Session) -> None:
    plan = finished(ahead("pool.jsonl", session=session, budget=2, cluster_size=10, **MOCK))
    narrowing, last = plan.rounds
    assert (narrowing.clusters, narrowing.size, narrowing.picks) == (4, 10, 1)
    assert (last.clusters, last.size, last.picks) == (1, 4, 2)
    assert (plan.calls, plan.calls_at_most) == (5, 15)
    assert plan.tokens is not None
    assert plan.tokens == narrowing.tokens + last.tokens > 0
    assert (plan.items, plan.budget, plan.selector) == (40, 2, "mock/random")
    assert list(Path().glob("*.jsonl")) == [Path("pool.jsonl")]


@pytest.mark.parametrize("how", [MOCK, {"strategy": "first"}])
def test_clusters_that_are_taken_whole_are_not_asked_about(
    session: Session, how: SelectArguments
) -> None:
    plan = finished(ahead("pool.jsonl", session=session, budget=40, **how))
    assert (plan.calls, plan.calls_at_most) == (0, 0)


@pytest.mark.parametrize(
    ("strategy", "calls", "most"),
    [(RATER, 40, 120), ("open-endedness:openai/m", 120, 120), ("longest", 0, 0)],
)
def test_a_dry_run_says_how_many_calls_a_strategy_takes(
    session: Session, strategy: str, calls: int, most: int
) -> None:
    plan = finished(ahead("pool.jsonl", session=session, budget=8, strategy=strategy))
    assert (plan.calls, plan.calls_at_most, plan.tokens) == (calls, most, None)


def test_a_dry_run_of_a_prefilter_asks_nothing(session: Session) -> None:
    plan = finished(
        ahead("pool.jsonl", session=session, budget=2, prefilter=f"{RATER}:0.2", **MOCK)
    )
    assert (plan.prefilter_calls, plan.items) == (40, 8)
