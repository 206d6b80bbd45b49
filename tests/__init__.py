"""Is the code right? Offline, in seconds, with real parts wherever a user has real parts."""
