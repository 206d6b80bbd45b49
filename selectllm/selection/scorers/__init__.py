"""The numbers per item that some strategies go by, got from models, texts and utilities.

How items are picked by them stands in strategies/.
"""
