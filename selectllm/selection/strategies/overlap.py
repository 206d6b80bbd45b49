"""ROUGE diversity: the items that repeat the words of no other item first. Pure."""

from __future__ import annotations

from selectllm.core.errors import UnfitError
from selectllm.selection.strategies.candidates import Candidates, by_score

ROUGE_UP_TO = 60_000  # items; 1.8 billion pairs, at 2 to 50 million a second on one core


def rouge_diversity(candidates: Candidates, n: int, *, most: int = ROUGE_UP_TO) -> list[int]:
    """The n positions whose highest ROUGE-L F1 with any other item is lowest, lowest first.

    The diversity baseline of SelectLLM (arXiv 2401.16553), after the novelty filter of
    Self-Instruct (Wang et al. 2023, arXiv 2212.10560). Instruction and input are compared, never
    the response. The published code compares with 1,000 items at random and sorts items without
    an input first, by accident; here every pair counts. Ties, such as identical texts, go by
    seeded hash of the id.

    Tokens are runs of a-z and 0-9 (see data/rouge.py). An item without any cannot be shown
    to differ, and counts as a repeat, 1; for other scripts use a strategy that needs vectors.

    Time grows with the square of the items and with their length: 20,000 take 4 s on one core at
    13 tokens each, 110 s at 74 (Dolly without and with inputs). Memory stays at some 30 MB beyond
    the tokens. Raises UnfitError above `most` candidates.
    """
    if len(candidates.items) > most:
        raise UnfitError(
            f"ROUGE diversity compares every pair, which is for up to {most:,} items, got "
            f"{len(candidates.items):,}. Use k-center, or a random sample of the pool"
        )
    # Here, so that other strategies start without it.
    from selectllm.data.rouge import highest_rouge_l

    overlap = highest_rouge_l([item.text for item in candidates.items])
    picks: list[int] = by_score(candidates, -overlap)[:n].tolist()
    return picks
