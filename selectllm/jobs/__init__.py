"""What one can ask for: a session, an engine, one module per job.

Async, silent, returns values; flags, exit codes and terminals belong to cli/.
"""
