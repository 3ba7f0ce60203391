# make reproduce | long | reproduce-real | quick | heldout | multiverse | test | bench: each makes .venv from requirements.lock
# first, if it is missing or older.
# A C++ compiler is used where there is one (src/byzcode/kernels/*.cpp); without it the same numbers take longer.
PYTHON ?= python3
VENV := .venv
# What the compiled kernels are made of.
COMPILED := $(wildcard src/byzcode/kernels/*.cpp src/byzcode/kernels/*.h) src/byzcode/provenance/compiled.py
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.PHONY: reproduce long reproduce-real reproduce-real-all open-questions quick heldout multiverse reference docs docs-figures \
  archive report test test-faults test-slurm bench setup lock clean

reproduce: setup
	$(RUN) snakemake --cores all

# What takes too long for reproduce: about 3 minutes on two cores.
long: setup
	$(RUN) snakemake --cores all --configfile config/long/config.yaml

# Real data: about an hour on two cores. With the choice of steps, further rules and a CNN, without a limit:
# reproduce-real-all. Both go on where they were stopped.
reproduce-real: setup
	$(RUN) snakemake --cores all --configfile config/real/config.yaml

reproduce-real-all: setup
	$(RUN) snakemake --cores all --configfile config/real/all.yaml

# What the papers leave open; it goes on where it was stopped.
open-questions: setup
	$(RUN) snakemake --cores all --configfile config/open/config.yaml

quick: setup
	$(RUN) snakemake --cores all --configfile config/quick/config.yaml

# SLOW=1 runs the tests marked slow, too: whole workflows, faults, fuzzing. CI does.
test: setup $(VENV)/peers $(VENV)/tools $(VENV)/validator $(VENV)/beside
	$(RUN) python -m pytest -n 3 --dist loadfile $(if $(SLOW),,-m "not slow")

# Fifty times: the workflow of `make quick`, killed at a random moment and started again. About an hour.
test-faults: setup
	$(RUN) BYZCODE_FAULT_WORKFLOWS=50 BYZCODE_FAULT_KILLS=1 python -m pytest tests/faults

# All tests on a SLURM of its own, which they start and stop: as root, about half an hour. CI runs the short ones.
test-slurm: setup $(VENV)/slurm
	$(RUN) BYZCODE_SLURM=all python -m pytest tests/slurm

# The claims on seeds 20 to 39. config/heldout/claims.sha256 has their hashes from before; the table tells if one changed.
heldout: setup
	$(RUN) snakemake --cores all --configfile config/heldout/config.yaml

multiverse: setup
	$(RUN) snakemake --cores all multiverse

# All results with what it takes to draw them anew without training; refused if a file is missing, damaged or stale. They
# are not compared with results/reference: `byzcode verify` does that.
archive: setup
	$(RUN) byzcode archive --out byzcode-results.tar.gz

# Two pages on the claims that the papers' sources state: from results/, or from results/reference if there is no scorecard.
report: setup
	$(RUN) byzcode report --out byzcode-report.pdf

# What the repository keeps of the results, to compare with: after reproduce, and long, heldout and multiverse if they were made.
reference:
	mkdir -p results/reference/summaries results/reference/multiverse
	if [ -f results/long/scorecard.csv ]; then mkdir -p $(addprefix results/reference/long/,summaries figures); \
	  cp results/long/summaries/*.csv results/reference/long/summaries; cp results/long/scorecard.csv results/reference/long; \
	  cp results/long/figures/lad-long-factor.csv results/reference/long/figures; fi
	if [ -f results/real/scorecard.csv ]; then mkdir -p results/reference/real/summaries; \
	  cp results/real/summaries/*.csv results/reference/real/summaries; \
	  cp results/real/scorecard.csv results/reference/real; fi
	if [ -f results/open/scorecard.csv ]; then mkdir -p results/reference/open/summaries; \
	  cp results/open/summaries/*.csv results/reference/open/summaries; \
	  cp results/open/scorecard.csv results/reference/open; fi
	if [ -f results/heldout/heldout.csv ]; then cp results/heldout/heldout.csv results/reference; fi
	cp results/summaries/*.csv results/reference/summaries
	cp results/scorecard.csv results/reference
	if [ -f results/multiverse/claims.csv ]; then \
	  cp $(addprefix results/multiverse/,$(addsuffix .csv,claims choices tree sizes stated)) results/reference/multiverse; fi

# The pictures of README.md and docs/, from the results of reproduce, open-questions and multiverse; a test fails while they
# are old.
docs-figures: setup
	$(RUN) python docs/figures.py

# The documentation as pages: open site/index.html. They need no server and no network.
docs: setup $(VENV)/docs
	$(RUN) PYTHONPATH="$(CURDIR)/$(VENV)/docs" NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet

bench: setup $(VENV)/peers
	$(RUN) python benchmarks/run.py
	$(RUN) python benchmarks/workflow.py

setup: $(VENV)/done

$(VENV)/done: requirements.lock requirements-torch.lock pyproject.toml setup.py $(COMPILED)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "byzcode needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-torch.lock
	rm -f src/byzcode/kernels/_native.*.so  # earlier ones were for one Python, and would be loaded first
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Libraries that only tests use: those that ours are compared with, and a checker of pages. They come without their own
# dependencies. If they cannot be installed, these tests are skipped and say so.
PEERS := tests/differential/requirements.txt tests/end_to_end/requirements.txt
$(VENV)/peers: $(PEERS) $(VENV)/done
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(addprefix -r ,$(PEERS)) && touch $@ || true

# Programs that tests call, apart. If they cannot be installed, these tests are skipped and say so.
$(VENV)/tools $(VENV)/validator: $(VENV)/%: tests/end_to_end/%.txt $(VENV)/done
	rm -rf $@
	$(PYTHON) -m venv $@ && $@/bin/python -m pip install --quiet --disable-pip-version-check -r $< || { rm -rf $@; true; }

# Libraries that tests use, apart from those of the project: Flower, and what runs notebooks. The same holds.
$(VENV)/beside: tests/beside.txt $(VENV)/done
	rm -rf $@
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ -r $< || { rm -rf $@; true; }

# Snakemake's plugin for SLURM, apart: where it is installed, each start of Snakemake asks for SLURM.
$(VENV)/slurm: tests/slurm/requirements.txt $(VENV)/done
	rm -rf $@
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ -r $<
	touch $@

# What builds the pages, apart from the libraries of the project. Without it, the tests of the pages are skipped.
$(VENV)/docs: docs/requirements.txt $(VENV)/done
	rm -rf $@
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ -r $<
	touch $@

# Pins everything anew, with hashes, for every supported Python; torch stays as requirements-torch.lock pins it. The
# CUDA libraries of its default Linux build are left to pip, which adds them where that build is installed.
lock: setup
	$(RUN) uv pip compile --quiet --universal --python-version 3.11 --extra dev --constraint requirements-torch.lock \
	  --no-emit-package byzcode --no-emit-package torch --generate-hashes --no-annotate --upgrade \
	  --custom-compile-command 'make lock' --output-file requirements.lock.new pyproject.toml
	sed -E '/^(cuda|nvidia|triton)/,/[^\\]$$/d' requirements.lock.new > requirements.lock
	rm requirements.lock.new

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
