"""What a page says first: the verdict as a sentence, what it rests on, and a few figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from selectllm.core.document import Document
from selectllm.core.verdict_words import POLARITY, Polarity
from selectllm.downstream.trials.schema import StudentsCompared
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.runs.schema import PairFigures, RunResults
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.evaluation.two_runs.schema import RunsCompared
from selectllm.optimization.schema import GridResults, SearchResults
from selectllm.report import picks
from selectllm.report.noise import noise_facts
from selectllm.report.two_runs import DESCRIBED, shared_facts, told_difference
from selectllm.report.verdict_basis import assisted
from selectllm.report.verdict_sentences import lead, worse_than_random
from selectllm.report.votes import asking_sentences
from selectllm.report.wording import (
    around,
    ceiling,
    counted,
    in_words,
    length_alone,
    named,
    percent,
    usd,
)
from selectllm.selection.schema import SelectionSummary
from selectllm.stats.interval import Interval

SAID = 3  # differences between pairs of two runs that are told as sentences


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence in three parts, of which the middle one is the word to be seen."""

    before: str
    word: str = ""
    after: str = ""
    polarity: Polarity = "open"

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.before}{self.word}{self.after}"


@dataclass(frozen=True, slots=True)
class Opening:
    """The first screen but for its heat map.

    `sentences`: one for each verdict. `below`: what they rest on, a paragraph each. `chips`: a
    label and its figure each.
    """

    title: str
    sentences: tuple[Sentence, ...]
    below: tuple[str, ...] = ()
    chips: tuple[tuple[str, str], ...] = ()


def opening(result: Document, otherwise: str = "") -> Opening:
    """What is said first of any result; `otherwise`: of a kind that has no opening of its own."""
    kind = next((kind for kind in OPENINGS if isinstance(result, kind)), None)
    if kind is None:
        return Opening(str(getattr(result, "suite", "selectllm")), (Sentence(otherwise),))
    return OPENINGS[kind](result)


def _run(results: RunResults) -> Opening:
    sentences = tuple(map(verdict_sentence, results.verdicts)) or (_without_verdict(results),)
    return Opening(results.suite, sentences, tuple(_rests_on(results)), tuple(_chips(results)))


def verdict_sentence(verdict: Verdict) -> Sentence:
    """Such as `criteria@2 picks better than criteria@1 with gpt: 0.08 more captured`."""
    a, b, shared = _sides(verdict.a, verdict.b)
    polarity = POLARITY[verdict.word]
    if verdict.word in ("better", "worse"):
        return Sentence(f"{b} picks ", verdict.word, f" than {a}{shared}{_by(verdict)}", polarity)
    if verdict.word == "equivalent":
        return Sentence(f"{b} and {a} pick ", "equally well", f"{shared}{_by(verdict)}", polarity)
    if verdict.kind == "swap":
        return _swap(verdict, polarity)
    if verdict.kind == "regress":
        return _regress(verdict, polarity)
    how = f" whether {b} picks better than {a}{shared}{_by(verdict)}"
    return Sentence("It is ", "not clear", how, polarity)


def _sides(a: str, b: str) -> tuple[str, str, str]:
    """Both arms without what they share, and what that is: ` with gpt`."""
    (prompt_a, _, model_a), (prompt_b, _, model_b) = a.partition(" + "), b.partition(" + ")
    if model_a and model_a == model_b and prompt_a != prompt_b:
        return prompt_a, prompt_b, f" with {model_a}"
    if model_a and model_b and prompt_a == prompt_b and model_a != model_b:
        return model_a, model_b, f" with {prompt_a}"
    return a, b, ""


def _by(verdict: Verdict) -> str:
    found = verdict.difference
    if found is None:
        return f": {verdict.reason}."
    unit = "captured" if verdict.unit == "captured" else "of the rating range per pick"
    if verdict.word in ("better", "worse"):
        low, high = sorted((abs(found.low), abs(found.high)))
        more = "more" if found.estimate >= 0 else "less"
        if verdict.unit == "range":
            return f": {abs(found.estimate):.2f} {unit} {more} ({low:.2f} to {high:.2f})."
        return f": {abs(found.estimate):.2f} {more} {unit} ({low:.2f} to {high:.2f})."
    return f": the difference lies between {found.low:+.2f} and {found.high:+.2f} {unit}."


def _swap(verdict: Verdict, polarity: Polarity) -> Sentence:
    a, b, shared = _sides(verdict.a, verdict.b)
    swap = f"wap {a} for {b}{shared}"
    kept = percent(verdict.swap.retain) if verdict.swap else "enough"
    if polarity == "open":
        return Sentence("It is ", "not clear", f" whether you can s{swap}: {verdict.reason}.")
    if polarity == "good":
        return Sentence(
            "It is ", "safe", f" to s{swap}: at least {kept} of the gain is kept.", polarity
        )
    return Sentence("It is ", "not safe", f" to s{swap}: {verdict.reason}.", polarity)


def _regress(verdict: Verdict, polarity: Polarity) -> Sentence:
    what = f" against the baseline{_by(verdict)}"
    if polarity == "open":
        return Sentence(
            "It is ", "not clear", f" whether {verdict.b} has become worse{what}", polarity
        )
    return Sentence(
        f"{verdict.b} ", f"{verdict.word}es" if polarity == "good" else "fails", what, polarity
    )


def _without_verdict(results: RunResults) -> Sentence:
    if results.noise is not None:
        facts = dict(noise_facts(results.noise))
        told = facts.get("difference") or next(iter(facts.values()))
        return Sentence(f"{results.noise.pair} against itself: ", told, ".")
    if results.pairs and all(pair.valid_rate == 0 for pair in results.pairs):
        return Sentence("How good the picks would be is ", "not known", ": no reply is valid.")
    utility = next((each.name for each in results.utilities), None)
    if utility is None:
        return Sentence(
            "How good these picks are is ", "not known", ": the suite has no ratings yet."
        )
    best = _best(results, utility)
    if best is None:
        return Sentence("What the picks captured is ", "not known", ": there are too few clusters.")
    pair, captured = best
    most = "captures" if len(results.pairs) == 1 else "captures most,"
    told = f"{pair.prompt} with {pair.model} {most} {around(captured)}. "
    if captured.low <= 0 <= captured.high:
        return Sentence(f"{told}These clusters ", "do not show", " that it beats random picks.")
    polarity: Polarity = "good" if captured.low > 0 else "bad"
    return Sentence(f"{told}That is ", in_words(captured), ".", polarity)


def _best(results: RunResults, utility: str) -> tuple[PairFigures, Interval] | None:
    known = [
        (pair, captured)
        for pair in results.pairs
        if (captured := pair.agreement[utility].captured) is not None
    ]
    return max(known, key=lambda each: each[1].estimate, default=None)


def _rests_on(results: RunResults) -> Iterator[str]:
    """How much was looked at, what decides, and whether the word would stand one more cluster."""
    sizes = results.cluster_sizes
    size = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}" if sizes else "0"
    picks = counted(results.picks, "pick")
    text = f"{counted(results.clusters, 'cluster')} of {size}, {picks} in each"
    decides = results.verdicts[0].utility if results.verdicts else None
    decides = decides or next(iter(results.utilities), None)
    if decides is not None:
        longest = None if decides.length is None else decides.length.estimate
        text += (
            f". {named(decides)} says how good the picks are; its ceiling is {ceiling(decides)}, "
            f"and {length_alone(longest)}"
        )
    yield f"{text}. Captured is the share of the possible gain over random picks."
    for pair in results.pairs:
        if pair.valid_rate == 0:
            name = f"{pair.prompt} + {pair.model}"
            yield f"No reply of {name} is valid, so all of them count as random picks."
    yield from asking_sentences(results)
    for verdict in results.verdicts:
        facts = [f"{text}." for label, text in lead(verdict) if label in ("note", "to decide")]
        facts += [f"{text}." for _, text in assisted(verdict)]
        if verdict.one_more is not None and POLARITY[verdict.word] != "open":
            facts.append(
                "The verdict would still hold if one more cluster had gone as badly as possible."
            )
        worse = worse_than_random(verdict)
        facts += [f"Note that {worse}."] if worse else []
        if facts:
            yield " ".join(fact[0].upper() + fact[1:] for fact in facts)


def _chips(results: RunResults) -> Iterator[tuple[str, str]]:
    decisions = sum(pair.decisions for pair in results.pairs)
    if decisions:
        valid = sum(pair.decisions * (pair.valid_rate or 0) for pair in results.pairs)
        yield "valid replies", f"{100 * valid / decisions:.1f} %"
        consistent = [pair.order_consistency for pair in results.pairs if pair.order_consistency]
        if consistent:
            low, high = (f(each.estimate for each in consistent) for f in (min, max))
            yield "order consistency", f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
        costs = [pair.replay_cost_usd for pair in results.pairs]
        known = sum(cost for cost in costs if cost is not None)
        yield "cost of all replies", "not priced" if None in costs else f"{usd(known)} USD"
        thought = sum(pair.tokens_reasoning or 0 for pair in results.pairs)
        written = sum(pair.tokens_out or 0 for pair in results.pairs)
        if thought and written:
            yield "thinking", f"{percent(thought / written)} of the tokens written"
        repaired = sum(pair.status_counts.get("repaired", 0) for pair in results.pairs)
        yield "decisions", f"{decisions:,}"
        if repaired:
            yield "repaired", f"{repaired:,}"
    flat = max((pair.flat_clusters or 0 for pair in results.pairs), default=0)
    if flat:
        yield "flat clusters left out", f"{flat:,}"


def _sets(results: SetsResults) -> Opening:
    budget, utility = results.budgets[-1], results.utility
    sizes = ", ".join(f"{each:,}" for each in results.budgets)
    below = (
        f"Sets of {sizes} items of the pool of {results.pool.items:,}, with "
        f"{counted(len(results.seeds), 'seed')} each. Captured: 0 = no better than random sets, 1 "
        "= the best possible.",
    )
    known = [
        (figure.mean, row.selector, figure)
        for row in results.at(budget)
        if utility is not None and (figure := row.captured.get(utility)) is not None
    ]
    if not known:
        return Opening(
            results.suite,
            (Sentence("How good these sets are is ", "not known", ": there is no utility."),),
            below,
        )
    best, selector, figure = max(known, key=lambda each: each[0])
    yardstick = next(
        (r.captured_sd.get(utility or "") for r in results.random if r.budget == budget), None
    )
    over = f"({figure.low:.2f} to {figure.high:.2f} over seeds)"
    after = f" at a budget of {budget:,}: {best:.2f} {over}."
    if yardstick is not None:
        after += f" Random sets spread by {yardstick:.2f} (standard deviation)."
    return Opening(results.suite, (Sentence(f"{selector} captured ", "most", after),), below)


def _students(results: StudentsCompared) -> Opening:
    comparison = results.comparisons.by(results.primary)
    below = (
        f"Students ({results.student}) trained on sets of {results.budget:,} items, measured on "
        f"{results.tests:,} test items. Gains are in nats, {results.primary.replace('_', ' ')}.",
    )
    if comparison.refused is not None:
        sentence = Sentence("There is ", "no verdict", f": {comparison.refused}.")
        return Opening(results.suite, (sentence,), below)
    sentences = []
    for arm in comparison.arms:
        found, word = arm.over_random, arm.verdict or "inconclusive"
        ends = (
            ""
            if found.low is None or found.high is None
            else f" ({found.low:+.3f} to {found.high:+.3f})"
        )
        told = f" against random sets: {found.estimate:+.3f} nats{ends}."
        sentences.append(Sentence(f"{arm.arm} is ", word, told, POLARITY[word]))
    return Opening(results.suite, tuple(sentences), below)


def _optimized(results: SearchResults | GridResults) -> Opening:
    splits = results.splits
    below = (
        f"Searched on {counted(splits.training, 'training cluster')} and "
        f"{splits.validation} for validation, confirmed on {results.confirmed_on or 0} of "
        f"{splits.confirmation} others. "
        + (f"Written as {results.written}." if results.written else "No version was written."),
    )
    title = f"{results.plan.parent} with {results.plan.model}"
    if results.verdict is None:
        sentence = Sentence("The search found ", "nothing better", f" than {results.plan.parent}.")
        return Opening(title, (sentence,), below)
    return Opening(title, (verdict_sentence(results.verdict),), below)


def _selection(summary: SelectionSummary) -> Opening:
    polarity: Polarity = "bad" if summary.filled else "good"
    at_random = f"{summary.filled:,} of them" if summary.filled else "none of them"
    sentence = Sentence(
        f"{picks.headline(summary)}, ", at_random, " at random to fill a gap.", polarity
    )
    below = tuple(text for label, text in picks.facts(summary) if label != "at random")
    return Opening(summary.selection, (sentence,), below, tuple(_picked_chips(summary)))


def _picked_chips(summary: SelectionSummary) -> Iterator[tuple[str, str]]:
    yield "picks", f"{summary.selected:,}"
    if summary.pool_items:
        yield "of the pool", percent(summary.selected / summary.pool_items)
    if summary.calls:
        cost = usd(summary.cost_usd) + ("" if summary.cost_usd is None else " USD")
        yield "cost of all replies", cost
    if summary.clusters is not None:
        yield "clusters reached", f"{summary.clusters.reached:,} of {summary.clusters.clusters:,}"
    if summary.seed is not None:
        yield "seed", str(summary.seed)


def _two_runs(results: RunsCompared) -> Opening:
    known = [each for each in results.compared if each.difference is not None]
    sentences = [Sentence(*told_difference(each, results)) for each in known[:SAID]]
    if not known:
        why = "neither run has a utility" if results.utility is None else "too few clusters tell"
        sentences = [Sentence("Which of the runs picked better is ", "not known", f": {why}.")]
    below = (DESCRIBED, *(f"{text}." for text in shared_facts(results)), *results.notes)
    chips = [
        ("clusters that both asked", f"{results.clusters:,}"),
        (f"left out of {results.a.name}", f"{results.a.left_out:,}"),
        (f"left out of {results.b.name}", f"{results.b.left_out:,}"),
        ("pairs compared", f"{len(results.compared):,}"),
    ]
    title = f"{results.b.name} beside {results.a.name}"
    return Opening(title, tuple(sentences), below, tuple(chips))


OPENINGS: Mapping[type[Document], Callable[[Any], Opening]] = {
    RunResults: _run,
    SetsResults: _sets,
    StudentsCompared: _students,
    SearchResults: _optimized,
    GridResults: _optimized,
    SelectionSummary: _selection,
    RunsCompared: _two_runs,
}
"""By the kind of result; the others open with the first line of their report."""
