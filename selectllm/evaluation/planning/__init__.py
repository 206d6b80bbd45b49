"""`plan`: what a suite will take and what it can show, before anything is spent.

Nothing is sent from here, and no verdict is given.
"""
