"""The pages of `view`, asked for over HTTP from a real server on 127.0.0.1."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest

import selectllm as sl
from selectllm.core.files import write_text
from selectllm.jobs.view_server import ViewServer
from selectllm.jobs.viewing import View
from tests.conftest import Command, pool_rows, write_jsonl

SUITE = """\
name: viewed
pool: {folder}/pool.jsonl
utilities: [{{name: rating, source: ratings, column: rating, kind: human, range: [0, 100]}}]
clusters: {{by: random, size: {size}}}
picks: 2
prompts: [short@1, criteria@1]
models: [{{name: m, id: {model}}}]
strategies: []
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs: `old` of first picks, `deep/new` of the best, `ab`, and `other` of other clusters."""
    folder = tmp_path_factory.mktemp("viewed")
    write_jsonl(folder / "pool.jsonl", pool_rows())
    with sl.Session(folder, cache=folder / "cache") as session:

        def suite(model: str, size: int = 5) -> str:
            text = SUITE.format(folder=folder, model=model, size=size)
            write_text(folder / "suite.yaml", text)
            return "suite.yaml"

        session.evaluate(suite("mock/first"), out="runs/old")
        session.evaluate(suite("mock/oracle"), out="runs/deep/new")
        session.ab(suite("mock/oracle"), a="short@1", b="criteria@1", out="runs/ab")
        session.evaluate(suite("mock/oracle", 8), out="runs/other")
    for seconds, name in enumerate(("old", "deep/new", "ab", "other")):
        os.utime(folder / "runs" / name / "results.json", (1e9 + seconds, 1e9 + seconds))
    return folder / "runs"


@dataclass(frozen=True)
class Got:
    """What came back. `text`: of the page, without its markup."""

    status: int
    page: str
    headers: http.client.HTTPMessage

    @property
    def text(self) -> str:
        main = self.page.partition('<main id="main">')[2].partition("</main>")[0]
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


@dataclass(frozen=True)
class Asking:
    """A client of the server."""

    server: ViewServer

    def __call__(self, path: str, method: str = "GET", host: str | None = None) -> Got:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{self.server.server_port}")
        connection.endheaders()
        response = connection.getresponse()
        got = Got(response.status, response.read().decode("utf-8"), response.headers)
        connection.close()
        return got


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy, times included."""
    return Path(shutil.copytree(made, tmp_path / "runs"))


@pytest.fixture
def ask(runs: Path) -> Iterator[Asking]:
    with ViewServer(View(runs), 0) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield Asking(server)
        server.shutdown()
        serving.join()


def test_the_list_has_the_newest_first_with_what_each_found(ask: Asking) -> None:
    got = ask("/")
    assert got.status == 200
    assert re.findall(r'name="run" value="([^"]+)"', got.page) == ["other", "ab", "deep/new", "old"]
    row = next(part for part in got.page.split("<tr>") if 'value="ab"' in part)
    assert '<b class="open">inconclusive</b>: criteria@1 + m against short@1 + m' in row
    assert all(f">{cell}<" in row for cell in ("viewed", "2", "0.00"))
    assert "1.00 (1.00 to 1.00)" in row


def test_a_run_that_is_made_meanwhile_appears_when_the_page_is_loaded_again(
    ask: Asking, runs: Path
) -> None:
    assert 'value="later"' not in ask("/").page
    shutil.copytree(runs / "old", runs / "later")
    assert 'value="later"' in ask("/").page


def test_its_report_is_the_one_that_the_command_line_writes(
    ask: Asking, runs: Path, selectllm: Command
) -> None:
    got = ask("/run?" + urlencode({"name": "deep/new"}))
    assert got.status == 200
    assert selectllm("report", runs / "deep" / "new", "--as", "html").out == got.page


def test_two_are_compared_the_newer_against_the_older_however_they_are_ticked(
    ask: Asking, runs: Path, selectllm: Command
) -> None:
    pages = [ask(f"/compare?run={a}&run={b}") for a, b in (("old", "ab"), ("ab", "old"))]
    assert [page.status for page in pages] == [200, 200]
    assert pages[0].page == pages[1].page
    assert selectllm("report", runs / "old", runs / "ab", "--as", "html").out == pages[0].page


def test_a_trend_joins_runs_of_the_same_clusters_and_tells_others_apart(ask: Asking) -> None:
    links = re.findall(r'href="(/trend\?[^"]+)"', ask("/").page)
    assert len(links) == 2
    got = ask(unescape(links[0]))
    assert got.status == 200
    specs = re.search(r'id="charts">(.*?)</script>', got.page, re.DOTALL)
    assert specs is not None
    values = json.loads(specs[1])["trend"]["data"]["values"]
    assert [value["run"] for value in values] == ["old", "deep/new", "ab", "other"]
    assert [value["estimate"] for value in values][1:] == [1, 1, 1]
    clusters = [value["clusters"] for value in values]
    assert clusters[0] == clusters[1] == clusters[2] != clusters[3]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nosuch", 404),
        ("/../../etc/passwd", 404),
        ("/run?name=../../../etc", 404),
        ("/run?name=/etc", 404),
        ("http://[", 422),
        ("/run?name=deep", 404),
        ("/run", 404),
        ("/run?name=%00", 404),
        ("/trend?suite=viewed&prompt=nosuch&model=m&utility=rating", 404),
        ("/compare", 422),
        ("/compare?run=old", 422),
        ("/compare?run=old&run=old", 422),
        ("/compare?run=old&run=ab&run=other", 422),
        ("/compare?run=old&run=other", 422),
        ("/compare?run=old&run=../../x", 404),
        ("/?" + "&".join(f"a={n}" for n in range(20)), 422),
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(ask: Asking, path: str, status: int) -> None:
    got = ask(path)
    assert got.status == status
    assert got.text.startswith("All runs")
    assert "Traceback" not in got.page


def test_a_damaged_run_is_listed_with_its_fault_and_hinders_no_other(
    ask: Asking, runs: Path
) -> None:
    lines = (runs / "old" / "decisions.jsonl").read_text("utf-8").splitlines(keepends=True)
    write_text(runs / "old" / "decisions.jsonl", "".join([*lines[:2], "{]\n", *lines[3:]]))
    write_text(runs / "ab" / "results.json", "{}")
    (runs / "other" / "results.json").unlink()
    listed = ask("/")
    assert listed.status == 200
    assert "ab/results.json" in listed.text
    assert "not finished" in listed.text
    assert ask("/run?name=deep%2Fnew").status == 200
    for path in ("/run?name=old", "/compare?run=old&run=deep%2Fnew"):
        got = ask(path)
        assert got.status == 422
        assert "old/decisions.jsonl:3" in got.text
    assert {ask(f"/run?name={name}").status for name in ("ab", "other")} == {422}


def test_what_other_commands_left_is_listed_and_shown_too_but_not_compared() -> None:
    view = View(Path(__file__).parents[1] / "golden" / "written_by_0_1_0")
    listed = view.answer("/").page
    for name in ("sets", "search"):
        assert f'href="/run?name={name}"' in listed
        assert f'value="{name}"' not in listed
        assert view.answer(f"/run?name={name}").status == 200
    assert view.answer("/compare?run=runs%2Fab&run=sets").status == 422


def test_only_this_server_is_a_host_and_nothing_but_get_is_answered(ask: Asking) -> None:
    port = ask.server.server_port
    assert ask.server.server_address[0] == "127.0.0.1"
    assert ask("/", host=f"localhost:{port}").status == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}"):
        refused = ask("/", host=host)
        assert refused.status == 421
        assert 'name="run"' not in refused.page
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        refused = ask("/", method)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET")
    assert ask("/", "BREW").status == 501


def test_pages_are_closed_to_frames_other_sites_and_caches(ask: Asking) -> None:
    for path in ("/", "/run?name=old", "/nosuch"):
        headers = ask(path).headers
        assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"


def test_only_the_list_may_send_a_form_and_to_its_own_server_alone(ask: Asking) -> None:
    actions = {
        path: re.findall(r"form-action [^;\"]*", unescape(ask(path).page))[0]
        for path in ("/", "/run?name=old", "/compare?run=old&run=ab")
    }
    assert actions == {
        "/": "form-action 'self'",
        "/run?name=old": "form-action 'none'",
        "/compare?run=old&run=ab": "form-action 'none'",
    }


def test_names_of_strangers_stay_text(ask: Asking, runs: Path) -> None:
    shutil.copytree(runs / "old", runs / '"><script>x')
    got = ask("/")
    assert "<script>x" not in got.page
    (link,) = (each for each in re.findall(r'href="(/run[^"]+)"', got.page) if "script" in each)
    assert ask(unescape(link)).status == 200


def test_a_taken_port_is_bad_input_with_a_way_out(
    ask: Asking, runs: Path, selectllm: Command
) -> None:
    port = ask.server.server_port
    told = selectllm("view", runs, "--no-browser", "--port", port)
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert f"--port {port}" in told.err
    assert f"--port {port + 1}" in told.err


def test_ctrl_c_ends_it_cleanly(
    runs: Path, selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(server: ViewServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ViewServer, "serve_forever", interrupted)
    told = selectllm("view", runs, "--no-browser", "--port", 0)
    assert (told.code, told.err) == (0, "")
    assert "http://127.0.0.1:" in told.out


def test_a_file_is_no_folder_of_runs(selectllm: Command, tmp_path: Path) -> None:
    file = tmp_path / "pool.jsonl"
    file.write_text("", encoding="utf-8")
    told = selectllm("view", file, "--no-browser")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "is not a folder" in told.err


def test_a_folder_without_runs_says_how_to_make_one(tmp_path: Path) -> None:
    got = View(tmp_path / "nosuch").answer("/")
    assert got.status == 200
    assert "selectllm eval SUITE" in got.page
