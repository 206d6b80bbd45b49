"""Modules at their former places, for one more release; each names the new place when it is used.

This folder is on the path of the package, so that `selectllm.testing` is jobs/former/testing.py.
"""
