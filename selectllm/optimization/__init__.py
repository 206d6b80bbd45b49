"""`optimize`: a search for a better prompt, confirmed on clusters that the search never saw.

Two kinds share splits.py (the clusters, divided), template.py (from a text to a prompt file),
metric.py (what a decision scores), versions.py (versions of one prompt, decided and logged),
confirm.py (winners against their parent, with the machinery of `ab`), controls.py and schema.py:

gepa_*   a teacher rewrites the system text: program (DSPy), search (GEPA), loop.py (its thread)
grid_*   every value of a prompt's variables: schedule (successive halving), effects, search

Each has a job, checked before anything is asked and then carried out, and a report, which is its
optimize.json and the file of the version that it found.
"""
