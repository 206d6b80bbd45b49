"""Reports: what results.json says, in the forms that people and machines read.

Nothing is computed here.
"""
