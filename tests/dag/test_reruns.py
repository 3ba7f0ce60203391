"""What is made again after a change, and above all what is not."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dag.project import NOTHING, STUDIES, TINY, Jobs, Project
from dag.small_results import inside

from byzcode.kernels import native
from byzcode.storage import trajectories
from byzcode.studies.plan import load_plan_file

pytestmark = pytest.mark.slow  # together; none of them takes ten seconds once the first results are there

LINES, SWEEP, HOLDING = (f"{STUDIES}/{name}.yaml" for name in ("lines", "sweep", "holding"))
ENGINE, ATTACK = "src/byzcode/training/loop.py", "src/byzcode/attacks/sign_flip.py"
NATIVE = "src/byzcode/kernels/statistic.cpp"
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


def reformat(project: Project) -> None:
    """All sources by ``ruff format`` at another width, and the imports of each the other way round."""
    source = project.root / "src" / "byzcode"
    subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--quiet", "--line-length", "60", "--isolated", str(source)],
        check=True,
    )
    for path in source.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        imports = [node for node in imports if getattr(node, "module", "") != "__future__"]
        texts = ["".join(lines[node.lineno - 1 : node.end_lineno]) for node in imports]
        for node, text in zip(imports, reversed(texts), strict=True):
            lines[node.lineno - 1 : node.end_lineno] = [text, *[""] * ((node.end_lineno or 0) - node.lineno)]
        path.write_text("".join(lines), encoding="utf-8")


#: For each table that lists its components by name, one of them, and its module.
LISTED = {
    "attacks": "nan",
    "aggregation": "norm_trimming",
    "compression": "natural",
    "allocation": "difference_set",
    "pre_aggregation": "clipping",
    "estimation": "remembered_scores",
    "absence": "slowest",
}


def add_components(project: Project) -> None:
    """A copy of a component of each kind under another name, with its line in the table."""
    for package, last in LISTED.items():
        folder = project.root / "src" / "byzcode" / package
        shutil.copy(folder / f"{last}.py", folder / "added.py")
        project.rewrite(
            f"src/byzcode/{package}/__init__.py",
            lambda text, last=last: text.replace(f'"{last}",', f'"{last}", "added",'),
        )


def remove_component(project: Project) -> None:
    """An attack that no run names, its file and its line."""
    (project.root / "src/byzcode/attacks/mimic.py").unlink()
    project.rewrite("src/byzcode/attacks/__init__.py", lambda text: text.replace('"mimic",', ""))


def add_elsewhere(project: Project) -> None:
    for path in ("multiverse/universe.py", "scorecard/page.py", "recommend/search.py", "verify/verification.py"):
        add_code(project, f"src/byzcode/{path}")


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
    "formatting and the order of imports": (reformat, NOTHING),
    "a new component of each kind": (add_components, NOTHING),
    "a component that no run names, removed": (remove_component, NOTHING),
    "another attack": (lambda project: project.change("attacks/alie.py", "mean_and_std"), NOTHING),
    "a kernel that no run uses": (
        lambda project: project.rewrite("src/byzcode/kernels/distances.cpp", lambda text: text + "\nint added;\n"),
        NOTHING,
    ),
    "figures, but no training": (
        lambda project: add_code(project, "src/byzcode/theory/constants.py"),
        Jobs(figure=FIGURES),
    ),
    "code of the multiverse, the scorecard, advice and checks": (add_elsewhere, NOTHING),
    "an allocation": (
        lambda project: project.change("allocation/disjoint.py", "disjoint"),
        Jobs(allocate=1, train=1, summarise={"lines"}, figure={"lines-loss", "lines-excess"}),
    ),
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


@pytest.mark.parametrize("records", [True, False], ids=["records", "no records"])
@pytest.mark.parametrize(
    "edit",
    [
        lambda project: add_code(project, ENGINE),
        lambda project: project.change("attacks/sign_flip.py", "sign_flip"),
        lambda project: project.change("kernels/order.py", "_statistic"),
        lambda project: project.rewrite(NATIVE, lambda text: text.replace("T(0.5)", "T(0.25)")),
    ],
    ids=["engine", "attack", "kernel", "compiled kernel"],
)
def test_code_that_trains_retrains_what_uses_it(project: Project, edit: Edit, records: bool) -> None:
    if not records:
        forget(project)
    edit(project)

    jobs = project.would_make()

    assert (jobs.allocate, jobs.train, jobs.summarise) == (0, 3, STUDIES_TRAINED)
    assert FIGURES_OF_RUNS <= set(jobs.figure) <= FIGURES


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


def test_code_tracking_off_lets_edits_of_code_pass(project: Project) -> None:
    for path in (ENGINE, SUMMARY, STYLE):
        add_code(project, path)

    assert project.would_make("--config", "code_tracking=off") == NOTHING


def test_the_plan_says_which_source_changed(project: Project) -> None:
    forget(project)
    assert "3 runs: 3 current" in project.byzcode("plan").stdout

    project.change("attacks/sign_flip.py", "sign_flip")
    project.change("aggregation/krum.py", "scores")

    output = project.byzcode("plan").stdout
    assert "3 runs: 3 of another engine" in output
    assert [line for line in output.splitlines() if "changed" in line] == [
        "attacks/sign_flip.py changed since 3 runs were trained"
    ]


LOST: dict[str, tuple[Edit, Jobs]] = {
    "a curve less": EDITS["a curve less"],
    "a caption": EDITS["a caption"],
    "the colour of one method": EDITS["the colour of one method"],
    "a point in a sweep": EDITS["a point in a sweep"],
    "code of the summaries": EDITS["code of the summaries"],
    "an allocation": EDITS["an allocation"],
    "a trajectory removed": (
        lambda project: remove(project, "trajectories/*.nc"),
        Jobs(train=3, summarise=STUDIES_TRAINED, figure=FIGURES_OF_RUNS),
    ),
    "allocations removed": (lambda project: remove(project, "allocations/*.nc"), NOTHING),
    "a figure cut short": (lambda project: cut(project, "figures/lines-loss.sha256"), Jobs(figure={"lines-loss"})),
    "trajectories copied, newer than their figures": (lambda project: touch(project, "trajectories/*.nc"), NOTHING),
    "allocations newer": (lambda project: touch(project, "allocations/*.nc"), NOTHING),
}


@pytest.mark.parametrize(("edit", "expected"), LOST.values(), ids=LOST)
def test_files_say_what_is_to_be_made_when_snakemakes_records_are_lost(
    project: Project, edit: Edit, expected: Jobs
) -> None:
    forget(project)
    edit(project)

    assert project.would_make() == expected


def remove(project: Project, pattern: str) -> None:
    for path in project.files(pattern):
        path.unlink()


def cut(project: Project, name: str) -> None:
    path = project.root / "results" / name
    path.write_bytes(path.read_bytes()[:-1])


def touch(project: Project, pattern: str) -> None:
    for path in project.files(pattern):
        os.utime(path)


def test_a_trajectory_removed_is_trained_again_with_what_was_made_of_it(project: Project) -> None:
    """One that a single study draws, and its figures."""
    with inside(project.root):
        plan = load_plan_file()
    (run,) = set(plan.studies["lines"].run_ids()) - set(plan.studies["sweep"].run_ids())
    (project.root / "results" / "trajectories" / f"{run}.nc").unlink()

    assert project.make() == Jobs(train=1, summarise={"lines"}, figure={"lines-loss", "lines-excess"})
    assert project.would_make() == NOTHING


def test_what_is_forced_runs_and_what_is_touched_does_not(project: Project) -> None:
    assert project.would_make("--forcerun", "summarise") == Jobs(summarise=STUDIES_TRAINED, figure={"sweep-plateau"})
    add_code(project, STYLE)
    touched = project.snakemake("--cores", "1", "--touch")
    assert touched.returncode == 0, touched.stdout + touched.stderr
    assert project.would_make() == Jobs(figure=FIGURES)  # a new time makes no figure current


def test_a_run_of_the_same_id_is_no_result_of_this_one(project: Project) -> None:
    """Two step sizes whose specs share the 48 bits of their ids."""
    smaller, larger = 0.110092662, 0.134193345
    project.edit(LINES, "curves", to=[{**TINY["lines"]["curves"][1], "step_size": smaller}])
    project.edit(LINES, "plots", to={"loss": TINY["lines"]["plots"]["loss"]})
    assert project.make("results/summaries/lines.csv").train == 1
    project.edit(LINES, "curves", 0, "step_size", to=larger)

    assert project.would_make("results/summaries/lines.csv") == Jobs(train=1, summarise={"lines"})
    both = [{**TINY["lines"]["curves"][1], "label": str(size), "step_size": size} for size in (smaller, larger)]
    project.edit(LINES, "curves", to=both)
    failed = project.snakemake("--dry-run")
    assert failed.returncode == 1
    output = failed.stdout + failed.stderr
    assert f"{LINES}: two specs have the id 2ba4dfb573d2; they differ in step_size ({smaller} and {larger})" in output
    assert "Traceback" not in output


def test_code_edited_while_it_trains_stores_nothing(project: Project, tmp_path: Path) -> None:
    """Old numbers would be stored under the identity of the new code."""
    with inside(project.root):
        plan = load_plan_file()
    spec = next(iter(plan.runs.values())).canonical()
    script = (
        "import sys; from pathlib import Path; from byzcode.cli import main; from byzcode.execution import batches\n"
        "train, path = batches.train_one, Path(sys.argv.pop())\n"
        "def edited(*a, **k):\n"
        "    path.write_text(path.read_text() + '\\nADDED = 1\\n')\n"
        "    return train(*a, **k)\n"
        "batches.train_one = edited\n"
        "main()"
    )
    out = tmp_path / "out.nc"
    source = project.root / "src/byzcode/randomness.py"
    done = project.run(sys.executable, "-c", script, "train", "--spec", spec, "--out", str(out), str(source))

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"byzcode: {out}: not stored: randomness.py was edited while the run was trained: train it again"
    )
    assert not out.exists()


def test_compiled_kernels_of_other_sources_are_not_used_and_it_says_so(project: Project, tmp_path: Path) -> None:
    if native.library() is None:
        pytest.skip("there are no compiled kernels")
    project.rewrite(NATIVE, lambda text: text.replace("T(0.5)", "T(0.25)"))
    with inside(project.root):
        spec = next(iter(load_plan_file().runs.values())).canonical()
    out = tmp_path / "out.nc"
    done = project.byzcode("train", "--spec", spec, "--out", str(out))

    assert done.returncode == 0, done.stderr
    warning = "the compiled kernels, was built from other sources and is not used"
    assert warning in done.stderr
    assert trajectories.open(out).attrs["kernels"] == "plain"
    for command in ("plan", "verify"):
        assert warning in project.byzcode(command).stdout


def test_what_was_added_is_made_and_then_current(project: Project) -> None:
    project.edit(SWEEP, "curves", 0, "grid", "redundancy", to=[4, 6, 8])

    assert project.make("results/summaries/sweep.csv") == Jobs(allocate=1, train=1, summarise={"sweep"})
    assert project.would_make("results/summaries/sweep.csv") == NOTHING
    assert "4 runs: 4 current" in project.byzcode("plan").stdout
