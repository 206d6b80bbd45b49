"""One selected item as annotators get it: its text, and why it was selected. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from selectllm.core.shown import excerpt
from selectllm.core.types import Decision, Item
from selectllm.selection.by_model import Chosen

RIVAL = 200  # characters that are shown of an item that was not selected


@dataclass(frozen=True, slots=True)
class Rival:
    """A candidate of the same cluster that was not selected; `text`: its beginning, on one line."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class HandedItem:
    """A selected item, and the candidates of its cluster that were not selected.

    None for an item that was selected from the whole pool, or whose cluster was taken whole.
    """

    choice: Chosen
    rivals: tuple[Rival, ...] = ()

    @property
    def item(self) -> Item:
        """The item itself."""
        return self.choice.item

    @property
    def about(self) -> str:
        """In a sentence, who selected it and how well it did."""
        choice = self.choice
        if choice.filled:
            return "Chosen at random, because no usable answer selected an item here."
        if choice.rank is None:
            return "Selected with all others of its cluster."
        within = "the pool" if choice.by.startswith("strategy:") else f"cluster {choice.cluster}"
        score = "" if choice.score is None else f", with score {choice.score:g}"
        return f"Rank {choice.rank} in {within}{score}, selected by {choice.by}."

    @property
    def turns(self) -> list[dict[str, str]]:
        """Every turn as `role` and `content`; none of a question and its answer alone."""
        turns = self.item.turns if self.item.is_conversation else ()
        return [{"role": turn.role, "content": turn.text} for turn in turns]

    @property
    def rivals_text(self) -> str:
        """The rivals, one a line."""
        return "\n".join(f"\u2022 {rival.text}" for rival in self.rivals)


def handed_items(
    chosen: Sequence[Chosen],
    decisions: Iterable[Decision],
    texts: Mapping[str, Item],
    longest: int = RIVAL,
) -> list[HandedItem]:
    """`chosen` with their rivals, in their order.

    `decisions`: of the clusters that they are from, none where that is the whole pool. `texts`: the
    items of the pool by id; of a rival that is not among them the id is shown. `longest`:
    characters that are shown of a rival.
    """
    selected = {choice.item.id for choice in chosen}
    rivals = {
        (decision.round, decision.cluster): tuple(
            _rival(item_id, texts, longest) for item_id in decision.shown if item_id not in selected
        )
        for decision in decisions
    }
    return [HandedItem(choice, rivals.get((choice.round, choice.cluster), ())) for choice in chosen]


def _rival(item_id: str, texts: Mapping[str, Item], longest: int) -> Rival:
    item = texts.get(item_id)
    text = f"(item {item_id})" if item is None else " ".join(item.text.split())
    return Rival(item_id, excerpt(text, longest))
