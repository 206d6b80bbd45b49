"""Who answers: litellm's providers, the embedded engine, scripted models.

Their endpoints and their failures, too.
"""
