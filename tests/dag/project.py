"""A small project in a temporary folder: a copy of the workflow and of the package, and studies that train in no time.

Snakemake runs in the copy, with the copy's own package first on the path: its code can be edited at will.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from glob import glob
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

STUDIES = "config/studies"
#: What a Snakemake run shows: tests read the jobs in Snakemake's own output.
SHOW = "SNAKEMAKE_LOGGER_BYZCODE_SHOW"

_BASE = {
    "problem.subsets": 12,
    "problem.dimension": 3,
    "devices": 6,
    "iterations": 5,
    "seeds": 2,
    "aggregation": "median",
    "attack": "sign_flip",
}

#: Three trainings, two of them shared by both trained studies; three allocations; four figures.
TINY: dict[str, dict[str, Any]] = {
    "lines": {
        "study": "lines",
        "title": "Three curves",
        "base": _BASE,
        "curves": [
            {"label": "RBA-DL", "method": "rba_dl", "redundancy": 2},
            {"label": "CRA-DL, r = 4", "method": "cra_dl", "redundancy": 4},
            {"label": "CRA-DL, r = 6", "method": "cra_dl", "redundancy": 6},
        ],
        "plots": {
            "loss": {"kind": "trajectories", "caption": "All curves."},
            "excess": {"kind": "trajectories", "y": "excess_loss", "curves": ["RBA-DL"], "caption": "One curve."},
        },
    },
    "sweep": {
        "study": "sweep",
        "title": "A sweep",
        "base": _BASE,
        "curves": [{"label": "CRA-DL", "method": "cra_dl", "grid": {"redundancy": [4, 6]}}],
        "plots": {"plateau": {"kind": "sweep", "x": "redundancy", "caption": "The plateau."}},
    },
    "holding": {
        "study": "holding",
        "title": "Who holds what",
        "base": _BASE,
        "curves": [{"label": "Sampled", "method": "cra_dl", "grid": {"redundancy": [4, 6]}}],
        "plots": {"balance": {"kind": "allocation", "caption": "How balanced."}},
    },
}


@dataclass(frozen=True)
class Jobs:
    """The jobs of a Snakemake run: how many of those whose names are hashes, the names of the others."""

    allocate: int = 0
    train: int = 0
    summarise: Collection[str] = frozenset()
    figure: Collection[str] = frozenset()

    @classmethod
    def of(cls, output: str) -> Jobs:
        """The jobs in the output of Snakemake, in which each job says what it is."""
        jobs = set(re.findall(r"^Job \d+: (\w+) (\S+)$", output, re.MULTILINE))
        counts = dict(re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE))
        pages = int(counts.get("all", 0)) + int(counts.get("gallery", 0))  # made again with any figure
        assert int(counts.get("total", 0)) - pages == len(jobs), output
        names = {rule: frozenset(name for job, name in jobs if job == rule) for rule in cls.__dataclass_fields__}
        assert sum(map(len, names.values())) == len(jobs), output
        return cls(len(names["allocate"]), len(names["train"]), names["summarise"], names["figure"])


NOTHING = Jobs()


def _heed_interrupts() -> None:
    """As from a terminal: what a script runs in the background ignores Ctrl-C, and so does all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Project:
    """A project folder, what can be done to it and what can be run in it."""

    root: Path

    @classmethod
    def create(cls, root: Path, studies: Mapping[str, Mapping[str, Any]], **settings: Any) -> Project:
        """A copy of the workflow, its profile and its package, with other studies."""
        project = cls.configured(root, studies, **settings)
        without = shutil.ignore_patterns("__pycache__")
        for folder in ("src", "workflow", "profiles"):
            shutil.copytree(ROOT / folder, root / folder, ignore=without)
        shutil.copy(ROOT / "Snakefile", root)
        return project

    @classmethod
    def configured(cls, root: Path, studies: Mapping[str, Mapping[str, Any]], **settings: Any) -> Project:
        """No more than the configuration: enough for ``byzcode plan``."""
        shutil.copytree(ROOT / "config" / "readings", root / "config" / "readings")
        shutil.copy(ROOT / "config" / "style.yaml", root / "config")
        project = cls(root)
        project.write("config/config.yaml", {"studies": [f"{STUDIES}/*.yaml"], **settings})
        for name, study in studies.items():
            project.write(f"{STUDIES}/{name}.yaml", study)
        return project

    def copy(self, root: Path) -> Project:
        """The same project elsewhere, with its results, their times and all that Snakemake noted."""
        shutil.copytree(self.root, root, symlinks=True)
        return Project(root)

    def write(self, path: str, values: Mapping[str, Any]) -> None:
        """A YAML file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True), encoding="utf-8")

    def edit(self, path: str, *keys: str | int, to: Any) -> None:
        """Set one value of a YAML file, reached through some keys and places."""
        values = yaml.safe_load((self.root / path).read_text(encoding="utf-8"))
        inner = values
        for key in keys[:-1]:
            inner = inner[key]
        assert keys[-1] not in inner or inner[keys[-1]] != to, "no edit"
        inner[keys[-1]] = to
        self.write(path, values)

    def rewrite(self, path: str, change: Callable[[str], str]) -> None:
        """Change the text of a file."""
        file = self.root / path
        before = file.read_text(encoding="utf-8")
        after = change(before)
        assert after != before, "no edit"
        file.write_text(after, encoding="utf-8")

    def change(self, module: str, function: str) -> None:
        """Change a function of the package: it has one more statement, which does nothing."""

        def changed(text: str) -> str:
            tree = ast.parse(text)
            (definition,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
            definition.body.insert(0, ast.Expr(ast.Constant(0)))
            return ast.unparse(tree)

        self.rewrite(f"src/byzcode/{module}", changed)

    def files(self, pattern: str) -> list[Path]:
        """Files under results, in order. As in a shell, a star stands for no hidden file."""
        return sorted(Path(path) for path in glob(str(self.root / "results" / pattern), recursive=True))

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes: this Python, the package of the copy, and Snakemake's own output."""
        outside = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
        binaries = Path(sys.executable).parent
        path = os.pathsep.join([str(binaries), outside.get("PATH", "")])
        return {**outside, "PATH": path, "PYTHONPATH": str(self.root / "src"), SHOW: "snakemake"}

    def start(self, *arguments: str, first_on_path: Path | None = None) -> subprocess.Popen[str]:
        """Start Snakemake in the project, in a process group of its own."""
        environment = self.environment
        if first_on_path is not None:
            environment["PYTHONPATH"] = os.pathsep.join([str(first_on_path), environment["PYTHONPATH"]])
        with self._log.open("w", encoding="utf-8") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "snakemake", *arguments],
                cwd=self.root,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                preexec_fn=_heed_interrupts,
            )

    @property
    def _log(self) -> Path:
        return self.root / "snakemake.out"

    def output(self) -> str:
        """What a started Snakemake has said so far."""
        return self._log.read_text(encoding="utf-8")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project."""
        return subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)

    def byzcode(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in the project."""
        return self.run(sys.executable, "-m", "byzcode.cli", *arguments)

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the project."""
        return self.run(sys.executable, "-m", "snakemake", *arguments)

    def make(self, *arguments: str) -> Jobs:
        """Make all that is missing or out of date, and say what was done."""
        finished = self.snakemake("--cores", "2", *arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return Jobs.of(finished.stdout + finished.stderr)

    def would_make(self, *arguments: str) -> Jobs:
        """What a run would do (a dry run)."""
        finished = self.snakemake("--dry-run", *arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        jobs = Jobs.of(finished.stdout + finished.stderr)
        assert jobs != NOTHING or "Nothing to be done" in finished.stdout + finished.stderr
        return jobs


@cache
def made(root: Path) -> tuple[Project, Jobs]:
    """The small project with all its results, and the jobs that made them. Once for all tests: copy it to change it."""
    project = Project.create(root, TINY)
    jobs = project.make()
    assert jobs != NOTHING, "the default target is empty"
    return project, jobs
