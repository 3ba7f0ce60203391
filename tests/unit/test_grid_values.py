"""A value of a grid is one thing: the same in a run, a figure, a table and a claim, however it is written."""

from __future__ import annotations

import copy
import json
import re

import pytest
import yaml
from unit.claim_runs import WORDS

from byzcode.errors import UserError
from byzcode.studies.plan import load_plan

SMALL = {
    "study": "small",
    "title": "A small study",
    "base": {
        "problem.subsets": 20,
        "problem.dimension": 5,
        "devices": 10,
        "iterations": 5,
        "seeds": 2,
        "attack": "sign_flip",
    },
    "curves": [
        {"label": "CRA-DL", "method": "cra_dl", "redundancy": 4, "aggregation": "median"},
        {"label": "Gradient descent", "method": "gradient_descent"},
    ],
}


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """A study of a grid, as it is planned; values of the grid are text of YAML."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reading.yaml").write_text("{reading: r, title: t, choices: []}")
    styles = [f"{method}: {{color: '#D55E00'}}" for method in ("cra_dl", "gradient_descent", "ma")]
    (tmp_path / "style.yaml").write_text("\n".join(styles))

    def plan(grid: str, plot=None, claims=(), **changes):
        shown = plot or {"kind": "trajectories", **({"hue": grid[1 : grid.index(":")]} if ":" in grid else {})}
        plots = {"p": {"kind": "sweep", "caption": "c", **shown}}
        whole = {**copy.deepcopy(SMALL), "plots": plots, "claims": list(claims), **changes}
        (tmp_path / "small.yaml").write_text(f"{yaml.safe_dump(whole)}\ngrid: {grid}\n")
        config = {"studies": ["small.yaml"], "reading": "reading.yaml", "style": "style.yaml"}
        return load_plan(config).studies["small"]

    return plan


def points(study, key):
    asked = json.loads(study.figure_json("p"))
    return {curve["label"]: [run["point"][key] for run in curve["runs"]] for curve in asked["curves"]}


@pytest.mark.parametrize(
    ("key", "values", "shown"),
    [
        ("step_size", "[1, 1e-1, 1.0e-2, '1e-3']", [1, 0.1, 0.01, 0.001]),
        ("step_size", "[2.0, 0.5]", [2, 0.5]),
        ("problem.sigma_h", "[-0.0, 1.0]", [0, 1]),
        ("attack.coefficient", "[-5.0, -2e+0]", [-5, -2]),
        ("iterations", "[1e2, 200]", [100, 200]),
        ("byzantine.compressed", "[on, off]", [True, False]),
        ("attack", "[{coefficient: -2.0, name: sign_flip}, {name: alie}]", ["sign_flip (coefficient -2)", "alie"]),
        ("byzantine", "[{identities: persistent, alpha: 2e-1}]", ["alpha 0.2, identities persistent"]),
    ],
)
def test_a_figure_gets_the_values_that_runs_have(key, values, shown, planned):
    study = planned(f"{{{key}: {values}}}", {"x": key})
    assert points(study, key) == {"CRA-DL": shown, "Gradient descent": shown}  # also where the method fixes the key
    assert [type(value) for value in points(study, key)["CRA-DL"]] == [type(value) for value in shown]
    assert len(study.run_ids()) >= len(shown)


TWICE = [
    ("step_size", "[0.1, 1e-1]"),
    ("step_size", "[0.5, 1, 0.50]"),
    ("redundancy", "[4, 4.0]"),
    ("problem.sigma_h", "[0, -0.0]"),
    ("byzantine.compressed", "[yes, true]"),
    ("attack", "[sign_flip, {name: sign_flip}]"),
    ("attack", "[sign_flip, {name: sign_flip, coefficient: -5}]"),
    ("attack", "[{name: sign_flip, coefficient: -2}, {coefficient: -2.0, name: sign_flip}]"),
    ("attack", "[alie, {name: alie, factor: null}]"),
    ("seeds", "[2, [0, 1]]"),
    ("byzantine", "[{alpha: 0.2}, {alpha: 0.2, identities: redrawn}]"),
]


@pytest.mark.parametrize(("key", "values"), TWICE)
def test_a_value_that_stands_twice_in_a_grid_is_refused(key, values, planned):
    curves = [{name: value for name, value in SMALL["curves"][0].items() if name != key}]
    with pytest.raises(UserError) as caught:
        planned(f"{{{key}: {values}}}", {"x": key}, curves=curves)
    message = str(caught.value)
    assert re.match(rf"small\.yaml: (curve 'CRA-DL': )?grid\.{key} = \[.*: the same (value|run) twice; each ", message)


def test_a_value_that_stands_twice_is_refused_in_the_grid_of_a_curve_and_where_a_method_fixes_it(planned):
    curves = [{**SMALL["curves"][0], "grid": {"step_size": [0.5, 0.5]}}]
    with pytest.raises(UserError, match=r"curve 'CRA-DL': grid\.step_size = \[0\.5, 0\.5\]: the same value twice"):
        planned("{}", curves=curves)
    with pytest.raises(UserError, match=r"^small\.yaml: grid\.byzantine\.alpha = \[0\.1, 0\.1\]: the same value"):
        planned("{byzantine.alpha: [0.1, 1e-1]}", curves=SMALL["curves"][1:])


def test_what_a_method_or_a_curve_fixes_is_one_run_at_several_places(planned):
    study = planned(
        "{attack: [sign_flip, alie], byzantine.alpha: [0.1, 0.2]}", {"x": "byzantine.alpha", "columns": "attack"}
    )
    gradient = [member for member in study.members if member.spec.method == "gradient_descent"]
    assert (len(gradient), len({member.spec.run_id for member in gradient})) == (4, 1)
    own = [{**SMALL["curves"][0], "byzantine.alpha": 0.3}]
    study = planned("{byzantine.alpha: [0.1, 0.2]}", {"x": "byzantine.alpha"}, curves=own)
    assert points(study, "byzantine.alpha") == {"CRA-DL": [0.1, 0.2]}
    assert len(study.run_ids()) == 1


def test_a_curve_with_a_grid_over_the_same_key_stands_once_in_each_place(planned):
    own = [{**SMALL["curves"][0], "grid": {"redundancy": [2, 4]}}]
    study = planned("{redundancy: [1, 2]}", {"x": "redundancy"}, curves=[*own, SMALL["curves"][1]])
    assert points(study, "redundancy") == {"CRA-DL": [2, 4], "Gradient descent": [1, 2]}


LOWER = {**WORDS, "test": "lower", "curve": "CRA-DL", "against": "Gradient descent"}
FALLS = {**WORDS, "test": "falls", "curve": "CRA-DL", "along": "step_size"}


def test_a_claim_names_values_however_they_are_written(planned):
    for wanted in (0.1, "1e-1", 0.10):
        (cell,) = planned("{step_size: [1, 1e-1, 0.01]}", claims=[{**LOWER, "where": {"step_size": wanted}}]).cells
        assert [member.spec.step_size for member in cell.runs] == [0.1]
        assert cell.request()["place"] == "step_size = 0.1"
        assert cell.request()["claim"]["where"] == {"step_size": 0.1}
    (cell,) = planned("{step_size: [1, 1e-1, 0.01]}", claims=[{**FALLS, "values": ["1e-2", 0.1, 1.0]}]).cells
    assert [member.spec.step_size for member in cell.runs] == [0.01, 0.1, 1.0]
    assert cell.request()["claim"]["values"] == [0.01, 0.1, 1]


def test_a_claim_names_a_component_however_it_is_written(planned):
    grid = "{attack: [{coefficient: -2.0, name: sign_flip}, {name: alie}, ipm]}"
    wanted = ["alie", {"name": "ipm", "factor": 2.0}, {"name": "sign_flip", "coefficient": -2}]
    for name, value in zip(("alie", "ipm", "sign_flip"), wanted, strict=True):
        (cell,) = planned(grid, claims=[{**LOWER, "where": {"attack": value}, "each": ["attack"]}]).cells
        assert [member.spec.attack.name for member in cell.runs] == [name]
    claim = {**LOWER, "where": {"attack": {"name": "sign_flip", "coefficient": -3}}, "each": ["attack"]}
    with pytest.raises(UserError, match=r"where\.attack = .*: not a value of the grid; allowed: sign_flip -2, alie"):
        planned(grid, claims=[claim])
    claim = {**LOWER, "where": {"byzantine.compressed": 1}, "each": ["byzantine.compressed"]}
    with pytest.raises(UserError, match=r"compressed = 1: not a value of the grid; allowed: True, False"):
        planned("{byzantine.compressed: [true, false]}", claims=[claim])


CLOSE = [
    ("step_size", "[0.1, 0.1000000001, 0.10000000011]"),
    ("step_size", "[1234567.0, 1234567.5]"),
    ("iterations", "[1000000, 1000001]"),
    ("attack", "[{name: sign_flip, coefficient: -2}, {name: sign_flip, coefficient: -2.00000001}]"),
    ("aggregation", "[{name: centered_clipping, radius: 2}, {name: centered_clipping, rounds: 2}]"),
    ("byzantine", "[{alpha: 0.1}, {alpha: 0.10000000001}]"),
]


@pytest.mark.parametrize(("key", "values"), CLOSE)
def test_the_names_of_tests_are_apart_however_close_their_places(key, values, planned):
    first = {name: value for name, value in SMALL["curves"][0].items() if name != key}
    claim = {**LOWER, "against": "MA", "each": [key]}
    study = planned(f"{{{key}: {values}}}", {"x": key}, [claim], curves=[first, {"label": "MA", "method": "ma"}])
    count = len(study.study.grid[key])
    assert len({cell.name for cell in study.cells}) == count
    assert len({cell.request()["place"] for cell in study.cells}) == count


def test_a_claim_goes_over_a_key_once(planned):
    says = r"claims\[0\]\.each = 'step_size': each key once, and not the key along which the claim is tested"
    with pytest.raises(UserError, match=says):
        planned("{step_size: [1, 2]}", claims=[{**LOWER, "each": ["step_size", "step_size"]}])
    with pytest.raises(UserError, match=says):
        planned("{step_size: [1, 2]}", claims=[{**FALLS, "values": [1, 2], "each": ["step_size"]}])


def test_a_reading_is_as_strict(planned, tmp_path):
    planned("{}")
    for key, value, says in (
        ("iterations", "yes", "iterations = True: allowed: whole numbers; YAML reads"),
        ("attack.gaussian.scale", "'3'", "attack.gaussian.scale = '3': allowed: numbers, without quotes"),
        ("byzantine.alpha", "2", "byzantine.alpha = 2: allowed: less than 1"),
    ):
        choice = f"{{key: {key}, value: {value}, mark: unknown, reason: x}}"
        (tmp_path / "reading.yaml").write_text(f"{{reading: r, title: t, choices: [{choice}]}}")
        with pytest.raises(UserError, match=rf"^reading\.yaml: {re.escape(says)}"):
            load_plan({"studies": ["small.yaml"], "reading": "reading.yaml", "style": "style.yaml"})
