"""`python -m selectllm.report.schemas`: write suite.json anew after the suite's types changed."""

from pathlib import Path

from selectllm.core.codec import pretty_json
from selectllm.core.files import write_text
from selectllm.report.schemas import suite_schema

write_text(Path(__file__).with_name("suite.json"), pretty_json(suite_schema()))
