"""How a model is asked: versions of prompts, their variables, and what replies mean."""
