"""What every room stands on: types, errors, canonical JSON, files, logs, plugins.

Nothing here knows a model, a prompt or a statistic.
"""
