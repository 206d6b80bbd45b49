# Each target does all of its own set-up: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What is imported is compiled once, at its first import (pip would compile all of 3 GB, which takes longer
# than the rest of the set-up), and kept even where the environment says not to.
export PYTHONDONTWRITEBYTECODE :=
CORES := $(shell getconf _NPROCESSORS_ONLN)
# Tests that wait for other processes more than they compute: one more at a time than there are cores.
WAITING := $(shell expr $(CORES) + 1)
PIP = $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check

.PHONY: install demo test test-slow browser lint docs docs-refresh bench clean

install: $(STAMP)

# pip unpacks on one core: as many of them share what is pinned, torch first; one more adds what is missing.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	grep == constraints.txt | sort -r | xargs -n 30 -P $(CORES) $(PIP) --no-deps
	$(PIP) -c constraints.txt -e ".[all,docs,test]"
	$(BIN)/selectllm models install smollm2-135m
	touch $(STAMP)

# A small embedded model on a real pool, then what a difference looks like, by simulated pickers.
demo: install
	rm -rf eval/runs/make-demo
	$(BIN)/selectllm eval eval/suites/quickstart.yaml --limit 10 -o eval/runs/make-demo/quickstart
	@sh eval/simulated.sh $(BIN)/selectllm eval/runs/make-demo

# On every core, a part of the tests each; `pytest` alone runs all of them in one process.
test: install
	$(BIN)/python -m pytest -n logical --dist worksteal -m "not slow and not browser and not site"

# What starts environments, clusters, browsers or processes that each load torch.
test-slow: install
	$(BIN)/python -m pytest -n $(WAITING) --dist loadscope -m slow

# Reports in Debian's Chromium, which apt installs (as root); without it `make test` leaves these out.
browser: install
	command -v chromium > /dev/null || { apt-get update && apt-get install -y --no-install-recommends chromium; }
	$(PIP) -c constraints.txt -e ".[browser]"
	$(BIN)/python -m pytest -n $(WAITING) --dist loadscope -m browser tests/browser

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/selectllm prompts check

# The site, with llms.txt and a Markdown twin of every page, in docs/_build.
docs: install
	$(BIN)/cog -P -I docs -r docs/*.md
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build
	$(BIN)/python -m pytest -q -m site tests/docs/test_site.py

# After words, options or figures changed: what the pages show of the code and of commands, anew.
docs-refresh: install
	$(BIN)/cog -P -I docs -r docs/*.md
	$(BIN)/python -m tests.support.page_blocks

# Every benchmark, or some: make bench ONLY="asking cached" OUT=bench.md
bench: install
	$(BIN)/python eval/benchmarks/run.py $(if $(ONLY),--only $(ONLY)) $(if $(OUT),-o $(OUT))

clean:
	rm -rf $(VENV) build docs/_build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
