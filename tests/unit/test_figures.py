"""Figures: what is drawn is what was stored, nothing is dropped without a word, and nothing covers anything."""

import hashlib
import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.text import Text
from pydantic import ValidationError
from vouched import vouched

from byzcode.allocation import ALLOCATIONS
from byzcode.analysis.summary import summarise
from byzcode.errors import UserError
from byzcode.figures import FIGURES, draw
from byzcode.figures.request import Facets, Request
from byzcode.figures.scale import Extent, apart, window
from byzcode.figures.style import theme
from byzcode.figures.variance import over_training
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations as allocation
from byzcode.storage import trajectories
from byzcode.studies.expand import expand
from byzcode.studies.planned import PlannedStudy
from byzcode.studies.study import LineStyle, Reading, Study
from byzcode.theory import bounds
from byzcode.theory.constants import coded_variance
from byzcode.training.records import PER_SEED, QUANTITIES, Measurements
from byzcode.training.status import NEVER, Status
from byzcode.training.workers import train

DASHES = ("solid", "dashed", "dotted", "dashdot")
COLORS = ("#D55E00", "#0072B2", "#7F7F7F", "#E69F00")
STYLES = {
    name: LineStyle(color=color, dashes=dashes, marker=marker)
    for name, color, dashes, marker in zip(
        ("cra_dl", "rba_dl", "gradient_descent", "ma"), COLORS, DASHES, "os*x", strict=True
    )
}
STUDY = {
    "study": "made-up",
    "title": "A study at $5",
    "paper": {"source": "a paper", "figure": "one", "reported": "something", "mark": "unknown"},
    "base": {
        "problem": {"name": "linear_regression", "subsets": 20, "dimension": 3},
        "devices": 5,
        "iterations": 100,
        "record": {"step": 5},
        "seeds": 5,
        "attack": {"name": "sign_flip"},
        "byzantine": {"alpha": 0.2},
        "aggregation": "median",
    },
    "grid": {"attack.coefficient": [-2.0, -5.0]},
    "curves": [
        {"label": "MA", "method": "ma"},
        {"label": "RBA-DL", "method": "rba_dl"},
        {"label": "CRA-DL", "method": "cra_dl", "grid": {"redundancy": [1, 4, 20]}},
        {"label": "Floor at $0", "method": "gradient_descent"},
    ],
    "plots": {
        "hue": {"kind": "trajectories", "columns": "attack.coefficient", "hue": "redundancy", "caption": "Costs $1."},
        "cost": {
            "kind": "trajectories",
            "x": "gradients_computed",
            "y": "excess_loss",
            "rows": "attack.coefficient",
            "columns": "redundancy",
            "last": 60,
            "caption": "A cost.",
        },
        "several": {"kind": "trajectories", "columns": "attack.coefficient", "caption": "Says no hue."},
        "sweep": {"kind": "sweep", "x": "redundancy", "columns": "attack.coefficient", "caption": "A sweep."},
        "heat": {"kind": "heatmap", "x": "attack.coefficient", "columns": "redundancy", "caption": "Cells."},
        "along": {
            "kind": "sweep",
            "x": "redundancy",
            "columns": "attack.coefficient",
            "measured": "heterogeneity",
            "measured_at": "training",
            "caption": "A measured axis.",
        },
        "balance": {"kind": "allocation", "caption": "Allocations."},
        "variance": {"kind": "variance", "curves": ["CRA-DL"], "caption": "A closed form."},
        "bounds": {"kind": "bounds", "x": "redundancy", "columns": "attack.coefficient", "caption": "Bounds."},
        "overlay": {
            "kind": "trajectories",
            "y": "aggregation_error",
            "overlay": ["rule", "allocation", "expected"],
            "columns": "attack.coefficient",
            "hue": "redundancy",
            "curves": ["MA", "CRA-DL"],
            "caption": "Bounds on an error.",
        },
    },
}
KINDS = ("hue", "cost", "sweep", "along", "heat", "balance", "variance", "bounds", "overlay")


def measured(spec):
    """Made-up measurements: CRA-DL ends the lower the higher r, MA diverges, three of five seeds at a coefficient of
    -5 and one at -2, and gradient descent falls to 1e-30."""
    time = np.asarray(spec.record.iterations(spec.iterations), dtype=float)
    seed = np.arange(len(spec.seeds))[:, None]
    scale = 1 + 0.1 * seed
    status_at = np.full(len(seed), NEVER)
    if spec.method == "ma":
        excess = scale * 10 * np.exp(0.1 * time)
        status_at[: 3 if spec.attack.coefficient == -5 else 1] = 70
    elif spec.method == "gradient_descent":
        excess = scale * np.maximum(10 * np.exp(-time), 1e-30)
    else:
        excess = scale * (10 * np.exp(-time / 4) + 0.1 / spec.redundancy)
    excess = np.where((status_at[:, None] != NEVER) & (time >= status_at[:, None]), np.nan, excess)
    others = {name: excess.copy() for name in QUANTITIES} | {name: np.ones(len(seed)) for name in PER_SEED}
    status = np.where(status_at == NEVER, Status.FINISHED, Status.DIVERGED)
    return Measurements(**others | {"loss": 1 + excess, "status": status, "status_at": status_at})


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    runs = {member.spec.run_id: member.spec for member in planned().members}
    for run, spec in runs.items():
        drawn = spec.allocation_spec
        path = folder / "allocations" / f"{drawn.allocation_id}.nc"
        if not path.exists():
            allocation.write(drawn, path)
        trajectories.write(
            folder / "trajectories" / f"{run}.nc",
            spec,
            measured(spec),
            allocation.read(path, drawn),
            device="cpu",
            threads=1,
            wall_seconds=1.0,
            cpu_seconds=1.0,
        )
    (folder / "summaries").mkdir()
    rows = summarise([folder / "trajectories" / f"{run}.nc" for run in runs], list(runs))
    rows.to_csv(folder / "summaries" / "made-up.csv", index=False)
    vouched(folder / "summaries" / "made-up.csv", request=planned().summary_json())
    return folder


def planned():
    study = Study.model_validate(STUDY)
    reading = Reading(reading="none", title="none", choices=[])
    return PlannedStudy(study, "made-up.yaml", expand(study, reading, "made-up.yaml"), STYLES)


def request_for(plot):
    return json.loads(planned().figure_json(plot))


@pytest.fixture(scope="module")
def drawings(results):
    """The figures as objects."""
    with theme():
        return {
            name: FIGURES[asked.plot.kind](asked, results)
            for name in KINDS
            for asked in [Request.model_validate(request_for(name))]
        }


@pytest.fixture(scope="module")
def files(results, drawings):
    """The figures as files."""
    with theme():
        for name, drawing in drawings.items():
            drawing.save(results / "figures" / f"made-up-{name}")
    return results / "figures"


def table(files, name):
    return pd.read_csv(files / f"made-up-{name}.csv")


def legend(drawing):
    return [text.get_text() for text in drawing.page.figure.legends[0].get_texts()]


def caption(drawing):
    return " ".join(drawing.page.figure.texts[1].get_text().split())


# Files


def test_four_whole_files_a_figure_and_nothing_beside(files):
    starts = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG", "csv": b""}
    assert sorted(path.name for path in files.iterdir()) == sorted(f"made-up-{n}.{k}" for n in KINDS for k in starts)
    for name, (kind, start) in itertools.product(KINDS, starts.items()):
        content = (files / f"made-up-{name}.{kind}").read_bytes()
        assert len(content) > 400
        assert content.startswith(start)


def test_the_same_results_give_the_same_bytes_in_another_process(files, results, tmp_path):
    program = (
        "import json, sys; from pathlib import Path; from byzcode.figures import draw;"
        "draw(json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))"
    )
    asked = json.dumps(request_for("hue"))
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "MPLBACKEND": "svg"}
    command = [sys.executable, "-c", program, asked, str(results), str(tmp_path / "again")]
    subprocess.run(command, check=True, env=environment)
    for kind in ("pdf", "svg", "png", "csv"):
        first, second = (files / f"made-up-hue.{kind}").read_bytes(), (tmp_path / f"again.{kind}").read_bytes()
        assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest(), kind


def test_letters_stay_letters(files):
    assert b"/Subtype /Type3" not in (files / "made-up-hue.pdf").read_bytes()


def test_a_failed_figure_leaves_the_old_one(results, tmp_path):
    (tmp_path / "figure.pdf").write_bytes(b"old")
    asked = request_for("hue")
    asked["curves"][0]["runs"][0]["run"] = "0" * 12
    with pytest.raises(UserError, match=r"000000000000\.nc: no such file"):
        draw(asked, results, tmp_path / "figure")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


# Data


def test_plotted_values_are_medians_and_quartiles_of_the_trajectories(files, results):
    rows = table(files, "hue")
    assert len(rows) == 2 * 6 * 21
    for run, shown in rows[rows.curve != "MA"].groupby("run"):
        loss = trajectories.open(results / "trajectories" / f"{run}.nc")["loss"].to_numpy()
        panel = shown[shown["attack.coefficient"] == shown["attack.coefficient"].iloc[0]]
        np.testing.assert_allclose(panel["median"], np.median(loss, axis=0), rtol=1e-12)
        np.testing.assert_allclose(panel["q25"], np.quantile(loss, 0.25, axis=0), rtol=1e-12)
        np.testing.assert_allclose(panel["q75"], np.quantile(loss, 0.75, axis=0), rtol=1e-12)
        assert list(panel["x"]) == list(range(0, 101, 5))


def test_last_cuts_and_a_cost_replaces_iterations(files):
    rows = table(files, "cost")
    cra = rows[(rows.curve == "CRA-DL") & (rows.redundancy == 4) & (rows["attack.coefficient"] == -5)]
    assert list(cra["x"]) == [5 * 4 * iteration for iteration in range(0, 61, 5)]


def test_one_level_curves_are_in_every_panel(files):
    rows = table(files, "cost")
    floor = rows[rows.curve == "Floor at $0"]
    assert set(zip(floor["attack.coefficient"], floor.redundancy, strict=True)) == set(
        itertools.product([-2.0, -5.0], [1, 4, 20])
    )
    rba = rows[rows.curve == "RBA-DL"]
    assert rba.groupby(["attack.coefficient", "redundancy"]).run.nunique().eq(1).all()
    assert rba.run.nunique() == 2  # it does vary with the coefficient


def test_facets_take_their_levels_from_curves_that_vary(results):
    curves = Request.model_validate(request_for("cost")).curves
    facets = Facets.of(curves, "redundancy")
    assert facets.levels == (1, 4, 20)
    assert facets.everywhere == {"MA", "RBA-DL", "Floor at $0"}
    assert Facets.of(curves, None).levels == (None,)


def test_sweep_shows_the_summary(files, results):
    rows, summary = table(files, "sweep"), pd.read_csv(results / "summaries" / "made-up.csv").set_index("run_id")
    assert set(rows.quantity) == {"excess_loss", "gradients_computed_to_plateau"}
    for row in rows.itertuples():
        stored = summary.loc[row.run]
        assert row.median == stored[f"{row.quantity}_median"]
        assert (row.q25, row.q75) == (stored[f"{row.quantity}_q25"], stored[f"{row.quantity}_q75"])
    flat = rows[rows.curve != "CRA-DL"]
    assert flat.x.isna().all()
    assert sorted(rows[rows.curve == "CRA-DL"].x.unique()) == [1, 4, 20]


def test_allocation_shares_sum_to_one_and_match_the_file(files, results):
    rows = table(files, "balance")
    for (name, quantity), shown in rows.groupby(["allocation", "quantity"]):
        assert shown["mean"].sum() == pytest.approx(1)
        stored = allocation.open(results / "allocations" / f"{name}.nc")
        mean = (shown["mean"] * shown["x"]).sum()
        assert mean == pytest.approx(float(stored[f"{quantity}_mean"].mean()))


# Divergence


def test_a_divergence_is_in_the_data_the_legend_the_caption_and_the_panel(files, drawings):
    rows = table(files, "hue")
    ma = rows[(rows.curve == "MA") & (rows["attack.coefficient"] == -5)].set_index("x")
    assert (ma.ended == np.where(ma.index >= 70, 3, 0)).all()
    assert np.isinf(ma["median"][ma.index >= 70]).all()
    assert np.isfinite(ma["median"][ma.index < 70]).all()
    assert legend(drawings["hue"])[-1] == "diverged"
    assert "Ended early, by panel and iteration: MA (3 of 5 seeds diverged at 70 in " in caption(drawings["hue"])
    assert "; 1 of 5 seeds diverged at 70 in " in caption(drawings["hue"])
    left, right = drawings["hue"].page.axes[0]
    crosses = [[line for line in axes.lines if line.get_marker() == "x"] for axes in (left, right)]
    assert [len(found) for found in crosses] == [1, 0]  # coefficients in order: -5, -2; at -2 one seed of five
    # It is where the seeds ended, on the upper edge; a line leads to it from where the median leaves the panel.
    assert crosses[0][0].get_transform() == left.transAxes
    assert (crosses[0][0].get_xdata()[0], crosses[0][0].get_ydata()[0]) == pytest.approx((0.7, 1.0))
    [path] = [line for line in left.lines if line.get_transform() == left.transAxes and len(line.get_xdata()) == 2]
    assert path.get_xdata()[1] == pytest.approx(0.7)
    assert 0.4 < path.get_xdata()[0] < 0.6


def test_a_diverged_curve_does_not_squash_the_others(drawings):
    bottom, top = drawings["hue"].page.axes[0][0].get_ylim()
    assert 100 < top < 2e3  # a hundred times the start of 13 at most, though MA passes 1e5
    assert "Rises above its panel: MA." in caption(drawings["hue"])
    assert 0.5 < bottom < 1.01
    bottom, _ = drawings["cost"].page.axes[0][0].get_ylim()
    assert 1e-5 < bottom < 5e-3  # CRA-DL ends at 6e-3; gradient descent at 1e-26
    assert "Falls below its panel: Floor at $0." in caption(drawings["cost"])


def test_bands_stay_near_the_panel(drawings):
    for axes in drawings["hue"].page.axes[0]:
        for band in axes.collections:
            assert isinstance(band, PolyCollection)
            assert np.isfinite(band.get_paths()[0].vertices).all()
            assert band.get_paths()[0].vertices[:, 1].max() <= 1e3 * axes.get_ylim()[1]


def test_an_infinite_plateau_stands_on_the_upper_edge(drawings):
    left, right = drawings["sweep"].page.axes[0]
    assert [[line.get_ydata()[0] for line in axes.lines if line.get_marker() == "x"] for axes in (left, right)] == [
        [left.get_ylim()[1]],
        [],
    ]
    assert "on the upper edge" in caption(drawings["sweep"])


# What a reader sees


def test_the_legend_lists_the_curves_in_the_order_of_the_request(drawings):
    levels = ["$r$ = 1", "$r$ = 4", "$r$ = 20"]
    assert legend(drawings["hue"]) == ["MA", "RBA-DL", "CRA-DL", *levels, r"Floor at \$0", "diverged"]
    assert legend(drawings["sweep"])[:4] == ["MA", "RBA-DL", "CRA-DL", r"Floor at \$0"]


def test_the_variance_is_that_of_the_trajectories_beside_the_closed_form(files):
    """Made up so that dispersion, bias and heterogeneity are equal: (1 + 1) / 1 at every redundancy and seed."""
    rows = pd.read_csv(files / "made-up-variance.csv")
    assert sorted(set(rows.redundancy)) == [1, 4, 20]
    np.testing.assert_allclose(rows[["median", "q25", "q75"]], 2.0)
    expected = {1: 1.0, 4: 16 / (4 * 19), 20: 0.0}
    np.testing.assert_allclose(rows.closed_form, [expected[r] for r in rows.redundancy])


def test_a_mean_over_the_training_is_one_over_iterations():
    """The records of 1, 2, 3 and 10 stand for 1, 1, 1 and 7 iterations; what follows an end counts nothing."""
    values = np.array([[9e9, 1.0, 2.0, 3.0, 4.0], [9e9, 1.0, 2.0, np.nan, np.nan], [9e9, *[np.nan] * 4]])
    found = over_training(values, np.array([0, 1, 2, 3, 10]))
    np.testing.assert_allclose(found, [(1 + 2 + 3 + 7 * 4) / 10, 1.5, np.nan])


def test_the_measured_variance_of_a_run_is_near_the_closed_form(tmp_path):
    """A real run of LAD, whose tasks are redrawn: 20 devices, 200 iterations, 5 seeds."""
    fields = {"method": "lad", "devices": 20, "redundancy": 5, "aggregation": "mean", "seeds": 5, "iterations": 200}
    problem = {"name": "linear_regression", "subsets": 20, "dimension": 3}
    spec = RunSpec.parse({**fields, "problem": problem, "byzantine": {"alpha": 0.0}, "record": {"step": 1}}, "test")
    assigned = allocation.draw(spec.allocation_spec)
    found = train(spec, assigned)
    ratio = (found.honest_dispersion**2 + found.coding_bias**2) / found.heterogeneity**2
    assert ratio.mean() == pytest.approx(coded_variance(20, 5), rel=0.05)
    trajectories.write(
        tmp_path / "trajectories" / f"{spec.run_id}.nc", spec, found, assigned,
        device="cpu", threads=1, wall_seconds=1.0, cpu_seconds=1.0,
    )  # fmt: skip
    asked = request_for("variance")
    asked["curves"][0]["runs"] = [{"run": spec.run_id, "allocation": 12 * "0", "point": {"redundancy": 5}}]
    draw(asked, tmp_path, tmp_path / "figure")
    [row] = pd.read_csv(tmp_path / "figure.csv").itertuples()
    assert row.median == pytest.approx(np.median(ratio[:, 0]))
    assert row.training_median == pytest.approx(np.median(ratio[:, 1:].mean(axis=1)))
    assert row.closed_form == pytest.approx(15 / (5 * 19))


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_hidden(drawings, name):
    page = drawings[name].page
    with theme():
        page.figure.draw_without_rendering()
        panels = [axes.get_tightbbox() for line in page.axes for axes in line if axes.figure]
        title, words = (text.get_window_extent() for text in page.figure.texts)
        key = page.figure.legends[0].get_window_extent()
    parts = [*panels, title, words, key]
    for one, other in itertools.combinations(parts, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        along = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(across, along) < 1, (one, other)  # a pixel of 300 an inch
    width, height = page.figure.bbox.size
    for part in parts:
        assert part.x0 >= 0
        assert part.y0 >= 0
        assert part.x1 <= width
        assert part.y1 <= height


def test_labels_of_line_ends_do_not_touch(drawings):
    with theme():
        for axes in drawings["hue"].page.axes[0]:
            boxes = [Text.get_window_extent(text) for text in axes.texts]  # without its leader
            assert [text.get_text() for text in axes.texts] == ["1", "4", "20"]
            heights = sorted((box.y0 + box.y1) / 2 for box in boxes)
            assert np.diff(heights).min() > 0.6 * boxes[0].height


def test_the_caption_says_what_is_drawn(drawings):
    said = caption(drawings["hue"])
    assert said.startswith("Costs $1. Lines: median over 5 seeds; bands: interquartile range.")
    assert "The same in every panel: Floor at $0." in said
    assert said.endswith("Source: a paper; our name for its figure: one.")


# Mistakes


def test_runs_that_nothing_tells_apart_are_refused(results, tmp_path):
    with pytest.raises(UserError, match=r"curve 'CRA-DL' has 3 runs in one place .* columns, rows, hue or x"):
        draw(request_for("several"), results, tmp_path / "figure")


def test_a_summary_without_the_run_or_the_column_is_refused(results, tmp_path):
    summary = pd.read_csv(results / "summaries" / "made-up.csv", dtype={"run_id": str})
    (tmp_path / "summaries").mkdir()
    path = tmp_path / "summaries" / "made-up.csv"
    with pytest.raises(UserError, match=r"made-up\.csv: no such file"):
        draw(request_for("sweep"), tmp_path, tmp_path / "figure")
    summary.iloc[1:].to_csv(path, index=False)
    vouched(path, request=planned().summary_json())
    with pytest.raises(UserError, match="run_id"):
        draw(request_for("sweep"), tmp_path, tmp_path / "figure")
    summary.drop(columns="excess_loss_q25").to_csv(path, index=False)
    vouched(path, request=planned().summary_json())
    with pytest.raises(UserError, match="excess_loss_q25"):
        draw(request_for("sweep"), tmp_path, tmp_path / "figure")
    summary.assign(no_level="record.step = 50: too few").to_csv(path, index=False)
    vouched(path, request=planned().summary_json())
    with pytest.raises(UserError, match=r"has no level: record\.step = 50: too few"):
        draw(request_for("sweep"), tmp_path, tmp_path / "figure")


def test_a_foreign_file_and_an_unwritable_place_are_refused(results, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        draw(request_for("balance"), results, tmp_path / "file" / "figure")
    with pytest.raises(UserError, match="figure request: plot"):
        draw({**request_for("balance"), "plot": {"kind": "pie"}}, results, tmp_path / "figure")


# Pieces


def test_window_leaves_floors_below_and_keeps_everything_else():
    assert window([Extent(1e-30, 10, floor=True), Extent(1e-2, 10)])[0] == pytest.approx(1e-2 / 30)
    assert window([Extent(1e-30, 10), Extent(1e-2, 10)])[0] == pytest.approx(1e-2 / 30)
    assert window([Extent(1e-7, 10), Extent(1e-2, 10)])[0] < 1e-7
    assert window([Extent(1e-30, 10, floor=True)])[0] < 1e-30  # alone it is what is shown
    bottom, top = window([])
    assert 0 < bottom < top


@pytest.mark.parametrize("seed", range(5))
def test_apart_keeps_order_distance_and_bounds(seed):
    wished = list(np.random.default_rng(seed).uniform(0, 1, 12) ** 3)
    given = np.array(apart(wished, 0.05))
    assert (np.diff(given[np.argsort(wished)]) >= 0.05 - 1e-12).all()
    assert given.min() >= 0
    assert given.max() <= 1 + 1e-12
    assert apart([0.2, 0.8], 0.05) == [0.2, 0.8]


@pytest.mark.parametrize(
    ("scheme", "redundancy"), [("device", 1), ("device", 7), ("device", 20), ("subset", 7), ("disjoint", 2)]
)
def test_laws_are_laws_and_have_the_right_means(scheme, redundancy):
    name = {"name": "disjoint"} if scheme == "disjoint" else {"name": "random", "side": scheme}
    devices, subsets = 10, 20
    spec = AllocationSpec(allocation=name, devices=devices, subsets=subsets, redundancy=redundancy, seeds=range(200))
    known = ALLOCATIONS[spec.allocation.name].laws(devices, subsets, redundancy, **spec.allocation.options)
    assigned = allocation.draw(spec)
    overlaps = [len(np.intersect1d(a[0][a[0] >= 0], a[1][a[1] >= 0])) for a in assigned]
    copies = np.stack([np.bincount(lists[lists >= 0], minlength=subsets) for lists in assigned])
    for law, drawn in ((known.overlap, np.array(overlaps)), (known.replication, copies)):
        chances = np.array([law(count) for count in range(subsets + 1)])
        assert chances.sum() == pytest.approx(1)
        mean = (chances * np.arange(subsets + 1)).sum()
        spread = np.sqrt((chances * (np.arange(subsets + 1) - mean) ** 2).sum())
        assert drawn.mean() == pytest.approx(mean, abs=4 * spread / np.sqrt(200) + 1e-9)
    if scheme == "device":
        assert subsets * known.replication(0) == pytest.approx(subsets * (1 - redundancy / subsets) ** devices)


def test_bounds_are_those_of_the_stored_runs(results, drawings):
    """The median over seeds of the floor and of what each bound makes of it, and of their ratio, seed by seed."""
    rows = drawings["bounds"].data.set_index(["run", "quantity"])
    member = next(m for m in planned().members if m.curve.label == "CRA-DL" and m.spec.redundancy == 4)
    run, spec = member.spec.run_id, member.spec
    stored = trajectories.open(results / "trajectories" / f"{run}.nc")
    floor, known = bounds.floor(spec, stored), bounds.bounds(spec, stored)
    assert np.median(floor) == pytest.approx(rows.loc[(run, "measured"), "median"])
    for name in ("rule", "allocation"):
        above = bounds.floor_bound(spec, stored, known[name].error)
        assert np.median(above) == pytest.approx(rows.loc[(run, name), "median"])
        assert np.median(above / floor) == pytest.approx(rows.loc[(run, name), "ratio_median"])
    assert (run, "expected") not in rows.index  # it is known at the start only
    assert set(rows.loc[rows["curve"] == "MA"].index.get_level_values("quantity")) == {"measured"}


def test_what_has_no_bound_and_what_diverged_is_said(drawings):
    said = " ".join(text.get_text() for text in drawings["bounds"].page.figure.texts).replace("\n", " ")
    assert "Diverged, at least half of the seeds: MA" in said
    assert "Above its panel: MA" in said  # at the other coefficient one seed alone diverges
    assert "Below its panel, and no ratio: Floor at" in said
    low, high = drawings["bounds"].page.axes[0][0].get_ylim()
    shown = drawings["bounds"].data.query("curve == 'CRA-DL' and quantity == 'measured'")["median"]
    assert low < shown.min() < shown.max() < high  # what has no bound does not push the others out
    labels = [text.get_text() for text in drawings["bounds"].page.figure.legends[0].get_texts()]
    assert "bound in expectation" not in labels
    assert "diverged" in labels


def test_an_overlay_is_a_bound_on_the_error(results, drawings):
    data = drawings["overlay"].data
    coded = data[data["curve"] == "CRA-DL"]
    run = coded["run"].iloc[0]
    stored = trajectories.open(results / "trajectories" / f"{run}.nc")
    known = bounds.bounds(RunSpec.from_json(stored.attrs["spec"], "run"), stored)
    drawn = coded[(coded["run"] == run) & (coded["attack.coefficient"] == coded["attack.coefficient"].iloc[0])]
    for name in ("rule", "allocation"):
        np.testing.assert_allclose(drawn[f"bound_{name}"], np.median(known[name].error, axis=0))
    assert np.isfinite(drawn["bound_expected"].iloc[0])
    assert not np.isfinite(drawn["bound_expected"].iloc[1:]).any()
    assert data.loc[data["curve"] == "MA", "bound_rule"].isna().all()


def test_an_overlay_of_another_quantity_is_refused():
    with pytest.raises(ValidationError, match="y must be that, not loss"):
        Study.model_validate(STUDY | {"plots": {"p": {"kind": "trajectories", "overlay": ["rule"], "caption": "c"}}})
