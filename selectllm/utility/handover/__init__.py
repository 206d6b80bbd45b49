"""Selected items out to the people who write answers, and their answers back.

One record a tool in targets.py; what comes back is read by answers.py and joined by joining.py.
"""
