"""results.json as tables on a terminal, and in words what they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

Results = Mapping[str, Any]
SLOTS_ALPHA = 0.01  # below this p the slots that a pair prefers are printed


def print_results(results: Results, console: Console) -> None:
    """Print every table of a run and the sentences that go with them."""
    console.print(render_results(results))


def render_results(results: Results) -> RenderableType:
    """The tables of a run: agreement per utility, how the pairs answered, and overlaps."""
    parts: list[RenderableType] = [Text(_heading(results), style="bold")]
    for utility in results["utilities"]:
        parts += [_agreement_table(results, utility), *_sentences(results, utility["name"])]
    if results["pairs"]:
        parts += [_answers_table(results), *_slots(results)]
    if results["overlaps"]:
        parts.append(_overlaps_table(results))
    if not results["utilities"]:
        parts.append(
            Text(
                "No utility: how good the picks are is not known. Add a rated column as "
                "`utilities: [{name: rating, source: ratings, column: COLUMN}]`."
            )
        )
    return Group(*parts)


def _heading(results: Results) -> str:
    sizes = results["cluster_sizes"]
    size = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return (
        f"{results['suite']}: {results['clusters']} clusters of {size}, "
        f"{results['picks']} picked in each"
    )


def _agreement_table(results: Results, utility: Mapping[str, Any]) -> Table:
    """One row per pair and control; captured first, then the other measures of agreement."""
    by = f", rated by {utility['rater']}" if utility["rater"] else ""
    table = _table(
        f"agreement with {utility['name']} (kind: {utility['kind']}{by})",
        "captured: 0 = random picks, 1 = the best possible; interval of 95 %",
    )
    measures = ["hit", "kappa", "nuc", "auc"]
    if any(pair["agreement"][utility["name"]]["tau"] for pair in results["pairs"]):
        measures += ["ndcg", "tau"]
    table.add_column("selector", overflow="fold", min_width=20)
    for column in ("captured", "interval", *measures):
        table.add_column(column, justify="right", no_wrap=True)
    for name, entry in _agreements(results, utility["name"]):
        captured = entry["captured"]
        rest = [_estimate(entry[measure]) for measure in measures]
        table.add_row(name, _estimate(captured), _interval(captured), *rest)
    return table


def _agreements(results: Results, utility: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for pair in results["pairs"]:
        yield f"{pair['prompt']} + {pair['model']}", pair["agreement"][utility]
    for strategy in results["strategies"]:
        yield strategy["strategy"], strategy["agreement"][utility]


def _sentences(results: Results, utility: str) -> Iterator[Text]:
    """Per pair, whether its picks beat random ones; nothing is implied by a table alone."""
    for pair in results["pairs"]:
        captured = pair["agreement"][utility]["captured"]
        yield Text(f"{pair['prompt']} + {pair['model']}: {in_words(captured)}.")
    flat = {p["agreement"][utility]["flat_clusters"] for p in results["pairs"]}
    if flat and max(flat):
        yield Text(f"{max(flat)} clusters with one utility for all items are left out.")


def in_words(captured: Mapping[str, float] | None) -> str:
    """What an interval of captured says about random picks."""
    if captured is None:
        return "too few clusters to say anything"
    if captured["low"] > 0:
        return "better than random picks"
    if captured["high"] < 0:
        return "worse than random picks"
    return "not better than random picks, as far as these clusters can tell"


def _answers_table(results: Results) -> Table:
    """How the pairs answered: validity, consistency, slots, tokens, cost."""
    table = _table("replies", "consistency: of picks over orders; slots p: are all slots alike")
    table.add_column("selector", overflow="fold", min_width=20)
    for column in ("valid", "not ok", "consistency", "slots p", "in", "out", "USD"):
        table.add_column(column, justify="right")
    for pair in results["pairs"]:
        counts = pair["status_counts"]
        odd = [f"{counts[s]} {s}" for s in counts if s != "ok" and counts[s]]
        table.add_row(
            f"{pair['prompt']} + {pair['model']}",
            f"{pair['valid_rate']:.0%}",
            ", ".join(odd) or "-",
            _estimate(pair["order_consistency"]),
            _number(pair["slots"]["p"]),
            _count(pair["tokens_in"]),
            _count(pair["tokens_out"]),
            "not priced" if pair["replay_cost_usd"] is None else f"{pair['replay_cost_usd']:.4f}",
        )
    return table


def _slots(results: Results) -> Iterator[Text]:
    """Picks by shown slot, of pairs that were shown several orders or prefer some slots."""
    for pair in results["pairs"]:
        slots = pair["slots"]
        partial = slots["p"] is not None and slots["p"] < SLOTS_ALPHA
        if pair["order_consistency"] or partial:
            counts = " ".join(f"{count:g}" for count in slots["counts"])
            yield Text(f"{pair['prompt']} + {pair['model']}: picks by slot {counts}.")


def _overlaps_table(results: Results) -> Table:
    table = _table(
        "overlap of picks between pairs", "kappa: 0 = as random picks overlap, 1 = the same picks"
    )
    for column in ("a", "b"):
        table.add_column(column)
    for column in ("kappa", "interval"):
        table.add_column(column, justify="right")
    for overlap in results["overlaps"]:
        names = (" + ".join(overlap[side]) for side in ("a", "b"))
        table.add_row(*names, _estimate(overlap["kappa"]), _interval(overlap["kappa"]))
    return table


def _table(title: str, caption: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _estimate(interval: Mapping[str, float] | None) -> str:
    return "-" if interval is None else f"{interval['estimate']:.2f}"


def _interval(interval: Mapping[str, float] | None) -> str:
    return f"{interval['low']:+.2f} to {interval['high']:+.2f}" if interval else "-"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
