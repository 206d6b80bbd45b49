"""Figures of arms against each other, and the words that they earn: ab, aa, swap, regress."""
