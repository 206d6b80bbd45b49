"""Nothing foreign gets through: 100,000 generated replies and rows, and what became of them.

    python eval/benchmarks/edges.py [--cases 100000] [--decisions 300000] [--seed 0]

Half of the cases are HTTP responses (statuses, headers and bodies that were whole, then had bytes
changed, cut out, doubled or put in) on their way through the direct transport's reading and, where
there is a text, the parser of every reply format. The other half are rows of decision logs, reply
packs and the cache, damaged the same way. Each becomes a reply, a decision or one of our errors;
anything else is counted, and shown. Then a log of so many decisions is written and read back, in a
process of its own, whose peak memory and seconds are told.

Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

MOST_MB = 300
STATUSES = (
    *(200,) * 24,
    *(201, 204, 301, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529, 599),
)
ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0.5,
        10**30,
        1e308,
        "",
        "\ud800",
        "[1]",
        "\x1b[31m2",
        "<think>",
        {},
        [],
        [[]],
    ),
    *({"a": 1}, "9" * 5000, [None], {"content": None}),
)
HEADERS = (
    ("Retry-After", ("0.1", "-3", "nan", "Wed, 21 Oct 99999 07:28:00 GMT", "9" * 400, "", "\xff")),
    ("Retry-After-Ms", ("100", "1e999", "x")),
    ("x-ratelimit-reset-requests", ("1s", "6m0s", "-", "9" * 50 + "h")),
    ("Content-Type", ("application/json", "text/html; charset=punycode", "x; charset=\x00", "")),
    ("Content-Encoding", ("gzip", "br", "?")),
)
TEXTS = (
    "[2, 4]", '{"picks": [1, 3]}', "1", "<think>[5]</think>[2]", "2 > 4 > 1 > 3 > 5", "A, C",
    '{"scores": {"1": 3, "2": 9}}', "```json\n[1, 2]\n```", "I pick 2 and 4.",
)  # fmt: skip


def mangled(data: bytes, rng: random.Random) -> bytes:
    """`data` with a few bytes changed, cut out, doubled or put in; now and then as it is."""
    made = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 2, 5, 20))):
        place = rng.randrange(len(made) + 1)
        kind = rng.randrange(4)
        if kind == 0 and place < len(made):
            made[place] = rng.randrange(256)
        elif kind == 1:
            del made[place : place + rng.randrange(1, 40)]
        elif kind == 2:
            made[place:place] = made[place : place + rng.randrange(1, 200)]
        else:
            junk = (
                b'"',
                b"\\",
                b"[" * 300,
                b"{" * 300,
                b"\xed\xa0\x80",
                b"\x00",
                b"1e999",
                b"\\ud800",
            )
            made[place:place] = rng.choice(junk)
    return bytes(made)


def odd(content: Any, rng: random.Random) -> Any:
    """The same JSON with something odd in a place or two."""
    made = copy.deepcopy(content)
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        here = made
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(here[key], dict | list) and here[key] and rng.random() < 0.7:
                here = here[key]
                continue
            here[key] = copy.deepcopy(rng.choice(ODD))
            break
    return made


def text_of(content: Any) -> bytes:
    return json.dumps(content).encode("utf-8", "surrogatepass")


class Cases:
    """What is counted, and the first of each kind of exception that is not ours."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.foreign: dict[str, str] = {}

    def run(self, name: str, case: Callable[[], str]) -> None:
        """One case; `case` says what became of it."""
        from selectllm.core.errors import SelectLLMError

        try:
            end = case()
        except SelectLLMError as error:
            end = type(error).__name__
        except Exception as error:
            end = f"FOREIGN {type(error).__name__}"
            self.foreign.setdefault(f"{name}: {type(error).__name__}", str(error)[:200])
        self.ends[f"{name}: {end}"] += 1


def responses(count: int, rng: random.Random, cases: Cases) -> None:
    """Responses through the direct transport's reading and the parser."""
    from multidict import CIMultiDict

    from selectllm.core.types import Item, Question, Reply
    from selectllm.models.model import ModelSpec, Request
    from selectllm.models.providers.answers import read_heard
    from selectllm.models.providers.body import Heard
    from selectllm.models.providers.failures import NOT_JSON, Fault, refused
    from selectllm.models.providers.outcome import Outcomes
    from selectllm.prompting.replies.formats import REPLY_FORMATS
    from selectllm.prompting.replies.parse import parse
    from tests.support.provider_server import completion, error

    outcomes = Outcomes(ModelSpec("m", "openai/m"), {"OPENAI_API_KEY": "sk-0123456789abcdef"})
    labels = tuple(map(str, range(1, 6)))
    items = tuple(Item(label, f"task {label}", "", None) for label in labels)
    questions = [Question(items, labels, 2, kind) for kind in REPLY_FORMATS]

    def one() -> str:
        whole = (
            completion(rng.choice(TEXTS)) if rng.random() < 0.7 else error("Rate limit reached.")
        )
        body = mangled(text_of(odd(whole, rng)), rng)
        headers: CIMultiDict[str] = CIMultiDict()
        for name, values in HEADERS:
            if rng.random() < 0.3:
                headers.add(name, rng.choice(values))
        heard, question = Heard(rng.choice(STATUSES), headers, body), rng.choice(questions)
        if heard.status_code >= 300:
            outcome = refused(heard)
        else:
            outcome = read_heard([heard]) or Fault("broken", NOT_JSON, 200)
        asked = Request(ModelSpec("m", "openai/m"), ({"role": "user", "content": "?"},), question)
        told = outcomes.told(asked, outcome, 0.1)
        if not isinstance(told, Reply):
            raise told
        return parse(told.text, question, told.finish_reason).status

    for _ in range(count):
        cases.run("response", one)


def rows(count: int, rng: random.Random, cases: Cases) -> None:
    """Rows of logs, packs and the cache."""
    from selectllm.core.types import Reply
    from selectllm.models.wrappers.recorded import read_pack
    from selectllm.models.wrappers.reply_json import cache_row, checked_reply
    from selectllm.selection.decision_log import read_log

    golden = ROOT / "tests" / "golden" / "written_by_0_1_0"
    files = {
        "log": (golden / "runs" / "asked" / "decisions.jsonl", read_log),
        "pack": (golden / "replies.jsonl", read_pack),
    }
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp) / "rows.jsonl"
        for name, (source, read) in files.items():
            first, *lines = source.read_bytes().splitlines()
            for _ in range(count * 2 // 5):
                line = rng.choice(lines)
                damaged = mangled(text_of(odd(json.loads(line), rng)), rng).replace(b"\n", b" ")
                head = b"" if name == "pack" else first + b"\n"
                path.write_bytes(head + damaged + b"\n" + line + b"\n")
                cases.run(name, lambda read=read: f"read {type(read(path)).__name__}")
    row = cache_row("m", 1.0, Reply("[1]", tokens_in=3, tokens_out=1))

    def cached() -> str:
        try:
            checked_reply(odd(row, rng))
        except ValueError:  # what the cache takes for damage
            return "damaged"
        return "read"

    for _ in range(count - 2 * (count * 2 // 5)):
        cases.run("cache row", cached)


def read_back(decisions: int) -> dict[str, float]:
    """Write a log of so many decisions and read it in a process of its own."""
    golden = ROOT / "tests" / "golden" / "written_by_0_1_0" / "runs" / "asked" / "decisions.jsonl"
    first, second, *_ = golden.read_text("utf-8").splitlines()
    row = json.loads(second)
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp) / "decisions.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.write(first + "\n")
            for number in range(decisions):
                file.write(json.dumps(row | {"cluster": number}) + "\n")
        done = subprocess.run(
            [sys.executable, __file__, "--read", path], stdout=subprocess.PIPE, check=True
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def read_here(path: Path) -> None:
    """Read a log and print how many decisions it has, the seconds and the peak of memory."""
    from selectllm.selection.decision_log import read_log

    start = time.process_time()
    count = len(read_log(path).latest)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"count": count, "seconds": time.process_time() - start, "peak_mb": peak}))


def main() -> int:
    """Run all cases and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_here(options.read)
        return 0
    rng, cases = random.Random(options.seed), Cases()
    start = time.process_time()
    responses(options.cases // 2, rng, cases)
    rows(options.cases - options.cases // 2, rng, cases)
    for end, count in sorted(cases.ends.items()):
        print(f"{count:>8,}  {end}")
    for name, text in cases.foreign.items():
        print(f"foreign  {name}: {text}", file=sys.stderr)
    total = sum(cases.ends.values())
    foreign = sum(count for end, count in cases.ends.items() if "FOREIGN" in end)
    print(f"{total:,} cases in {time.process_time() - start:.0f} CPU s")
    print(
        f"target: exceptions that are not ours 0: {'met' if not foreign else 'MISSED'}, {foreign}"
    )
    log = read_back(options.decisions)
    small = log["peak_mb"] < MOST_MB
    print(
        f"target: {log['count']:,} decisions read back under {MOST_MB} MB: "
        f"{'met' if small else 'MISSED'}, {log['peak_mb']:.0f} MB, {log['seconds']:.1f} CPU s"
    )
    return 0 if small and not foreign else 1


if __name__ == "__main__":
    sys.exit(main())
