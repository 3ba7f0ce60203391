"""The rows of a figure's csv: of what method each run is, and what the columns are called."""

from __future__ import annotations

from typing import get_args

import pytest
from degenerate import STYLES, drawing, planned, stored

from byzcode.figures.columns import with_levels
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec
from byzcode.specs.settings import Byzantine, Record
from byzcode.studies.plots import BoundsPlot, HeatmapPlot, SweepPlot, TrajectoryPlot
from byzcode.studies.study import LineStyle

METHODS_ASKED = ["cra_dl", "gradient_descent", "draco_cyclic"]
KEYS = [
    *RunSpec.model_fields,
    *(f"byzantine.{name}" for name in Byzantine.model_fields),
    *(f"record.{name}" for name in Record.model_fields),
    *("problem.subsets", "attack.coefficient", "allocation.side"),
]
#: What the tables of figures call their own columns.
OWN = {
    "trajectories": ("curve", "method", "run", "x", "median", "q25", "q75", "seeds", "ended", "ending", "bound_rule"),
    "sweep": ("quantity", "curve", "method", "run", "x", "median", "q25", "q75", "seeds", "undefined", "at_plateau"),
    "bounds": ("curve", "method", "run", "x", "quantity", "median", "q25", "q75", "ratio_median", "seeds", "ended"),
    "heatmap": ("quantity", "curve", "method", "run", "x", "median", "q25", "q75", "mean", "deviation", "seeds"),
}
PLOTS = {
    "columns": {"kind": "trajectories", "columns": "method", "caption": "c"},
    "rows": {"kind": "trajectories", "rows": "method", "caption": "c"},
    "hue": {"kind": "trajectories", "hue": "method", "caption": "c"},
    "sweep": {"kind": "sweep", "x": "method", "caption": "c"},
    "panels": {"kind": "sweep", "x": "step_size", "columns": "method", "caption": "c"},
    "bounds": {"kind": "bounds", "x": "method", "caption": "c"},
    "beside": {"kind": "bounds", "x": "step_size", "columns": "method", "caption": "c"},
    "heat": {"kind": "heatmap", "x": "method", "worst": False, "caption": "c"},
    "tiles": {"kind": "heatmap", "x": "step_size", "columns": "method", "worst": False, "caption": "c"},
    "variance": {"kind": "variance", "caption": "c"},
    "holds": {"kind": "allocation", "caption": "c"},
}
BASE = {"redundancy": 1, "problem.subsets": 5}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three methods as a grid of one curve, and another curve of one of them."""
    results = tmp_path_factory.mktemp("methods")
    curves = [
        {"label": "falling", "grid": {"method": METHODS_ASKED}},
        {"label": "constant", "method": "cra_dl", "message_bits": 8},
    ]
    made = planned({"curves": curves, "plots": PLOTS, "base": BASE})
    return stored(made, results), results


def methods(study):
    return {member.spec.run_id: member.spec.method for member in study.members}


@pytest.mark.parametrize("name", [name for name in PLOTS if name not in ("holds", "variance")])
def test_each_row_has_the_method_of_its_run(study, name):
    rows = drawing(*study, name).data
    known = methods(study[0])
    assert set(rows["method"]) == set(METHODS_ASKED)
    assert all(known[run] == method for run, method in zip(rows["run"], rows["method"], strict=True))
    levels = [column for column in rows if column.endswith(".method")]
    assert levels == {
        **{key: ["columns.method"] for key in ("columns", "panels", "beside", "tiles")},
        "rows": ["rows.method"],
        "hue": ["hue.method"],
    }.get(name, [])
    for column in levels:
        own = rows[rows["curve"] == "falling"]
        assert (own[column] == own["method"]).all()
        other = rows[rows["curve"] == "constant"]  # of one method, for comparison in each panel
        assert (other["method"] == "cra_dl").all()
        assert set(other[column].dropna()) == (set() if name == "hue" else set(METHODS_ASKED))


def test_the_table_of_variances_has_the_method_of_each_run(study):
    rows = drawing(*study, "variance").data
    assert list(rows["method"]) == [*METHODS_ASKED, "cra_dl"]


@pytest.mark.parametrize("name", ["columns", "hue", "sweep", "bounds"])
def test_runs_are_drawn_as_their_methods_are(study, name):
    drawn = drawing(*study, name)
    legend = drawn.page.figure.legends[0]
    titles = [METHODS[method].title for method in METHODS_ASKED]
    assert [text.get_text() for text in legend.get_texts()][:3] == [f"falling: {title}" for title in titles]
    colors = {line.get_color() for axes in drawn.page.figure.axes for line in axes.lines}
    assert {STYLES[method].color for method in METHODS_ASKED} <= colors


def test_one_style_for_all_methods_makes_one_entry_and_other_colours(tmp_path):
    curves = [{"label": "falling", "style": "draco_cyclic", "grid": {"method": METHODS_ASKED}}]
    made = stored(planned({"curves": curves, "plots": PLOTS, "base": BASE}), tmp_path)
    drawn = drawing(made, tmp_path, "hue")
    said = [text.get_text() for text in drawn.page.figure.legends[0].get_texts()]
    assert said == ["falling", *(METHODS[method].title for method in METHODS_ASKED)]
    assert len({line.get_color() for line in drawn.page.axes[0][0].lines}) == 3


@pytest.mark.parametrize("seeds", [[2, 3], [[4, 5], [7, 9, 11]]])
@pytest.mark.parametrize("field", ["columns", "rows", "hue", "x"])
def test_seeds_as_a_key_are_no_count(field, seeds, tmp_path):
    kind = "sweep" if field == "x" else "trajectories"
    plots = {"p": {"kind": kind, field: "seeds", "caption": "c"}}
    made = stored(planned({"curves": [{"label": "falling", "grid": {"seeds": seeds}}], "plots": plots}), tmp_path)
    rows = drawing(made, tmp_path, "p").data
    counts = {member.spec.run_id: len(member.spec.seeds) for member in made.members}
    assert all(counts[run] == count for run, count in zip(rows["run"], rows["seeds"], strict=True))
    levels = rows["x" if field == "x" else f"{field}.seeds"]
    assert rows.groupby(levels)["run"].nunique().tolist() == [1, 1]


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("key", KEYS)
def test_no_key_takes_the_name_of_a_column_nor_gives_up_its_own(kind, key):
    plot = {
        "trajectories": TrajectoryPlot(kind="trajectories", columns=key, rows=key, hue="redundancy", caption="c"),
        "sweep": SweepPlot(kind="sweep", x="redundancy", columns=key, caption="c"),
        "bounds": BoundsPlot(kind="bounds", x="redundancy", columns=key, caption="c"),
        "heatmap": HeatmapPlot(kind="heatmap", x="redundancy", columns=key, rows=key, caption="c"),
    }[kind]
    fields = [field for field in ("rows", "columns", "hue") if getattr(plot, field, None)]
    own = {column: f"own {column}" for column in OWN[kind]}
    made = with_levels(plot, {field: f"level {field}" for field in fields}, own)
    assert len(made) == len(own) + len(fields)
    assert {column: made[column] for column in own} == own
    assert [value for column, value in made.items() if column not in own] == [f"level {field}" for field in fields]


def test_a_key_whose_name_is_free_is_the_name_of_its_column():
    plot = TrajectoryPlot(kind="trajectories", columns="problem.sigma_h", hue="redundancy", caption="c")
    made = with_levels(plot, {"columns": 0.5, "hue": 4}, {"curve": "A"})
    assert list(made) == ["problem.sigma_h", "redundancy", "curve"]


def test_styles_are_those_of_the_study():
    assert all(isinstance(style, LineStyle) for style in STYLES.values())
    assert get_args(TrajectoryPlot.model_fields["kind"].annotation) == ("trajectories",)
