"""CPU seconds until Snakemake knows what is to be done, against the same jobs without byzcode.

    python benchmarks/dag.py [SPECS]

A dry run of a study of 20,000 specs (or SPECS), and one of a workflow that says no more than that there are so many
jobs.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]

RULES = ("median", "trimmed_mean", "phocas", "meamed", "krum")
COLUMNS = 8

BARE = """
rule all:
    input: expand("made/{{run}}", run=range({specs}))
rule allocate:
    output: "held"
    shell: "touch {{output}}"
rule train:
    input: "held"
    output: "made/{{run}}"
    params: spec=lambda wildcards: "a spec " * 100 + wildcards.run
    shell: "touch {{output}} # {{params.spec}}"
"""


def main(specs: int) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        ours, bare = Path(folder) / "ours", Path(folder) / "bare"
        specs = study(ours, specs)
        bare.mkdir()
        (bare / "Snakefile").write_text(BARE.format(specs=specs))
        rows = {"byzcode": dry_run(ours), "bare Snakemake": dry_run(bare)}
    print(f"Dry run of {specs} specs\n{'':16}{'CPU s':>8}{'ratio':>8}")
    for name, seconds in rows.items():
        print(f"{name:16}{seconds:8.1f}{seconds / rows['bare Snakemake']:8.2f}")


def study(root: Path, specs: int) -> int:
    """A project with one study of about so many specs; how many it has."""
    steps = max(1, specs // (2 * len(RULES) * COLUMNS))
    grid = {
        "step_size": [round((1 + place) / steps, 6) for place in range(steps)],
        "attack.coefficient": [-1.0 - place for place in range(COLUMNS)],
    }
    curves = [
        {"label": f"r = {r}, {rule}", "method": "cra_dl", "redundancy": r, "aggregation": rule, "grid": grid}
        for r in (20, 40)
        for rule in RULES
    ]
    plot = {"kind": "sweep", "x": "step_size", "columns": "attack.coefficient", "caption": "All."}
    head = {"study": "big", "title": "Big", "base": {"attack": "sign_flip"}}
    project(root, {**head, "curves": curves, "plots": {"all": plot}})
    return len(curves) * steps * COLUMNS


def project(root: Path, study: dict[str, Any]) -> None:
    """A copy of the workflow with one study."""
    for part in ("src", "workflow", "profiles", "config"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", root)
    (root / "config/only.yaml").write_text(yaml.safe_dump(study))
    (root / "config/config.yaml").write_text(yaml.safe_dump({"studies": ["config/only.yaml"]}))


def dry_run(root: Path) -> float:
    """CPU seconds of a dry run in a folder."""
    before = used()
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all"]
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    return used() - before


def used() -> float:
    """CPU seconds of the processes that have ended."""
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken.ru_utime + taken.ru_stime


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
