"""An audit of one selector: whether it looks at what should not matter, or can be talked round.

One module for each probe: what it asks, and what the decisions say. All are pure.
"""
