"""What is made again after a change, and above all what is not."""

from __future__ import annotations

import ast
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dag.project import NOTHING, STUDIES, TINY, Jobs, Project

pytestmark = pytest.mark.slow  # together; none of them takes ten seconds once the first results are there

LINES, SWEEP, HOLDING = (f"{STUDIES}/{name}.yaml" for name in ("lines", "sweep", "holding"))
ENGINE, ATTACK = "src/byzcode/training/loop.py", "src/byzcode/attacks/sign_flip.py"
SUMMARY, STYLE = "src/byzcode/analysis/summary.py", "src/byzcode/figures/style.py"

STUDIES_TRAINED = {"lines", "sweep"}
FIGURES_OF_RUNS = {"lines-loss", "lines-excess", "sweep-plateau"}
FIGURES = {*FIGURES_OF_RUNS, "holding-balance"}

Edit = Callable[[Project], None]


def add_code(project: Project, path: str) -> None:
    """New code that changes no behaviour; the workflow cannot know that."""
    project.rewrite(path, lambda text: text + "\nADDED = 1\n")


def add_comments(project: Project) -> None:
    """A comment, another docstring, other line breaks: the same program."""
    for path in (ENGINE, ATTACK, SUMMARY, STYLE):
        project.rewrite(path, lambda text: ast.unparse(ast.parse(text)) + "\n\n# A comment.\n")
        project.rewrite(path, lambda text: text.replace('"""', '"""Said otherwise. ', 1))


def reverse_keys(project: Project) -> None:
    """The same studies, every mapping the other way round."""

    def reversed_(value: object) -> object:
        if isinstance(value, dict):
            return {key: reversed_(inner) for key, inner in reversed(value.items())}
        return [reversed_(inner) for inner in value] if isinstance(value, list) else value

    for name, study in TINY.items():
        changed = reversed_(study)
        assert isinstance(changed, dict)
        assert list(changed) != list(study)
        project.write(f"{STUDIES}/{name}.yaml", changed)


def swap(project: Project, first: tuple[str | int, ...], second: tuple[str | int, ...]) -> None:
    """Exchange two values of the study of lines."""

    def at(keys: tuple[str | int, ...]) -> object:
        value: object = TINY["lines"]
        for key in keys:
            value = value[key]  # type: ignore[index]
        return value

    project.edit(LINES, *first, to=at(second))
    project.edit(LINES, *second, to=at(first))


def touch_all(project: Project) -> None:
    """Every source newer than every result, as after a git checkout."""
    now = time.time()
    for folder in ("src", "workflow", "config", "profiles"):
        for path in (project.root / folder).rglob("*"):
            os.utime(path, (now, now))


def add_study_of_known_runs(project: Project) -> None:
    project.write(f"{STUDIES}/again.yaml", {**TINY["sweep"], "study": "again"})


def forget(project: Project) -> None:
    shutil.rmtree(project.root / ".snakemake")


EDITS: dict[str, tuple[Edit, Jobs]] = {
    "nothing": (lambda _: None, NOTHING),
    "keys in another order": (reverse_keys, NOTHING),
    "sources touched": (touch_all, NOTHING),
    "snakemake's notes lost": (forget, NOTHING),
    # runs
    "a point in a sweep": (
        lambda project: project.edit(SWEEP, "curves", 0, "grid", "redundancy", to=[4, 6, 8]),
        Jobs(allocate=1, train=1, summarise={"sweep"}, figure={"sweep-plateau"}),
    ),
    "a curve less": (
        lambda project: project.edit(LINES, "curves", to=[*TINY["lines"]["curves"][:2]]),
        Jobs(summarise={"lines"}, figure={"lines-loss"}),
    ),
    "a study of known runs": (add_study_of_known_runs, Jobs(summarise={"again"}, figure={"again-plateau"})),
    "another attack, same allocation": (
        lambda project: project.edit(SWEEP, "base", "attack", to="gaussian"),
        Jobs(train=2, summarise={"sweep"}, figure={"sweep-plateau"}),
    ),
    "another number, written otherwise": (
        lambda project: project.edit(LINES, "base", "byzantine.alpha", to=2e-1),  # what the default says too
        NOTHING,
    ),
    "two values swapped between keys": (
        lambda project: swap(project, ("base", "devices"), ("base", "problem.dimension")),
        Jobs(allocate=3, train=3, summarise={"lines"}, figure={"lines-loss", "lines-excess"}),
    ),
    "two values swapped between curves": (
        lambda project: swap(project, ("curves", 1, "redundancy"), ("curves", 2, "redundancy")),
        Jobs(summarise={"lines"}, figure={"lines-loss"}),
    ),
    # words and colours
    "a label": (
        lambda project: project.edit(LINES, "curves", 1, "label", to="Renamed"),
        Jobs(figure={"lines-loss"}),
    ),
    "two labels swapped": (
        lambda project: swap(project, ("curves", 1, "label"), ("curves", 2, "label")),
        Jobs(figure={"lines-loss"}),
    ),
    "a caption": (
        lambda project: project.edit(LINES, "plots", "excess", "caption", to="Said otherwise."),
        Jobs(figure={"lines-excess"}),
    ),
    "a title": (
        lambda project: project.edit(LINES, "title", to="Said otherwise"),
        Jobs(figure={"lines-loss", "lines-excess"}),
    ),
    "the colour of one method": (
        lambda project: project.edit("config/style.yaml", "rba_dl", "color", to="#123456"),
        Jobs(figure={"lines-loss", "lines-excess"}),
    ),
    "the colour of the other": (
        lambda project: project.edit("config/style.yaml", "cra_dl", "color", to="#123456"),
        Jobs(figure={"lines-loss", "sweep-plateau", "holding-balance"}),
    ),
    "the colour of a method that no figure shows": (
        lambda project: project.edit("config/style.yaml", "sgc_dl", "color", to="#123456"),
        NOTHING,
    ),
    # code
    "comments": (add_comments, NOTHING),
    "code of the summaries": (
        lambda project: add_code(project, SUMMARY),
        Jobs(summarise=STUDIES_TRAINED, figure={"sweep-plateau"}),
    ),
    "code of the figures": (lambda project: add_code(project, STYLE), Jobs(figure=FIGURES)),
    "code of the command line": (lambda project: add_code(project, "src/byzcode/cli/__init__.py"), NOTHING),
}


@pytest.mark.parametrize(("edit", "expected"), EDITS.values(), ids=EDITS)
def test_a_change_reruns_what_it_concerns(project: Project, edit: Edit, expected: Jobs) -> None:
    edit(project)

    assert project.would_make() == expected


@pytest.mark.parametrize("path", [ENGINE, ATTACK])
def test_code_that_trains_retrains_everything(project: Project, path: str) -> None:
    add_code(project, path)

    jobs = project.would_make()

    assert (jobs.train, jobs.summarise) == (3, STUDIES_TRAINED)
    assert set(jobs.figure) >= FIGURES_OF_RUNS


def test_how_studies_are_read_is_no_matter_of_the_trainings(project: Project) -> None:
    for module in ("plan", "expand", "study"):
        add_code(project, f"src/byzcode/studies/{module}.py")

    assert project.would_make().train == 0


def test_the_copy_runs_its_own_package(project: Project) -> None:
    where = project.run("python", "-c", "import byzcode; print(byzcode.__file__)").stdout

    assert Path(where.strip()).is_relative_to(project.root)


def test_runs_that_studies_share_are_trained_once(first_run: tuple[Project, Jobs]) -> None:
    assert first_run[1] == Jobs(allocate=3, train=3, summarise=STUDIES_TRAINED, figure=FIGURES)


def test_another_device_retrains_nothing(project: Project) -> None:
    assert project.would_make("--config", "device=cuda") == NOTHING


def test_the_workflow_is_the_same_from_its_own_snakefile(project: Project) -> None:
    assert project.would_make("--snakefile", "workflow/Snakefile", "--profile", "profiles/default") == NOTHING


def test_code_tracking_off_lets_an_edit_of_the_engine_pass(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", TINY, code_tracking="off")
    target = "results/summaries/sweep.csv"
    assert project.make(target) == Jobs(allocate=2, train=2, summarise={"sweep"})

    add_code(project, ENGINE)

    assert project.would_make(target) == NOTHING


def test_switching_code_tracking_off_retrains_nothing(project: Project) -> None:
    add_code(project, ENGINE)

    assert project.would_make("--config", "code_tracking=off") == NOTHING


def test_results_of_another_engine_are_told_apart_when_snakemakes_notes_are_lost(project: Project) -> None:
    forget(project)
    assert "3 runs: 3 current" in project.byzcode("plan").stdout

    add_code(project, ENGINE)

    assert "3 runs: 3 of another engine" in project.byzcode("plan").stdout


def test_what_was_added_is_made_and_then_current(project: Project) -> None:
    project.edit(SWEEP, "curves", 0, "grid", "redundancy", to=[4, 6, 8])

    assert project.make("results/summaries/sweep.csv") == Jobs(allocate=1, train=1, summarise={"sweep"})
    assert project.would_make("results/summaries/sweep.csv") == NOTHING
    assert "4 runs: 4 current" in project.byzcode("plan").stdout
