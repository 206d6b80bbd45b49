"""Statistics on plain arrays: intervals, paired differences, sequential looks, power, ranks.

Nothing here knows what is measured.
"""
