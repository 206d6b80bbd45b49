"""Verdicts as Markdown, for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from selectllm.core.verdict_words import KIND_WORDS, POLARITY, worst
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.runs.schema import RunResults
from selectllm.report.as_markdown import as_markdown, plain
from selectllm.report.noise import noise_facts
from selectllm.report.terminal import render_results
from selectllm.report.verdict_sentences import figures, in_full, lead
from selectllm.report.votes import asking_sentences
from selectllm.report.wording import (
    Fact,
    count,
    counted,
    estimate,
    spread,
    subject,
)

MARKS = {"good": "✓", "bad": "✗", "open": "?"}
KEY_FACTS = (
    *("change", "difference", "one more", "error rate", "retention", "assay", "margin", "cost"),
    *("severe losses", "lost most", "ratings", "judge", "utility", "ceiling"),
)


def markdown(results: RunResults) -> str:
    """A comment: the overall word, a row per verdict, then why and what would decide it.

    Of a run that compares nothing: the tables that a terminal shows.

    Its first line is an invisible marker, the same for every run of a suite, by which a bot finds
    the comment that it wrote before.
    """
    parts = [
        marker(results.suite),
        _heading(results),
    ]
    verdicts = results.verdicts
    if verdicts:
        parts += [_table(verdicts), "captured: 0 = random picks, 1 = the best possible."]
    parts += [_section(verdict) for verdict in verdicts]
    if noise := results.noise:
        title = f"### Noise floor: {plain(noise.pair)}, with other {noise.by}"
        parts.append(f"{title}\n\n{_list(noise_facts(noise))}")
    elif not verdicts:
        parts.append(as_markdown(render_results(results)).rstrip())
    if verdicts or noise:  # else the tables are followed by them
        parts += map(plain, asking_sentences(results))
    return "\n\n".join(parts) + "\n"


def marker(suite: str) -> str:
    """The invisible first line of every comment on a suite."""
    return f"<!-- selectllm:{quote(suite, safe='')} -->"


def _heading(results: RunResults) -> str:
    word = worst(results.words)
    title = f"selectllm, {plain(results.suite)}"
    if word is None:
        return f"## {title}"
    told = str(word)
    if len(results.verdicts) == 1:
        told = plain(in_full(results.verdicts[0], told))
    return f"## {MARKS[POLARITY[word]]} {title}: {told}"


def _table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts of one command are of one kind, so they share their headings."""
    first, second = KIND_WORDS[verdicts[0].kind].arms
    captured = (f"captured {first}", f"captured {second}")
    head = ("pair", "verdict", *captured, "difference (interval)", "clusters")
    rule = ["---"] * 2 + ["---:"] * 4
    return "\n".join(map(_line, [head, rule, *map(_row, verdicts)]))


def _row(verdict: Verdict) -> list[str]:
    difference = verdict.difference
    figure = f"{difference.estimate:+.3f} ({spread(difference, 3)})" if difference else "-"
    told = plain(in_full(verdict, verdict.word))
    return [
        f"{_name(verdict.b)} against {_name(verdict.a)}",
        f"{MARKS[POLARITY[verdict.word]]} {told.replace(verdict.word, f'**{verdict.word}**', 1)}",
        estimate(verdict.captured.a),
        estimate(verdict.captured.b),
        figure,
        _clusters(verdict),
    ]


def _clusters(verdict: Verdict) -> str:
    """`120`, or `120 in 10 groups`."""
    groups = verdict.groups
    told = count(verdict.clusters)
    return told if groups is None else f"{told} in {counted(groups, 'group')}"


def _section(verdict: Verdict) -> str:
    """What the table cannot say: the reason, notes, what would decide it, and the error rate."""
    facts = [*lead(verdict), *(fact for fact in figures(verdict) if fact[0] in KEY_FACTS)]
    told = plain(in_full(verdict, verdict.word))
    return f"### {plain(subject(verdict))}: {told}\n\n{_list(facts)}"


def _list(facts: Iterable[Fact]) -> str:
    return "\n".join(f"- **{label}**: {plain(text)}" for label, text in facts)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _name(text: str) -> str:
    return f"<code>{plain(text)}</code>"
