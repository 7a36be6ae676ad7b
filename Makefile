# make demo   set up, then run a study on the embedded cohort of real patients
# make test   set up with the development tools, then everything that CI checks
# make lint   ruff and mypy only            make bench  the benchmarks
# make docs   the documentation as a site in build/site
# make clean  build products and caches     make distclean  .venv too

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODELS ?= pix2pix,spade,carvemix

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: demo test lint docs bench clean distclean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(BIN)/strokereg compare --models $(MODELS) --generator mask-library --mixed-only --shared-translators

# One process a core, each with torch on one thread; a file's tests stay together, so they share what they set up.
test: lint
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-dev
	$(BIN)/mkdocs build

bench: $(VENV)/installed-dev
	$(BIN)/python -m pytest benchmarks

# venv writes pip last, so a set-up that was cut short is taken up again.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "strokereg needs Python 3.11 or newer; give one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install -e '.[dev]'
	@touch $(VENV)/installed $@

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .benchmarks
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
