"""Lists of labels in the text of a reply, and which of them the reply means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from selectllm.prompting.replies.list_patterns import (
    CHOOSING,
    DISCREDITS,
    DOUBT_AFTER,
    DOUBT_BEFORE,
    END_OF_BARE,
    FENCES,
    FRAME,
    HEDGE,
    HENCE,
    LEADS_TO,
    LED_BY,
    LINE_ENDS,
    MARKER,
    SENTENCE_END,
    TAKES_BACK,
    Grammar,
)
from selectllm.prompting.replies.text import MASK, OWN_TEXT, readable

PROSE, LINE, MARKED, FINAL = range(4)
"""How plainly a list is meant: in a sentence; alone on its line; after "Answer:", "I choose" and
the like; after "Final answer" and the like."""


@dataclass(frozen=True, slots=True)
class LabelList:
    """One list of labels in a reply, labels as written.

    `meant`: PROSE, LINE, MARKED or FINAL. `closed`: every label is inside square brackets.
    `trusted`: what surrounds the list lets it count. `exact`: it counts only with k labels, as
    text follows each of them. `owns`: where that text is a candidate's, (label, position).
    """

    labels: tuple[str, ...]
    meant: int
    closed: bool
    trusted: bool = True
    exact: bool = False
    owns: tuple[tuple[str, int], ...] = ()


TAKEN_BACK = LabelList((), PROSE, closed=False, trusted=False)
"""Says that what the reply said before was a mistake."""


_NEAR = 150
_LONGEST_ROW = 10_000
_MOST_LISTS = 20  # a line with more lists, or more markers, chooses none of them


def find_lists(text: str, shape: Grammar, *, leading: bool = False) -> list[LabelList]:
    """Every list of labels in `text`, in order; see `meant_list` for what they come to.

    `text` is as `text.mask_quotes` leaves it. `leading`: only what it begins with, or "Answer:".
    """
    lines = _lines(text, shape)
    lists: list[LabelList] = []
    pending = PROSE  # what a marker that ends its line makes of the lists below it
    hedged = False  # whether the line above says "or", "perhaps" and the like
    at = 0
    while at < len(lines):
        rows = _rows(lines, at, shape, headed=False)
        if not rows and pending > PROSE:
            rows = _rows(lines, at, shape, headed=True)
        if rows:
            alone = len(rows) == len(lines) or pending > PROSE
            listed = _listed(rows, max(pending, LINE), alone)
            lists += [replace(row, trusted=False) for row in listed] if hedged else listed
            pending, hedged = PROSE, False
        else:
            hedged = HEDGE.match(lines[at]) is not None
            if TAKES_BACK.match(lines[at]):
                lists.append(TAKEN_BACK)
            marked, pending = _marked(lines[at], shape)
            if leading and (marked, pending) == ([], PROSE):
                break
            lists += marked or _in_prose(lines[at], shape)
        at += max(1, len(rows))
    return lists


def meant_list(lists: Sequence[LabelList], k: int, in_order: bool) -> LabelList | str:
    """The list that a reply means, or the problem that leaves none: no_answer or ambiguous.

    The plainest lists decide and must agree, with each other and with any list that stands alone
    after the first of them; nothing after them may take them back. Lists in prose count only if
    nothing plainer is there, all agree, and what surrounds each of them chooses it.
    `in_order`: order is part of what a list says.
    """

    def says(one: LabelList) -> object:
        if in_order:
            return one.labels
        distinct = tuple(dict.fromkeys(one.labels))
        return frozenset(distinct), frozenset(distinct[:k])

    plainest = max((one.meant for one in lists if one.labels), default=None)
    if plainest is None:
        return "no_answer"
    first = next(i for i, one in enumerate(lists) if one.labels and one.meant == plainest)
    rest = lists[first:]
    deciding = [one for one in rest if one.labels and one.meant >= min(plainest, LINE)]
    last = deciding[-1]
    if len({says(one) for one in deciding}) > 1 or TAKEN_BACK in rest[rest.index(last) :]:
        return "ambiguous"
    trusted = [one.trusted for one in deciding]
    if plainest == PROSE and (not all(trusted) or len(last.labels) < k):
        return "no_answer"
    return last if any(trusted) else "no_answer"


def is_only_a_list(text: str, shape: Grammar) -> bool:
    """Whether `text` is one list and nothing else, but for a marker before it."""
    marker = MARKER.match(text)
    start = marker.end() if marker else 0
    return len(text) <= _LONGEST_ROW and shape.line.fullmatch(text, start) is not None


def labels_in(text: str, shape: Grammar) -> tuple[str, ...]:
    """The labels of one list, as written."""
    return tuple(shape.token.findall(text))


def _lines(text: str, shape: Grammar) -> list[str]:
    """The lines of `text` without contrasts; code that is more than a list is masked."""
    lines: list[str] = []
    fenced: list[str] | None = None
    for line in [*text.split("\n"), FENCES[0]]:
        if line.startswith(FENCES) and line.count(FENCES[0]) < 2:
            if fenced is not None:
                lines += fenced if _is_answer(fenced, shape) else [MASK]
            fenced = [] if fenced is None else None
        elif fenced is None:
            lines.append(line)
        else:
            fenced.append(line)
    cleaned = TAKES_BACK.sub(r"\n\g<0>", readable("\n".join(lines)))
    cleaned = shape.contrast.sub("", cleaned)
    return [stripped for line in cleaned.split("\n") if (stripped := line.strip())]


def _is_answer(fenced: Sequence[str], shape: Grammar) -> bool:
    lines = readable("\n".join(fenced)).split("\n")
    return all(
        shape.line.fullmatch(line) or FRAME.fullmatch(line) or _marked(line, shape) != ([], PROSE)
        for line in lines
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """One line that holds lists of labels and little else; `rank` is its number in a listing."""

    lists: tuple[tuple[str, ...], ...]
    closed: bool
    rank: int | None
    headed: bool
    own: int | None


def _rows(lines: Sequence[str], at: int, shape: Grammar, headed: bool) -> list[_Row]:
    rows = []
    for i in range(at, len(lines)):
        row = _row(lines[i], shape, headed)
        if row is None:
            break
        rows.append(row)
    return rows


def _row(line: str, shape: Grammar, headed: bool) -> _Row | None:
    if len(line) > _LONGEST_ROW:
        return None
    match = shape.headed.match(line) if headed else shape.line.fullmatch(line)
    if match is None or (headed and _is_doubted(line, match.end(3), shape)):
        return None
    own = None if headed or not match["own"] else ord(match["own"]) - OWN_TEXT
    rank = int(match[1] or match[2]) if match[1] or match[2] else None
    return _Row(_lists(match[3], shape), "[" in match[3], rank, headed, own)


def _lists(run: str, shape: Grammar) -> tuple[tuple[str, ...], ...]:
    """The lists in a run of labels: brackets of one label each make one list."""
    if run.count("[") > 1:
        brackets = [labels_in(bracket, shape) for bracket in shape.bracket.findall(run)]
        if any(len(labels) > 1 for labels in brackets):
            return tuple(brackets)
    return (labels_in(run, shape),)


def _listed(rows: Sequence[_Row], meant: int, alone: bool) -> list[LabelList]:
    """The lists in lines that hold nothing else: one label a line makes one list.

    A bare number in one line of many is no list, nor are lines numbered other than 1, 2, 3, ...
    """
    closed = all(row.closed for row in rows)
    exact = any(row.headed or row.own is not None for row in rows)
    ranks = [row.rank for row in rows]
    numbered = ranks == list(range(1, len(rows) + 1))
    trusted = numbered or not any(ranks)
    if any(len(row.lists) > 1 or len(row.lists[0]) > 1 for row in rows):
        every_list = ((row, labels) for row in rows for labels in row.lists)
        return [LabelList(labels, meant, row.closed, trusted, exact) for row, labels in every_list]
    if len(rows) == 1 and not closed and not exact and (numbered or not alone):
        return []
    labels = tuple(row.lists[0][0] for row in rows)
    owns = tuple((row.lists[0][0], row.own) for row in rows if row.own is not None)
    return [LabelList(labels, meant, closed, trusted, exact, owns)]


def _marked(line: str, shape: Grammar) -> tuple[list[LabelList], int]:
    """The lists that follow a marker in `line`, and what a marker at its end makes of the next."""
    lists = []
    pending = PROSE
    markers = list(MARKER.finditer(line))
    for marker in markers if len(markers) <= _MOST_LISTS else ():
        at = marker.end()
        run = shape.closed.match(line, at) or shape.bare.match(line, at)
        ends = run is None and LINE_ENDS.match(line, at) is not None
        if not (run or ends) or _is_doubted_before(line, marker.start()):
            continue
        meant = FINAL if marker["final"] else MARKED
        if run is None:
            pending = meant
        elif not _is_doubted(line, run.end(), shape):
            closed = "[" in run[0]
            if closed or END_OF_BARE.match(line, run.end()):
                lists += [LabelList(labels, meant, closed) for labels in _lists(run[0], shape)]
    return lists, pending


def _is_doubted_before(line: str, start: int) -> bool:
    """Whether a sentence denies or doubts what its marker says, before the marker."""
    return bool(DOUBT_BEFORE.search(HENCE.split(_before(line, start))[-1]))


def _is_doubted(line: str, end: int, shape: Grammar) -> bool:
    """Whether what follows a list takes it back: an alternative, a denial, a question."""
    after = _after(line, end)
    return bool(
        shape.alternative.match(after)
        or DOUBT_AFTER.match(after)
        or shape.rival.search(after)
        or after.endswith("?")
    )


def _in_prose(line: str, shape: Grammar) -> Iterator[LabelList]:
    """The lists in brackets amid a sentence, trusted if the sentence chooses them."""
    runs = list(shape.closed.finditer(line))
    crowded = len(runs) > _MOST_LISTS
    for run in runs[:1] if crowded else runs:
        before, after = _before(line, run.start()), _after(line, run.end())
        trusted = not crowded and _is_chosen(before, after)
        # A list that is a sentence of its own may be a citation: it can only disagree.
        alone = not before.strip() and run.start() > 0 and not after.strip(" .!")
        for labels in _lists(run[0], shape):
            yield LabelList(labels, LINE if alone else PROSE, closed=True, trusted=trusted)


def _is_chosen(before: str, after: str) -> bool:
    """Whether a sentence chooses the list that stands between `before` and `after`."""
    sentence = f"{before} {after}"
    return bool(
        CHOOSING.search(sentence)
        and not DISCREDITS.search(sentence)
        and (LEADS_TO.search(before) or LED_BY.match(after))
    )


def _before(line: str, start: int) -> str:
    """What its sentence says before `start`, as far as it is near."""
    return SENTENCE_END.split(line[max(0, start - _NEAR) : start])[-1]


def _after(line: str, end: int) -> str:
    """What its sentence says after `end`, with its closing mark, as far as it is near."""
    near = line[end : end + _NEAR]
    stop = SENTENCE_END.search(near)
    return near[: stop.end()] if stop else near
