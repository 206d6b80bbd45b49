"""The embedded model asked in every way, on the same clusters, by the tokens of its prompts.

    python eval/benchmarks/ways_of_asking.py [--pool POOL] [--limit 60] [--rows 1 3 7] [--model M]

Whole clusters (short@1) in 1, 3 and 7 orders; pairs (pair@1) with the calls that have as many
prompt tokens as these; one item at a time (point@1, yes-no@1), four at a time (few@1). The table
has captured with its interval, how alike the picks are in a second set of orders beyond chance,
where the picks stood, or how often the candidate shown first won, and CPU. Without --pool: the
quickstart, whose 180 items make 18 clusters of ten, and then dolly_dev2000 (rows with a 0/1 column
`rating`) where it is found in ../shared/data; it is not part of the project. Of that pool only
items of at most 400 characters are shown, so that it takes minutes. Replies are kept in the cache:
with a small --limit first and a larger one later, only the rest is asked.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.cli import main as selectllm

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "eval" / "data" / "quickstart.jsonl"
DOLLY = ROOT.parent / "shared" / "data" / "dolly_dev2000.jsonl"
SIZE, PICKS = 10, 2
LONGEST = 400  # characters of an item of dolly_dev2000
TWICE = 3  # rows up to so many orders are asked in a second set of orders, too


@dataclass(frozen=True)
class Arm:
    """One way of asking. `orders`: of whole clusters that have as many tokens, None for any."""

    name: str
    prompt: str
    orders: int | None = None
    vote: int = 1


def main() -> int:
    """Every pool, one table each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, nargs="*", default=[QUICKSTART, DOLLY])
    parser.add_argument("--limit", type=int, default=60, help="clusters")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 3, 7], help="orders")
    parser.add_argument("--model", default="local/smollm2-135m")
    parser.add_argument("--cache", type=Path, default=ROOT / "cache")
    arguments = parser.parse_args()
    for pool in arguments.pool:
        if not pool.exists():
            print(f"left out: {pool} is not there; name a pool with a column `rating` by --pool")
            continue
        with tempfile.TemporaryDirectory() as folder:
            asking = Asking(arguments, pool, Path(folder))
            print(f"{pool.stem}: {asking.items} items, clusters of {SIZE}, {PICKS} picked")
            print(HEAD, flush=True)
            for arm in asking.arms():
                print(asking.row(arm), flush=True)
    return 0


HEAD = (
    f"{'asked':26}{'clusters':>9}{'tokens':>8}{'calls':>7}{'captured':>10}{'95 %':>17}"
    f"{'valid':>7}{'consistent':>12}{'CPU s':>8}  picks by place, or share of first"
)


class Asking:
    """One pool, asked with one model."""

    def __init__(self, arguments: argparse.Namespace, pool: Path, folder: Path) -> None:
        self._arguments, self._folder = arguments, folder
        rows = [json.loads(line) for line in pool.read_text("utf-8").splitlines()]
        if pool.resolve() == DOLLY.resolve():
            rows = [row for row in rows if len(row["instruction"] + row["input"]) <= LONGEST]
        self.items = len(rows)
        self._top = max(float(row["rating"]) for row in rows)
        self._low = min(float(row["rating"]) for row in rows)
        self._pool = folder / pool.name
        self._pool.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        self._cpu: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()

    def arms(self) -> Iterator[Arm]:
        """All ways; those of one row have about as many tokens in their prompts."""
        whole, pair = self._planned("short@1"), self._planned("pair@1")
        for orders in sorted(self._arguments.rows, reverse=True):  # the most first: CPU is of it
            yield Arm(f"whole cluster, {orders} orders", "short@1", orders, vote=orders)
        for orders in sorted(self._arguments.rows, reverse=True):
            calls = round(orders * whole / pair)
            if calls < SIZE / 2:
                print(f"pairs, as {orders} orders: {calls} calls, of {SIZE / 2:g} that are needed")
            else:
                yield Arm(f"pairs, {calls} calls", self._pairs(calls), orders)
        yield Arm("one item, 1 to 5", "point@1")
        yield Arm("one item, P(yes)", "yes-no@1")
        yield Arm("four items", "few@1")

    def _pairs(self, calls: int) -> str:
        """A copy of pair@1 that allows so many calls."""
        text = (ROOT / "prompts" / "pair" / "v1.jinja").read_text("utf-8")
        path = self._folder / f"pair-{calls}.jinja"
        path.write_text(text.replace("show: 2\n", f"show: 2\ncalls: {calls}\n"), "utf-8")
        return f"./{path.name}"

    def _suite(self, arm: Arm) -> Path:
        twice = arm.orders is None or arm.orders <= TWICE
        model: dict[str, Any] = {"id": self._arguments.model}
        if arm.vote > 1:
            model["vote"] = {"orders": arm.vote}
        suite = {
            "name": "ways",
            "pool": str(self._pool),
            "utilities": [
                {"name": "rating", "source": "ratings", "column": "rating", "kind": "model"}
                | {"range": [self._low, self._top]}
            ],
            "clusters": {"by": "random", "size": SIZE, "limit": self._arguments.limit},
            "picks": PICKS,
            "orders": 2 if twice else 1,
            "prompts": [arm.prompt],
            "models": [model],
            "strategies": [],
        }
        path = self._folder / "suite.yaml"
        path.write_text(json.dumps(suite), "utf-8")
        return path

    def _planned(self, prompt: str) -> float:
        """Tokens of one prompt, on average, by our estimate."""
        suite, away = self._suite(Arm("", prompt)), ["--cache", str(self._folder / "empty")]
        planned = json.loads(quietly(["plan", str(suite), "--json", *away]))
        pair = planned["pairs"][0]
        return float(pair["tokens_in"] / pair["calls"])

    def row(self, arm: Arm) -> str:
        """Ask in one way, and the figures that come of it."""
        out = self._folder / f"run {arm.name}"
        cache = ["--cache", str(self._arguments.cache)]
        before = cpu()
        # One cluster after another: the engine works on one call at a time and keeps its beginning.
        one = ["-j", "1", "--quiet"]
        quietly(["eval", str(self._suite(arm)), *cache, "-o", str(out), "--json", *one])
        used = cpu() - before
        pair = json.loads((out / "results.json").read_text("utf-8"))["pairs"][0]
        log = (out / "decisions.jsonl").read_text("utf-8").splitlines()[1:]
        decisions = [json.loads(line) for line in log]
        calls = [attempt for decision in decisions for attempt in decision["attempts"]]
        way = arm.prompt.split("-")[0].split("@")[0]
        self._cpu[way] += used
        self._sent[way] += sum(not call["cached"] for call in calls)
        captured = pair["agreement"]["rating"]["captured"]
        per_call = self._cpu[way] / self._sent[way] if self._sent[way] else None
        each = len(calls) / len(decisions)
        figures = [
            f"{arm.name:26}{pair['clusters']:>9}",
            f"{sum(call['tokens_in'] or 0 for call in calls) / len(decisions):>8.0f}{each:>7.1f}",
            f"{captured['estimate']:>+10.3f}",
            f"   {captured['low']:>+6.3f} to {captured['high']:>+6.3f}",
            f"{pair['valid_rate']:>7.2f}{number(consistency(pair)):>12}",
            f"{number(None if per_call is None else per_call * each):>8}",
            f"  {places(pair, decisions)}",
        ]
        return "".join(figures)


def consistency(pair: dict[str, Any]) -> float | None:
    """Agreement of the picks in two sets of orders beyond chance; None of one set."""
    found = pair["order_consistency"]
    return found["estimate"] if isinstance(found, dict) else found


def places(pair: dict[str, Any], decisions: Sequence[dict[str, Any]]) -> str:
    """Where the picks of whole clusters stood; of several questions, who won them."""
    attempts = [call["reply"] for decision in decisions for call in decision["attempts"]]
    replies = [reply for reply in attempts if reply]
    if all(reply in "ABCD" for reply in replies):
        counts = Counter(replies)
        shares = (f"{letter} {counts[letter] / len(replies):.2f}" for letter in sorted(counts))
        return " ".join(shares)
    if any(reply.startswith("{") for reply in replies):
        return "-"  # one item at a time has no places
    return " ".join(map(str, pair["slots"]["counts"]))


def number(value: float | None) -> str:
    """Two digits after the point, or a dash."""
    return "-" if value is None else f"{value:.2f}"


def cpu() -> float:
    """CPU seconds of this process and of those that it started."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def quietly(arguments: Sequence[str]) -> str:
    """What a command of selectllm prints. Raises SystemExit where it fails."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = selectllm(list(arguments))
    if code:
        raise SystemExit(f"selectllm {' '.join(arguments)} ended with {code}")
    return printed.getvalue()


if __name__ == "__main__":
    sys.exit(main())
