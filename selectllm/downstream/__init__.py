"""Training on selections, here (student/, trials/) or elsewhere (outcomes/).

What it was worth is measured here, too.
"""
