"""Who answers: litellm's providers, the embedded engine, scripted models.

Their endpoints, too, what they send, and their failures: what they say no with, and how long they
ask to wait, in tables with a source for each row.
"""
