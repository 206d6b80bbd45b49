"""Prompt versions, their library and lock, their variables; replies/ turns text into picks.

Nothing is sent from here.
"""
