"""`python -m selectllm.report.schemas`: write the generated schemas after their types changed."""

from pathlib import Path

from selectllm.core.codec import pretty_json
from selectllm.core.files import write_text
from selectllm.report.schemas import generated

for name, content in generated().items():
    write_text(Path(__file__).with_name(f"{name}.json"), pretty_json(content))
