"""What a model is, and every way to reach one.

providers/ talk to it, wrappers/ cache, limit and retry; no prompt is known here.
"""
