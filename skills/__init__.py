"""What agents read before they use selectllm: `<name>/SKILL.md`, packaged as `selectllm.skills`."""
