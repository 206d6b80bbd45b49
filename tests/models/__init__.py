"""Models: providers, their failures, and the wrappers around them."""
