"""`optimize`: a search for a better prompt, confirmed on clusters that the search never saw.

Two kinds share splits.py, versions.py and confirm.py. GEPA rewrites the system text:

splits.py      the clusters, divided into training, validation and confirmation (pure)
template.py    from a text to a prompt file that renders to exactly that text (pure)
metric.py      what a decision scores, and what it missed, in words (pure)
versions.py    versions of one prompt, decided and logged
gepa_program.py     the bridge to DSPy: signature, module, metric, teacher
gepa_search.py      GEPA under a budget of decisions
confirm.py     the winner against its parent, with the machinery of `ab`
gepa_report.py     what came of it: optimize.json, and the file of the new version

`--grid` tries every combination of the values that a prompt's variables declare:

grid_schedule.py          successive halving: the rounds, and who goes on (pure)
grid_effects.py       what each value does, with intervals (pure)
grid_search.py   the rounds, carried out, and the finalists confirmed
grid_report.py  what came of it
"""
