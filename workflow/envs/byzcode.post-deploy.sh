#!/usr/bin/env bash
# Snakemake runs this in the new environment, in the folder that it was started in. Editable: an edit of the code counts.
set -euo pipefail
test -f pyproject.toml || { echo "$PWD has no pyproject.toml: start Snakemake in the project's folder" >&2; exit 1; }
python -m pip install --no-deps --no-build-isolation --editable .
