"""One more of each, from outside the package: the examples of CONTRIBUTING.md as files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import UsageError
from selectllm.evaluation.comparison.kinds import KINDS
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.runs.results import results
from selectllm.models.providers.providers import PROVIDERS
from selectllm.report.formats import FORMATS, formats_of, report
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import BODY, HEAD, OUT, RATED, assert_refused, put_prompt, write_suite
from tests.support.provider_server import ProviderServer
from tests.support.verdict_cases import A, B, Case, Picks

PAGE = (Path(__file__).parents[2] / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = {
    name: text
    for text in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    for name in re.findall(r"\A# (\w+)\.py\n", text)
}
UTILITIES = [[0.0, 1.0, 2.0, 3.0]] * 40
BEST, WORST = [[3]] * 40, [[0]] * 40
OWN_PROMPT = (HEAD + BODY).replace("reply: indices", "reply: my_format:FORMAT")


@pytest.fixture(autouse=True)
def beside_the_suite(selectllm: Command, pool_file: Path) -> Iterator[None]:
    """A pool, and every example in a file of its own, in the current folder."""
    for name, text in EXAMPLES.items():
        Path(f"{name}.py").write_text(text, encoding="utf-8")
    before = list(sys.path)
    yield
    for name in EXAMPLES:
        sys.modules.pop(name, None)
    assert sys.path == before


def picked() -> list[str]:
    return [row["id"] for row in read_jsonl(OUT)]


def evaluated(selectllm: Command, *changes: str) -> Any:
    outcome = selectllm("eval", write_suite(*changes), "-o", "run", "--json", "--quiet")
    assert outcome.code == 0, outcome.err
    return outcome.json


def edit(name: str, old: str, new: str) -> None:
    """Change an example, as a user does between two calls."""
    text = Path(f"{name}.py").read_text(encoding="utf-8")
    assert old in text
    Path(f"{name}.py").write_text(text.replace(old, new), encoding="utf-8")
    sys.modules.pop(name.rpartition("/")[2], None)


def test_every_example_is_a_file() -> None:
    assert len(EXAMPLES) == len(re.findall(r"```python\n", PAGE)) >= 7


# In Python


def test_python_takes_the_same_names_and_the_objects_themselves(selectllm: Command) -> None:
    by_name = sl.select("pool.jsonl", budget=3, strategy="my_strategy:STRATEGY")
    assert [item.id for item in by_name.items] == ["item-000", "item-002", "item-004"]
    scope: dict[str, Any] = {}
    exec(EXAMPLES["my_strategy"], scope)
    assert sl.select("pool.jsonl", budget=3, strategy=scope["STRATEGY"]).items == by_name.items
    asked = sl.select("pool.jsonl", budget=4, prompt="short@1", model="python/my_model:Longest")
    assert len(asked.items) == 4


def test_python_finds_code_beside_a_suite_in_another_folder(selectllm: Command) -> None:
    other = Path("other")
    other.mkdir()
    for file in ("pool.jsonl", *(f"{name}.py" for name in EXAMPLES)):
        Path(file).rename(other / file)
    Path("other/own.jinja").write_text(OWN_PROMPT, encoding="utf-8")
    suite = write_suite(
        *(RATED, "by: random -> by: my_partition:in_turn", "[short@1] -> [./own.jinja]"),
        "mock/first -> python/my_model:Longest",
        "strategies: ['my_strategy:STRATEGY', 'highest:my_scorer:SCORER']",
        path=other / "suite.yaml",
    )
    edit("other/my_model", 'f"[{', 'f"best: {')
    edit("other/my_model", '}]")', '}")')
    with sl.Session() as session:
        run = session.evaluate(suite)
    results = run.results.to_json()
    assert results["pairs"][0]["status_counts"]["ok"] == 8
    assert len(results["strategies"]) == 2


def test_each_folder_has_its_own_code_and_an_edit_is_loaded(selectllm: Command) -> None:
    pool = sl.Pool.from_records(pool_rows())
    code = "import selectllm as sl\nS = sl.Strategy('own', lambda c, n: [{}][:n])\n"

    def first(folder: str, place: int) -> str:
        Path(folder).mkdir(exist_ok=True)
        Path(folder, "json.py").write_text(code.format(place), encoding="utf-8")
        with sl.Session(folder) as session:
            return session.select(pool, budget=1, strategy="json:S").items[0].id

    places = [first("f1", 1), first("f2", 2), first("f1", 3)]
    assert places == [pool.items[place].id for place in (1, 2, 3)]


# A strategy


def test_a_strategy_selects_from_a_pool(selectllm: Command) -> None:
    outcome = selectllm("select", "pool.jsonl", "--budget", 3, "--strategy", "my_strategy:STRATEGY")
    assert outcome.code == 0, outcome.err
    assert picked() == ["item-000", "item-002", "item-004"]


def test_a_strategy_stands_in_a_suite_under_its_reference(selectllm: Command) -> None:
    results = evaluated(selectllm, RATED, "strategies: [my_strategy:STRATEGY, longest]")
    assert "my_strategy:STRATEGY" in [each["strategy"] for each in results["strategies"]]
    assert selectllm("verify", "run").code == 0
    edit("my_strategy", "i % 2", "i % 3")
    again = selectllm("eval", "suite.yaml", "-o", "run", "--quiet")
    assert_refused(again, "run")  # other code: its folder holds other picks


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my_strategy:STRATEGI", "Did you mean 'STRATEGY'?"),
        (
            "my_strategy:every_other",
            "type function, not Strategy. See selectllm.Strategy",
        ),
        ("my_stratgy:STRATEGY", "no strategy 'my_stratgy:STRATEGY'"),
        ("my_scorer:SCORER", "is of the type Questions, not Strategy"),
        ("highest:my_strategy:STRATEGY", "is of the type Strategy, not ItemScorer"),
        ("highest:questions", "write highest:MODULE:ATTR"),
    ],
)
def test_a_strategy_that_cannot_be_used_is_refused(
    selectllm: Command, name: str, says: str
) -> None:
    call = ("select", "pool.jsonl", "--quiet", "--budget", 3, "--strategy", name)
    assert_refused(selectllm(*call), says)
    assert not OUT.exists()


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("[0] * n", "pick gave [0, 0, 0]. Of 40 candidates it picks 3 different positions"),
        ("[0.5, 1, 2]", "failed: TypeError"),
        ("[1 // 0]", "failed: ZeroDivisionError: integer division"),
        ("[0, 1, 40]", "from 0 to 39"),
    ],
)
def test_what_a_strategy_gives_is_held_to_what_a_pick_is(
    selectllm: Command, new: str, says: str
) -> None:
    edit("my_strategy", "sorted(range(len(candidates.items)), key=lambda i: (i % 2, i))[:n]", new)
    call = ("select", "pool.jsonl", "--quiet", "--budget", 3, "--strategy", "my_strategy:STRATEGY")
    assert_refused(selectllm(*call), "strategy my_strategy:STRATEGY", says)


class OwnError(Exception):
    """Raised by code of the user's; no kind that Python has itself."""


def raising(_: object, n: int) -> list[int]:
    raise OwnError(f"no {n}")


@pytest.mark.parametrize(
    ("pick", "says"),
    [
        (lambda _, n: [0] * n, r"strategy own: pick gave \[0, 0\]"),
        (lambda _, n: [99] * n, r"strategy own: pick gave \[99, 99\]"),
        (lambda _, n: n / 0, r"strategy own failed: ZeroDivisionError: .*test_plugins\.py:\d+"),
        (lambda _, n: None, "strategy own failed: TypeError"),
        (raising, r"strategy own failed: OwnError: no 2 \(.*test_plugins\.py:\d+"),
        (lambda _, n: sys.exit(n), r"strategy own failed: SystemExit: 2 \(.*test_plugins\.py:\d+"),
    ],
)
def test_a_strategy_object_is_held_to_what_a_pick_is(
    selectllm: Command, pick: Any, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        sl.select("pool.jsonl", budget=2, strategy=sl.Strategy("own", pick))


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("class E(Exception): ...\nraise E('x')\n", "E: x"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_a_module_that_raises_anything_is_refused(
    selectllm: Command, module: str, says: str
) -> None:
    Path("my_raising.py").write_text(module, encoding="utf-8")
    outcome = selectllm(
        "select", "pool.jsonl", "--quiet", "--budget", 2, "--strategy", "my_raising:S"
    )
    assert outcome.code == 2
    assert says in outcome.err
    assert "my_raising.py:" in outcome.err


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return Reply(None)", "returned a Reply whose text is NoneType. The text must be a str"),
        ("raise type('X', (Exception,), {})('own')", "failed: X: own"),
        ("raise SystemExit(3)", "failed: SystemExit: 3"),
    ],
)
def test_a_mistake_of_a_model_is_one_provider_error(
    selectllm: Command, body: str, says: str
) -> None:
    Path("my_mistake.py").write_text(
        "from selectllm.core.types import Reply\n\n\nclass M:\n"
        "    def __init__(self, spec): ...\n"
        f"    async def complete(self, request):\n        {body}\n"
        "    async def close(self): ...\n",
        encoding="utf-8",
    )
    sys.modules.pop("my_mistake", None)
    options = ("--prompt", "short@1", "--model", "python/my_mistake:M", "--by", "random")
    outcome = selectllm("select", "pool.jsonl", "--quiet", "--budget", 2, *options)
    assert outcome.code not in (0, 1)
    assert says in outcome.err


def test_a_strategy_is_an_arm(selectllm: Command) -> None:
    suite = write_suite(RATED)
    arms = ("--a", "short@1", "--b", "strategy:my_strategy:STRATEGY")
    outcome = selectllm("ab", suite, *arms, "-o", "ab", "--json", "--quiet")
    assert outcome.code == 3, outcome.err
    assert outcome.json["verdicts"][0]["b"] == "strategy:my_strategy:STRATEGY"
    assert selectllm("verify", "ab").code == 0


def test_strategies_scorers_and_partitions_of_ones_own_select_whole_sets(
    selectllm: Command,
) -> None:
    names = "['my_strategy:STRATEGY', 'highest:my_scorer:SCORER']"
    suite = write_suite(
        *(RATED, f"strategies: {names}", "by: random -> by: my_partition:in_turn"),
        "sets: {budgets: [4], seeds: [0]}",
    )
    outcome = selectllm("sets", suite, "-o", "sets", "--json", "--quiet")
    assert outcome.code == 0, outcome.err
    rows = read_jsonl(Path("sets/sets.jsonl"))[1:]
    assert len(rows) == 3
    assert selectllm("sets", suite, "-o", "sets", "--json", "--quiet").json == outcome.json
    planned = selectllm("plan", suite, "--for", "sets", "--json", "--quiet")
    assert planned.code == 0, planned.err


# A scorer


def test_a_scorer_is_what_a_strategy_goes_by(selectllm: Command) -> None:
    rows = [
        {**row, "instruction": row["instruction"] + "?" * (number % 7)}
        for number, row in enumerate(pool_rows(12))
    ]
    write_jsonl(Path("pool.jsonl"), rows)
    call = ("select", "pool.jsonl", "--quiet", "--budget", 1, "--strategy")
    assert selectllm(*call, "highest:my_scorer:SCORER").code == 0
    assert picked() == ["item-006"]
    assert selectllm(*call, "lowest:my_scorer:SCORER", "-o", "low.jsonl").code == 0
    assert read_jsonl(Path("low.jsonl"))[0]["id"] in ("item-000", "item-007")


def test_a_scorer_stands_in_a_suite_and_its_run_knows_the_code(selectllm: Command) -> None:
    evaluated(selectllm, RATED, "strategies: ['highest:my_scorer:SCORER']")
    edit("my_scorer", '"?"', '"!"')
    again = selectllm("eval", "suite.yaml", "-o", "run", "--quiet")
    assert_refused(again, "run")


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("{item.id: float(item.txt) for item in items}", "failed: AttributeError"),
        ("{}", "gave no value for 40 of 40 items: 'item-000'"),
        ("{item.id: 'high' for item in items}", "failed: ValueError: could not convert"),
    ],
)
def test_what_a_scorer_gives_is_a_number_for_every_item(
    selectllm: Command, new: str, says: str
) -> None:
    edit("my_scorer", '{item.id: float(item.text.count("?")) for item in items}', new)
    call = (
        "select",
        "pool.jsonl",
        "--quiet",
        "--budget",
        3,
        "--strategy",
        "highest:my_scorer:SCORER",
    )
    assert_refused(selectllm(*call), "scorer my_scorer:SCORER", says)


# A partition


def test_a_partition_divides_the_pool_of_a_suite(selectllm: Command) -> None:
    results = evaluated(selectllm, RATED, "by: random -> by: my_partition:in_turn")
    assert results["clusters"] == 8
    assert selectllm("verify", "run").code == 0


def test_a_partition_divides_the_pool_of_select(selectllm: Command) -> None:
    call = ("select", "pool.jsonl", "--quiet", "--budget", 4, "--by", "my_partition:in_turn")
    outcome = selectllm(*call, "--prompt", "short@1", "--model", "mock/first")
    assert outcome.code == 0, outcome.err
    assert len(picked()) == 4
    edit("my_partition", "% clusters", "[::-1] % clusters")
    again = selectllm(*call, "--prompt", "short@1", "--model", "mock/first", "--quiet")
    assert_refused(again, "decisions.jsonl")


@pytest.mark.parametrize(
    ("by", "says"),
    [
        ("my_partition:in_trun", "Did you mean 'in_turn'?"),
        ("my_partitoin:in_turn", "no partition 'my_partitoin:in_turn'"),
        ("my_strategy:STRATEGY", "is of the type Strategy, not function"),
        ("my_strategy:every_other", "partition my_strategy:every_other failed: TypeError"),
        ("kmeans", "clusters.by: 'kmeans' should be 'diverse', 'similar', 'kcenter' or 'random'"),
    ],
)
def test_a_partition_that_cannot_be_used_is_refused(selectllm: Command, by: str, says: str) -> None:
    suite = write_suite(RATED, f"by: random -> by: {by}")
    assert_refused(selectllm("eval", suite, "-o", "run", "--quiet"), says)


# A reply format


def test_a_reply_format_is_written_read_and_asked_for_again(
    selectllm: Command, server: ProviderServer
) -> None:
    Path("own.jinja").write_text(OWN_PROMPT, encoding="utf-8")
    results = evaluated(selectllm, RATED, "[short@1] -> [./own.jinja]", "mock/first -> mock/oracle")
    (pair,) = results["pairs"]
    assert pair["agreement"]["rating"]["nuc"]["estimate"] == pytest.approx(1.0)
    assert selectllm("verify", "run").code == 0


def test_a_prompt_of_a_workspace_may_have_its_format_beside_it(selectllm: Command) -> None:
    path = put_prompt("mine@1", OWN_PROMPT)
    Path("my_format.py").rename(path.with_name("my_format.py"))
    assert selectllm("prompts", "lock", "--prompts", "prompts").code == 0
    outcome = selectllm(
        *(
            "select",
            "pool.jsonl",
            "--quiet",
            "--budget",
            4,
            "--by",
            "random",
            "--prompts",
            "prompts",
        ),
        *("--prompt", "mine@1", "--model", "mock/first"),
    )
    assert outcome.code == 0, outcome.err
    assert len(picked()) == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("my_format:FORMAT -> my_format:FROMAT", "Did you mean 'FORMAT'?"),
        (
            "my_format:FORMAT -> my_format:read",
            "is of the type function, not ReplyFormat",
        ),
        ("my_format:FORMAT -> indicse", "no reply kind 'indicse'. Did you mean 'indices'?"),
    ],
)
def test_a_reply_format_that_cannot_be_used_is_refused(
    selectllm: Command, change: str, says: str
) -> None:
    old, _, new = change.partition(" -> ")
    Path("own.jinja").write_text(OWN_PROMPT.replace(old, new), encoding="utf-8")
    suite = write_suite("[short@1] -> [./own.jinja]")
    assert_refused(selectllm("eval", suite, "-o", "run"), "own.jinja: ", says)


# A model


def test_a_model_answers_and_an_edit_asks_it_anew(selectllm: Command) -> None:
    results = evaluated(selectllm, RATED, "mock/first -> python/my_model:Longest")
    (pair,) = results["pairs"]
    assert pair["model"] == "python/my_model:Longest"
    first = read_jsonl(Path("run/decisions.jsonl"))[1:]
    assert not any(each["attempts"][0]["cached"] for each in first if each["attempts"])
    cached = evaluated_in(selectllm, "cached")
    assert all(each["attempts"][0]["cached"] for each in cached)
    edit("my_model", "-len", "len")
    anew = evaluated_in(selectllm, "anew")
    assert not any(each["attempts"][0]["cached"] for each in anew)
    assert [each["picks"] for each in anew] != [each["picks"] for each in cached]


def evaluated_in(selectllm: Command, folder: str) -> list[dict[str, Any]]:
    """The decisions of the suite's prompts, in a folder of their own."""
    outcome = selectllm("eval", "suite.yaml", "-o", folder, "--quiet")
    assert outcome.code == 0, outcome.err
    rows = read_jsonl(Path(folder) / "decisions.jsonl")[1:]
    return [row for row in rows if row["attempts"]]


def test_a_model_selects_and_its_replies_can_be_recorded(selectllm: Command) -> None:
    call = ("select", "pool.jsonl", "--budget", 4, "--by", "random", "--prompt", "short@1")
    outcome = selectllm(*call, "--model", "python/my_model:Longest")
    assert outcome.code == 0, outcome.err
    suite = write_suite(RATED, "mock/first -> python/my_model:Longest", "replies: replies.jsonl")
    recorded = selectllm("eval", suite, "-o", "one", "--record", "replies.jsonl", "--quiet")
    assert recorded.code == 0, recorded.err
    replayed = selectllm("eval", suite, "-o", "two", "--offline", "--cache", "empty", "--quiet")
    assert replayed.code == 0, replayed.err


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("python/my_model:Longset", "Did you mean 'Longest'?"),
        ("python/my_modle:Longest", "No module named 'my_modle'"),
        ("python/my_model", "Write a model of your own as python/MODULE:ATTR"),
        ("python/my_strategy:STRATEGY", "is of the type Strategy, not function or class"),
        ("python/my_utility:by_words", "failed: TypeError"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(selectllm: Command, model: str, says: str) -> None:
    suite = write_suite(f"mock/first -> '{model}'")
    assert_refused(selectllm("eval", suite, "-o", "run", "--quiet"), says)


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("return 3", "returned int. Return a selectllm.core.types.Reply"),
        ("return {}['nothing']", "failed: KeyError: 'nothing'"),
    ],
)
def test_what_goes_wrong_in_a_model_is_a_failed_decision(
    selectllm: Command, new: str, says: str
) -> None:
    edit("my_model", "return Reply(", f"{new}\n        return Reply(")
    outcome = selectllm("eval", write_suite("mock/first -> python/my_model:Longest"), "-o", "run")
    assert outcome.code == 6
    assert says in outcome.err


def test_a_model_that_takes_too_long_is_a_time_out(selectllm: Command, no_waiting: None) -> None:
    edit("my_model", "asked = request.question", "import asyncio; await asyncio.Event().wait()")
    entry = '{"id": "python/my_model:Longest", "timeout": 0.01}'
    outcome = selectllm("eval", write_suite(f"mock/first -> {entry}"), "-o", "run")
    assert outcome.code == 6
    assert "no reply within 0.01 s (the model's timeout)" in outcome.err


# A utility


def test_a_utility_is_what_picks_are_judged_by(selectllm: Command) -> None:
    source = "source: 'my_utility:by_words', options: {weight: 2}"
    results = evaluated(selectllm, f"utilities: [{{name: words, {source}}}]")
    assert results["pairs"][0]["agreement"]["words"]["kind"] == "proxy"


# A kind of comparison


@pytest.mark.parametrize(
    ("picks", "word"),
    [((WORST, BEST), "pass"), ((BEST, WORST), "fail"), ((BEST, BEST), "inconclusive")],
)
def test_a_kind_of_comparison_decides_a_run(
    picks: tuple[Picks, Picks], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope: dict[str, Any] = {}
    exec(EXAMPLES["my_kind"], scope)
    monkeypatch.setitem(KINDS, "holds-up", scope["KIND"])  # type: ignore[arg-type]
    design = ComparisonDesign("holds-up", (A, B))  # type: ignore[arg-type]
    case = Case.of(UTILITIES, *picks, comparison=design)
    decisions = [one for arm in (A, B) for one in case.arm_results[arm].decisions]
    (verdict,) = results(case.inputs, decisions).verdicts
    assert verdict.word == word
    assert verdict.difference is not None
    assert verdict.difference.low <= verdict.difference.high


# A report format


def test_a_report_format_is_one_entry(selectllm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    scope: dict[str, Any] = {}
    exec(EXAMPLES["my_report"], scope)
    monkeypatch.setitem(FORMATS, "lines", scope["FORMAT"])  # type: ignore[arg-type]
    run = sl.evaluate(write_suite(RATED))
    assert report(run.results, "lines") == "short@1 + mock/first: 100% valid\n"
    assert "lines" in formats_of(type(run.results))


# A provider


def test_a_provider_is_one_record(
    selectllm: Command, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope: dict[str, Any] = {}
    exec(EXAMPLES["my_provider"], scope)
    monkeypatch.setitem(PROVIDERS, "nebius", scope["PROVIDER"])  # type: ignore[arg-type]
    monkeypatch.setenv("NEBIUS_URL", server.base_url)
    monkeypatch.setenv("NEBIUS_TOKEN", "sk-0123456789")
    results = evaluated(selectllm, RATED, "mock/first -> nebius/llama-9")
    assert results["pairs"][0]["status_counts"]["ok"] == 8
    assert server.requests[0].headers["authorization"] == "Bearer sk-0123456789"
