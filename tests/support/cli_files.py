"""What the tests of the command line's errors share: suites, prompts, calls, what is on disk."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Command, Outcome, read_jsonl
from tests.support.provider_server import ProviderServer

SUITE = """\
name: demo
pool: pool.jsonl
clusters: {by: random, size: 5}
picks: 2
prompts: [short@1]
models: [mock/first]
"""
RATED = "utilities: [{name: rating, source: ratings, column: rating, range: [1, 5]}]\n"
ASKING = ("--by", "random", "--prompt", "short@1")
MOCK = (*ASKING, "--model", "mock/first")
OUT = Path("pool.selected.jsonl")
LOG = Path("pool.selected.jsonl.decisions.jsonl")

KEY = "sk-planted-0123456789abcdef"
AT_ONCE = {"Retry-After": "0"}

HEAD = "---\ndescription: d\nreply: indices\nlabels: numbers\n---\n"
BODY = (
    "{% block user %}Pick {{ k }} of {{ m }}.\n"
    "{% for item in items %}[{{ item.label }}] {{ item.instruction }}\n{% endfor %}{% endblock %}\n"
)


def put_prompt(ref: str, text: str = HEAD + BODY, *, workspace: str = ".") -> Path:
    """Write `name@version` into the prompts of a folder."""
    name, _, version = ref.partition("@")
    path = Path(workspace) / "prompts" / name / f"v{version}.jinja"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def make_workspace(selectllm: Command) -> Path:
    """Make the current folder a workspace with the released prompt `mine@1`; returns its file."""
    path = put_prompt("mine@1")
    assert selectllm("prompts", "lock", "--prompts", "prompts").code == 0
    return path


def write_suite(*changes: str, path: Path | str = "suite.yaml") -> Path:
    """SUITE, with `OLD -> NEW` for each change; a change without an arrow is added to its end."""
    text = SUITE
    for change in changes:
        old, arrow, new = change.partition(" -> ")
        if not arrow:
            text += f"{change}\n"
            continue
        assert old in text, old
        text = text.replace(old, new)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def served(server: ProviderServer, **settings: object) -> str:
    """The change that makes the suite's model one of the test's provider."""
    entry = {"name": "m", "id": "openai/m", "api_base": server.base_url, **settings}
    return f"mock/first -> {json.dumps(entry)}"


def at(server: ProviderServer) -> tuple[str, ...]:
    """Options that name a model of the test's provider."""
    return ("--model", "openai/m", "--api-base", server.base_url)


def select(selectllm: Command, *options: object, budget: int = 8) -> Outcome:
    """`selectllm select pool.jsonl` by short@1 in random clusters, unless told otherwise."""
    return selectllm("select", "pool.jsonl", "--budget", budget, "--quiet", *ASKING, *options)


def select_by(selectllm: Command, prompt: str, *options: object) -> Outcome:
    """`select` by a prompt and mock/first."""
    return select(selectllm, "--prompt", prompt, "--model", "mock/first", *options)


def eval_by(selectllm: Command, prompt: str, *options: object) -> Outcome:
    """`selectllm eval eval/suites/s.yaml`, a suite of one prompt, mock/first and pool.jsonl."""
    changes = (f"short@1 -> '{prompt}'", "pool: pool.jsonl -> pool: ../../pool.jsonl")
    suite = write_suite(*changes, path="eval/suites/s.yaml")
    return selectllm("eval", suite, "-o", "run", *options)


def statuses(log: Path) -> list[str]:
    """The status of every decision of a model in a log, as they were written."""
    return [row["status"] for row in read_jsonl(log)[1:] if "model" in row]


def files(folder: Path | str = ".") -> dict[str, bytes]:
    """Every file below `folder` but those of the cache: name to content."""
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found if "cache" not in path.parts[:-1]}


def assert_refused(outcome: Outcome, *words: str, code: int = 2) -> None:
    """One clear line on stderr that holds `words`, nothing on stdout, and the exit code."""
    assert outcome.code == code, outcome.err
    for word in words:
        assert word.lower() in outcome.err.lower()
    assert outcome.out == ""
    assert outcome.err.startswith("selectllm: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
