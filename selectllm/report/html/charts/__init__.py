"""The charts of a page: each module turns results into one Vega-Lite specification."""
