"""Verdicts: one arm of a run against another, and a pair against itself; no file is read here."""
