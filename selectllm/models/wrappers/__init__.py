"""What goes around a model that answers: cache, budget, retries, recorded replies, guards.

Each is a model itself; none knows a provider.
"""
