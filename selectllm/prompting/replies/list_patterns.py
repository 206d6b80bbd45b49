"""How lists of labels are written in replies, and the words around one that say what it is for.

All expressions are linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from selectllm.prompting.replies.text import OWN_TEXT


class _Later:
    """A regular expression that the first reply compiles which needs it: most need few."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def __getattr__(self, name: str) -> Any:
        """A method of the compiled one, which stands here from then on."""
        found = getattr(re.compile(self._pattern, re.IGNORECASE), name)
        setattr(self, name, found)
        return found


def _later(pattern: str) -> re.Pattern[str]:
    return cast(re.Pattern[str], _Later(pattern))


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

    return Grammar(
        token=_later(f"{before}({token}){after}"),
        bracket=_later(bracket),
        closed=_later(closed),
        bare=_later(bare),
        line=_later(rf"{bullet}{_ENUM}({either}) ?[.!,;✅✔]?{own}{dots}"),
        headed=_later(rf"{bullet}{_ENUM}({bracket}) ?[-:.,–—(]? "),
        contrast=_later(rf"\b{_CONTRASTS}{either}"),
        alternative=_later(rf"{_ALTERNATIVES}\(?\[?{unnamed}"),
        rival=_later(rf"\b(?:but|however|although|though|yet|aber|mais|pero)\b.*\[ ?{unnamed}"),
    )


_OF = (
    r"(?: (?:the|these|following|my|best|most|top|valuable|useful|informative|two|three|numbers?"
    r"|candidates?|instructions?|items?|options?|labels?|ids?|indices"
    r"|\d{1,2}(?= (?:best|most|top|candidates?|instructions?|items?|options?|labels?)))){0,5}"
)
_SAYS = (
    r"(?:['\"]? ?(?:[:=→]|-?>|-(?= ?\[))| (?:is|are|would be|will be)(?: the)?(?: following)?:?) ?"
)
MARKER = _later(
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
    r" ?(?:[:=]|ist|est|es|是|は) ?"
)
LINE_ENDS = re.compile(r"[\s:.]*$")
FENCES = ("```", "~~~")
END_OF_BARE = _later(
    r" ?(?:$|[.;!)](?: |$)|,? (?:because|since|as|for|due|which|these|they|this|it|both)\b|[-–—(])"
)
DOUBT_BEFORE = _later(
    r"n't\b|\b(?:not|cannot|never|no|none|nothing|if|whether|should|could|might|may|unless|or"
    r"|perhaps|maybe|alternatively|otherwise|initially|at first|previously|tempted|wrong|why"
    r"|between|either|neither|says?|said|told|example|instance|format|e\.g)\b"
)
DOUBT_AFTER = _later(
    r",? (?:is|are|was|were|do|does|would|can|could|should|has|have|seems?|looks?)"
    r"(?:n't| (?:not|no|too|hardly|unclear|wrong|vague|unsuitable|incorrect))\b"
)
HEDGE = _later(r"(?:or|alternatively|otherwise|perhaps|maybe|oder|ou)\b")
HENCE = _later(r"\b(?:so|therefore|thus|hence)\b")
SENTENCE_END = re.compile(r"[.!?](?= |$)|;")
TAKES_BACK = _later(
    r"\bwait\b[,.!-]|\b(?:on second thoughts?|scratch that|reconsider|i was wrong|my mistake"
    r"|correction:)"
)
CHOOSING = _later(
    r"\b(?:cho(?:ose|ice|sen)|select\w*|pick\w*|answer|recommend\w*|suggest\w*|prefer\w*|annotat\w*"
    r"|best|most|top|good|great|strong\w*|rich\w*|valuable|useful|helpful|informative|impactful"
    r"|beneficial|worth\w*|deserve\w*|here|sure|winners?|go)\b"
)
LEADS_TO = _later(
    r"(?:^|[:=]|\b(?:is|are|be|with|choose|pick|select|recommend|suggest|prefer|take|here|sure|so"
    r"|therefore|annotate),?) ?(?:the |these |both )?$"
)
LED_BY = _later(
    r",? (?:is|are|would|will|look|looks|seem|seems|offer|offers|stand|stands|because|since|should"
    r"|as|for|it is)\b| ?[-–—:]"
)
DISCREDITS = _later(
    r"n't\b|\b(?:not|cannot|never|no|none|neither|if|whether|should|could|might|may|unless|avoid"
    r"|skip|exclude|reject|worst|weak\w*|vague|unclear|bad|poor|trivial|too|or|between|says?|said"
    r"|told|example|instance|format|e\.g)\b|\?"
)
FRAME = re.compile(r"[\[\]{}(), ]*")
