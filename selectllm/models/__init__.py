"""What a model is, what it is asked, and how it is reached. Nothing here knows a prompt."""
