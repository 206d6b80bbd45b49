"""Two runs side by side: in the clusters that both asked, found by what is in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import RunError, UsageError
from selectllm.core.files import write_text
from selectllm.evaluation.two_runs.schema import RunsCompared
from selectllm.jobs.comparing_runs import compare_folders, short_names
from selectllm.jobs.reporting import read_finished
from selectllm.report.two_runs import told_difference
from tests.conftest import Command, pool_rows, write_jsonl

SUITE = """\
name: {name}
pool: {pool}
utilities: [{{name: rating, source: ratings, column: rating, kind: human, range: [0, 100]}}]
clusters: {{by: random, size: 5}}
picks: {picks}
prompts: [short@1]
models: [{{name: m, id: "{model}"}}]
seed: {seed}
strategies: []
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the pool by the first, the best and no picks, and some that do not go with them."""
    folder = tmp_path_factory.mktemp("two")
    rows = pool_rows()
    write_jsonl(folder / "pool.jsonl", rows)
    write_jsonl(folder / "answered.jsonl", [row | {"response": "Yes."} for row in rows])
    reworded = [row | {"instruction": f"{row['instruction']} Please."} for row in rows]
    write_jsonl(folder / "reworded.jsonl", reworded)
    with sl.Session(folder, cache=folder / "cache") as session:

        def run(out: str, model: str = "mock/first", limit: int | None = None, **said: Any) -> None:
            values = {"name": "s", "pool": "pool.jsonl", "picks": 2, "seed": 0, **said}
            text = SUITE.format(model=model, **values)
            write_text(folder / f"{out}.yaml", text)
            session.evaluate(f"{out}.yaml", out=out, limit=limit)

        run("first")
        run("best", "mock/oracle")
        run("few", "mock/oracle", limit=3)
        run("silent", "mock/reply:I will not say")
        run("answered", "mock/oracle", pool="answered.jsonl")
        run("reworded", "mock/oracle", pool="reworded.jsonl")
        run("one", picks=1)
        run("elsewhere", seed=7)
    return folder


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(made, tmp_path / "runs"))


def figures(runs: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((runs / name / "results.json").read_bytes())["pairs"][0])


def test_the_mean_difference_is_that_of_what_both_captured(made: Path) -> None:
    compared = compare_folders(made / "first", made / "best").results
    (pair,) = compared.compared
    first, best = (
        figures(made, name)["agreement"]["rating"]["captured"] for name in ("first", "best")
    )
    assert pair.a.captured is not None
    assert pair.a.captured.to_json() == pytest.approx(first)
    assert pair.difference is not None
    assert pair.difference.estimate == pytest.approx(best["estimate"] - first["estimate"])
    assert pair.difference.low < pair.difference.estimate < pair.difference.high
    assert (pair.worse, pair.better + pair.equal) == (0, compared.clusters)


def test_a_pair_that_did_as_before_is_not_said_to_have_captured_more(runs: Path) -> None:
    shutil.copytree(runs / "first", runs / "again")
    compared = compare_folders(runs / "first", runs / "again").results
    (pair,) = compared.compared
    _, word, rest = told_difference(pair, compared)
    assert word == "as much"
    assert rest.startswith(" in again as in first")


def test_turned_round_every_figure_changes_its_sign_and_the_worst_cluster_is_first(
    made: Path,
) -> None:
    there, back = (
        compare_folders(made / a, made / b).results.compared[0]
        for a, b in (("first", "best"), ("best", "first"))
    )
    assert there.difference is not None
    assert back.difference is not None
    assert back.difference.estimate == pytest.approx(-there.difference.estimate)
    assert (back.worse, back.better) == (there.better, there.worse)
    changes = [row.difference for row in back.clusters if row.difference is not None]
    assert changes == sorted(changes)
    assert changes[0] < 0


def test_only_shared_clusters_count_and_the_others_are_counted(made: Path) -> None:
    compared = compare_folders(made / "first", made / "few").results
    assert (compared.clusters, compared.a.clusters, compared.a.left_out) == (3, 8, 5)
    assert compared.b.left_out == 0
    assert compared.compared[0].a.decisions == 3


def test_clusters_are_known_by_their_items_whatever_their_numbers(runs: Path) -> None:
    """The second run's clusters get other numbers and another order; nothing else changes."""
    before = compare_folders(runs / "first", runs / "best").results.compared[0]
    renumber(runs / "best", lambda number: 100 - number)
    after = compare_folders(runs / "first", runs / "best").results.compared[0]
    assert after.difference == before.difference
    assert {row.a: row.difference for row in after.clusters} == {
        row.a: row.difference for row in before.clusters
    }
    assert {row.a + row.b for row in after.clusters} == {100}


def renumber(folder: Path, new: Callable[[int], int]) -> None:
    """Give the clusters of a run other numbers, in reverse, with all hashes that go with it."""
    from selectllm.core.codec import sha256_json
    from selectllm.core.types import Cluster
    from selectllm.selection.clustering.clusters_file import read_clusters, write_clusters

    clusters = [
        Cluster(new(cluster.id), cluster.members, cluster.group)
        for cluster in reversed(read_clusters(folder / "clusters.json"))
    ]
    described = json.loads((folder / "run.json").read_bytes())
    sha256 = sha256_json([[c.id, c.members, c.group] for c in clusters])
    described["manifest"]["clusters_sha256"] = sha256
    write_text(folder / "run.json", json.dumps(described))
    write_clusters(
        folder / "clusters.json", clusters, by="random", size=5, seed=0, pool_sha256="0" * 64
    )
    head, *rows = map(json.loads, (folder / "decisions.jsonl").read_text("utf-8").splitlines())
    head = {"manifest": described["manifest"], "manifest_sha256": ""}
    rows = [row | {"cluster": new(row["cluster"])} for row in rows]
    write_jsonl(folder / "decisions.jsonl", [head, *rows])


def test_of_pools_that_differ_only_items_of_the_same_text_are_shared(made: Path) -> None:
    answered = compare_folders(made / "first", made / "answered").results
    assert (answered.clusters, answered.b.left_out) == (8, 0)
    with pytest.raises(UsageError, match="no cluster in common"):
        compare_folders(made / "first", made / "reworded")


def test_pools_that_differ_and_are_gone_cannot_be_compared(runs: Path) -> None:
    (runs / "answered.jsonl").unlink()
    with pytest.raises(RunError, match=r"answered\.jsonl"):
        compare_folders(runs / "first", runs / "answered")


def test_without_a_pool_the_figures_stay_and_a_reply_that_says_nothing_is_not_valid(
    runs: Path,
) -> None:
    (runs / "pool.jsonl").unlink()
    compared = compare_folders(runs / "first", runs / "silent")
    (pair,) = compared.results.compared
    assert (pair.a.valid_rate, pair.b.valid_rate) == (1, 0)
    evidence = compared.evidence()
    assert {len(cluster.lost) for cluster in evidence.clusters} == {2}
    assert evidence.notes


def test_cases_of_both_runs_keep_their_own_picks_replies_and_prompts(made: Path) -> None:
    compared = compare_folders(made / "first", made / "silent")
    evidence = compared.evidence()
    assert [arm.name for arm in evidence.arms] == ["short@1 + m in first", "short@1 + m in silent"]
    assert (evidence.reference, evidence.judged) == (0, 1)
    by_arm = {arm: [c for c in evidence.choices if c.arm == arm] for arm in (0, 1)}
    assert {choice.picks for choice in by_arm[0]} == {(0, 1)}
    assert {choice.picks for choice in by_arm[1]} == {()}
    said = {evidence.replies[a.reply] for choice in by_arm[1] for a in choice.attempts}
    assert said == {"I will not say"}
    for choice in evidence.choices:
        assert choice.shape is not None
        parts = [part for message in evidence.shapes[choice.shape] for part in message.parts]
        assert all(evidence.pieces[part] is not None for part in parts if isinstance(part, int))
        assert len(evidence.showings[choice.showing].items) == 5


def test_a_report_that_was_written_as_json_can_be_told_again(made: Path, tmp_path: Path) -> None:
    compared = compare_folders(made / "first", made / "best").results
    compared.write(tmp_path / "both.json")
    again, _ = read_finished(tmp_path / "both.json")
    assert again == compared
    assert isinstance(again, RunsCompared)


def test_names_are_as_long_as_it_takes_to_tell_runs_apart() -> None:
    assert short_names([Path("a/run"), Path("b/other")]) == ["run", "other"]
    assert short_names([Path("a/run"), Path("b/run")]) == ["a/run", "b/run"]


def newer(folder: Path) -> None:
    content = json.loads((folder / "results.json").read_bytes())
    write_text(folder / "results.json", json.dumps(content | {"format": 2}))


def damaged(folder: Path) -> None:
    lines = (folder / "decisions.jsonl").read_text("utf-8").splitlines(keepends=True)
    write_text(folder / "decisions.jsonl", "".join([*lines[:2], "{]\n", *lines[3:]]))


def other_log(folder: Path) -> None:
    shutil.copy(folder.parent / "few" / "decisions.jsonl", folder / "decisions.jsonl")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (shutil.rmtree, ("best", "selectllm runs")),
        (lambda folder: (folder / "results.json").unlink(), ("best", "selectllm runs")),
        (newer, ("best/results.json", "format", "2", "later version")),
        (damaged, ("best/decisions.jsonl:3",)),
        (other_log, ("best/decisions.jsonl", "another run")),
    ],
)
def test_a_run_that_cannot_be_used_is_one_error_that_names_it(
    runs: Path, selectllm: Command, harm: Callable[[Path], Any], words: tuple[str, ...]
) -> None:
    harm(runs / "best")
    for order in (("first", "best"), ("best", "first")):
        told = selectllm("report", *(runs / name for name in order), "--html")
        assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
        assert all(word in told.err for word in words), told.err


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("elsewhere", ("8", "--each --html -o FILE")),
        ("one", ("picks 2", "one 1")),
        ("first", ("twice",)),
    ],
)
def test_runs_that_do_not_go_together_are_one_error(
    made: Path, selectllm: Command, other: str, words: tuple[str, ...]
) -> None:
    told = selectllm("report", made / "first", made / other)
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert all(word in told.err for word in words), told.err


def test_a_table_fits_80_columns_and_says_that_it_is_no_verdict(
    made: Path, selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = selectllm("report", made / "first", made / "few")
    assert told.code == 0
    assert max(map(len, told.out.splitlines())) <= 80
    assert "no verdict" in told.out
    assert "selectllm regress s.yaml" in told.out
    assert "5 left out" in " ".join(told.out.split())


def test_each_form_is_written_where_it_should_go(
    runs: Path, selectllm: Command, tmp_path: Path
) -> None:
    two = runs / "first", runs / "best"
    assert selectllm("report", *two, "--json").json["clusters"] == 8
    assert json.loads(selectllm("report", *two, "--as", "json").out)["clusters"] == 8
    assert selectllm("report", *two, "--as", "markdown").out.count("| short@1 + m |") > 1
    told = selectllm("report", *two, "--html")
    assert str(runs / "best" / "beside-first.html") in told.err
    assert selectllm("report", *two, "--html", "-o", "here.html").code == 0
    written = (runs / "best" / "beside-first.html").read_bytes()
    assert Path("here.html").read_bytes() == written
    assert str(tmp_path).encode() not in written


@pytest.mark.parametrize("end", [(), ("--each",)])
def test_a_page_is_not_written_over_a_folder(
    runs: Path, selectllm: Command, end: tuple[str, ...]
) -> None:
    two = (runs / "first", runs / "best", "--html")
    told = selectllm("report", *two, *end, "-o", runs)
    assert (told.code, str(runs) in told.err) == (2, True)
    (runs / "best" / "beside-first.html").mkdir()
    assert selectllm("report", *two).code == 2


def test_several_runs_stand_on_one_page_uncompared(runs: Path, selectllm: Command) -> None:
    three = [runs / name for name in ("first", "elsewhere", "one")]
    assert selectllm("report", *three, "--each", "--html", "-o", "all.html").code == 0
    page = Path("all.html").read_text(encoding="utf-8")
    names = [page.count(f'id="run-{nth}-forest"') for nth in (1, 2, 3, 4)]
    assert names == [1, 1, 1, 0]
    refused = selectllm("report", *three, "--html", "-o", "all.html")
    assert (refused.code, "--each" in refused.err) == (2, True)
