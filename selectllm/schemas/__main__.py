"""`python -m selectllm.schemas`: write suite.json anew after the suite's types changed."""

from pathlib import Path

from selectllm.codec import pretty_json
from selectllm.files import write_text
from selectllm.schemas import suite_schema

write_text(Path(__file__).with_name("suite.json"), pretty_json(suite_schema()))
