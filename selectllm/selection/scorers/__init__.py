"""The numbers per item that some strategies go by, got from models, texts and utilities."""
