"""CPU and wall seconds of a small workflow, whose jobs start warm or plainly.

    python benchmarks/workflow.py

20 trainings of 20 seeds at the size of the papers, their tables, and five figures, with two cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dag import project, used

RULES = ("median", "trimmed_mean", "phocas", "meamed")
REDUNDANCIES = (10, 20, 40, 80, 160)

STUDY = {
    "study": "small",
    "title": "A small workflow",
    "base": {"attack": "sign_flip", "iterations": 100, "seeds": 20},
    "grid": {"aggregation": list(RULES)},
    "curves": [{"label": f"r = {r}", "method": "cra_dl", "redundancy": r} for r in REDUNDANCIES],
    "plots": {
        name: {"kind": "trajectories", "y": name.replace("-", "_"), "columns": "aggregation", "caption": "All."}
        for name in ("loss", "excess-loss", "aggregation-error", "honest-dispersion", "coding-bias")
    },
}


def main() -> None:
    """Measure, and print a table."""
    print(f"{len(RULES) * len(REDUNDANCIES)} trainings, 5 figures\n{'':8}{'CPU s':>8}{'wall s':>8}")
    for name, switch in {"warm": "on", "plain": "off"}.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "project"
            project(root, STUDY)
            seconds, wall = run(root, switch)
        print(f"{name:8}{seconds:8.1f}{wall:8.1f}")


def run(root: Path, switch: str) -> tuple[float, float]:
    """CPU and wall seconds of the workflow in a folder, with warm starts on or off."""
    before, begun = used(), time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "BYZCODE_WARM_STARTS": switch}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    return used() - before, time.monotonic() - begun


if __name__ == "__main__":
    main()
