"""A run: its folder, its decisions and its results; nothing here knows a command."""
