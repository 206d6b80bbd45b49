"""The forms that replies take: how each is read, written, constrained and asked for again."""
