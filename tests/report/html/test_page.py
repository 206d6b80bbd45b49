"""The page: one file that runs its own scripts alone, and says first what it means."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from selectllm.evaluation.audit.comparison import compared
from selectllm.evaluation.runs.schema import RunResults
from selectllm.optimization.schema import GridResults
from selectllm.report.audit import render_audit
from selectllm.report.formats import RENDERED, Place, report
from selectllm.report.html.figures import Figures, figures
from selectllm.report.html.opening import opening
from selectllm.report.html.page import page as html_page
from tests.browser.large_page import large_page
from tests.conftest import Command, pool_rows, write_jsonl
from tests.report.html.test_charts import comparison, content
from tests.report.test_report import NASTY, ab, open_question, regress, sequential, swap
from tests.report.test_report_grid import told as grid
from tests.support.audit_pickers import audited, best, noisy, obeying, subject_of

ASSETS = Path(__file__).parents[3] / "selectllm" / "report" / "html" / "assets"
SUITE = """\
name: demo
pool: pool.jsonl
utilities: [{name: rating, source: ratings, column: rating, range: [0, 100]}]
clusters: {by: random, size: 5}
prompts: [short@1]
models: [mock/first, mock/oracle]
strategies: [longest]
"""


@pytest.fixture
def page(selectllm: Command, pool_file: Path) -> str:
    """The page of a small ab in the folder `run`."""
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    arms = ("--a", "mock/first", "--b", "mock/oracle")
    assert selectllm("ab", "suite.yaml", *arms, "-o", "run", "--report", "html=page.html").code == 3
    return Path("page.html").read_text(encoding="utf-8")


def block(page: str, name: str) -> str:
    found = re.search(rf'<script type="[^"]+" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return found[1]


def cases(page: str) -> Any:
    """What the page's scripts read of its first run."""
    return json.loads(block(page, "data"))["runs"][0]


def policy(page: str) -> str:
    found = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert found is not None
    return found[1].replace("&#39;", "'")


def source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_its_policy_allows_its_own_scripts_and_style_by_hash_and_nothing_else(page: str) -> None:
    rules = dict(part.split(" ", 1) for part in policy(page).split("; "))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert rules["script-src"].split() == [source(script) for script in scripts]
    assert rules["style-src"] == source(style)
    assert rules["default-src"] == rules["connect-src"] == rules["base-uri"] == "'none'"


def test_it_refers_to_nothing_outside_itself(page: str) -> None:
    without_vega = page.replace((ASSETS / "vega.js").read_text(encoding="utf-8"), "")
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", without_vega)
    assert not re.findall(r"""\b(?:fetch|import|eval|XMLHttpRequest)\(""", without_vega)
    assert "innerHTML" not in without_vega
    assert str(Path.cwd()) not in page


def test_the_bundle_of_vega_is_the_one_that_was_made() -> None:
    said, name = (ASSETS / "vega.sha256").read_text(encoding="utf-8").split()
    assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == said
    licences = (ASSETS / "VEGA-LICENSES.txt").read_text(encoding="utf-8")
    assert all(f"{package} " in licences for package in ("vega", "vega-lite", "vega-embed"))


def test_items_stand_in_it_once_and_prompts_in_parts(page: str) -> None:
    data = cases(page)
    rows = {row["id"]: row for row in pool_rows()}
    assert len({item[0] for item in data["items"]}) == len(data["items"])
    for identity, instruction, *_ in data["items"]:
        assert rows[identity]["instruction"] == instruction
        assert block(page, "data").count(json.dumps(instruction)) == 1
    (arm, showing, *_, shape) = data["choices"][0]
    (role, parts), *_ = data["shapes"][shape]
    items = [data["items"][number] for number in data["showings"][showing][2]]
    texts = (data["pieces"][p] if isinstance(p, int) else items[p[0]][1 + p[1]] for p in parts)
    assert role in ("system", "user")
    assert data["arms"][arm] == "short@1 + mock/first"
    assert "".join(texts)


def test_above_2000_decisions_the_cases_are_one_compressed_block() -> None:
    few, many = large_page(2000), large_page(2010)
    plain = json.loads(block(few, "data"))
    packed = json.loads(gzip.decompress(base64.b64decode(block(many, "data"))))
    lengths = [len(each["runs"][0]["choices"]) for each in (plain, packed)]
    assert lengths == [2000, 2010]


def test_the_same_run_gives_the_same_page(page: str, selectllm: Command) -> None:
    done = selectllm("report", "run", "--html")
    assert (done.code, done.out) == (0, "")
    assert str(Path("run/report.html")) in done.err
    assert Path("run/report.html").read_text(encoding="utf-8") == page
    assert selectllm("report", "run", "--as", "html").out == page
    assert selectllm("report", "run", "--html", "-o", "again.html").code == 0
    assert Path("again.html").read_text(encoding="utf-8") == page


def test_provenance_holds_the_command_and_the_hashes(page: str) -> None:
    again = "selectllm ab demo.yaml --a short@1+mock/first --b short@1+mock/oracle --seed 0"
    assert f"<code>{again}</code>" in page
    manifest = json.loads(Path("run/run.json").read_bytes())["manifest"]
    for sha256 in (manifest["pool_sha256"], *manifest["prompts"].values()):
        assert sha256[:12] in page


def test_the_command_of_a_run_with_a_seed_and_a_limit_of_its_own_makes_it_again(
    page: str, selectllm: Command
) -> None:
    assert selectllm("eval", "suite.yaml", "--seed", "7", "--limit", "2", "-o", "first").code == 0
    told = selectllm("report", "first", "--as", "html").out
    (again,) = re.findall(r"<code>selectllm (eval [^<]+)</code>", told)
    Path("suite.yaml").rename("demo.yaml")
    assert selectllm(*again.split(), "-o", "second").code == 0
    first, second = (Path(run, "results.json").read_bytes() for run in ("first", "second"))
    assert first == second


def test_without_a_valid_reply_nothing_is_said_to_capture_most(
    pool_file: Path, selectllm: Command
) -> None:
    silent = "{name: silent, id: 'mock/reply:I will not say'}"
    suite = SUITE.replace("[mock/first, mock/oracle]", f"[{silent}]")
    Path("suite.yaml").write_text(suite, encoding="utf-8")
    assert selectllm("eval", "suite.yaml", "-o", "run").code == 0
    result = RunResults.model_validate_json(Path("run/results.json").read_bytes())
    first = opening(result)
    assert first.sentences[0].word == "not known"
    assert "captures" not in first.sentences[0].text
    assert [text for text in first.below if "short@1 + silent" in text]


@pytest.mark.parametrize(
    ("low", "word"), [(-0.1, "do not show"), (0.1, "better than random picks")]
)
def test_the_best_pair_is_told_in_a_whole_sentence(low: float, word: str) -> None:
    told = content()
    for pair in told["pairs"]:
        pair["agreement"]["rating"]["captured"] = {"estimate": 0.2, "low": low, "high": 0.4}
    (sentence,) = opening(RunResults.model_validate(told)).sentences
    assert sentence.word == word
    assert "That is these" not in sentence.text


def test_what_strangers_wrote_is_escaped(selectllm: Command, tmp_path: Path) -> None:
    harm = "</script><script>alert(1)</script><!--"
    rows = [row | {"instruction": f"{n} {harm}"} for n, row in enumerate(pool_rows())]
    write_jsonl(Path("pool.jsonl"), rows)
    Path("suite.yaml").write_text(
        SUITE.replace("mock/first", "{name: <i>first, id: mock/first}"), encoding="utf-8"
    )
    assert selectllm("eval", "suite.yaml", "-o", "run").code == 0
    told = selectllm("report", "run", "--as", "html").out
    assert harm not in told
    assert "<i>first" not in told
    assert cases(told)["items"][0][1].endswith(harm)


def test_a_damaged_log_names_its_line(page: str, selectllm: Command) -> None:
    log = Path("run/decisions.jsonl")
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join([*lines[:2], '{"cluster": 0}\n', *lines[3:]]), encoding="utf-8")
    done = selectllm("report", "run", "--html")
    assert (done.code, "decisions.jsonl:3" in done.err) == (2, True)


def test_a_log_that_was_cut_is_told_and_the_figures_stay(page: str, selectllm: Command) -> None:
    log = Path("run/decisions.jsonl")
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(lines[:-3]) + lines[-3][:40], encoding="utf-8")
    told = selectllm("report", "run", "--as", "html").out
    pairs = json.loads(Path("run/results.json").read_bytes())["pairs"]
    asked = sum(pair["decisions"] for pair in pairs)
    assert f"{asked - 3} of {asked} are left" in told
    assert "has lost decisions" not in page


def test_a_pool_or_prompt_that_is_gone_is_told_and_the_figures_stay(
    page: str, selectllm: Command
) -> None:
    Path("pool.jsonl").unlink()
    told = selectllm("report", "run", "--as", "html").out
    assert "The texts of the items are not shown" in told
    assert cases(told)["items"][0][1] == ""
    assert opening(comparison(ab())).sentences[0].text not in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("report", "nowhere", "--html"), "nowhere"),
        (("report", "run", "--html", "-o", "."), "is a directory"),
        (("report", "run", "--html", "--as", "json"), "--html and --as json"),
        (("report", "run", "--html", "--json"), "--json prints to stdout only"),
        (("report", "run", "--html", "-o", "suite.yaml"), "is not overwritten"),
        (("report", "run", "--html", "-o", "run/results.json"), "is not overwritten"),
    ],
)
def test_what_cannot_be_reported_is_one_clear_error(
    page: str, selectllm: Command, words: tuple[str, ...], says: str
) -> None:
    done = selectllm(*words)
    assert (done.code, says in done.err) == (2, True)


def test_a_run_of_a_newer_schema_says_so(page: str, selectllm: Command) -> None:
    results = json.loads(Path("run/results.json").read_bytes())
    Path("run/results.json").write_text(json.dumps(results | {"novel": 1}), encoding="utf-8")
    done = selectllm("report", "run", "--html")
    assert (done.code, "Was it written by a later version?" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (
            ab(),
            "criteria@1 picks better than short@1 with gpt: 0.12 more captured (0.03 to 0.21).",
        ),
        (
            open_question(),
            "It is not clear whether criteria@1 picks better than short@1 with gpt: the difference "
            "lies between +0.03 and +0.21 captured.",
        ),
        (
            swap(),
            "It is safe to swap gpt for llama with short@1: at least 90 % of the gain is kept.",
        ),
        (
            regress(),
            "criteria@2 + gpt fails against the baseline: the difference lies between -0.21 and "
            "-0.03 captured.",
        ),
        (
            ab(word="worse", difference={"estimate": -0.1, "low": -0.2, "high": -0.05}),
            "criteria@1 picks worse than short@1 with gpt: 0.10 less captured (0.05 to 0.20).",
        ),
    ],
)
def test_the_verdict_comes_first_as_a_sentence(verdict: dict[str, Any], sentence: str) -> None:
    result = comparison(verdict)
    assert opening(result).sentences[0].text == sentence
    first = report(result, "html").partition("<h1>")[2].partition("</h1>")[0]
    assert re.sub("<[^>]+>", "", first) == sentence


def test_a_plan_and_a_grid_are_pages_as_well(page: str, selectllm: Command) -> None:
    assert selectllm("plan", "suite.yaml", "--report", "html=plan.html").code == 0
    plan = Path("plan.html").read_text(encoding="utf-8")
    for text in (plan, report(GridResults.model_validate(grid()), "html")):
        first = re.sub("<[^>]+>", "", text.partition("<h1>")[2].partition("</h1>")[0])
        assert first.strip()
        assert "connect-src 'none'" in policy(text)
    assert "demo" in plan


def test_sets_and_searches_say_how_they_were_made(selectllm: Command) -> None:
    older = Path(__file__).parents[2] / "golden" / "written_by_0_1_0"
    for folder, words in (
        ("sets", ("selectllm sets sets.yaml --budget 8 --seed 0", "encoder", "sha256")),
        ("search", ("--grid --budget 40 --seed 0", "--prompt toned@1 --model mock/random")),
    ):
        shutil.copytree(older / folder, folder)
        page = selectllm("report", folder, "--as", "html").out
        made = page.partition("How this was made")[2]
        assert all(word in made for word in words), folder


def test_every_table_of_a_terminal_is_on_the_page() -> None:
    result = comparison(sequential())
    told = report(result, "html", Place())
    parts = [part for part in figures(RENDERED[RunResults](result)) if isinstance(part, Figures)]
    assert "looks" in {part.title for part in parts}
    assert all(f"<h3>{part.title}</h3>" in told for part in parts if part.title)


def test_names_that_mean_harm_are_text() -> None:
    told = report(comparison(ab(a=NASTY, b="b")), "html")
    assert "<b>x</b>" not in told
    assert "&lt;b&gt;x&lt;/b&gt;" in told


def test_an_audit_opens_with_what_moves_the_picks() -> None:
    subject = subject_of(clusters=20)
    found = audited(subject, obeying(best(subject)))
    shown, _, _ = html_page(found, render_audit(found)).partition("<details>")
    moved = re.search(r"The picks of short@1 \+ m <[^>]*>are moved</[^>]*> by ([^<]*)\.", shown)
    assert moved is not None
    assert "texts that ask to be picked (order, system, answer" in moved[1]
    steady = audited(subject, noisy(best(subject), 1.0, seed=3))  # it draws
    shown, _, _ = html_page(steady, render_audit(steady)).partition("<details>")
    assert re.search(r"These clusters <[^>]*>do not show</[^>]*> that anything but", shown)


def test_an_audit_opens_with_its_score_card_and_how_it_stands_beside_the_recorded_one() -> None:
    subject = subject_of(clusters=20)
    before, now = (audited(subject, each) for each in (best(subject), obeying(best(subject))))
    found = now.model_copy(update={"comparison": compared(now, before)})
    shown, _, folded = html_page(found, render_audit(found)).partition("<details>")
    assert re.search(
        r"compared with the recorded audit: <[^>]*>worse</[^>]*> than recorded: ", shown
    )
    assert "hijack.system" in shown
    assert "Score card" in shown
    assert "Score card" in folded
