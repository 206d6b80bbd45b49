"""What crashes.py disturbs: commands, each in a process of its own, and what they leave."""

from __future__ import annotations

import gc
import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from tests.conftest import write_jsonl
from tests.support.batch_server import BatchServer, Made
from tests.support.optimize_cases import PLANTED, PROMPT, TEACHERS, proposal, rows
from tests.support.provider_server import Answer, completion, fingerprint
from tests.support.student_files import rows as learned

LETTERS = str.maketrans("0123456789", "ghijklmnop")  # of a fingerprint: no digit is a pick
NAMED = re.compile(r"[a-p]{64}")
SIZE, CALLS = 5, 40
SEARCHED = 44  # clusters of four, of the suite that `optimize` searches on
ASKING = ("--concurrency", "4", "--quiet")
BY_RANDOM = ("--by", "random", "--cluster-size", str(SIZE), "--prompt", "short@1")
MODEL = "hosted_vllm/m"


@dataclass(frozen=True)
class Verb:
    """A command: its words, where it logs its decisions, and what it makes of them.

    `results`: files, compared byte for byte but for seconds. `asks`: the kind of server.
    """

    words: Sequence[str]
    log: Path
    results: Sequence[Path]
    asks: Literal["calls", "batches", "nothing"] = "calls"

    def command(self, base_url: str) -> Sequence[str]:
        """The words, with the server's address where they name a model."""
        named = self.words[0] == "select"
        return (*self.words, *(("--model", MODEL, "--api-base", base_url) if named else ()))


RUN = (Path("run/decisions.jsonl"), (Path("run/results.json"),))
TRAINED = ("--model", "../tiny", "--max-length", "128", "--blocks", "2", "--epochs", "6", "--quiet")
VERBS: Mapping[str, Verb] = {
    "select": Verb(
        ("select", "pool.jsonl", "--budget", str(CALLS), *BY_RANDOM, "-o", "out.jsonl", *ASKING),
        Path("out.jsonl.decisions.jsonl"),
        (Path("out.jsonl"),),
    ),
    "eval": Verb(("eval", "suite.yaml", "-o", "run", *ASKING), *RUN),
    "ab": Verb(
        (
            *("ab", "pair.yaml", "--a", "short@1", "--b", "criteria@1", "--design", "sequential"),
            *("-o", "run", *ASKING),
        ),
        *RUN,
    ),
    "optimize": Verb(
        ("optimize", "search.yaml", "--budget", "30", "--force", "-o", "run", *ASKING),
        Path("run/decisions.jsonl"),
        (
            *(Path("run/optimize.json"), Path("run/confirmation/results.json")),
            Path("prompts/mine/v2.jinja"),
        ),
    ),
    "batch": Verb(("eval", "batch.yaml", "-o", "run", "--batch", "--quiet"), *RUN, asks="batches"),
    "train": Verb(
        ("student", "train", "learned.jsonl", "-o", "student", *TRAINED),
        Path("student/none"),
        (Path("student/adapter_model.safetensors"), Path("student/student.json")),
        asks="nothing",
    ),
}


def write_files(folder: Path, urls: Mapping[str, str]) -> None:
    """All that the commands read, of about CALLS calls each; `urls`: by the kind of server."""
    rated = [
        {"id": f"{n}", "instruction": f"Explain topic {n}.", "rating": n * 13 % 5 + 1}
        for n in range(SIZE * CALLS)
    ]
    write_jsonl(folder / "pool.jsonl", rated)
    write_jsonl(folder / "searched.jsonl", rows(SEARCHED))
    write_jsonl(folder / "learned.jsonl", learned(16))
    prompt = PROMPT.encode()
    (folder / "prompts/mine").mkdir(parents=True)
    (folder / "prompts/mine/v1.jinja").write_bytes(prompt)
    lock = f"mine@1: {hashlib.sha256(prompt).hexdigest()}\n"
    (folder / "prompts/LOCK.yaml").write_text(lock, "utf-8")
    rating: dict[str, Any] = {"name": "rating", "source": "ratings", "column": "rating"}
    model: dict[str, Any] = {"name": "m", "id": MODEL, "api_base": urls["calls"]}
    suite = {
        "name": "crashes",
        "pool": "pool.jsonl",
        "utilities": [rating],
        "clusters": {"by": "random", "size": SIZE},
        "picks": 1,
        "prompts": ["short@1"],
        "models": [model],
    }
    half = {"by": "random", "size": SIZE, "limit": CALLS // 2}
    pair = {"prompts": ["short@1", "criteria@1"], "clusters": half}
    asked = {"id": "openai/m", "api_base": urls["batches"], "price": {"input": 0, "output": 0}}
    searched = {
        "pool": "searched.jsonl",
        "utilities": [rating | {"column": "worth"}],
        "clusters": {"by": "random", "size": 4},
        "prompts": ["mine@1"],
    }
    suites: Mapping[str, Mapping[str, Any]] = {
        "suite": {},
        "pair": pair,
        "search": searched,
        "batch": {"models": [model | asked]},
    }
    for name, changes in suites.items():
        (folder / f"{name}.yaml").write_text(json.dumps({**suite, **changes}), "utf-8")


def load(folder: Path) -> None:
    """Load all that the commands load, and make the model that is trained below `folder`."""
    os.environ.update(
        OMP_NUM_THREADS="1",
        OPENAI_API_KEY="none",
        TOKENIZERS_PARALLELISM="false",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
    )
    for name in ("eval", "select", "optimize", "student"):
        import_module(f"selectllm.cli.{name}")
    from selectllm.jobs import batch_rounds, batch_sending
    from selectllm.models.providers.litellm_quirks import load_litellm
    from selectllm.optimization.gepa_program import load_dspy
    from tests.downstream.student.test_training import made

    batch_rounds.FIRST_LOOK, batch_sending.SETTLED = 0.05, 0.0  # this server is never late
    load_litellm()
    load_dspy()
    made(folder / "tiny")
    import_module("peft")
    gc.freeze()  # or each process would copy all pages at its first search for garbage


class Child:
    """A process that runs a command in the current folder."""

    def __init__(self, command: Sequence[str]) -> None:
        every = set(signal.Signals)
        signal.pthread_sigmask(signal.SIG_BLOCK, every)  # until it is the command's to hear them
        self.pid = os.fork()
        if not self.pid:
            run(command)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, every)

    def ended(self, number: signal.Signals | None = None, whole: int = 0) -> tuple[int, bool]:
        """Its exit code once it has ended, and whether it was there to get the signal.

        `whole`: the exit code without signals. Who ends with it had done all when the signal came.
        """
        struck = False
        if number is not None:
            struck = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
            os.kill(self.pid, number)  # it is not reaped yet: this is no other process
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code, struck and code != whole


def run(command: Sequence[str]) -> None:
    """Be `selectllm COMMAND`, and end."""
    code = 70
    try:
        output = os.open("stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ["SELECTLLM_CACHE_DIR"] = str(Path("cache").resolve())
        sys.argv = ["selectllm", *command]
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has none
        signal.pthread_sigmask(signal.SIG_UNBLOCK, set(signal.Signals))
        from selectllm.cli import script

        script()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 70
    except KeyboardInterrupt:  # before the command could hear of it, or after it had ended
        code = 130
    finally:
        os._exit(code)


LOST_INTERRUPT = re.compile(
    r"Exception ignored in: <function _get_module_lock\b.*\nTraceback.*\n.*\nKeyboardInterrupt: ?\n"
)
"""What Python says of a SIGINT that came while it forgot an import: it drops it, and goes on."""


def is_odd(code: int, number: signal.Signals | None, whole: int) -> bool:
    """Whether a process should not have ended so, after a signal or without; says why.

    `whole`: the exit code without signals.
    """
    text = Path("stderr").read_text("utf-8", "replace") if Path("stderr").exists() else ""
    text = LOST_INTERRUPT.sub("", text)
    # SIGTERM ends it at once before and after it asks.
    expected = {
        None: (whole,),
        signal.SIGKILL: (-signal.SIGKILL,),
        signal.SIGTERM: (-signal.SIGTERM, 130),
        signal.SIGINT: (130,),
    }[number]
    if code in expected and "Traceback" not in text and "Warning" not in text:
        return False
    print(f"odd: exit code {code} after {number and number.name}: {text}", file=sys.stderr)
    return True


def answer(body: Any, headers: Any, n: int) -> Answer:
    """What follows from the question, after 20 to 80 ms."""
    draw = random.Random(fingerprint(body))
    tokens = len(json.dumps(body["messages"])) // 4
    usage = {"prompt_tokens": tokens, "completion_tokens": 5, "total_tokens": tokens + 5}
    said = completion(reply(body["messages"]), usage=usage)
    return Answer(200, said, delay=draw.uniform(0.02, 0.08))


def reply(messages: Sequence[Any]) -> str:
    """A pick or, of a teacher, a better text, that follows from the question and names it."""
    name = fingerprint({"messages": messages})
    draw, named = random.Random(name), name.translate(LETTERS)
    text = "\n".join(str(message["content"]) for message in messages)
    if TEACHERS in text:
        return proposal(f"You choose ({named}): {PLANTED}.")
    topics = re.findall(r"=== \[(\d+)\] ===\nTopic (\d+)", text)
    if topics and PLANTED in text:
        label = max(topics, key=lambda topic: int(topic[1]))[0]
    else:
        label = str(draw.randint(1, 4 if topics else SIZE))
    return f"Reply {named}.\n[{label}]"


@contextmanager
def batch_server(journal: Path) -> Iterator[str]:
    """The address of a server of batches, in a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve_batches, args=(there, journal), daemon=True
    )
    process.start()
    try:
        yield here.recv()
    finally:
        here.send("stop")
        process.join()


class _Journaled(BatchServer):
    """Notes a question as asked and as answered when it is sent: it is paid for from then on."""

    def __init__(self, journal: Path) -> None:
        super().__init__(reply)
        self.journal = journal

    def _made(self, rows: list[Any], *more: Any) -> Made:
        names = [fingerprint(row["body"]) for row in rows]
        with self.journal.open("a", encoding="utf-8") as lines:
            lines.writelines(f"asked {name}\nanswered {name}\n" for name in names)
        return super()._made(rows, *more)


def _serve_batches(pipe: Connection, journal: Path) -> None:
    with _Journaled(journal) as server:
        pipe.send(server.base_url)
        pipe.recv()


def kept(cache: Path) -> frozenset[str]:
    """The fingerprints of the calls in a cache, read from a copy: it stays as it was left."""
    from selectllm.models.wrappers.cache import ReplyCache

    if not (cache / "replies").exists():
        return frozenset()
    back = {after: before for before, after in LETTERS.items()}
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(cache / "replies", copy, dirs_exist_ok=True)
        replies = ReplyCache(Path(copy))
        named = [NAMED.search(row["reply"]["text"]) for _, row in replies.rows()]
        replies.close()
    return frozenset(name[0].translate(back) for name in named if name)


def logged(log: Path) -> Counter[tuple[Any, ...]]:
    """How often each decision stands in a log; a row that was cut off is none."""
    lines = log.read_bytes().splitlines(keepends=True)[1:] if log.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
    names = ("cluster", "order", "repeat", "round", "prompt_sha256", "model", "strategy")
    return Counter(
        tuple(row.get(name) for name in names) for row in rows if row.get("status") == "ok"
    )


def untimed(results: Sequence[Path]) -> Sequence[bytes]:
    """Results but for the seconds that they took, which no two runs measure alike."""
    return [re.sub(rb'"[a-z_]*seconds": ?[0-9.e-]+', b"", path.read_bytes()) for path in results]
