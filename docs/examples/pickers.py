"""A simulated model, so that the examples run without a key and always give the same.

It sees the rating of every candidate through noise: a little where the prompt names criteria, a lot
where it does not. It is no evidence about any prompt.
"""

import random

from selectllm.core.types import Reply


class Simulated:
    """Picks the candidates whose noisy ratings are the highest."""

    def __init__(self, spec):
        self.spec = spec

    async def complete(self, request):
        """A reply in the form that the prompts here ask for."""
        asked = request.question
        careful = "Instructional value" in request.messages[-1]["content"]
        noise = 1.0 if careful else 4.0

        def seen(position):
            item = asked.shown[position]
            return item.row["rating"] + random.Random(f"{item.id} {careful}").gauss(0, noise)

        best = sorted(range(len(asked.shown)), key=seen, reverse=True)[: asked.k]
        return Reply(f"[{', '.join(asked.labels[position] for position in best)}]")

    async def close(self):
        """Nothing was opened."""
