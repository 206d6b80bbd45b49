"""The same calls by selectllm and by inspect-ai, DSPy and promptfoo, where they are installed.

    python eval/benchmarks/peers.py [--calls 200] [--rounds 3] [--peers PYTHON]

Each asks the prompts of asking.py, 32 at a time, of a local server that answers in 50 ms, in a
process of its own. --peers: the Python of another environment that the peers are installed in. CPU
seconds of the process from its start to its end, start-up included, since that is what a user waits
for. inspect-ai and DSPy take part where they can be imported, promptfoo where it is on the PATH;
who is left out is said. They do not all do the same: selectllm also keeps replies, logs and
evaluates, inspect-ai logs and scores, promptfoo scores and keeps, DSPy collects.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

CONCURRENCY = 32
PYTHON = sys.executable  # of the peers

INSPECT = """
import json, sys
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

prompts = json.load(open("prompts.json"))
task = Task(
    dataset=[Sample(input=text, target="[1, 2]") for text in prompts],
    solver=generate(), scorer=includes(),
)
(log,) = eval(
    task, model="openai/m", model_base_url=sys.argv[1], max_connections=32, display="none",
    model_args={"responses_api": False}, log_dir="logs",
)
assert log.status == "success", log.error and log.error.traceback[-900:]
"""
DSPY = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import dspy

prompts = json.load(open("prompts.json"))
lm = dspy.LM("openai/m", api_base=sys.argv[1], api_key="none", cache=False, max_tokens=1024)
with ThreadPoolExecutor(32) as pool:
    replies = list(pool.map(lambda text: lm(text)[0], prompts))
assert set(replies) == {"[1, 2]"}, replies[0]
"""


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=sys.executable)
    options = parser.parse_args()
    global PYTHON
    PYTHON = options.peers
    from tests.support.provider_server import ProviderServer

    taking_part: dict[str, Callable[[Path, str], list[str]]] = {}
    for name, (is_there, command) in PEERS.items():
        if is_there():
            taking_part[name] = command
        else:
            print(f"({name} left out: it is not installed)")
    times: dict[str, list[float]] = {name: [] for name in taking_part}
    with ProviderServer(latency=0.05, process=True) as server, tempfile.TemporaryDirectory() as tmp:
        for number in range(options.rounds):
            for name, command in taking_part.items():
                folder = Path(tmp) / f"{number} {name}"
                calls = make_job(folder, server.base_url, options.calls, name)
                times[name].append(cpu_seconds(command(folder, server.base_url), folder))
    ours = times["selectllm, direct"]
    print(f"{calls} calls{'':12}CPU s   beside selectllm, direct")
    for name, spent in times.items():
        ratios = [one / own for one, own in zip(spent, ours, strict=True)]
        print(f"{name:20}{statistics.median(spent):8.2f}{statistics.median(ratios):10.2f} times")


def make_job(folder: Path, base_url: str, calls: int, name: str) -> int:
    """The suite, and its prompts as plain text; returns how many calls it makes."""
    import asking

    from selectllm.prompting.prompt import render

    asking.write_suite(folder, base_url, calls, direct=name == "selectllm, direct")
    run, _ = asking.opened(folder)
    prompts = [
        "\n\n".join(message["content"] for message in render(each.selector.prompt, each.shown, 2))
        for each in asking.asked(run)
    ]
    (folder / "prompts.json").write_text(json.dumps(prompts), "utf-8")
    config = {
        "providers": [
            {
                "id": "openai:chat:m",
                "config": {"apiBaseUrl": base_url, "apiKey": "none", "max_tokens": 1024},
            }
        ],
        "prompts": ["{{text}}"],
        "tests": [
            {"vars": {"text": text}, "assert": [{"type": "contains", "value": "[1, 2]"}]}
            for text in prompts
        ],
    }
    (folder / "promptfooconfig.json").write_text(json.dumps(config), "utf-8")
    return len(prompts)


def cpu_seconds(command: list[str], folder: Path) -> float:
    """User and system seconds of one process and its children. Raises if it fails."""
    environment: dict[str, Any] = {
        **os.environ,
        "CI": "true",
        "SELECTLLM_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": str(ROOT),
        "OPENAI_API_KEY": "none",
        "PROMPTFOO_CONFIG_DIR": str(folder / "promptfoo"),
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(folder: Path, base_url: str) -> list[str]:
    """`selectllm eval`."""
    words = ["eval", "suite.yaml", "-o", "run", "-j", str(CONCURRENCY), "--quiet"]
    return [sys.executable, "-m", "selectllm", *words]


def script(text: str) -> Callable[[Path, str], list[str]]:
    """A script that is told where the server is."""
    return lambda folder, base_url: [PYTHON, "-c", text, base_url]


def promptfoo(folder: Path, base_url: str) -> list[str]:
    """`promptfoo eval`, without its own cache."""
    words = ["eval", "-c", "promptfooconfig.json", "--no-cache", "--no-progress-bar", "--no-table"]
    return ["promptfoo", *words, "-j", str(CONCURRENCY)]


def importable(name: str) -> Callable[[], bool]:
    """Whether the peers' Python has a package."""
    look = f"import importlib.util as u; raise SystemExit(u.find_spec({name!r}) is None)"
    return lambda: subprocess.run([PYTHON, "-c", look], check=False).returncode == 0


PEERS: dict[str, tuple[Callable[[], bool], Callable[[Path, str], list[str]]]] = {
    "selectllm, direct": (lambda: True, ours),
    "selectllm, litellm": (lambda: True, ours),
    "inspect-ai": (importable("inspect_ai"), script(INSPECT)),
    "DSPy": (importable("dspy"), script(DSPY)),
    "promptfoo": (lambda: shutil.which("promptfoo") is not None, promptfoo),
}

if __name__ == "__main__":
    main()
