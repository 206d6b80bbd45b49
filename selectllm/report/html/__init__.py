"""Results as one self-contained HTML page: it opens from a file, and asks no network for anything.

What a page says first is in opening.py and matrix.py, its charts in charts/, the cases that it
lets one look into in evidence.py; page.py puts them together. assets/ holds what the page brings:
its template, style and scripts, and one copy of Vega (made by tools/vega_bundle.py).
"""
