"""What goes around a model that answers: cache, budget, retries, recorded replies, guards."""
