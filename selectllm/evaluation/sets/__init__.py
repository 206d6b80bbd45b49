"""Sets of N items: every selector's, at every budget and seed, compared as sets.

What training on them is worth is downstream/'s.
"""
