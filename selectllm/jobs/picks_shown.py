"""The picks of a selection and their rivals, cut so that their page stays below ten megabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from selectllm.core.types import Decision, Item
from selectllm.report.html.picks_evidence import ShownPick, ShownRivals
from selectllm.selection.by_model import Chosen
from selectllm.utility.handover.handed import HandedItem, Rival, handed_items

MOST = 8_000_000  # bytes of the packed block
OF_PICKS = 0.6  # of that for the picks themselves, at most
SAMPLE = 500_000  # bytes that show how well the texts can be packed
BASE64 = 4 / 3
PICK_LENGTHS = (20_000, 4_000, 1_000, 300)
RIVAL_LENGTHS = (1_000, 200, 80, 40, 0)
"""Characters that are shown of each, the first that fits; 0: ids alone."""
ROW = 60  # bytes of a row besides its texts


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page has, and `notes` on what is left out."""

    picks: tuple[ShownPick, ...]
    rivals: tuple[ShownRivals, ...]
    notes: tuple[str, ...]


def shown_picks(
    chosen: Sequence[Chosen], decisions: Sequence[Decision], texts: Mapping[str, Item]
) -> Shown:
    """`chosen` in their order beside their rivals, with as much of the texts as there is room for.

    `texts`: the items of the pool by id; empty where it is not there.
    """
    room = _room(chosen)
    cut, listed, taken = _room_for_picks(chosen, room * OF_PICKS)
    of_model = [decision for decision in decisions if decision.model is not None]
    handed, most = _with_rivals(chosen, of_model, texts, room - taken)
    asked = {(decision.round, decision.cluster) for decision in of_model}
    rivals: list[ShownRivals] = []
    numbers: dict[tuple[int, int], int] = {}
    picks = []
    for one in handed[:listed]:
        key = one.choice.round, one.choice.cluster
        if key in asked and key not in numbers:
            numbers[key] = len(rivals)
            rivals.append(ShownRivals(key[1], key[0], tuple(_rivals(one, texts, most))))
        picks.append(_pick(one, cut, numbers.get(key)))
    compared = bool(texts) and any(each.rivals for each in rivals)
    notes = _notes(len(chosen), listed, cut, most if compared else None)
    return Shown(tuple(picks), tuple(rivals), tuple(notes))


def _room(chosen: Sequence[Chosen]) -> float:
    """Bytes of text that come to MOST once they are packed, as some of them show."""
    texts: list[bytes] = []
    left = SAMPLE
    for choice in chosen[:: max(1, len(chosen) // 1_000)]:
        texts.append(choice.item.text[:left].encode())
        left -= len(texts[-1])
        if left <= 0:
            break
    sample = b"\n".join(texts)
    return MOST / BASE64 * max(1.0, len(sample) / len(zlib.compress(sample, 6)))


def _room_for_picks(chosen: Sequence[Chosen], room: float) -> tuple[int, int, float]:
    """Characters that are shown of a pick, how many picks are listed, and the bytes they take."""
    taken = 0
    for cut in PICK_LENGTHS:
        taken = sum(_size(choice, cut) for choice in chosen)
        if taken <= room:
            return cut, len(chosen), taken
    return PICK_LENGTHS[-1], max(1, int(len(chosen) * room / taken)), room


def _notes(picks: int, listed: int, cut: int, most: int | None) -> Iterator[str]:
    """What is left out for want of room; `most`: of a rival, None where there are none."""
    if listed < picks:
        yield (
            f"Only the first {listed:,} of {picks:,} picks are listed, because the page would "
            "become too large otherwise. The figures and charts count all of them."
        )
    if cut < PICK_LENGTHS[0]:
        yield f"At most {cut:,} characters of each pick are shown, because there are so many."
    if most == 0:
        yield "Only the ids of the rivals are shown, because there are so many."
    elif most is not None and most < RIVAL_LENGTHS[0]:
        yield f"At most {most:,} characters of each rival are shown, because there are so many."


def _with_rivals(
    chosen: Sequence[Chosen],
    decisions: Sequence[Decision],
    texts: Mapping[str, Item],
    room: float,
) -> tuple[list[HandedItem], int]:
    """The picks with their rivals, and the characters of each that fit into `room` bytes."""
    handed = handed_items(chosen, decisions, texts, RIVAL_LENGTHS[0])
    clusters = {(one.choice.round, one.choice.cluster): one.rivals for one in handed}
    rivals = [rival for each in clusters.values() for rival in each]
    fixed = sum(len(rival.id) + 8 for rival in rivals)
    for most in RIVAL_LENGTHS:
        if fixed + sum(len(_beginning(rival, most).encode()) for rival in rivals) <= room:
            return handed, most
    return handed, 0


def _rivals(one: HandedItem, texts: Mapping[str, Item], most: int) -> Iterator[tuple[str, str]]:
    for rival in one.rivals:
        yield rival.id, _beginning(rival, most) if rival.id in texts else ""


def _beginning(rival: Rival, most: int) -> str:
    if len(rival.text) <= most:
        return rival.text
    return f"{rival.text[: most - 1]}\u2026" if most else ""


def _size(choice: Chosen, cut: int) -> int:
    item = choice.item
    shown = min(len(item.text), cut)
    reason = len((choice.reason or "").encode())
    return ROW + len(item.id) + reason + len(item.text[:shown].encode())


def _pick(one: HandedItem, cut: int, rivals: int | None) -> ShownPick:
    choice, item = one.choice, one.choice.item
    instruction = item.instruction[:cut]
    return ShownPick(
        id=item.id,
        instruction=instruction,
        input=item.input[: cut - len(instruction)],
        length=len(item.text),
        cluster=choice.cluster,
        by=choice.by,
        filled=choice.filled,
        rank=choice.rank,
        score=choice.score,
        reason=choice.reason,
        rivals=rivals,
    )
