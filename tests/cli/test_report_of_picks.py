"""What `report` says of a selection: how it came about, its picks, and the pool beside them."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode
from hashlib import sha512
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selectllm.core.types import Decision, Item
from selectllm.data.vector_store import VectorStore, text_keys
from selectllm.jobs.picks import read_picks
from selectllm.jobs.picks_shown import shown_picks
from selectllm.jobs.pool_of_picks import PoolOfPicks
from selectllm.jobs.workspace import find_workspace
from selectllm.report.html.picks_evidence import PicksEvidence
from selectllm.selection.by_model import Chosen
from selectllm.selection.schema import SelectionSummary
from tests.conftest import Command, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused

HARM = "</script><script>window.harmed = 1</script>"
REASON = "It <b>asks</b> for steps."
REPLY = f'mock/reply:{{"reasons": "{REASON}", "picks": [2]}}'
BY_MODEL = ("--prompt", "rubric@1", "--by", "random", "--cluster-size", 3)


@pytest.fixture(autouse=True)
def rows(selectllm: Command) -> list[dict[str, Any]]:
    """Twelve items; number n is about 10 n characters long, and the first means harm."""
    rows = [{"id": f"i{n}", "instruction": f"{n:02} " + "word " * 2 * n} for n in range(12)]
    rows[0]["instruction"] = HARM
    write_jsonl(Path("pool.jsonl"), rows)
    return rows


def selected(selectllm: Command, *words: object) -> Path:
    by = words or ("--budget", 4, *BY_MODEL, "--model", REPLY)
    outcome = selectllm("select", "pool.jsonl", *by, "-o", "pool.selected.jsonl")
    assert outcome.code == 0, outcome.err
    return Path("pool.selected.jsonl")


def read(path: Path, pool: PoolOfPicks | None = None) -> tuple[SelectionSummary, PicksEvidence]:
    return read_picks(path, find_workspace(Path()), pool)


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="([^"]+)" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    text = found[2] if "json" in found[1] else gzip.decompress(b64decode(found[2])).decode()
    data: dict[str, Any] = json.loads(text)
    return data


def test_where_pairs_were_compared_it_says_how_often_the_first_place_won(
    selectllm: Command,
) -> None:
    pairs = ("--budget", 4, "--prompt", "pair@1", "--by", "random", "--cluster-size", 3)
    path = selected(selectllm, *pairs, "--model", "mock/first")
    asked = sum("attempts" in line for line in read_jsonl(Path(f"{path}.decisions.jsonl")))
    summary, _ = read(path)
    assert summary.wins is not None
    assert summary.wins[1] == 0
    assert summary.wins[0] >= asked
    told = f"hat was shown first won 100 % of {summary.wins[0]} comparisons"
    assert told in " ".join(selectllm("report", path).out.split())
    assert selectllm("report", path, "--html").code == 0
    assert told in Path("pool.selected.html").read_text(encoding="utf-8")


def test_a_selection_without_pairs_has_no_wins(selectllm: Command) -> None:
    summary, _ = read(selected(selectllm))
    assert summary.wins is None
    assert "wins" not in summary.to_json()


def test_the_figures_are_those_of_the_files(selectllm: Command, rows: list[dict[str, Any]]) -> None:
    path = selected(selectllm)
    summary, _ = read(path)
    log = [line for line in read_jsonl(Path(f"{path}.decisions.jsonl")) if "attempts" in line]
    attempts = [attempt for line in log for attempt in line["attempts"]]
    assert (summary.selected, summary.pool_items, summary.budget) == (4, 12, 4)
    assert (summary.prompt, summary.model, summary.strategy) == ("rubric@1", REPLY, None)
    assert (summary.filled, summary.whole) == (0, 0)
    assert summary.calls == len(attempts)
    assert summary.tokens_in == sum(attempt["tokens_in"] for attempt in attempts)
    assert summary.cost_usd == 0
    assert summary.clusters is not None
    assert (summary.clusters.clusters, summary.clusters.reached) == (4, 4)
    texts = [row["instruction"] for row in rows]
    picked = {row["id"] for row in read_jsonl(path)}
    for each in summary.lengths:
        within = [t for t in texts if each.low <= len(t) <= (each.high or 10**9)]
        assert each.pool == len(within)
        assert each.picks == sum(r["id"] in picked for r in rows if r["instruction"] in within)


def test_every_pick_stands_beside_the_others_of_its_cluster(
    selectllm: Command, rows: list[dict[str, Any]]
) -> None:
    path = selected(selectllm)
    _, evidence = read(path)
    shown = {
        line["cluster"]: set(line["shown"])
        for line in read_jsonl(Path(f"{path}.decisions.jsonl"))
        if "shown" in line
    }
    texts = {row["id"]: " ".join(row["instruction"].split()) for row in rows}
    picked = {pick.id for pick in evidence.picks}
    assert len(picked) == 4
    for pick in evidence.picks:
        assert (pick.rank, pick.reason, pick.filled) == (1, REASON, False)
        assert pick.rivals is not None
        rivals = evidence.rivals[pick.rivals]
        assert rivals.cluster == pick.cluster
        assert {id for id, _ in rivals.rivals} == shown[pick.cluster] - picked
        assert all(text == texts[id] for id, text in rivals.rivals)


def test_what_was_chosen_at_random_is_counted(selectllm: Command) -> None:
    silent = ("--model", "mock/reply:I will not say", "--max-filled", 1)
    path = selected(selectllm, "--budget", 4, *BY_MODEL, *silent)
    summary, evidence = read(path)
    assert summary.filled == 4
    assert all(pick.filled and pick.rank is None for pick in evidence.picks)


def test_clusters_are_those_that_were_shown_first(selectllm: Command) -> None:
    """Twelve items in four clusters of three, whose winners are divided again."""
    path = selected(selectllm, "--budget", 2, *BY_MODEL, "--model", REPLY)
    summary, _ = read(path)
    assert summary.clusters is not None
    assert summary.clusters.rounds == 2
    counts = {each.picks: each.clusters for each in summary.clusters.picks}
    assert counts == {0: 2, 1: 2}
    assert summary.clusters.reached == 2


@pytest.mark.parametrize("strategy", ["random", "longest"])
def test_a_strategy_has_no_rivals(selectllm: Command, strategy: str) -> None:
    summary, evidence = read(selected(selectllm, "--budget", 4, "--strategy", strategy))
    assert (summary.strategy, summary.clusters, summary.calls) == (strategy, None, 0)
    assert evidence.rivals == ()
    assert [pick.reason for pick in evidence.picks] == [None] * 4
    assert sum(each.picks for each in summary.lengths) == 4


def test_topics_need_vectors_that_are_there(selectllm: Command) -> None:
    texts = [f"{n} {'ab' if n % 4 else 'xy'} ?" for n in range(40)]
    write_jsonl(
        Path("pool.jsonl"), [{"id": f"i{n}", "instruction": t} for n, t in enumerate(texts)]
    )
    path = selected(selectllm, "--budget", 8, *BY_MODEL, "--model", "mock/first")
    without, _ = read(path)
    assert (without.topics, without.likeness) == ((), None)
    # Two directions, and hardly anything beside them: 10 and 30 items are alike.
    vectors = np.zeros((40, 40), dtype=np.float32)
    vectors[np.arange(40), [int(n % 4 > 0) for n in range(40)]] = 1
    manifest = read_jsonl(Path(f"{path}.decisions.jsonl"))[0]["manifest"]
    VectorStore(Path("cache/vectors"), manifest["encoder"]).add(text_keys(texts), vectors)
    summary, _ = read(path)
    picked = {row["id"] for row in read_jsonl(path)}
    assert [topic.pool for topic in summary.topics] == [30, 10]
    few = sum(f"i{n}" in picked for n in range(0, 40, 4))
    assert [topic.picks for topic in summary.topics] == [8 - few, few]
    assert summary.topics[1].example in texts[::4]
    assert summary.likeness is not None
    alike = (30 * 29 + 10 * 9) / (40 * 39)
    assert summary.likeness.pool == pytest.approx(alike)


def test_a_pool_that_has_moved_is_missed_and_can_be_named(selectllm: Command) -> None:
    path = selected(selectllm)
    Path("pool.jsonl").rename("moved.jsonl")
    summary, evidence = read(path)
    assert (summary.pool, summary.pool_items) == (None, None)
    assert all(each.pool is None for each in summary.lengths)
    assert any("--pool FILE" in note for note in evidence.notes)
    assert {text for each in evidence.rivals for _, text in each.rivals} == {""}
    summary, evidence = read(path, PoolOfPicks(named="moved.jsonl"))
    assert summary.pool_items == 12
    assert evidence.notes == ()


def test_a_pool_that_has_changed_is_told(selectllm: Command, rows: list[dict[str, Any]]) -> None:
    path = selected(selectllm)
    write_jsonl(Path("pool.jsonl"), [*rows, {"id": "new", "instruction": "Added."}])
    summary, evidence = read(path)
    assert summary.pool_items == 13
    assert any("pool.jsonl has changed" in note for note in evidence.notes)


def test_another_pool_is_refused_where_it_was_named_and_else_told(selectllm: Command) -> None:
    path = selected(selectllm)
    write_jsonl(Path("pool.jsonl"), [{"id": "z", "instruction": "Another."}])
    assert_refused(selectllm("report", path, "--pool", "pool.jsonl"), "--pool", "no item")
    summary, evidence = read(path)
    assert summary.pool_items is None
    assert any("no item" in note for note in evidence.notes)


def test_a_selection_in_parquet_is_reported_like_one_in_json_lines(selectllm: Command) -> None:
    by = ("--budget", 4, *BY_MODEL, "--model", REPLY)
    told = []
    for suffix in ("jsonl", "parquet"):
        out = f"pool.selected.{suffix}"
        assert selectllm("select", "pool.jsonl", *by, "-o", out).code == 0
        outcome = selectllm("report", out, "--json")
        assert outcome.code == 0, outcome.err
        told.append(json.loads(outcome.out) | {"selection": "", "seconds": 0})
    assert told[0] == told[1]
    assert told[0]["pool_items"] == 12


def test_a_selection_in_a_folder_goes_wherever_one_in_a_file_does(selectllm: Command) -> None:
    by = ("--budget", 4, *BY_MODEL, "--model", REPLY)
    told = selectllm("select", "pool.jsonl", *by, "-o", "picks/")
    assert told.code == 0, told.err
    assert "Wrote 4 items to the folder picks, selected by" in told.out
    assert Path("picks.decisions.jsonl").exists()
    for words in (
        ("report", "picks", "--pool", "pool.jsonl", "--html"),
        ("handover", "picks", "--to", "csv"),
        ("export", "picks", "--unanswered", "-o", "exported"),
        ("select", "picks/", "--budget", 2, "--strategy", "first"),
        ("select", "pool.jsonl", *by, "-o", "picks/"),
    ):
        outcome = selectllm(*words)
        assert outcome.code == 0, outcome.err
    assert [path.name for path in Path("picks").iterdir()] == ["part-00000.parquet"]
    assert Path("picks.html").exists()
    inside = selectllm("select", "picks", "--budget", 2, "--strategy", "first", "-o", "picks/new")
    assert_refused(inside, "one more file of the pool")


def test_without_its_log_a_selection_still_has_a_report(selectllm: Command) -> None:
    path = selected(selectllm)
    Path(f"{path}.decisions.jsonl").unlink()
    summary, evidence = read(path)
    assert (summary.selected, summary.calls, summary.clusters) == (4, 0, None)
    assert any("decision log" in note for note in evidence.notes)
    assert selectllm("report", path, "--html").code == 0


def test_what_is_no_selection_is_refused(selectllm: Command) -> None:
    assert_refused(selectllm("report", "pool.jsonl", "--html"), "was not selected")
    assert_refused(selectllm("report", "nosuch.jsonl"), "does not exist")
    Path("results.json").write_text("{}", encoding="utf-8")
    assert_refused(selectllm("report", "results.json", "--pool", "pool.jsonl"), "--pool")


def test_a_selection_is_not_compared_with_anything(selectllm: Command) -> None:
    told = selectllm("report", selected(selectllm), "run", "--html")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "pool.selected.jsonl is a selection" in told.err


def test_the_page_is_written_beside_the_selection_and_holds_no_markup_of_the_pool(
    selectllm: Command,
) -> None:
    path = selected(selectllm, "--budget", 12, "--strategy", "first")
    assert selectllm("report", path, "--html").code == 0
    page = Path("pool.selected.html").read_text(encoding="utf-8")
    assert HARM not in page
    assert HARM in {pick[1] for pick in data_of(page)["picks"]}


def test_select_writes_the_same_page_at_once(selectllm: Command) -> None:
    words = ("--budget", 4, *BY_MODEL, "--model", REPLY, "--report", "html=at-once.html")
    assert selectllm("select", "pool.jsonl", *words).code == 0
    assert selectllm("report", "pool.selected.jsonl", "--html", "-o", "later.html").code == 0
    pages = [Path(name).read_text(encoding="utf-8") for name in ("at-once.html", "later.html")]
    assert data_of(pages[0]) == data_of(pages[1])


def test_json_is_the_summary(selectllm: Command) -> None:
    path = selected(selectllm)
    outcome = selectllm("report", path, "--json")
    assert SelectionSummary.of(json.loads(outcome.out)) == read(path)[0]
    assert selectllm("report", path, "--as", "json", "-o", "said.json").code == 0
    assert selectllm("report", path, "--as", "json", "-o", "said.json").code == 0  # is replaced
    assert selectllm("report", "said.json", "--json").json == outcome.json


@pytest.mark.parametrize("form", ["terminal", "markdown", "html", "json"])
def test_every_format_but_those_of_verdicts(selectllm: Command, form: str) -> None:
    path = selected(selectllm)
    outcome = selectllm("report", path, "--as", form)
    assert outcome.code == 0
    assert "4" in outcome.out
    assert_refused(selectllm("report", path, "--as", "junit"), "verdicts")


def test_what_there_is_no_room_for_is_told(rows: list[dict[str, Any]]) -> None:
    """Texts that cannot be packed: hexadecimal digits of a hash."""

    def text(n: int) -> str:
        return "".join(sha512(f"{n}-{part}".encode()).hexdigest() for part in range(60))

    items = [Item(f"i{n}", text(n)) for n in range(3_000)]
    chosen = [Chosen(item, n, 0, "p+m", rank=1) for n, item in enumerate(items[:1_500])]
    decisions = [
        Decision(n, 0, 0, 0, (f"i{n}", f"i{n + 1_500}"), (f"i{n}",), "ok", model="m")
        for n in range(1_500)
    ]
    shown = shown_picks(chosen, decisions, {item.id: item for item in items})
    evidence = PicksEvidence(shown.picks, shown.rivals, None)
    packed = gzip.compress(json.dumps(evidence.to_json()).encode())
    assert len(packed) * 4 / 3 < 9e6
    assert len(shown.picks) == 1_500
    assert any("characters of each pick" in note for note in shown.notes)
    assert all(pick.length == 7_680 > len(pick.instruction) for pick in shown.picks)
