"""The workflow as a module of another one, whose folder has a study and nothing else of ours."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dag.project import TINY, Project

pytestmark = pytest.mark.slow

OUTER = """
configfile: "config/config.yaml"


module byz:
    snakefile:
        "{snakefile}"
    config:
        {config}{more}


use rule * from byz{name}
"""


@dataclass(frozen=True)
class Outer:
    """The folder of an outer workflow, beside a project that it uses."""

    inner: Project
    project: Project

    @classmethod
    def create(cls, root: Path, config: str = "config", more: str = "", name: str = "", **settings: Any) -> Outer:
        """One study of its own, and a Snakefile. Requests of the inner workflow travel in files."""
        inner = Project.create(root / "inner", {})
        inner.rewrite("src/byzcode/execution/request_files.py", lambda text: text.replace("60_000", "0"))
        outer = cls(inner, Project(root / "outer"))
        outer.project.write("config/config.yaml", {"studies": ["lines.yaml"], **settings})
        outer.project.write("lines.yaml", TINY["lines"])
        outer.write(config, more, name)
        return outer

    def write(self, config: str = "config", more: str = "", name: str = "", then: str = "") -> None:
        """Write the Snakefile."""
        inserted = textwrap.indent("\n" + more, "    ") if more else ""
        text = OUTER.format(snakefile=self.inner.root / "workflow/Snakefile", config=config, more=inserted, name=name)
        (self.project.root / "Snakefile").write_text(text + then, encoding="utf-8")

    def snakemake(self, *arguments: str, at: Path | None = None) -> tuple[int, str]:
        """Run it with the inner project's package. Exit code, and all that it said."""
        ended = subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=at or self.project.root,
            env=self.inner.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout + ended.stderr

    def make(self, *arguments: str, at: Path | None = None) -> str:
        """Make everything; it must end well, and then nothing is to be done."""
        code, output = self.snakemake("--cores", "2", *arguments, at=at)
        assert code == 0, output
        code, again = self.snakemake("--cores", "2", *arguments, at=at)
        assert code == 0
        assert "Nothing to be done" in again, again
        return output


def drawn(folder: Path) -> set[str]:
    return {path.name for path in (folder / "figures").glob("*.pdf") if path.stat().st_size > 1000}


FIGURES = {"lines-loss.pdf", "lines-excess.pdf"}


def test_an_outer_workflow_of_six_lines_draws_its_figures(tmp_path: Path) -> None:
    outer = Outer.create(tmp_path)
    code, output = outer.snakemake("--dry-run")
    assert code == 0, output
    assert not (outer.project.root / ".snakemake/byzcode.requests").exists()

    outer.make()

    assert drawn(outer.project.root / "results") == FIGURES
    assert {path.name for path in outer.project.root.glob("[!.]*")} == {"Snakefile", "config", "lines.yaml", "results"}
    printed = subprocess.run(
        [sys.executable, "-m", "byzcode.cli", "verify"],
        cwd=outer.project.root,
        env=outer.inner.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "results: all is well" in printed.stdout, printed.stdout + printed.stderr


def test_other_names_and_a_prefix(tmp_path: Path) -> None:
    outer = Outer.create(tmp_path, config='config["byz"]', more='prefix:\n    "below"', name=" as byz_*")
    outer.project.write("config/config.yaml", {"sample": 3, "byz": {"studies": ["lines.yaml"], "results": "made"}})

    output = outer.make()

    assert drawn(outer.project.root / "below/made") == FIGURES
    assert not (outer.project.root / "made").exists()
    assert {"byz_train", "byz_figure", "byz_all"} <= set(re.findall(r"^(byz_\w+) +\d+$", output, re.MULTILINE))


def test_another_prefix_in_place_of_that_of_the_results(tmp_path: Path) -> None:
    outer = Outer.create(tmp_path, more='replace_prefix:\n    {"results/": "made/here/"}')
    outer.make()
    assert drawn(outer.project.root / "made/here") == FIGURES
    assert not (outer.project.root / "results").exists()

    outer.write(more='replace_prefix:\n    {"results/figures/": "drawn/"}')
    code, output = outer.snakemake("--dry-run")
    assert code == 1
    assert "replace_prefix of module byz: the results would lie in ., results; allowed: one folder for all" in output


def test_another_working_directory(tmp_path: Path) -> None:
    outer = Outer.create(tmp_path)
    work = tmp_path / "work"
    (outer.project.root / "config").rename(tmp_path / "config")
    work.mkdir()
    (tmp_path / "config").rename(work / "config")
    (outer.project.root / "lines.yaml").rename(work / "lines.yaml")

    outer.make("--snakefile", str(outer.project.root / "Snakefile"), "--directory", str(work), at=tmp_path)
    code, output = outer.snakemake("--dry-run", "--snakefile", "../outer/Snakefile", at=work)

    assert code == 0
    assert "Nothing to be done" in output
    assert drawn(work / "results") == FIGURES


def test_without_hooks_a_long_request_is_there(tmp_path: Path) -> None:
    outer = Outer.create(tmp_path)

    outer.make("--no-hooks")

    assert drawn(outer.project.root / "results") == FIGURES


@pytest.mark.parametrize("first", [True, False])
def test_handlers_of_both_run_and_one_at_a_time_works_there(tmp_path: Path, first: bool) -> None:
    outer = Outer.create(tmp_path)
    handlers = "\n\nonstart:\n    print('outer begins', flush=True)\n\n\nonsuccess:\n    print('outer ends')\n"
    outer.write(then="" if first else handlers)
    if first:
        snakefile = outer.project.root / "Snakefile"
        snakefile.write_text(handlers + snakefile.read_text(encoding="utf-8"), encoding="utf-8")
    lock = outer.project.root / ".snakemake/byzcode.lock"

    output = outer.make()

    assert output.index("outer begins") < output.index("outer ends")
    assert lock.read_text(encoding="utf-8") == "", "given back"
    lock.write_text(f"elsewhere 4711 {time.strftime('%Y-%m-%dT%H:%M:%S')}\n", encoding="utf-8")
    code, output = outer.snakemake("--cores", "1", "--forceall")
    assert code == 1
    assert "another Snakemake is at work in this folder, on elsewhere" in output
    assert "outer begins" not in output


def test_two_modules_in_one_workflow(tmp_path: Path) -> None:
    outer = Outer.create(tmp_path, config='dict(config, results="one")', name=" as one_*")
    snakefile = outer.project.root / "Snakefile"
    written = snakefile.read_text(encoding="utf-8")
    two = written.replace("byz", "other").replace('"one"', '"two"').replace("one_*", "two_*").partition("\n\n\n")[2]
    targets = "rules.one_all.input, rules.two_all.input"
    both = f"\n\nrule both:\n    default_target: True\n    input:\n        {targets}\n"
    snakefile.write_text(written + "\n\n" + two + both, encoding="utf-8")

    outer.make()

    assert drawn(outer.project.root / "one") == drawn(outer.project.root / "two") == FIGURES


def test_a_mistake_is_told_in_one_line(tmp_path: Path) -> None:
    outer = Outer.create(tmp_path, sample=3)

    code, output = outer.snakemake("--dry-run")

    assert code == 1
    assert "\nconfig of module byz: sample = 3: unknown key; allowed: studies, reading" in output
