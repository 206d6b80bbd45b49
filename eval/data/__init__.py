"""The quickstart's data, packaged as `selectllm.starter_data` for `selectllm init`."""
