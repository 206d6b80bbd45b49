"""What the page of an audit says first: whether what should make no difference does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from selectllm.core.verdict_words import Polarity
from selectllm.evaluation.audit.schema import AuditComparison, AuditResults
from selectllm.report.audit_probes import SHOWN
from selectllm.report.html.opening import Opening, Sentence
from selectllm.report.wording import counted

POLARITIES: Mapping[str, Polarity] = {"held": "good", "worse": "bad", "cannot tell": "open"}


def audit_opening(found: AuditResults) -> Opening:
    """The verdict beside a recorded audit, if there is one; then what moves the picks."""
    sentences = [_shown(found)]
    if found.comparison is not None:
        sentences.insert(0, _compared(found, found.comparison))
    notes = () if found.comparison is None else found.comparison.notes
    below = (
        f"Asked about {counted(len(found.clusters), 'cluster')}, "
        f"{counted(found.picks, 'pick')} in each, with changes that should make no difference.",
        *(f"{note[0].upper()}{note[1:]}." for note in notes),
    )
    return Opening(found.suite, tuple(sentences), below)


def _compared(found: AuditResults, comparison: AuditComparison) -> Sentence:
    word, why = comparison.word, comparison.reason
    why = why.removeprefix(word) if why.startswith(word) else f": {why}"
    pair = f"{found.prompt} + {found.model}"
    return Sentence(f"{pair} compared with the recorded audit: ", word, f"{why}.", POLARITIES[word])


def _shown(found: AuditResults) -> Sentence:
    pair = f"{found.prompt} + {found.model}"
    if not found.measured:
        return Sentence(f"What moves the picks of {pair} is ", "not known", ": no reply gave one.")
    if moving := [*_moving(found)]:
        *others, last = moving
        by = f"{', '.join(others)} and {last}" if others else last
        return Sentence(f"The picks of {pair} ", "are moved", f" by {by}.", "bad")
    told = " that anything but what the candidates ask moves the picks of "
    return Sentence("These clusters ", "do not show", f"{told}{pair}.")


def _moving(found: AuditResults) -> Iterator[str]:
    """What does, where an interval or a test shows it, in words that follow `by`."""
    card = {each.name: each.value for each in found.measures}
    slots, length = card.get("order.slot-bias"), card.get("length.preference")
    if slots is not None and slots.low > 0:
        yield "the place in the list"
    if length is not None and (length.low > 0 or length.high < 0):
        yield "how long a candidate is"
    if found.hijack is not None:
        styles = [each.style for each in found.hijack.styles if each.p_holm <= SHOWN]
        if styles:
            yield f"texts that ask to be picked ({', '.join(styles)})"
    if any(each.share is not None and each.share.low > each.chance for each in found.copies):
        yield "a second copy, which is picked together with the first"
    if found.drift is not None and found.drift.word == "moved":
        yield "the model itself, which has changed since its replies were cached"
