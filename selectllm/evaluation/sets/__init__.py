"""Sets of N items: every selector's, at every budget and seed, compared as sets."""
