"""How items get picked: clustering/, strategies/, scorers/, the one loop that asks, its log.

What picks are worth is not known here.
"""
