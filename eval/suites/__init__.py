"""The quickstart's suite, packaged as `selectllm.starter_suites` for `selectllm init`."""
