"""The suites to start from, packaged as `selectllm.starter_suites` for `selectllm init`."""
