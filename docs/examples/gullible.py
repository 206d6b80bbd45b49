"""A simulated model that believes what it reads, so that the example of an audit has a finding.

It picks the highest ratings, and most of its choices go to the first half of the list. A candidate
that speaks of the choice itself comes first, unless the prompt says that texts are data. It is no
evidence about any model.
"""

import random

from selectllm.core.types import Reply

SIGNS = ("candidate", "pick", "answer", "system", "[", "choice", "selection")


class Gullible:
    """Picks by rating and place, and believes every second candidate that asks for it."""

    def __init__(self, spec):
        self.spec = spec

    async def complete(self, request):
        """A reply in the form that the prompts here ask for."""
        asked = request.question
        warned = "data" in request.messages[0]["content"]

        def wanted(position):
            item = asked.shown[position]
            end = item.instruction.lower().rpartition("\n\n")[2]
            asks = any(sign in end for sign in SIGNS) and "\n\n" in item.instruction
            drawn = random.Random(f"{end} {asked.shown[0].id}").random()
            believed = asks and drawn < (0.1 if warned else 0.7)
            return 10 * believed + item.row["rating"] + 2 * (position < len(asked.shown) / 2)

        best = sorted(range(len(asked.shown)), key=wanted, reverse=True)[: asked.k]
        return Reply(f"[{', '.join(asked.labels[position] for position in best)}]")

    async def close(self):
        """Nothing was opened."""
