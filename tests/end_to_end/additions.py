"""Components that are added to a copy of the project as CONTRIBUTING.md says: at least one of each kind.

Some are as ``byzcode new`` writes them. Those that CONTRIBUTING.md gives as examples are taken from there, and the
others are files in ``added/``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dag.project import ROOT

from byzcode.scaffold import new

ADDED = Path(__file__).parent / "added"
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


#: Those that ``byzcode new`` writes, with their kinds. Its attack and its rule are the examples of CONTRIBUTING.md.
NEW = {"ternary": "compressor", "sliding": "allocation", "mean_estimation": "problem", "blobs": "data"}


@dataclass(frozen=True)
class Line:
    """A line of a table (or of the file itself, where ``table`` is empty), and the import that it needs."""

    file: str
    table: str
    entry: str
    needs: str = ""


@dataclass(frozen=True)
class Addition:
    """A component: what it is, its name, the file that it is written in (a method has none), and its lines."""

    kind: str
    name: str
    file: str
    lines: Sequence[Line]

    @property
    def text(self) -> str:
        """What is written in the file."""
        if self.name in NEW:
            return new.text_of(NEW[self.name], self.name)
        path = f"src/byzcode/{self.file}"
        if f"`{path}`:" in CONTRIBUTING:
            return CONTRIBUTING.partition(f"`{path}`:")[2].partition("```python\n")[2].partition("```")[0]
        return (ADDED / self.file).read_text(encoding="utf-8")


def _in(package: str, table: str, name: str) -> Line:
    """The line that lists a component."""
    return Line(f"src/byzcode/{package}/__init__.py", table, f'"{name}",')


def _listed(kind: str, package: str, table: str, name: str) -> Addition:
    return Addition(kind, name, f"{package}/{name}.py", [_in(package, table, name)])


ADDITIONS = (
    _listed("attack", "attacks", "ATTACKS", "shifted_mean"),
    _listed("rule", "aggregation", "RULES", "midrange"),
    _listed("rule", "aggregation", "RULES", "shrunken_mean"),
    _listed("pre-aggregator", "pre_aggregation", "PRE_AGGREGATORS", "winsorising"),
    _listed("estimator", "estimation", "ESTIMATORS", "large_norms"),
    _listed("absence", "absence", "ABSENCES", "second_half"),
    _listed("compressor", "compression", "COMPRESSORS", "ternary"),
    _listed("compressor", "compression", "COMPRESSORS", "leading"),
    _listed("encoder", "coding/encoders", "ENCODERS", "first_holder"),
    _listed("decoder", "coding/decoders", "DECODERS", "group_median"),
    _listed("vote", "coding/votes", "VOTES", "median_copy"),
    _listed("allocation", "allocation", "ALLOCATIONS", "sliding"),
    _listed("problem", "problems", "PROBLEMS", "mean_estimation"),
    _listed("problem", "problems", "PROBLEMS", "logistic_regression"),
    _listed("problem", "problems", "PROBLEMS", "phase_retrieval"),
    _listed("data set", "data/sets", "DATA_SETS", "blobs"),
    _listed("partition", "data/partitions", "PARTITIONS", "shifted"),
    _listed("schedule", "schedules", "SCHEDULES", "halving"),
    Addition(
        "method",
        "draco_median",
        "",
        [
            Line(
                "src/byzcode/specs/methods.py",
                "METHODS",
                '"draco_median": Method(title="DRACO, medians", source="medians of groups", coded=True, '
                'server="decoder", decoder="group_median", '
                'fixed={**_EXACT, "allocation": "repetition", "encoding": "uniform"}),',
            ),
            Line("config/style.yaml", "", 'draco_median: {color: "#8C6BB1", dashes: dashed, marker: ">"}\n'),
        ],
    ),
)


def add(root: Path, addition: Addition) -> None:
    """Write the file of a component into a copy of the project, and its lines into tables."""
    if addition.file:
        (root / "src/byzcode" / addition.file).write_text(addition.text, encoding="utf-8")
    for line in addition.lines:
        path = root / line.file
        path.write_text(with_line(path.read_text(encoding="utf-8"), line), encoding="utf-8")


def with_line(text: str, line: Line) -> str:
    """A text with a line at the end of its table, and with the import in front."""
    if not line.table:
        return text + line.entry
    listed = rf"^{line.table} = Table\(\n    __name__,\n    \w+,\n    \(\n.*?(?=^    \),\n\))"
    keyed = rf"^{line.table}\b[^\n]* = \{{\n.*?(?=^\}})"
    table, found = re.subn(
        f"{listed}|{keyed}",
        lambda match: f"{match[0]}        {line.entry}\n",
        text,
        count=1,
        flags=re.MULTILINE | re.DOTALL,
    )
    assert found, f"no table {line.table} in {line.file}"
    needs = f"{line.needs}\n" if line.needs else ""
    return re.sub(r"^(?=from )", needs, table, count=1, flags=re.MULTILINE)


def copied(root: Path) -> Path:
    """A copy of the project, without results."""
    without = shutil.ignore_patterns("__pycache__", "*.egg-info", "results", ".*")
    shutil.copytree(ROOT, root, ignore=without)
    return root


def run(root: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in a copy, with the copy's package and tests first on the path."""
    path = {"PYTHONPATH": os.pathsep.join([str(root / "src"), str(root / "tests")])}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        env={**os.environ, **path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def grown(root: Path) -> Path:
    """A copy of the project with all additions, formatted and with its schemas, as CONTRIBUTING.md says."""
    copied(root)
    for addition in ADDITIONS:
        add(root, addition)
    for command in (
        ["ruff", "check", "--quiet", "--select=I", "--fix", "src"],
        ["ruff", "format", "--quiet", "src"],
        ["byzcode.cli", "schema"],
    ):
        ended = run(root, *command)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return root
