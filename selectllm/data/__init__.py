"""From pool files to items and their vectors: readers, hub, duplicates, leakage, encoders.

No model is asked here.
"""
