# make reproduce | quick | multiverse | test | bench: each makes .venv from requirements.lock first, if it is missing or older.
# A C++ compiler is used where there is one (src/byzcode/kernels/native.cpp); without it the same numbers take longer.
PYTHON ?= python3
VENV := .venv
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.PHONY: reproduce quick multiverse reference test bench setup lock clean

reproduce: setup
	$(RUN) snakemake --cores all

quick: setup
	$(RUN) snakemake --cores all --configfile config/quick/config.yaml

test: setup $(VENV)/peers
	$(RUN) python -m pytest

multiverse: setup
	$(RUN) snakemake --cores all multiverse

# What the repository keeps of the results, to compare with: after reproduce and multiverse.
reference:
	mkdir -p results/reference/summaries results/reference/multiverse
	cp results/summaries/*.csv results/reference/summaries
	cp results/scorecard.csv results/reference
	cp $(addprefix results/multiverse/,$(addsuffix .csv,claims choices tree sizes stated)) results/reference/multiverse

bench: setup $(VENV)/peers
	$(RUN) python benchmarks/run.py

setup: $(VENV)/done

$(VENV)/done: requirements.lock pyproject.toml src/byzcode/kernels/native.cpp
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "byzcode needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# Libraries that tests compare ours with, without what they need only for themselves. Where they cannot be had, these
# tests are skipped, and say so.
$(VENV)/peers: tests/differential/requirements.txt $(VENV)/done
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $< && touch $@ || true

# Pins everything anew, for every supported Python. torch has one exact version, because indexes that carry its small
# CPU build carry it under the same number; the CUDA libraries of its default Linux build are left to pip, which adds
# them where that build is installed.
lock: setup
	printf 'torch==2.13.0\n' | $(RUN) uv pip compile --quiet --universal --python-version 3.11 --extra dev \
	  --constraint - --no-emit-package byzcode --no-annotate --no-header pyproject.toml \
	  | sed -E '/^(cuda|nvidia|triton)/d' > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
