"""A student: a causal language model fine-tuned on a selection, and measured on held-out items."""
