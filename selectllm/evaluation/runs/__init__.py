"""One evaluation of a suite: prepared, carried out, kept in a folder, verified."""
