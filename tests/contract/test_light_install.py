"""`pip install selectllm`, without extras: what it brings, what works, what names its extra."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, distribution
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import Outcome

ROOT = Path(__file__).parents[2]
MOST_BYTES = 750_000_000
ABSENT = ("torch", "sentence_transformers", "transformers", "dspy", "sklearn", "xllamacpp", "peft")

pytestmark = pytest.mark.slow  # builds the wheel, and an environment with all that it needs

Light = Callable[..., Outcome]

SELECT = ("select", "pool.jsonl", "--budget", 5)
BY_MODEL = (*SELECT, "--prompt", "short@1", "--model")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment that holds the wheel and what it depends on.

    What it depends on is linked from the environment of the tests, where pip has installed it. pip
    then installs the wheel where it can look nowhere else: it fails if anything is missing.
    """
    folder = tmp_path_factory.mktemp("light")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    subprocess.run(build, check=True, capture_output=True)
    venv.create(folder / "venv", with_pip=False)
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    # The plugin is part of the light install; pytest is what its users have.
    for name in needed("selectllm", "pytest") - {"selectllm"}:
        link(distribution(name), site_of(python))
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index")
    # Without PYTHONPATH, on which pip would find what it is to install.
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run((*pip, wheel, "pytest"), capture_output=True, text=True, env=alone)
    assert done.returncode == 0, done.stderr
    return python


def needed(*names: str) -> set[str]:
    """The distributions that these need, they among them, as their own metadata say."""
    asked = [Requirement(name) for name in names]
    seen: set[tuple[str, str]] = set()
    while asked:
        requirement = asked.pop()
        for extra in {"", *requirement.extras}:
            name = canonicalize_name(requirement.name)
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for each in map(Requirement, distribution(name).requires or ()):
                if each.marker is None or each.marker.evaluate({"extra": extra}):
                    asked.append(each)
    return {name for name, _ in seen}


def link(held: Distribution, site: Path) -> None:
    """Have the modules of a distribution in another environment too, compiled where they are."""
    for file in map(str, held.files or ()):
        if file.startswith(".."):
            continue  # a script
        for name in {file, cache_from_source(file) if file.endswith(".py") else file}:
            source, target = Path(str(held.locate_file(name))), site / name
            if not source.exists() or target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)
            except OSError:  # another disk
                shutil.copy2(source, target)


def site_of(python: Path) -> Path:
    """The site-packages of an environment."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


SERVED = """
import contextlib, io, json, os, sys
from selectllm.cli import main
for line in sys.stdin:
    folder, words = json.loads(line)
    os.chdir(folder)
    os.environ["SELECTLLM_CACHE_DIR"] = "cache"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        with contextlib.redirect_stderr(io.StringIO()) as err:
            code = main(words)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """The environment of processes, without any key."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
    return kept | {"PYTHONPATH": ""}


@pytest.fixture(scope="module")
def served(python: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process of the light environment that runs one command after another."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        [python, "-P", "-c", SERVED], env=environment, text=True, **pipes
    ) as process:
        yield process


@pytest.fixture
def light(served: subprocess.Popen[str], tmp_path: Path) -> Light:
    """Runs `selectllm` of the light environment in an empty folder, without any key."""

    def run(*words: object) -> Outcome:
        assert served.stdin is not None
        assert served.stdout is not None
        served.stdin.write(json.dumps([str(tmp_path), [*map(str, words)]]) + "\n")
        served.stdin.flush()
        return Outcome(*json.loads(served.stdout.readline()))

    return run


@pytest.fixture
def module(python: Path, environment: dict[str, str], tmp_path: Path) -> Light:
    """Runs a module in the light environment, in a process of its own."""

    def run(*words: object) -> Outcome:
        command = [python, "-m", *map(str, words)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a pool, its clusters, a suite with random clusters, and one of given ones."""
    rows = [
        {"id": str(n), "instruction": "say " * (n + 1), "response": "yes", "r": n % 5 + 1}
        for n in range(40)
    ]
    pool = "\n".join(map(json.dumps, rows))
    (tmp_path / "pool.jsonl").write_text(pool)
    (tmp_path / "suite.yaml").write_text(
        "name: demo\npool: pool.jsonl\npicks: 1\n"
        "utilities: [{name: r, source: ratings, column: r, range: [1, 5]}]\n"
        "clusters: {by: random, size: 4}\nprompts: [short@1, best@1]\n"
        "models: [{name: m, id: openai/gpt-4o-mini}]\nreplies: replies.jsonl\n"
    )
    (tmp_path / "sets.yaml").write_text(
        "name: sets\npool: pool.jsonl\npicks: 1\nclusters: {by: diverse, size: 4}\n"
        "prompts: [short@1]\nmodels: [mock/first]\nsets: {budgets: [5]}\n"
    )
    return tmp_path


def test_it_is_small(python: Path) -> None:
    files = [path for path in site_of(python).rglob("*") if path.is_file()]
    assert sum(path.lstat().st_size for path in files) < MOST_BYTES


def test_it_has_nothing_of_the_extras(python: Path, environment: dict[str, str]) -> None:
    code = f"from importlib.util import find_spec; print([*filter(find_spec, {ABSENT})])"
    done = subprocess.run(
        [python, "-P", "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.stdout == "[]\n", done.stderr


def test_the_gate_verify_and_report_work(light: Light, tmp_path: Path) -> None:
    gate, baseline = ROOT / "eval/suites/gate.yaml", ROOT / "eval/baselines/gate.json"
    done = light("regress", gate, "--baseline", baseline, "--offline", "-o", "run")
    assert done.code == 0, done.err
    assert light("verify", "run").code == 0
    assert "PASS" in light("report", "run").out


def test_the_plugin_of_pytest_loads_and_gates(module: Light, tmp_path: Path) -> None:
    test = tmp_path / "test_gate.py"
    suite, baseline = ROOT / "eval/suites/gate.yaml", ROOT / "eval/baselines/gate.json"
    test.write_text(
        f"def test(selection_gate):\n    selection_gate({str(suite)!r}, {str(baseline)!r})\n"
    )
    done = module("pytest", "-q", "-p", "no:cacheprovider", test)
    assert done.code == 0, done.out + done.err


def test_selecting_works_where_nothing_is_embedded(light: Light, files: Path) -> None:
    assert light(*BY_MODEL, "mock/first", "--by", "random").code == 0
    assert light(*SELECT, "--strategy", "longest", "-o", "b.jsonl").code == 0


def test_recorded_replies_are_compared_also_on_given_clusters(
    light: Light, module: Light, files: Path
) -> None:
    suite = files / "suite.yaml"
    text = suite.read_text()
    scripted = text.replace("id: openai/gpt-4o-mini", "id: mock/first").replace(
        "replies: replies.jsonl\n", ""
    )
    suite.write_text(scripted)
    assert light("eval", "suite.yaml", "-o", "run").code == 0
    suite.write_text(text)
    recorded(module, files)
    arms = ("--a", "short@1", "--b", "best@1", "--offline")
    assert light("ab", "suite.yaml", *arms).code in (0, 1, 3)
    suite.write_text(text.replace("{by: random, size: 4}", "{file: run/clusters.json}"))
    assert light("ab", "suite.yaml", *arms).code in (0, 1, 3)


def recorded(module: Light, files: Path) -> None:
    """Write the suite's replies: each request that it will make, answered with the first label."""
    (files / "record.py").write_text(
        "import asyncio\n"
        "import selectllm as sl\n"
        "from selectllm.core.types import Reply\n"
        "from selectllm.jobs.engine import LocalEngine\n"
        "class First:\n"
        "    async def complete(self, request):\n"
        "        label = request.question.labels[0]\n"
        "        return Reply(f'[{label}]', 'stop', cost_usd=0.0)\n"
        "    async def close(self): pass\n"
        "class Engine(LocalEngine):\n"
        "    def model(self, spec, shared): return First()\n"
        "with sl.Session('.', engine=Engine()) as session:\n"
        "    session.evaluate('suite.yaml', record='replies.jsonl', out='recorded')\n"
    )
    done = module("record")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ((*BY_MODEL, "mock/first"), "embed"),
        ((*SELECT, "--strategy", "centroid"), "embed"),
        ((*SELECT, "--strategy", "perplexity-low"), "embed"),
        (("select", "hf:a/b", "--budget", 5, "--strategy", "longest"), "hf"),
        ((*BY_MODEL, "local/smollm2-135m", "--by", "random"), "local"),
        (("models", "serve", "smollm2-135m"), "local"),
        (("optimize", "suite.yaml", "--prompt", "short@1"), "optimize"),
        (("student", "train", "pool.jsonl", "-o", "student"), "student"),
        (("utility", "ifd", "pool.jsonl"), "embed"),
        (("sets", "sets.yaml"), "embed"),
        (("eval", ROOT / "eval/suites/quickstart.yaml"), "local"),
    ],
)
def test_what_needs_more_names_the_line_that_brings_it(
    light: Light, files: Path, words: tuple[object, ...], extra: str
) -> None:
    done = light(*words)
    assert done.code == 2, done.err
    assert f'pip install "selectllm[{extra}]"' in done.err
    assert not (files / "pool.selected.jsonl").exists()


def test_init_names_what_its_quickstart_lacks(light: Light) -> None:
    assert 'pip install "selectllm[embed,local]"' in light("init", "demo").err
