"""Statistics on plain arrays: intervals, betting bounds, sequential looks, power, ranks.

Nothing here knows what is measured.
"""
