#!/usr/bin/env bash
# Snakemake runs this in the new environment, in the folder that it was started in.
set -euo pipefail
if grep -qs '^name = "byzcode"$' pyproject.toml; then
  # A clone. Editable: an edit of the code counts.
  python -m pip install --no-deps --no-build-isolation --editable .
else
  # Any other folder: the byzcode that Snakemake itself uses, whose folder the rules have named. It needs no Python of its own.
  : "${BYZCODE_PACKAGE:?Snakemake has not read the rules of byzcode}"
  python - <<'PYTHON'
import os, sys, sysconfig
from pathlib import Path

Path(sysconfig.get_path("purelib"), "byzcode").symlink_to(os.environ["BYZCODE_PACKAGE"])
command = Path(sys.executable).with_name("byzcode")
command.write_text(f"#!{sys.executable}\nfrom byzcode.cli import main\n\nmain()\n")
command.chmod(0o755)
PYTHON
fi
