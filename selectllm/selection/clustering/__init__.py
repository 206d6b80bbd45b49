"""The pool divided into clusters: each partition in a file of its own.

The file that remembers clusters is here, too.
"""
