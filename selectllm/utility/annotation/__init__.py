"""Ratings by people: sheets out and back, scales, and how far raters agree.

Ratings by models are asked for in selection/scorers/ and sources.py.
"""
