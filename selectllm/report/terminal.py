"""results.json on a terminal: verdicts, then tables, and in words what they show."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.evaluation.metrics.schema import UtilityAgreement
from selectllm.evaluation.runs.schema import RunResults, RunUtility
from selectllm.report.layout import Visible, add_row, table
from selectllm.report.verdict import headline, in_brief, render_noise, render_verdict
from selectllm.report.votes import asking_sentences
from selectllm.report.wording import (
    UNVALIDATED,
    ceiling,
    count,
    counted,
    estimate,
    explained,
    in_words,
    length_alone,
    named,
    number,
    rate,
    spread,
    standing,
)

REPLIES = {
    "valid": "share of the decisions with an answer that can be used",
    "not ok": "decisions that needed a repair, or have no full answer",
    "consistency": "how much the picks agree when the order changes: 0 = no more than random "
    "picks, 1 = the same picks",
    "slots p": "how likely chance alone is to spread the picks so unevenly over the places",
    "in": "tokens of the prompts",
    "out": "tokens of the replies",
    "thinking": "the part of the replies' tokens that is thinking, which is paid for as well",
    "USD": "what all of it costs if nothing is cached",
}
"""The columns of how pairs answered, and what they mean."""
SLOTS_ALPHA = 0.01  # below this p the slots that a pair prefers are printed


def print_results(results: RunResults, console: Console, *, details: bool = True) -> None:
    """Print the verdicts and tables of a run and the sentences that go with them.

    Without `details`: see `render_brief`.
    """
    console.print(Visible(render_results(results) if details else render_brief(results)))


def render_brief(results: RunResults) -> RenderableType:
    """Of each verdict, or of the noise, the word and the figures that it rests on, a few lines.

    Of a run with neither: how well the picks agree with each utility, and which replies were of
    no use.
    """
    if results.verdicts:
        return Group(*map(in_brief, results.verdicts))
    parts: list[RenderableType] = [Text(_heading(results), style="bold")]
    if results.noise:
        return Group(*parts, Text(), render_noise(results.noise, details=False))
    for utility in results.utilities:
        parts += [_agreement_table(results, utility), _trust(utility)]
        parts += _sentences(results, utility)
    votes = map(Text, asking_sentences(results))
    return Group(*parts, *_unusable(results), *votes, *_unrated(results))


def render_results(results: RunResults) -> RenderableType:
    """A run: its verdicts, agreement per utility, how the pairs answered, and overlaps.

    Verdicts come first, being the answer, and their words once more last, where the eye is
    when the tables have scrolled by.
    """
    parts: list[RenderableType] = [Text(_heading(results), style="bold")]
    for verdict in results.verdicts:
        parts += [Text(), render_verdict(verdict)]
    if results.noise:
        parts += [Text(), render_noise(results.noise)]
    if len(parts) > 1:
        parts.append(Text())
    for utility in results.utilities:
        parts += [_agreement_table(results, utility), _trust(utility)]
        if not results.verdicts:  # which say as much of their arms
            parts += _sentences(results, utility)
    if results.pairs:
        parts += [_answers_table(results), *_slots(results), *map(Text, asking_sentences(results))]
    if results.overlaps:
        parts.append(_overlaps_table(results))
    if not results.verdicts:
        parts += _unrated(results)
    parts += [headline(verdict) for verdict in results.verdicts]
    return Group(*parts)


def _unusable(results: RunResults) -> Iterator[Text]:
    """The pairs that did not always give an answer that can be used."""
    for pair in results.pairs:
        if pair.valid_rate is not None and pair.valid_rate < 1:
            name = f"{pair.prompt} + {pair.model}"
            yield Text(f"{name}: only {rate(pair.valid_rate)} of its decisions can be used.")


def _unrated(results: RunResults) -> Iterator[Text]:
    """How ratings are added where there are none."""
    if not results.utilities:
        yield Text(
            "There is no utility, so the quality of these picks is not known. If the pool has a "
            "rated column, add to the suite: "
            "utilities: [{name: rating, source: ratings, column: COLUMN}]. To have people rate "
            "the items, run: selectllm utility ask SUITE -o sheet.csv"
        )


def _heading(results: RunResults) -> str:
    sizes = results.cluster_sizes
    size = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    clusters = counted(results.clusters, "cluster")
    return f"{results.suite}: {clusters} of {size}, {results.picks} picked in each"


def _agreement_table(results: RunResults, utility: RunUtility) -> Table:
    """One row per pair and control; captured first, then the other measures of agreement."""
    measures = ["hit", "kappa", "nuc", "auc"]
    if any(pair.agreement[utility.name].tau for pair in results.pairs):
        measures += ["ndcg", "tau"]
    made = table(
        f"agreement with {named(utility)}",
        explained(("captured", "interval", *measures)),
        ["selector"],
        ["captured", "interval", *measures],
    )
    for name, entry in _agreements(results, utility.name):
        captured = entry.captured
        rest = [estimate(getattr(entry, measure)) for measure in measures]
        add_row(made, name, estimate(captured), spread(captured), *rest)
    return made


def _agreements(results: RunResults, utility: str) -> Iterator[tuple[str, UtilityAgreement]]:
    for pair in results.pairs:
        yield f"{pair.prompt} + {pair.model}", pair.agreement[utility]
    for strategy in results.strategies:
        yield strategy.strategy, strategy.agreement[utility]


def _trust(utility: RunUtility) -> Text:
    """How high agreement with it can be, and how high length alone gets."""
    longest = utility.length
    alone = length_alone(None if longest is None else longest.estimate)
    return Text(f"{utility.name}: ceiling {ceiling(utility)}; {alone}.")


def _sentences(results: RunResults, utility: RunUtility) -> Iterator[Text]:
    """Per pair, whether its picks beat random ones; nothing is implied by a table alone."""
    name = utility.name
    unchecked = f" (The {name} has not been checked against training results.)"
    by = unchecked if standing(utility) == UNVALIDATED else ""
    for pair in results.pairs:
        captured = pair.agreement[name].captured
        told = in_words(captured, results.clusters)
        yield Text(f"{pair.prompt} + {pair.model}: {told}.{by if captured else ''}")
    flat = max((p.agreement[name].flat_clusters for p in results.pairs), default=0)
    if flat:
        one = "is" if flat == 1 else "are"
        yield Text(
            f"{counted(flat, 'cluster')} with the same utility for all items {one} left out."
        )


def _answers_table(results: RunResults) -> Table:
    """How the pairs answered: validity, consistency, slots, tokens, cost."""
    in_orders = any(pair.order_consistency for pair in results.pairs)
    thinks = any(pair.tokens_reasoning for pair in results.pairs)
    left_out = {"consistency": not in_orders, "thinking": not thinks}
    columns = [name for name in REPLIES if not left_out.get(name)]
    made = table("replies", explained(columns, REPLIES), ["selector"], columns)
    for pair in results.pairs:
        counts = pair.status_counts
        odd = [f"{counts[s]} {s}" for s in counts if s != "ok" and counts[s]]
        add_row(
            made,
            f"{pair.prompt} + {pair.model}",
            rate(pair.valid_rate),
            ", ".join(odd) or "-",
            *([estimate(pair.order_consistency)] if in_orders else []),
            number(pair.slots.p),
            count(pair.tokens_in),
            count(pair.tokens_out),
            *([count(pair.tokens_reasoning)] if thinks else []),
            "not priced" if pair.replay_cost_usd is None else f"{pair.replay_cost_usd:.4f}",
        )
    return made


def _slots(results: RunResults) -> Iterator[Text]:
    """Picks by shown slot, of pairs that were shown several orders or prefer some slots."""
    for pair in results.pairs:
        slots = pair.slots
        partial = slots.p is not None and slots.p < SLOTS_ALPHA
        if pair.order_consistency or partial:
            counts = " ".join(f"{each:g}" for each in slots.counts)
            yield Text(f"{pair.prompt} + {pair.model}: picks by slot {counts}.")


def _overlaps_table(results: RunResults) -> Table:
    made = table(
        "overlap of picks between pairs",
        "kappa: 0 = no more than random picks, 1 = the same picks",
        ["a", "b"],
        ["kappa", "interval"],
    )
    for overlap in results.overlaps:
        names = (" + ".join(pair) for pair in (overlap.a, overlap.b))
        add_row(made, *names, estimate(overlap.kappa), spread(overlap.kappa))
    return made
