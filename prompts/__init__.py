"""The prompts that ship with selectllm: `<name>/v<N>.jinja`, released versions in LOCK.yaml."""
