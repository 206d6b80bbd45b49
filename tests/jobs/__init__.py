"""Jobs, by value: what the verbs do, without a command line."""
