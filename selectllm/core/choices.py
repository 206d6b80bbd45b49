"""What options can be told where that is a closed set, and defaults that their help shows.

Apart from what the words mean, so that nothing has to be loaded to list them: the rooms that carry
them out key their tables by these types.
"""

from __future__ import annotations

from typing import Literal

EngineName = Literal["local", "ray"]
"""Where the work is done."""
Partition = Literal["diverse", "similar", "kcenter", "random"]
"""How a pool is divided into clusters, besides `module:attr` of the user's own."""
OnInvalid = Literal["fill", "skip", "fail"]
"""What becomes of picks that a model did not make."""
TargetName = Literal["label-studio", "argilla", "csv", "xlsx", "jsonl"]
"""The tools that items are handed over to."""
Keep = Literal["first", "last"]
"""Which of different answers to one item is taken."""
Aggregation = Literal["per_token", "per_item"]
"""How a gain is a mean over test items."""
LayoutName = Literal["alpaca", "chat", "sharegpt"]
"""How training files are laid out."""
RETAIN = (0.9, 0.8, 0.7)
"""Shares of the old model's lift that a new one is to keep; the first is the default."""
LANGUAGE_MODEL = "local/smollm2-135m"
"""What is loaded where no language model is named."""
