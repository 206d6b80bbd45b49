"""Signatures estimate how many runs of words two texts share, and alike texts meet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.data.minhash import BAND_ROWS, BANDS, RUN, met, signatures

words = st.lists(st.sampled_from("abcdef"), max_size=8).map(" ".join)


def runs(text: str) -> set[tuple[str, ...]]:
    split = text.split() or [""]
    split += [""] * (RUN - len(split))
    return {tuple(split[start : start + RUN]) for start in range(len(split) - RUN + 1)}


def jaccard(one: str, other: str) -> float:
    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


def long_text(seed: int, changed: int = 0) -> str:
    drawn = [str(number) for number in np.random.default_rng(seed).integers(0, 10**6, 300)]
    return " ".join([*drawn[: 300 - changed], *map("other {}".format, range(changed))])


@given(st.lists(words, min_size=1, max_size=6))
def test_equal_runs_have_equal_signatures_and_others_do_not(texts: list[str]) -> None:
    signed = signatures(texts)
    for one, row in zip(texts, signed, strict=True):
        for other, beside in zip(texts, signed, strict=True):
            assert np.array_equal(row, beside) == (runs(one) == runs(other))


@pytest.mark.parametrize("changed", [0, 10, 60, 150, 300])
def test_the_share_that_agrees_estimates_the_similarity(changed: int) -> None:
    pairs = [(long_text(seed), long_text(seed, changed)) for seed in range(40)]
    one, other = (signatures(side) for side in zip(*pairs, strict=True))
    truth = np.mean([jaccard(*pair) for pair in pairs])
    assert (one == other).mean() == pytest.approx(truth, abs=0.03)  # 2,560 draws: 3 sd at most


def test_alike_texts_meet_and_unlike_ones_do_not() -> None:
    texts = [long_text(seed) for seed in range(50)] + [long_text(seed, 30) for seed in range(50)]
    pairs = {(one, other) for one, other in met(signatures(texts)).tolist()}
    assert pairs == {(seed, 50 + seed) for seed in range(50)}


def test_a_bucket_of_many_is_a_chain_with_the_first() -> None:
    pairs = met(signatures(["the same three words"] * 5)).tolist()
    assert sorted(map(tuple, pairs)) == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4)]


def test_fewer_texts_than_a_pair_meet_nobody() -> None:
    assert met(signatures([])).shape == met(signatures(["alone"])).shape == (0, 2)
    assert signatures(["alone"]).shape == (1, BANDS * BAND_ROWS)
