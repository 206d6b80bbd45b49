"""Figures of arms against each other, and the words that they earn: ab, aa, swap, regress.

Pure: nothing is asked, and files are read only to learn what was decided before (baselines).
"""
