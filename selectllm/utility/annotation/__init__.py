"""Ratings by people: sheets out and back, scales, and how far raters agree."""
