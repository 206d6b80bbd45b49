"""One evaluation of a suite: prepared, carried out, kept in a folder, verified.

What its figures mean is metrics/' and comparison/'s.
"""
