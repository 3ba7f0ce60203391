"""``import byzcode``: what it offers, what it costs, and runs, studies and figures from Python."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import xarray

import byzcode as bz
from byzcode.execution import batches
from byzcode.figures import draw
from byzcode.front import progress
from byzcode.front.spec import Fields
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations, trajectories
from byzcode.storage.layout import allocation, trajectory
from byzcode.studies.plan import load_plan
from byzcode.training.workers import train

ROOT = Path(__file__).parents[2]
FRONT = sorted(path.stem for path in (ROOT / "src" / "byzcode" / "front").glob("[a-z]*.py"))

SMALL = {
    "problem": {"name": "linear_regression", "subsets": 60, "dimension": 7},
    "devices": 20,
    "iterations": 50,
    "record": {"step": 1},
    "seeds": 2,
}
CRA = {**SMALL, "method": "cra_dl", "redundancy": 12, "aggregation": "median", "attack": "sign_flip"}


def refusal(called, *arguments, **more) -> str:
    with pytest.raises(bz.UserError) as caught:
        called(*arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the package -----------------------------------------------------------------------------------------------------


def in_python(code: str) -> str:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return ended.stdout.strip()


def test_an_import_loads_next_to_nothing():
    heavy = in_python(
        "import sys; before = set(sys.modules); import byzcode; new = set(sys.modules) - before;"
        "print(len(new), *sorted(name for name in new if name.partition('.')[0] in "
        "('torch', 'numpy', 'xarray', 'pandas', 'pydantic', 'scipy', 'matplotlib', 'netCDF4', 'yaml', 'rich')),"
        "*(name for name in new if name.startswith('byzcode.')))"
    )
    count, *loaded = heavy.split()
    assert loaded == ["byzcode.provenance", "byzcode.provenance.sources"] or set(loaded) == {
        "byzcode.provenance",
        "byzcode.provenance.sources",
    }
    assert int(count) < 40


def test_each_name_is_there_and_is_typed():
    stub = ast.parse((ROOT / "src" / "byzcode" / "__init__.pyi").read_text(encoding="utf-8"))
    typed = {
        alias.asname: (node.module, alias.name)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {*typed, "__version__"} == set(bz.__all__) <= set(dir(bz))
    for name, (module, own) in typed.items():
        assert getattr(bz, name) is getattr(importlib.import_module(module), own)
        assert getattr(bz, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'trian'; did you mean 'train'"):
        _ = bz.trian


def test_the_typed_fields_are_those_of_a_run():
    assert {*Fields.__annotations__, "spec_version"} == set(RunSpec.model_fields)


@pytest.mark.parametrize("name", FRONT)
def test_the_examples_of_docstrings_run(name):
    module = importlib.import_module(f"byzcode.front.{name}")
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
    public = [
        own
        for own in vars(module).values()
        if getattr(own, "__module__", "") == module.__name__ and getattr(bz, getattr(own, "__name__", ""), None) is own
    ]
    assert tried or not public or name == "study"  # a study needs a file


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_examples_of_the_pages_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["example.py"])
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    blocks = [block for block in blocks if "import byzcode as bz" in block or page != "README.md"]
    studies = re.findall(r"```yaml\n(study:.*?)```", text, flags=re.DOTALL)
    assert blocks
    for study in studies:
        (tmp_path / f"{re.search('study: (.*)', study)[1]}.yaml").write_text(study, encoding="utf-8")
    # a file, because what is registered needs a source
    module = types.ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    file = tmp_path / "example.py"
    file.write_text("\n".join(blocks), encoding="utf-8")
    try:
        exec(compile(file.read_text(encoding="utf-8"), file, "exec"), vars(module))
    finally:
        bz.register.forget()


# --- a run -----------------------------------------------------------------------------------------------------------


def test_a_run_is_that_of_the_engine():
    spec = bz.spec(**CRA)
    measured = train(spec, allocations.draw(spec.allocation_spec))
    for run in (bz.train(spec), bz.train(**CRA)):
        assert isinstance(run, xarray.Dataset)
        assert run.attrs["run_id"] == spec.run_id
        for name, array in measured.arrays().items():
            np.testing.assert_array_equal(run[name], array)


def test_a_stored_run_is_the_file_of_the_workflow(tmp_path):
    spec, ours, theirs = bz.spec(**CRA), tmp_path / "ours.nc", tmp_path / "theirs.nc"
    returned = bz.train(spec, out=ours)
    command = [sys.executable, "-m", "byzcode.cli", "train", "--spec", spec.canonical(), "--out", str(theirs)]
    subprocess.run(command, check=True, capture_output=True)
    volatile = {"created", "wall_seconds", "cpu_seconds", "peak_memory_mib"}
    with xarray.open_dataset(ours) as one, xarray.open_dataset(theirs) as other:
        xarray.testing.assert_equal(one, other)
        assert {*one.attrs} == {*other.attrs}
        assert {key for key in one.attrs if not np.array_equal(one.attrs[key], other.attrs[key])} <= volatile
    xarray.testing.assert_identical(returned, trajectories.open(ours, spec))


def test_a_current_file_is_read_and_any_other_is_made_again(tmp_path, monkeypatch):
    out = tmp_path / "run.nc"
    trained = []
    alone = batches.alone
    monkeypatch.setattr(batches, "alone", lambda *given, **more: (trained.append(given[0]), alone(*given, **more))[1])
    first = bz.train(out=out, **CRA)
    again = bz.train(out=str(out), **CRA)
    xarray.testing.assert_identical(first, again)
    assert len(trained) == 1
    bz.train(out=out, **{**CRA, "seeds": 3})
    assert len(trained) == 2
    out.write_bytes(out.read_bytes()[:-100])
    bz.train(out=out, **CRA)
    assert len(trained) == 3


def test_any_number_of_processes_gives_the_same(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import byzcode as bz\nif __name__ == '__main__':\n    bz.train(**{CRA!r}, out='run.nc', threads=2)\n",
        encoding="utf-8",
    )
    subprocess.run([sys.executable, script.name], cwd=tmp_path, check=True)
    xarray.testing.assert_equal(trajectories.open(tmp_path / "run.nc"), bz.train(**CRA))


def test_fields_are_given_as_in_a_study():
    plain = bz.spec(**{**CRA, "byzantine": {"alpha": 0.3}, "record": {"step": 2}})
    given = {key: value for key, value in CRA.items() if key != "record"}
    assert bz.spec(**given, **{"byzantine.alpha": np.float64(0.3), "record.step": np.int64(2)}) == plain
    one = bz.spec(**{**CRA, "attack": {"name": "sign_flip", "coefficient": -2}})
    assert bz.spec(**CRA, **{"attack.coefficient": -2}) == one
    assert bz.spec(**{**CRA, "problem.dimension": 5, "seeds": range(3, 6)}).seeds == (3, 4, 5)
    assert (
        bz.spec(
            **{**SMALL, "method": "com_lad", "redundancy": 6, "aggregation": "median", "compression.share": 0.5}
        ).compression.options["share"]
        == 0.5
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({**CRA, "redundncy": 3}, "train: redundncy = 3: unknown key; did you mean 'redundancy'?"),
        ({"method": "cra_dl", "redundncy": 3}, "train: redundncy = 3: unknown key; did you mean 'redundancy'?"),
        ({**CRA, "attack": "sign_flop"}, "train: attack = 'sign_flop': unknown attack; did you mean 'sign_flip'?"),
        ({**CRA, "attack.coeficient": -2}, "coeficient"),
        ({**CRA, "devices.x": -2}, "devices has no parts"),
        ({**CRA, "redundancy": 61}, "train: redundancy = 61: "),
        ({}, "train: method = None: "),
        ({**CRA, "device": "tpu"}, "device 'tpu': allowed: cpu, cuda"),
        ({**CRA, "threads": 0}, "train: threads = 0: allowed: 1 or more"),
        ({**CRA, "out": "folder/"}, "train: out = 'folder/': allowed: the path of a file"),
        ({**CRA, "out": 3}, "train: out = 3: allowed: the path of a file"),
        ({**CRA, "out": "/dev/null/run.nc"}, "/dev/null/run.nc"),
    ],
)
def test_a_mistake_is_told_in_one_line(fields, says):
    assert says in refusal(bz.train, **fields)


def test_a_specification_and_fields_are_not_mixed():
    assert "allowed: a RunSpec, or fields; not both" in refusal(bz.train, bz.spec(**CRA), seeds=3)
    assert "the first argument is a str" in refusal(bz.train, "cra_dl")


# --- progress --------------------------------------------------------------------------------------------------------


class Terminal:
    def __init__(self, *, is_terminal):
        self.isatty = lambda: is_terminal
        self.written = []
        self.write = self.written.append
        self.flush = lambda: None


@pytest.mark.parametrize(
    ("wanted", "is_terminal", "expected"),
    [
        (None, True, progress.progress),
        (None, False, progress.silent),
        (True, True, progress.progress),
        (True, False, progress.progress),
        (False, True, progress.silent),
    ],
)
def test_a_bar_is_shown_where_it_can_be_seen(wanted, is_terminal, expected, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal(is_terminal=is_terminal))
    assert progress.shown(wanted) is expected


def test_nothing_is_said_elsewhere(capfd):
    bz.train(**CRA)
    assert capfd.readouterr() == ("", "")
    bz.train(**CRA, progress=True)
    assert "train" in capfd.readouterr().err


def test_a_notebook_shows_a_bar(monkeypatch):
    shown = []

    class Handle:
        update = staticmethod(lambda html: shown.append(html.data))

    class Html:
        def __init__(self, data):
            self.data = data

    def display(html, *, display_id):
        shown.append(html.data)
        return Handle

    shell = types.SimpleNamespace(kernel="a kernel")
    page = types.SimpleNamespace(HTML=Html, display=display)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell, display=page))
    monkeypatch.setitem(sys.modules, "IPython.display", page)
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    bz.train(**CRA)
    assert "0 %" in shown[0]
    assert any("<progress value='102' max='102'>" in each for each in shown)
    assert shown[-1] == ""
    count = len(shown)
    bz.train(**CRA, progress=False)
    assert len(shown) == count


# --- studies ---------------------------------------------------------------------------------------------------------

STUDY = """
study: mine
title: A study
base:
  problem: {name: linear_regression, subsets: 60, dimension: 7}
  devices: 20
  iterations: 50
  record.step: 1
  seeds: 2
  aggregation: median
  attack: sign_flip
curves:
  - {label: CRA-DL, method: cra_dl, grid: {redundancy: [6, 12]}}
  - {label: RBA-DL, method: rba_dl}
plots:
  excess: {kind: trajectories, y: excess_loss, columns: redundancy, caption: Loss.}
  plateau: {kind: sweep, x: redundancy, caption: Plateau.}
  lists: {kind: allocation, caption: Who holds what.}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(STUDY, encoding="utf-8")
    return tmp_path / "mine.yaml"


def test_a_study_is_trained_and_drawn_as_in_the_workflow(study, monkeypatch):
    trained = bz.study("mine.yaml")
    plan = load_plan({"studies": ["mine.yaml"]})
    planned = plan.studies["mine"]
    results = study.parent / "results"
    assert trained.name == "mine"
    assert {label: [run.point for run in runs] for label, runs in trained.curves.items()} == {
        "CRA-DL": [{"redundancy": 6}, {"redundancy": 12}],
        "RBA-DL": [{}],
    }
    for run, spec in plan.runs.items():
        xarray.testing.assert_equal(trajectories.open(trajectory(results, run), spec), bz.train(spec))
    for name in plan.allocations:
        assert allocation(results, name).exists()
    assert trained.summary["run_id"].tolist() == planned.run_ids()
    for plot, picture in trained.figures.items():
        assert picture == Path("results") / "figures" / f"mine-{plot}.png"
        draw(json.loads(planned.figure_json(plot)), results, study.parent / "again")
        assert picture.read_bytes() == (study.parent / "again.png").read_bytes()

    monkeypatch.setattr(batches, "train_one", lambda *given, **more: pytest.fail("trained again"))
    again = bz.study(study)
    xarray.testing.assert_identical(again.curves["RBA-DL"][0].data, trained.curves["RBA-DL"][0].data)


def test_a_study_names_what_is_registered(study):
    from unit.front_parts import strongest

    bz.register.attack(strongest)
    try:
        study.write_text(STUDY.replace("attack: sign_flip", "attack: {name: strongest, shift: 2}"), encoding="utf-8")
        trained = bz.study(study, results="own")
        run = trained.curves["RBA-DL"][0].data
        assert "registered attack strongest" in json.loads(run.attrs["engine_parts"])
        assert "strongest" in set(trained.summary["attack"])
    finally:
        bz.register.forget()
    assert "unknown attack" in refusal(bz.study, study, results="own")


def test_a_study_that_cannot_be_trained_says_why(study):
    assert "no such file" in refusal(bz.study, "other.yaml")
    assert "allowed: a path inside the project's folder" in refusal(bz.study, "/elsewhere/x.yaml")
    assert "results = 'src'" in refusal(bz.study, "mine.yaml", results="src")
    study.write_text(STUDY.replace("attack: sign_flip", "attack: sign_flop"), encoding="utf-8")
    assert "did you mean 'sign_flip'" in refusal(bz.study, "mine.yaml")


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs():
    return [bz.train(**{**CRA, "redundancy": r, "aggregation": rule}) for r in (6, 12) for rule in ("median", "mean")]


def test_a_figure_shows_the_medians_of_its_runs(runs):
    picture = bz.plot.trajectories(runs)
    labels = [f"CRA-DL, r = {r}, {rule}" for r in (6, 12) for rule in ("median", "mean")]
    assert list(dict.fromkeys(picture.data["curve"])) == labels
    for label, run in zip(labels, runs, strict=True):
        shown = picture.data.loc[picture.data["curve"] == label]
        np.testing.assert_allclose(shown["median"], run["excess_loss"].median("seed"))
    content, size = picture._repr_png_()
    assert content.startswith(b"\x89PNG")
    assert size["width"] > 300


def test_labels_are_chosen_or_given(runs, tmp_path):
    one = bz.train(**CRA, out=tmp_path / "run.nc")
    assert set(bz.plot.trajectories(one).data["curve"]) == {"CRA-DL"}
    assert set(bz.plot.trajectories([one, tmp_path / "run.nc"]).data["curve"]) == {"CRA-DL (1)", "CRA-DL (2)"}
    named = bz.plot.trajectories({"a": runs[0], "$b$": runs[1]}, y=["loss", "gradient_norm"], x="bits_sent")
    assert set(named.data["curve"]) == {"a", "$b$"}
    rba = bz.train(**{**CRA, "method": "rba_dl", "redundancy": None})
    assert set(bz.plot.trajectories([one, rba]).data["curve"]) == {"CRA-DL", "RBA-DL"}


def test_curves_differ_in_colour(runs):
    picture = bz.plot.trajectories(runs)
    lines = [line for line in picture.figure.axes[0].get_lines() if len(line.get_xdata()) > 2]
    assert len({line.get_color() for line in lines}) == 4


def test_a_sweep_has_a_curve_for_what_differs_otherwise(runs):
    picture = bz.plot.sweep(runs, "redundancy", cost=False)
    assert list(dict.fromkeys(picture.data["curve"])) == ["CRA-DL, median", "CRA-DL, mean"]
    assert picture.data["x"].tolist() == [6, 12, 6, 12]
    panels = bz.plot.sweep(runs, "redundancy", columns="aggregation")
    assert set(panels.data["aggregation"]) == {"median", "mean"}
    assert set(panels.data["curve"]) == {"CRA-DL"}
    named = bz.plot.sweep({"one": runs[::2], "other": runs[1::2]}, "redundancy", y="loss")
    assert list(dict.fromkeys(named.data["curve"])) == ["one", "other"]


def test_a_sweep_is_that_of_a_study(study):
    trained = bz.study(study)
    ours = bz.plot.sweep({label: [run.data for run in runs] for label, runs in trained.curves.items()}, "redundancy")
    import pandas as pd

    theirs = pd.read_csv(study.parent / "results" / "figures" / "mine-plateau.csv")
    moving = theirs["curve"] == "CRA-DL"
    np.testing.assert_allclose(ours.data.loc[ours.data["curve"] == "CRA-DL", "median"], theirs.loc[moving, "median"])


def test_a_figure_is_saved_in_the_kinds_of_the_project(runs, tmp_path):
    picture = bz.plot.trajectories(runs)
    assert [path.name for path in picture.save(tmp_path / "all")] == ["all.png", "all.pdf", "all.svg", "all.csv"]
    assert [path.name for path in picture.save(tmp_path / "one.svg")] == ["one.svg"]
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "all.svg").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {
        "one.svg",
        *(f"all.{kind}" for kind in ("png", "pdf", "svg", "csv")),
    }
    assert "allowed: the suffixes png" in refusal(picture.save, tmp_path / "x.jpg")


@pytest.mark.parametrize(
    ("called", "says"),
    [
        (lambda runs: bz.plot.trajectories(runs, y="los"), "plot.trajectories: y = 'los': did you mean 'loss'?"),
        (lambda runs: bz.plot.trajectories(runs, y="accuracy"), "plot.trajectories: y = 'accuracy': allowed: loss"),
        (lambda runs: bz.plot.trajectories(runs, x="iterations"), "x = 'iterations': did you mean 'iteration'?"),
        (lambda runs: bz.plot.trajectories([]), "no run"),
        (lambda runs: bz.plot.trajectories({}), "no run"),
        (lambda runs: bz.plot.trajectories(3), "a int; allowed: datasets"),
        (lambda runs: bz.plot.trajectories("none.nc"), "none.nc"),
        (lambda runs: bz.plot.trajectories(xarray.Dataset()), "without the attribute spec"),
        (lambda runs: bz.plot.trajectories({"a": runs}), "'a' has several runs"),
        (lambda runs: bz.plot.sweep(runs, "redundncy"), "plot.sweep: x = 'redundncy': did you mean 'redundancy'?"),
        (lambda runs: bz.plot.sweep(runs, "redundancy", columns="x"), "plot.sweep: columns = 'x': "),
        (lambda runs: bz.plot.sweep(runs, "redundancy", y=["loss", "excess_loss"]), "allowed: one of"),
        (lambda runs: bz.plot.sweep({"a": runs}, "redundancy"), "'a' has 2 runs in one place"),
    ],
)
def test_a_figure_of_something_else_is_refused(called, says, runs):
    assert says in refusal(called, runs)
