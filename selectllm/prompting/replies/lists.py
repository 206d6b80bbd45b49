"""Lists of labels in the text of a reply, and which of them the reply means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

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


@dataclass(frozen=True, slots=True)
class Grammar:
    """The regular expressions of one kind of labels. All are linear in the text."""

    token: re.Pattern[str]
    bracket: re.Pattern[str]
    closed: re.Pattern[str]
    bare: re.Pattern[str]
    line: re.Pattern[str]  # nothing but lists
    headed: re.Pattern[str]  # a list, then words
    contrast: re.Pattern[str]
    alternative: re.Pattern[str]
    rival: re.Pattern[str]


_NOUN = r"(?:(?:candidate|instruction|item|option|label|number|id|nos?\.|nr\.)s?(?: ?: ?| )?)?"
_BETWEEN = r"(?: ?[,;、&>与和] ?(?:(?:and|&) )?| (?:and|und|et) | )"
_ENUM = r"(?:(?:(?:pick|choice|rank|selection)s? #?(\d{1,3}) ?[:.)-]|(\d{1,3})[.)]) ?)?"
_SIGNS = "*•·–—→➡✅✔●▪"
_CONTRASTS = (
    r"(?:not|nor|neither|over|rather than|instead of|better than|more than|unlike|except(?: for)?"
    r"|excluding|without|compared (?:to|with)|as opposed to) (?:the )?"
)
_ALTERNATIVES = r"(?: ?,? (?:or|and/or|to|through|until|vs\.?|versus|oder|ou) | ?[-–/~] ?(?=\[))"


@cache
def grammar(letters: bool) -> Grammar:
    """The grammar for numbers, or for single letters (which reads numbers as unknown labels)."""
    number = r"-?\d{1,9}(?:\.\d{1,9})?"
    token = rf"(?<!\w)(?:[a-z]|{number})" if letters else rf"(?<!\w){number}"
    token += r"(?![\w%°]|\.\d)"
    before, after = rf"{_NOUN}(?:# ?)?\(?['\"]?", r"['\"]?\)?"
    unnamed = before + token + after
    bracket = rf"{_NOUN}\(?\[ ?{unnamed}(?:{_BETWEEN}{unnamed})*(?: ?,)? ?\]\)?"
    closed = rf"{bracket}(?:{_BETWEEN}?{bracket})*"
    bare = rf"{unnamed}(?:{_BETWEEN}{unnamed})*"
    either = f"(?:{closed}|{bare})"
    own = rf"(?: ?[-:.)–—]? ?(?P<own>[{chr(OWN_TEXT)}-\U000FFFFD]))?"
    bullet = rf"(?:[-+] |[{_SIGNS}]{{1,3}} ?|(?:sure|okay|ok|certainly|of course|yes)[!,.:]? )?"
    dots = r"(?: ?> ?(?:\.\.\.|\[\w{0,9})?)?"

    def compiled(pattern: str) -> re.Pattern[str]:
        return re.compile(pattern, re.IGNORECASE)

    return Grammar(
        token=compiled(f"{before}({token}){after}"),
        bracket=compiled(bracket),
        closed=compiled(closed),
        bare=compiled(bare),
        line=compiled(rf"{bullet}{_ENUM}({either}) ?[.!,;✅✔]?{own}{dots}"),
        headed=compiled(rf"{bullet}{_ENUM}({bracket}) ?[-:.,–—(]? "),
        contrast=compiled(rf"\b{_CONTRASTS}{either}"),
        alternative=compiled(rf"{_ALTERNATIVES}\(?\[?{unnamed}"),
        rival=compiled(rf"\b(?:but|however|although|though|yet|aber|mais|pero)\b.*\[ ?{unnamed}"),
    )


_OF = (
    r"(?: (?:the|these|following|my|best|most|top|valuable|useful|informative|two|three|numbers?"
    r"|candidates?|instructions?|items?|options?|labels?|ids?|indices"
    r"|\d{1,2}(?= (?:best|most|top|candidates?|instructions?|items?|options?|labels?)))){0,5}"
)
_SAYS = (
    r"(?:['\"]? ?(?:[:=→]|-?>|-(?= ?\[))| (?:is|are|would be|will be)(?: the)?(?: following)?:?) ?"
)
_MARKER = re.compile(
    r"(?P<final>\bfinal (?:answer|selection|pick|choice|ranking|list|decision)s?"
    rf"{_OF}(?:{_SAYS}| ?))"
    r"|\b(?:answers?|selected|selections?|picks?|picked|choices?|chosen|ranking|decision|winners?"
    rf"|best(?: to worst| first)?|top(?: \d{{1,2}})?){_OF}{_SAYS}"
    r"|\b(?:I|we|let's|let us)(?:'d|'ll|'ve| would| will| have| hereby| therefore| thus| finally"
    r"| now| then){0,3} (?:select|choose|chose|pick|picked|selected|chosen|go with|going with"
    rf"|recommend|suggest|vote for)(?: to annotate)?{_OF} ?:? ?"
    r"|\b(?:ich wähle|je choisis|elijo|scelgo|escolho|выбираю) ?:? ?|我(?:选择?|選擇?) ?:? ?"
    r"|(?:\b(?:Antwort|Auswahl|Réponse|Respuesta|Selección|Risposta|Resposta|Ответ|Выбор|Cevap"
    r"|Odpowiedź|Antwoord)|答案|答え|回答|选择|選擇|選択|정답|답|선택)"
    r" ?(?:[:=]|ist|est|es|是|は) ?",
    re.IGNORECASE,
)
_LINE_ENDS = re.compile(r"[\s:.]*$")
_FENCES = ("```", "~~~")
_END_OF_BARE = re.compile(
    r" ?(?:$|[.;!)](?: |$)|,? (?:because|since|as|for|due|which|these|they|this|it|both)\b|[-–—(])",
    re.IGNORECASE,
)
_DOUBT_BEFORE = re.compile(
    r"n't\b|\b(?:not|cannot|never|no|none|nothing|if|whether|should|could|might|may|unless|or"
    r"|perhaps|maybe|alternatively|otherwise|initially|at first|previously|tempted|wrong|why"
    r"|between|either|neither|says?|said|told|example|instance|format|e\.g)\b",
    re.IGNORECASE,
)
_DOUBT_AFTER = re.compile(
    r",? (?:is|are|was|were|do|does|would|can|could|should|has|have|seems?|looks?)"
    r"(?:n't| (?:not|no|too|hardly|unclear|wrong|vague|unsuitable|incorrect))\b",
    re.IGNORECASE,
)
_HEDGE = re.compile(r"(?:or|alternatively|otherwise|perhaps|maybe|oder|ou)\b", re.IGNORECASE)
_HENCE = re.compile(r"\b(?:so|therefore|thus|hence)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?= |$)|;")
_TAKEN_BACK = re.compile(
    r"\bwait\b[,.!-]|\b(?:on second thoughts?|scratch that|reconsider|i was wrong|my mistake"
    r"|correction:)",
    re.IGNORECASE,
)
_CHOOSING = re.compile(
    r"\b(?:cho(?:ose|ice|sen)|select\w*|pick\w*|answer|recommend\w*|suggest\w*|prefer\w*|annotat\w*"
    r"|best|most|top|good|great|strong\w*|rich\w*|valuable|useful|helpful|informative|impactful"
    r"|beneficial|worth\w*|deserve\w*|here|sure|winners?|go)\b",
    re.IGNORECASE,
)
_LEADS_TO = re.compile(
    r"(?:^|[:=]|\b(?:is|are|be|with|choose|pick|select|recommend|suggest|prefer|take|here|sure|so"
    r"|therefore|annotate),?) ?(?:the |these |both )?$",
    re.IGNORECASE,
)
_LED_BY = re.compile(
    r",? (?:is|are|would|will|look|looks|seem|seems|offer|offers|stand|stands|because|since|should"
    r"|as|for|it is)\b| ?[-–—:]",
    re.IGNORECASE,
)
_DISCREDITS = re.compile(
    r"n't\b|\b(?:not|cannot|never|no|none|neither|if|whether|should|could|might|may|unless|avoid"
    r"|skip|exclude|reject|worst|weak\w*|vague|unclear|bad|poor|trivial|too|or|between|says?|said"
    r"|told|example|instance|format|e\.g)\b|\?",
    re.IGNORECASE,
)
_FRAME = re.compile(r"[\[\]{}(), ]*")
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
            hedged = _HEDGE.match(lines[at]) is not None
            if _TAKEN_BACK.match(lines[at]):
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
    marker = _MARKER.match(text)
    start = marker.end() if marker else 0
    return len(text) <= _LONGEST_ROW and shape.line.fullmatch(text, start) is not None


def labels_in(text: str, shape: Grammar) -> tuple[str, ...]:
    """The labels of one list, as written."""
    return tuple(shape.token.findall(text))


def _lines(text: str, shape: Grammar) -> list[str]:
    """The lines of `text` without contrasts; code that is more than a list is masked."""
    lines: list[str] = []
    fenced: list[str] | None = None
    for line in [*text.split("\n"), _FENCES[0]]:
        if line.startswith(_FENCES) and line.count(_FENCES[0]) < 2:
            if fenced is not None:
                lines += fenced if _is_answer(fenced, shape) else [MASK]
            fenced = [] if fenced is None else None
        elif fenced is None:
            lines.append(line)
        else:
            fenced.append(line)
    cleaned = _TAKEN_BACK.sub(r"\n\g<0>", readable("\n".join(lines)))
    cleaned = shape.contrast.sub("", cleaned)
    return [stripped for line in cleaned.split("\n") if (stripped := line.strip())]


def _is_answer(fenced: Sequence[str], shape: Grammar) -> bool:
    lines = readable("\n".join(fenced)).split("\n")
    return all(
        shape.line.fullmatch(line) or _FRAME.fullmatch(line) or _marked(line, shape) != ([], PROSE)
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
    markers = list(_MARKER.finditer(line))
    for marker in markers if len(markers) <= _MOST_LISTS else ():
        at = marker.end()
        run = shape.closed.match(line, at) or shape.bare.match(line, at)
        ends = run is None and _LINE_ENDS.match(line, at) is not None
        if not (run or ends) or _is_doubted_before(line, marker.start()):
            continue
        meant = FINAL if marker["final"] else MARKED
        if run is None:
            pending = meant
        elif not _is_doubted(line, run.end(), shape):
            closed = "[" in run[0]
            if closed or _END_OF_BARE.match(line, run.end()):
                lists += [LabelList(labels, meant, closed) for labels in _lists(run[0], shape)]
    return lists, pending


def _is_doubted_before(line: str, start: int) -> bool:
    """Whether a sentence denies or doubts what its marker says, before the marker."""
    return bool(_DOUBT_BEFORE.search(_HENCE.split(_before(line, start))[-1]))


def _is_doubted(line: str, end: int, shape: Grammar) -> bool:
    """Whether what follows a list takes it back: an alternative, a denial, a question."""
    after = _after(line, end)
    return bool(
        shape.alternative.match(after)
        or _DOUBT_AFTER.match(after)
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
        _CHOOSING.search(sentence)
        and not _DISCREDITS.search(sentence)
        and (_LEADS_TO.search(before) or _LED_BY.match(after))
    )


def _before(line: str, start: int) -> str:
    """What its sentence says before `start`, as far as it is near."""
    return _SENTENCE_END.split(line[max(0, start - _NEAR) : start])[-1]


def _after(line: str, end: int) -> str:
    """What its sentence says after `end`, with its closing mark, as far as it is near."""
    near = line[end : end + _NEAR]
    stop = _SENTENCE_END.search(near)
    return near[: stop.end()] if stop else near
