"""Values that no axis can show: a figure of them is drawn all the same, and says in words what is missing."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from degenerate import CASES, FALL, STYLES, caption, curves, drawing, planned, stored

from byzcode.errors import UserError
from byzcode.figures.scale import Extent, Positions, extent, window
from byzcode.figures.style import theme
from byzcode.specs.quantities import QUANTITIES
from byzcode.storage import allocations as allocation
from byzcode.storage.trajectories import write
from byzcode.studies.checks import check_places
from byzcode.training.workers import train

PLOTS = {
    "lines": {"kind": "trajectories", "caption": "c"},
    "cost": {"kind": "trajectories", "x": "bits_sent", "y": "excess_loss", "caption": "c"},
    "first": {"kind": "trajectories", "x": "gradients_computed", "last": 1, "caption": "c"},
    "overlay": {"kind": "trajectories", "y": "aggregation_error", "overlay": ["rule", "allocation"], "caption": "c"},
    "sweep": {"kind": "sweep", "x": "redundancy", "caption": "c"},
    "along": {"kind": "sweep", "x": "redundancy", "measured": "heterogeneity", "caption": "c"},
    "heat": {"kind": "heatmap", "x": "redundancy", "caption": "c"},
    "means": {"kind": "heatmap", "x": "redundancy", "average": "mean", "y": "loss", "caption": "c"},
    "bounds": {"kind": "bounds", "x": "redundancy", "caption": "c"},
    "variance": {"kind": "variance", "caption": "c"},
    "holds": {"kind": "allocation", "caption": "c"},
}
TRAINED = [name for name in PLOTS if name != "holds"]


@pytest.fixture(autouse=True)
def no_warnings():
    """What numpy or matplotlib warn of here would end in a log that nobody reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def is_drawn(axes):
    """Whether a curve, a mark or a bar is in the panel."""
    inside = axes.get_window_extent().padded(2)
    for line in axes.lines:
        if line.get_transform() == axes.get_yaxis_transform():
            continue  # a line across the panel, for comparison
        points = line.get_transform().transform(np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float))
        if any(inside.contains(*point) for point in points if np.isfinite(point).all()):
            return True
    return bool(axes.patches) or "\N{EN DASH}" in words_in(axes)  # a cell of a heatmap without a number


def words_in(axes):
    return " ".join(text.get_text() for text in axes.texts)


def no_panel_is_blank(drawn):
    with np.errstate(all="ignore"):
        panels = [axes for axes in drawn.page.figure.axes if axes.get_label() != "<colorbar>"]
        blank = [axes for axes in panels if not is_drawn(axes)]
    assert all("nothing to draw" in words_in(axes).replace("\n", " ") for axes in blank)
    return blank


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_curve_alone_is_drawn_or_named(case, tmp_path):
    study = stored(planned({"curves": curves(case), "plots": PLOTS}), tmp_path)
    for name in TRAINED:
        drawn = drawing(study, tmp_path, name)
        drawn.page.canvas.draw()
        if no_panel_is_blank(drawn):
            assert f": {case}" in caption(drawn), name


MISSING = {
    "zero": "Zero throughout, so not drawn: zero.",
    "ends at zero": "Reaches 0 or below, which a logarithmic axis cannot show: ends at zero.",
    "negative": "Never above 0, so not drawn: negative.",
    "infinite": "Infinite in at least half of the seeds, although fewer had ended, so not drawn there: infinite.",
    "not measured": "Not measured, so not drawn: not measured.",
    "huge": "Rises above its panel: huge.",
}


@pytest.mark.parametrize(("case", "said"), MISSING.items())
def test_the_caption_says_what_a_logarithmic_axis_cannot_show(case, said, tmp_path):
    study = stored(planned({"curves": curves(case), "plots": PLOTS}), tmp_path)
    assert said in caption(drawing(study, tmp_path, "lines"))


def test_a_single_point_of_a_hue_is_visible(tmp_path):
    plots = {"p": {"kind": "trajectories", "hue": "redundancy", "caption": "c"}}
    study = planned({"curves": curves("one point", grid={"redundancy": [2, 4]}), "plots": plots})
    drawn = drawing(stored(study, tmp_path), tmp_path, "p")
    markers = [line for line in drawn.page.axes[0][0].lines if line.get_marker() not in ("None", None, "")]
    assert len(markers) == 2


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("kind", ["trajectories", "sweep"])
def test_every_quantity_bears_values_of_all_kinds(kind, quantity, tmp_path):
    cases = ("falling", "zero", "not measured", "infinite", "ends below zero")
    plot = {"kind": kind, "y": quantity, "caption": "c"} | ({"x": "redundancy"} if kind == "sweep" else {})
    study = stored(planned({"curves": curves(*cases), "plots": {"p": plot}}), tmp_path)
    drawn = drawing(study, tmp_path, "p")
    assert no_panel_is_blank(drawn) == []
    for case in cases[1:]:
        assert case in caption(drawn)


@pytest.mark.parametrize("quantity", ["loss", "excess_loss", "coding_bias"])
def test_a_heatmap_writes_values_of_all_kinds(quantity, tmp_path):
    written = {
        "falling": "0.13",
        "zero": "0",
        "not measured": "\N{EN DASH}",
        "infinite": "\N{INFINITY}",
        "negative": "\N{MINUS SIGN}0.13",
        "huge": "1.3e299",
    }
    plots = {"p": PLOTS["heat"] | {"y": quantity}}
    study = stored(planned({"curves": curves(*written), "plots": plots}), tmp_path)
    drawn = drawing(study, tmp_path, "p")
    shown = [text.get_text() for text in drawn.page.axes[0][0].texts if "\N{PLUS-MINUS SIGN}" not in text.get_text()]
    assert shown == [word for word in written.values() for _ in ("its column", "its worst case")]
    said = caption(drawn)
    assert "Not measured, so a dash: not measured." in said
    assert "Numbers beyond the colour bar have the colour of its end." in said
    assert "\N{INFINITY}: infinite, although too few seeds had ended early" in said


@pytest.mark.parametrize("name", PLOTS)
def test_four_files_are_written_and_the_svg_is_xml(name, tmp_path):
    cases = ("falling", "zero", "from huge to tiny", "not measured", "overflowed before the start", "undefined")
    study = stored(planned({"curves": curves(*cases), "plots": PLOTS}), tmp_path)
    with theme():
        pdf, svg, png, table = drawing(study, tmp_path, name).save(tmp_path / "figure")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert ET.parse(svg).getroot().tag.endswith("svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(table)) > 0


def test_one_seed_has_no_range_and_the_caption_says_so(tmp_path):
    base = {"seeds": 1, "iterations": 1}
    study = stored(planned({"curves": curves("falling"), "plots": PLOTS, "base": base}), tmp_path)
    for name, spread in {
        "lines": "band",
        "sweep": "bar",
        "bounds": "bar",
        "variance": "bar",
        "holds": "whisker",
    }.items():
        drawn = drawing(study, tmp_path, name)
        drawn.page.canvas.draw()
        assert f"A single seed has no interquartile range, so no {spread}." in caption(drawn)


# Real runs


def trained(study, results):
    """The study with its runs trained."""
    for spec in {member.spec.run_id: member.spec for member in study.members}.values():
        assigned = allocation.draw(spec.allocation_spec)
        spent = {"device": "cpu", "threads": 1, "wall_seconds": 1.0, "cpu_seconds": 1.0}
        write(results / "trajectories" / f"{spec.run_id}.nc", spec, train(spec, assigned), assigned, **spent)
    return study


CODED = [
    {"label": "CRA-DL", "redundancy": 4},
    {"label": "cyclic", "method": "draco_cyclic", "redundancy": 5, "aggregation": "mean"},
]
BASE = {"devices": 10, "problem.subsets": 10, "byzantine.alpha": 0.2}


@pytest.mark.parametrize("labels", [["CRA-DL", "cyclic"], ["cyclic"]])
def test_codewords_have_no_variance_and_the_caption_names_their_curve(labels, tmp_path):
    shown = [curve for curve in CODED if curve["label"] in labels]
    study = trained(planned({"curves": shown, "plots": PLOTS, "base": BASE}), tmp_path)
    drawn = drawing(study, tmp_path, "variance")
    assert "Codewords for a decoder, which have no such variance, so not drawn: cyclic." in caption(drawn)
    legend = [text.get_text() for text in drawn.page.figure.legends[0].get_texts()]
    assert legend == labels[:-1]
    assert len(no_panel_is_blank(drawn)) == (2 if labels == ["cyclic"] else 0)
    assert np.isfinite(drawn.data.set_index("curve")["median"].reindex(labels[:-1])).all()


@pytest.mark.parametrize("iterations", [20, 100, 1000])
def test_bounds_of_exact_codes_alone_are_drawn(iterations, tmp_path):
    """Their error is 0; where the loss no longer falls the bound is 0, too, and there is no ratio to draw."""
    curves = [CODED[1], {"label": "exact", "method": "gradient_descent", "redundancy": 1}]
    base = BASE | {"step_size": 1, "iterations": iterations, "record.step": 1}
    study = trained(planned({"curves": curves, "plots": PLOTS, "base": base}), tmp_path)
    drawn = drawing(study, tmp_path, "bounds")
    drawn.page.canvas.draw()
    blank = no_panel_is_blank(drawn)
    assert len(blank) == (1 if iterations == 1000 else 0)
    assert ("A bound of 0 or below, or without a ratio, is not drawn: cyclic; exact." in caption(drawn)) == bool(blank)


def test_one_device_makes_no_pair(tmp_path):
    plots = {"holds": PLOTS["holds"]}
    for method in ("random", "disjoint"):
        base = {"devices": 1, "redundancy": 20, "byzantine.alpha": 0, "allocation": method}
        results = tmp_path / method
        study = planned({"curves": [{"label": "alone"}], "plots": plots, "base": base})
        spec = study.members[0].spec.allocation_spec
        allocation.write(spec, results / "allocations" / f"{spec.allocation_id}.nc")
        drawn = drawing(study, results, "holds")
        drawn.page.canvas.draw()
        assert "A single device has no pairs, so no subsets are shared." in caption(drawn)
        assert "nothing to draw" in words_in(drawn.page.axes[0][0])
        assert drawn.data.query("quantity == 'overlap'")["mean"].isna().all()


# Axes


@pytest.mark.parametrize(
    ("values", "nominal"),
    [
        ([1, 2, 4], False),
        ([0.001, 1, 1000], False),
        ([0, 1], False),
        ([0, 1e-300, 1, 1e300], True),
        ([1e-300, 1], True),
        ([-1e308, 1e308], True),
        ([1e300], True),
        ([10**16, 10**16 + 1], True),
        ([0, 1e-9, 1], True),
        ([4, "all"], True),
        ([None, 1], True),
        ([False, True], True),
        ([], False),
    ],
)
def test_numbers_that_an_axis_cannot_tell_apart_stand_side_by_side(values, nominal):
    from matplotlib.figure import Figure

    places = Positions("redundancy", values)
    assert places.nominal == nominal
    axes = Figure().subplots()
    axes.set_yscale("log")
    for value in values:
        axes.plot([places.at(value, 0.01)], [1.0], marker="o")
    places.dress(axes)
    axes.figure.canvas.draw()
    assert 0 < places.closest <= 1
    assert len(set(places.words)) == len(places.words)


def test_a_window_is_made_of_numbers():
    medians = [np.array([value]) for value in (0, -1, np.nan, np.inf, 5e-324, 1e-300, 1.0, 1e300, 1.7e308)]
    found = [one for one in map(extent, medians) if one]
    for chosen in ([], found, found[:1], found[-1:], [found[0], found[-1]], [Extent(1.0, 1.7e308)]):
        bottom, top = window(chosen)
        assert 0 < bottom < top < np.inf


# Late refusals


def test_a_run_that_stands_in_every_panel_of_its_curve_is_refused_before_it_is_trained():
    """A Gaussian lie has no coefficient, so its run would be drawn in each panel, beside that of the panel."""
    curve = {"label": "A", "grid": {"attack": ["gaussian", "sign_flip"]}}
    plots = {"p": {"kind": "trajectories", "columns": "attack.coefficient", "caption": "c"}}
    with pytest.raises(UserError, match=r"made.yaml: plots\.p = 'attack': runs of curve 'A' differ in this key"):
        check_places(planned({"curves": [curve], "plots": plots}), "p")


@pytest.mark.parametrize("kind", ["sweep", "bounds"])
def test_a_run_without_the_key_of_an_axis_has_a_place_of_its_own(kind, tmp_path):
    curve = {"label": "falling", "grid": {"attack": ["gaussian", "sign_flip"]}}
    plots = {"p": {"kind": kind, "x": "attack.coefficient", "caption": "c"}}
    study = stored(planned({"curves": [curve], "plots": plots}), tmp_path)
    check_places(study, "p")
    assert set(drawing(study, tmp_path, "p").data["x"]) == {"without", -5.0}


def test_a_null_of_a_grid_has_a_place_of_its_own(tmp_path):
    curve = {"label": "falling", "aggregation": "multi_krum", "grid": {"aggregation.kept": [None, 1, 2]}}
    plots = {
        "x": {"kind": "sweep", "x": "aggregation.kept", "caption": "c"},
        "columns": {"kind": "trajectories", "columns": "aggregation.kept", "caption": "c"},
        "hue": {"kind": "trajectories", "hue": "aggregation.kept", "caption": "c"},
    }
    study = stored(planned({"curves": [curve], "plots": plots}), tmp_path)
    assert set(drawing(study, tmp_path, "x").data["x"]) == {"default", 1, 2}
    for name in ("columns", "hue"):
        found = drawing(study, tmp_path, name).data
        assert set(found["aggregation.kept"]) == {"default", 1, 2}
        assert found.groupby("aggregation.kept")["run"].nunique().eq(1).all()


def test_what_is_made_up_here_is_what_figures_read():
    assert set(STYLES) >= {"cra_dl"}
    assert (np.diff(FALL) < 0).all()
