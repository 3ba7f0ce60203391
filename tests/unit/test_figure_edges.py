"""What a panel cannot show is cut and marked; figures name the redundancy, the costs and the edges that they show."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from degenerate import CASES, caption, drawing, planned, stored
from matplotlib.figure import Figure
from matplotlib.markers import CARETDOWN, CARETUP
from pydantic import ValidationError
from vouched import vouched

from byzcode.figures.clip import ARROWHEADS, band, bar, with_quartiles
from byzcode.figures.scale import Positions, cost_ticks, log_y
from byzcode.figures.style import axis_words, power_of_ten
from byzcode.figures.sweep_edge import edge_of_descent
from byzcode.figures.variance import _ratio_limits
from byzcode.studies.plan import load_plan_file
from byzcode.studies.plots import SweepPlot, TrajectoryPlot

SWEEP = {"kind": "sweep", "x": "redundancy", "cost": False, "caption": "c"}
CURVES = [
    {"label": "falling", "grid": {"redundancy": [1, 4, 20]}},
    {"label": "constant", "method": "gradient_descent", "redundancy": 1},
]


def legend(drawn):
    return [text.get_text() for text in drawn.page.figure.legends[0].get_texts()]


def swept(results, levels, quartile=None):
    """A sweep whose falling curve has these medians; ``quartile`` is the upper quartile of every point."""
    study = stored(planned({"curves": CURVES, "plots": {"p": SWEEP}}), results)
    path = results / "summaries" / "made.csv"
    rows = pd.read_csv(path, dtype={"run_id": str}).set_index("run_id")
    points = [member for member in study.members if member.curve.label == "falling"]
    for member, level in zip(points, levels, strict=True):
        run = member.spec.run_id
        for part in ("median", "q25", "q75"):
            rows.loc[run, f"excess_loss_{part}"] = level
    if quartile is not None:
        rows["excess_loss_q75"] = quartile
    rows.reset_index().to_csv(path, index=False)
    vouched(path, request=study.summary_json())
    return drawing(study, results, "p")


def heights(axes, values):
    """The distance between two values, as a fraction of a panel."""
    low, high = axes.transAxes.inverted().transform(axes.transData.transform([(1, value) for value in values]))[:, 1]
    return high - low


@pytest.mark.parametrize("quartile", [np.inf, 1e250])
def test_a_quartile_beyond_the_panel_fills_nothing_and_is_marked(quartile, tmp_path):
    drawn = swept(tmp_path, [3.0, 2.0, 1.0], quartile)
    axes = drawn.page.axes[0][0]
    [span] = axes.patches
    corners = span.get_path().vertices if hasattr(span, "get_path") else span.get_xy()
    transformed = axes.transAxes.inverted().transform(span.get_transform().transform(corners))
    assert np.ptp(transformed[:, 1]) < 0.2
    bars = [line for line in axes.lines if len(line.get_ydata()) == 2 and len(set(line.get_xdata())) == 1]
    assert len(bars) == 3
    assert all(heights(axes, line.get_ydata()) < 0.2 for line in bars)
    assert len([line for line in axes.lines if line.get_marker() == CARETUP]) == 4
    assert ARROWHEADS in caption(drawn)


def test_quartiles_inside_a_panel_have_no_arrowhead(tmp_path):
    drawn = swept(tmp_path, [3.0, 2.0, 1.0])
    assert not [line for line in drawn.page.axes[0][0].lines if line.get_marker() in (CARETUP, CARETDOWN)]
    assert ARROWHEADS not in caption(drawn)


def test_a_panel_reaches_to_the_quartiles_near_it_only():
    assert with_quartiles((1.0, 10.0), [0.5, 20.0, 1e9, np.inf, 0.0]) == pytest.approx((0.5 / 1.05, 21.0))
    assert with_quartiles((1.0, 10.0), [np.nan]) == (1.0, 10.0)


def test_a_bar_and_a_band_on_a_linear_axis():
    axes = Figure().subplots()
    axes.set_ylim(0, 1)
    bar(axes, 0.5, 0.6, (-np.inf, 0.8), (0.0, 1.0), "k")
    band(axes, 0.6, (0.5, np.nan), (0.0, 1.0), "k")
    assert list(axes.lines[0].get_ydata()) == pytest.approx([0.53, 0.8])
    assert [line.get_marker() for line in axes.lines[1:]] == [CARETDOWN, CARETUP]


def test_a_line_breaks_where_its_neighbour_is_off_the_axis_and_an_arrowhead_is_at_its_x(tmp_path):
    drawn = swept(tmp_path, [1.0, 0.1, 1e-30])
    axes = drawn.page.axes[0][0]
    [curve] = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert np.isfinite(curve.get_ydata()).tolist() == [True, True, False]
    [mark] = [line for line in axes.lines if line.get_marker() == CARETDOWN]
    assert mark.get_xdata()[0] == 20
    assert mark.get_ydata()[0] == axes.get_ylim()[0]
    assert "below the panel" in legend(drawn)
    assert "Below its panel: falling at r = 20." in caption(drawn)


def test_a_curve_that_does_not_depend_on_x_has_no_marker(tmp_path):
    drawn = swept(tmp_path, [3.0, 2.0, 1.0])
    axes = drawn.page.axes[0][0]
    flat = [line for line in axes.lines if line.get_transform() == axes.get_yaxis_transform()]
    assert [line.get_marker() for line in flat] == ["None"]
    handles = dict(zip(legend(drawn), drawn.page.figure.legends[0].legend_handles, strict=True))
    assert handles["constant"].get_marker() == "None"
    assert handles["falling"].get_marker() == "o"
    assert "Lines without markers do not depend on the x axis: constant." in caption(drawn)


# Words


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        (["lad"], "tasks per device $d$"),
        (["cra_dl"], "redundancy $r$"),
        (["cra_dl", "lad"], "subsets per device, $r$ or $d$"),
    ],
)
def test_the_redundancy_of_lad_is_d(methods, words, tmp_path):
    curves = [{"label": name, "method": name, "grid": {"redundancy": [1, 4]}} for name in methods]
    base = {"devices": 5, "problem.subsets": 5, "style": None}
    plots = {"p": SWEEP, "hue": {"kind": "trajectories", "hue": "redundancy", "caption": "c"}}
    curves = [curve | {"style": "cra_dl"} for curve in curves]
    base.pop("style")
    study = stored(planned({"curves": curves, "plots": plots, "base": base}), tmp_path)
    drawn = drawing(study, tmp_path, "p")
    assert drawn.page.axes[0][0].get_xlabel() == words
    letters = {"lad": "$d$ = 4", "cra_dl": "$r$ = 4"}
    if len(methods) == 1:
        assert letters[methods[0]] in legend(drawing(study, tmp_path, "hue"))


def test_large_costs_are_powers_of_ten():
    axes = Figure().subplots()
    axes.set_xscale("log")
    assert cost_ticks(axes, 2e6, 9e7) == "in $10^{6}$"
    assert cost_ticks(axes, 1e5, 9e7) == "in $10^{6}$"
    assert cost_ticks(axes, 1e3, 2e7) == ""
    assert power_of_ten(2.4e-32) == "2 \N{MULTIPLICATION SIGN} 10\N{SUPERSCRIPT MINUS}³²"


@pytest.mark.parametrize(
    ("values", "nominal"),
    [([0, 0.01, 0.1], True), ([-100, -10, -1], True), ([0, 0.25, 0.5, 1], False), ([-5, -4, -3, -2, -1], False)],
)
def test_numbers_whose_labels_would_collide_are_side_by_side(values, nominal):
    assert Positions("byzantine.alpha", values).nominal == nominal


def test_labels_of_numbers_keep_their_distance(tmp_path):
    base = {"devices": 100, "problem.subsets": 100}
    curves = [{"label": "falling", "grid": {"byzantine.alpha": [0, 0.01, 0.1], "step_size": [0.1, 0.2, 0.3]}}]
    plots = {"p": SWEEP | {"x": "byzantine.alpha", "columns": "step_size"}}
    drawn = drawing(stored(planned({"curves": curves, "plots": plots, "base": base}), tmp_path), tmp_path, "p")
    drawn.page.canvas.draw()
    for axes in drawn.page.axes[0]:
        places = [label.get_window_extent().x1 for label in axes.get_xticklabels() if label.get_text()]
        assert np.diff(places).min() > 0.15 * drawn.page.figure.dpi


# Several quantities and costs


def test_several_quantities_are_rows_of_one_figure(tmp_path):
    curves = [{"label": "falling", "grid": {"step_size": [0.1, 0.2]}}]
    plots = {"p": {"kind": "trajectories", "y": ["loss", "excess_loss"], "columns": "step_size", "caption": "c"}}
    drawn = drawing(stored(planned({"curves": curves, "plots": plots}), tmp_path), tmp_path, "p")
    (above, _), (below, last) = drawn.page.axes
    assert (above.get_ylabel()[:13], below.get_ylabel()[:11]) == ("training loss", "excess loss")
    assert (above.get_xlabel(), below.get_xlabel()) == ("", "iteration")
    assert above.get_title()
    assert not below.get_title()
    assert not last.get_ylabel()
    assert list(dict.fromkeys(drawn.data["y_shown"])) == ["loss", "excess_loss"]


def test_several_costs_are_rows_with_an_axis_each(tmp_path):
    axes = ["iteration", "gradients_computed", "bits_sent"]
    plots = {"p": {"kind": "trajectories", "x": axes, "y": "excess_loss", "caption": "c"}}
    drawn = drawing(stored(planned({"curves": [{"label": "falling"}], "plots": plots}), tmp_path), tmp_path, "p")
    words = [line[0].get_xlabel().split(" (")[0].replace("\n", " ") for line in drawn.page.axes]
    assert words == ["iteration", "gradients computed by all devices", "bits sent by all devices"]
    assert [line[0].get_xscale() for line in drawn.page.axes] == ["linear", "log", "log"]
    assert list(dict.fromkeys(drawn.data["x_shown"])) == axes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"x": ["iteration", "bits_sent"], "rows": "step_size"}, "a list fills the rows of the figure"),
        ({"y": ["loss", "loss"]}, "two or more, each once"),
        ({"y": ["loss", "los"]}, "did you mean 'loss'"),
    ],
)
def test_lists_that_no_figure_can_show_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        TrajectoryPlot.model_validate({"kind": "trajectories", "caption": "c"} | fields)


def test_curves_that_coincide_in_the_loss_are_named():
    """Made up: two coded curves whose losses differ by 1 %, and their excess by a factor of 2."""
    from types import SimpleNamespace

    from byzcode.figures.line_words import coinciding

    def line(label, end, method="cra_dl"):
        y = SimpleNamespace(median=np.array([9.0, end]))
        names = {"curve": SimpleNamespace(label=label), "run": SimpleNamespace(method=method)}
        return SimpleNamespace(**names, stored=SimpleNamespace(y=y))

    plot = TrajectoryPlot(kind="trajectories", y=["loss", "excess_loss"], caption="c")
    loss, excess = plot.measures
    ends = {"A": (1.01, 0.01), "B": (1.02, 0.02), "C": (3.0, 2.0)}
    panels = [
        SimpleNamespace(measure=measure, lines=[line(label, both[place]) for label, both in ends.items()])
        for place, measure in enumerate((loss, excess))
    ]
    [said] = coinciding(plot, panels)
    assert said.endswith("see the excess loss: A and B.")
    assert coinciding(TrajectoryPlot(kind="trajectories", caption="c"), panels) == []


# Edges and outliers


def test_the_edge_of_descent_is_drawn_where_alpha_is_one_over_one_plus_c(tmp_path):
    assert [edge_of_descent(1 / (1 + c)) for c in (1, 4, 9)] == pytest.approx([-1, -4, -9])
    grid = {"byzantine.alpha": [0.1, 0.2], "attack.coefficient": [-5, -3, -1]}
    plot = SWEEP | {"x": "attack.coefficient", "columns": "byzantine.alpha", "edge": True}
    base = {"devices": 10, "problem.subsets": 20}
    study = planned({"curves": [{"label": "falling", "grid": grid}], "plots": {"p": plot}, "base": base})
    drawn = drawing(stored(study, tmp_path), tmp_path, "p")
    upright = [
        [line.get_xdata()[0] for line in axes.lines if line.get_transform() == axes.get_xaxis_transform()]
        for axes in drawn.page.axes[0]
    ]
    assert upright == [[], [pytest.approx(-4)]]
    assert "= 0.1 (\N{MINUS SIGN}9)." in caption(drawn)
    assert any("1/(1 + c)" in entry for entry in legend(drawn))
    with pytest.raises(ValidationError, match="edge: needs x"):
        SweepPlot.model_validate(SWEEP | {"edge": True})


def test_an_outlier_does_not_squeeze_the_ratios():
    from types import SimpleNamespace

    def point(*medians):
        values = [SimpleNamespace(low=m, median=m, high=m) for m in medians]
        return SimpleNamespace(over=values)

    many = [point(1 + 0.01 * place, 1 - 0.01 * place) for place in range(6)]
    low, high = _ratio_limits([*many, point(0.03, 1.0)])
    assert 0.9 < low < 0.95
    assert 1.05 < high < 1.1
    assert _ratio_limits([]) == (0.5, 1.5)


# The studies


def test_each_figure_has_a_title_of_its_own_and_a_caption_that_needs_no_other():
    figures = load_plan_file().figures
    titles = [about.study.plots[plot].title or about.study.title for about, plot in figures.values()]
    assert len(set(titles)) == len(titles)
    for name, (about, plot) in figures.items():
        said = about.study.plots[plot].caption
        assert not re.match(r"(?i)(the|loss above its minimum in the) same (runs|trainings)", said), name
        assert "here r" not in said, name


def test_no_figure_shows_what_a_row_of_another_could():
    """Two figures of trajectories of one study differ in what is drawn, not only in the quantity or the cost."""
    for name, about in load_plan_file().studies.items():
        drawn = [
            plot.model_dump(exclude={"x", "y", "caption", "title", "last"})
            for plot in about.study.plots.values()
            if isinstance(plot, TrajectoryPlot) and plot.y != "aggregation_error"
        ]
        assert all(one not in drawn[:place] for place, one in enumerate(drawn)), name


def test_draco_looks_like_no_other_method():
    styles = next(iter(load_plan_file().studies.values())).styles
    draco = [styles[name] for name in ("draco_repetition", "draco_cyclic")]
    others = [style for name, style in styles.items() if not name.startswith("draco")]
    for field in ("color", "marker"):
        own = [getattr(style, field) for style in draco]
        assert len(set(own)) == 2
        assert not set(own) & {getattr(style, field) for style in others}


def test_made_up_cases_are_known():
    assert {"falling", "constant"} <= set(CASES)
    assert axis_words("tasks") == "tasks per device $d$"
    log_y(Figure().subplots(), 1.0, 10.0)


def test_a_line_that_is_nowhere_in_the_panel_gets_no_room_in_it():
    """Made up: two curves that stay at 1 and 2, and rounding errors."""
    from types import SimpleNamespace

    from byzcode.figures.lines import View
    from byzcode.figures.scale import Extent
    from byzcode.training.status import Status

    def line(low, high):
        extent = Extent(low, high)
        held = {"x": [0.0, 1.0], "bounds": {}, "ending": Status.FINISHED, "extent": lambda *, floor: extent}
        return SimpleNamespace(stored=SimpleNamespace(**held), run=SimpleNamespace(is_floor=False))

    def view(*lines):
        panel = SimpleNamespace(measure=TrajectoryPlot(kind="trajectories", caption="c").measures[0], lines=[*lines])
        return View.of([panel], [panel])

    steady = [line(1.0, 2.0), line(2.0, 4.0)]
    assert view(*steady, line(1e-15, 1e-14)) == view(*steady)
    assert view(*steady, line(1e-15, 4.0)).bottom < 0.1  # a line that falls is seen to fall


def test_triangles_at_the_same_x_are_said_to_be_stacked(tmp_path):
    curves = [{**CURVES[0]}, {**CURVES[0], "label": "too", "aggregation": "median"}]
    study = stored(planned({"curves": curves, "plots": {"p": SWEEP}}), tmp_path)
    path = tmp_path / "summaries" / "made.csv"
    rows = pd.read_csv(path, dtype={"run_id": str}).set_index("run_id")
    for member, level in zip(study.members, [1.0, 0.1, 1e-30] * 2, strict=True):
        rows.loc[member.spec.run_id, [f"excess_loss_{part}" for part in ("median", "q25", "q75")]] = level
    rows.reset_index().to_csv(path, index=False)
    vouched(path, request=study.summary_json())
    assert "Triangles at the same x are stacked." in caption(drawing(study, tmp_path, "p"))
