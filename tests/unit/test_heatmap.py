"""Heatmaps: numbers, worst cases and marks are those of the stored runs, and mistakes in a study give one line."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from degenerate import caption
from made_up import (
    ATTACKS,
    CURVES,
    LINES,
    RULES,
    SEEDS,
    SHARES,
    drawing,
    level,
    planner,
    runs,
    stored,
    words_in,
)
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from byzcode.errors import UserError
from byzcode.figures.heatmap import readable
from byzcode.figures.heatmap_print import MOST_REGRET, Print, written
from byzcode.figures.heatmap_scale import scale_of
from byzcode.figures.heatmap_words import FRAME
from byzcode.figures.style import theme
from byzcode.storage.inputs import read_by
from byzcode.theory.bounds import rho_of
from byzcode.training.status import Status

HEAT = {"kind": "heatmap", "x": "attack", "rows": "aggregation", "caption": "Cells."}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    return planner(tmp_path, monkeypatch)


@pytest.mark.parametrize("average", ["median", "mean"])
@pytest.mark.parametrize(("base", "quantity"), [(LINES, "excess_loss"), (SHARES, "test_accuracy")])
def test_numbers_and_worst_cases_are_those_of_the_seeds(plan, tmp_path, base, quantity, average):
    curves = CURVES[:2]
    planned = stored(plan({"heat": HEAT | {"y": quantity, "average": average}}, base, curves), tmp_path)
    drawn = drawing(planned, tmp_path)
    rows = drawn.data.set_index(["aggregation", "curve", "x"])
    over, worst = (np.median, np.min if base is SHARES else np.max)
    for rule, curve in itertools.product(RULES, [curve["label"] for curve in curves]):
        levels = {attack: level(runs(planned, curve, aggregation=rule, attack=attack)[0]) for attack in ATTACKS}
        levels["worst case"] = np.array([worst([levels[x][seed] for x in ATTACKS]) for seed in range(SEEDS)])
        for x, own in levels.items():
            row = rows.loc[(rule, curve, x)]
            np.testing.assert_allclose(row["median"], over(own), rtol=1e-12)
            np.testing.assert_allclose([row["q25"], row["q75"]], np.quantile(own, [0.25, 0.75]), rtol=1e-12)
            np.testing.assert_allclose([row["mean"], row["deviation"]], [own.mean(), own.std(ddof=1)], rtol=1e-12)
    assert len(rows) == len(RULES) * len(curves) * (len(ATTACKS) + 1)
    spread = (rows["q75"] - rows["q25"]) / 2 if average == "median" else rows["deviation"]
    wanted = {written(value, 1, quantity) for value in rows[average]}
    wanted |= {"±" + written(value, 1 if base is SHARES else 0, quantity) for value in spread}
    shown = [text for line in drawn.page.axes for text in words_in(line[0])]
    assert set(shown) == wanted
    assert f"then the {average} over seeds" in caption(drawn)
    assert ("half the interquartile range" in caption(drawn)) == (average == "median")
    assert ("for each seed the lowest value of its row" in caption(drawn)) == (base is SHARES)


def test_the_worst_case_is_taken_seed_by_seed(plan, tmp_path):
    """Each attack hurts other seeds, so that the worst case of a seed is worse than any attack is on average."""

    def taking_turns(spec):
        return np.where(np.arange(SEEDS) % 3 == ATTACKS.index(spec.attack.name), 0.9, 0.1)

    plot = {key: value for key, value in HEAT.items() if key != "rows"} | {"where": {"aggregation": "median"}}
    planned = stored(plan({"heat": plot}, curves=CURVES[:1]), tmp_path, level=taking_turns)
    rows = drawing(planned, tmp_path).data.set_index("x")["median"]
    assert rows[ATTACKS].tolist() == pytest.approx([0.1] * 3)
    assert rows["worst case"] == pytest.approx(0.9)


def test_the_worst_case_stands_apart_and_may_be_left_out(plan, tmp_path):
    plots = {"heat": HEAT, "bare": HEAT | {"worst": False}}
    planned = stored(plan(plots, curves=CURVES[:1]), tmp_path)
    with_worst, without = (drawing(planned, tmp_path, name) for name in plots)
    names = [
        [label.get_text() for label in drawn.page.axes[-1][0].get_xticklabels()] for drawn in (with_worst, without)
    ]
    assert names == [["no attack", "sign flip", "ALIE", "worst case"], ["no attack", "sign flip", "ALIE"]]
    assert np.diff(with_worst.page.axes[0][0].get_xticks()).tolist() == pytest.approx([1, 1, 1.3])
    bold = [text.get_text() for text in with_worst.page.axes[0][0].texts if text.get_weight() == "bold"]
    assert len(bold) == 1
    assert "worst case" not in caption(without).lower()
    assert set(without.data["x"]) == set(ATTACKS)


@pytest.mark.parametrize(
    ("base", "quantity", "average", "ended", "mark"),
    [
        (LINES, "excess_loss", "median", 2, False),
        (LINES, "excess_loss", "median", 3, True),
        (LINES, "excess_loss", "mean", 1, True),
        (SHARES, "test_accuracy", "median", 2, False),
        (SHARES, "test_accuracy", "mean", 2, False),
        (SHARES, "test_accuracy", "mean", 3, True),
    ],
)
def test_seeds_that_ended_early(plan, tmp_path, base, quantity, average, ended, mark):
    """A cell shows the mark of the ending, or a number with a mark in its corner; a mean takes them as shares of 0."""
    plot = HEAT | {"y": quantity, "average": average, "where": {"aggregation": "median"}}
    planned = plan({"heat": plot}, base, CURVES[:1])
    stored(planned, tmp_path, ended=lambda spec: ended if spec.attack.name == "alie" else 0)
    drawn = drawing(planned, tmp_path)
    axes, said = drawn.page.axes[0][0], caption(drawn)
    entries = [text.get_text() for text in drawn.page.figure.legends[0].get_texts()]
    assert entries == ["diverged" if mark else "some seeds ended early"]
    assert len(axes.lines) == 2  # at ALIE and in the worst case
    assert ("A mark instead of a number" in said) == mark
    assert len([text for text in words_in(axes) if "±" not in text]) == (2 if mark else 4)
    row = drawn.data.set_index("x").loc["alie"]
    assert row["diverged"] == drawn.data.set_index("x").loc["worst case", "diverged"] == ended
    if base is SHARES and average == "mean":
        own = level(runs(planned, "RBA-DL", aggregation="median", attack="alie")[0])
        assert row["mean"] == pytest.approx(np.where(np.arange(SEEDS) < ended, 0, own).mean())
        assert ("counts as a share of 0" in said) != mark


def test_a_frame_encloses_the_cells_with_a_bound(plan, tmp_path):
    """Of three strengths and three numbers of liars; the length of the frame is that of the edges in between."""
    problem = {"name": "linear_regression", "subsets": 40, "dimension": 10}
    base = {"problem": problem, "devices": 40, "aggregation": "trimmed_mean", "compression": "random_k"}
    grid = {"compression.share": [0.9, 0.5, 0.1], "byzantine.alpha": [0, 0.1, 0.3]}
    curves = [{"label": "CRA-DL", "method": "cra_dl", "redundancy": 4}]
    plot = {"kind": "heatmap", "x": "compression.share", "down": "byzantine.alpha", "worst": False, "caption": "c"}
    plots = {"heat": plot | {"threshold": True}, "bare": plot}
    planned = stored(plan(plots, base, curves, grid), tmp_path)
    drawn, bare = (drawing(planned, tmp_path, name) for name in plots)
    rho = drawn.data.set_index(["byzantine.alpha", "x"])["rho"]
    for spec in (member.spec for member in planned.members):
        key = (spec.byzantine.alpha, spec.compression.options["share"])
        assert rho.loc[key] == pytest.approx(rho_of(spec))
    inside = {key for key, value in rho.items() if value < 1}
    assert 0 < len(inside) < 9
    shares, alphas = [0.1, 0.5, 0.9], [0, 0.1, 0.3]
    place = {(alpha, share): (row, at) for row, alpha in enumerate(alphas) for at, share in enumerate(shares)}
    cells = {place[key] for key in inside}
    around = ((0, 1), (1, 0), (0, -1), (-1, 0))
    edges = {
        (at + right / 2, row + down / 2)
        for row, at in cells
        for down, right in around
        if (row + down, at + right) not in cells
    }
    frame = [line for line in drawn.page.axes[0][0].lines if line.get_color() == FRAME["color"]]
    assert {(np.mean(line.get_xdata()), np.mean(line.get_ydata())) for line in frame} == edges
    lengths = [np.hypot(np.diff(line.get_xdata()), np.diff(line.get_ydata())).item() for line in frame]
    assert lengths == pytest.approx([1.0] * len(edges))
    assert "rho" not in bare.data
    assert not bare.page.axes[0][0].lines
    assert [text.get_text() for text in drawn.page.figure.legends[0].get_texts()] == [
        "within the frame \N{GREEK SMALL LETTER RHO} < 1"
    ]


def test_undefined_runs_have_their_mark_and_no_number_is_drawn(plan, tmp_path):
    planned = stored(plan({"heat": HEAT}, curves=CURVES[:1]), tmp_path, ended=lambda _: SEEDS, status=Status.UNDEFINED)
    drawn = drawing(planned, tmp_path)
    assert [text.get_text() for text in drawn.page.figure.legends[0].get_texts()] == ["undefined"]
    assert not words_in(drawn.page.axes[0][0])
    assert len(drawn.page.figure.axes) == len(RULES)  # and no colour bar
    assert "Brighter" not in caption(drawn)


def test_a_cell_without_a_run_has_a_dash_and_its_row_no_worst_case(plan, tmp_path):
    some = {"label": "Some", "method": "rba_dl", "message_bits": 8, "grid": {"attack": ATTACKS[:2]}}
    planned = stored(plan({"heat": HEAT}, curves=[CURVES[0], some]), tmp_path)
    drawn = drawing(planned, tmp_path)
    assert words_in(drawn.page.axes[0][0]).count("\N{EN DASH}") == 2
    assert "A dash: no such run in this study: Some at attack = ALIE." in caption(drawn)
    assert "A row with a dash has no worst case." in caption(drawn)
    rows = drawn.data.set_index(["curve", "x"]).index
    assert ("Some", "sign_flip") in rows
    assert ("Some", "alie") not in rows
    assert ("Some", "worst case") not in rows


def test_a_row_that_no_column_changes_is_named(plan, tmp_path):
    planned = stored(plan({"heat": HEAT}), tmp_path)
    drawn = drawing(planned, tmp_path)
    rows = drawn.data[drawn.data["curve"] == "Exact"]
    assert rows["median"].nunique() == 1
    assert "The same run in every column: Exact." in caption(drawn)


def test_a_single_seed_has_no_spread(plan, tmp_path):
    plots = {"heat": HEAT, "mean": HEAT | {"average": "mean"}}
    planned = stored(plan(plots, base=LINES | {"seeds": 1}, curves=CURVES[:1]), tmp_path)
    for name in plots:
        assert "A single seed has no spread." in caption(drawing(planned, tmp_path, name))
    assert "±" not in " ".join(words_in(drawing(planned, tmp_path, "mean").page.axes[0][0]))


def test_brighter_is_better_and_panels_share_the_colours(plan, tmp_path):
    def fills(drawn):
        cells = [(axes, patch) for line in drawn.page.axes for axes in line for patch in axes.patches]
        cells = [(axes, patch) for axes, patch in cells if isinstance(patch, Rectangle)]
        texts = {(axes, round(text.get_position()[0], 1)): text.get_text() for axes, text in numbers(drawn)}
        return [(float(texts[axes, round(p.get_x() + 0.5, 1)]), sum(to_rgb(p.get_facecolor()))) for axes, p in cells]

    def numbers(drawn):
        pairs = [(axes, text) for line in drawn.page.axes for axes in line for text in axes.texts]
        return [(axes, text) for axes, text in pairs if "±" not in text.get_text()]

    for base, quantity, sign in ((LINES, "excess_loss", -1), (SHARES, "test_accuracy", 1)):
        results = tmp_path / quantity
        planned = stored(plan({"heat": HEAT | {"y": quantity}}, base, CURVES[:1]), results)
        found = sorted(fills(drawing(planned, results)))
        assert len(found) == 8
        brightness = [sign * bright for _, bright in found]
        assert brightness == sorted(brightness)


def test_letters_are_readable_on_every_colour():
    def contrast(one, other):
        def luminance(color):
            parts = np.array(to_rgb(color))
            return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [
                0.2126,
                0.7152,
                0.0722,
            ]

        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    fills = [colormaps["viridis"](place)[:3] for place in np.linspace(0, 1, 101)] + ["#DCDCDC"]
    assert min(contrast(fill, readable(fill)) for fill in fills) > 4
    assert {readable(fills[0]), readable(fills[100])} == {"white", "#1A1A1A"}


@pytest.mark.parametrize(
    ("value", "digits", "quantity", "words"),
    [
        (0.12345, 1, "loss", "0.12"),
        (0.999, 1, "loss", "1.0"),
        (0.999, 0, "loss", "1"),
        (12345.0, 1, "loss", "1.2e4"),
        (1234.0, 1, "loss", "1200"),
        (1.6e-7, 0, "loss", "2e\N{MINUS SIGN}7"),
        (-0.5, 0, "loss", "\N{MINUS SIGN}0.5"),
        (0.0, 1, "loss", "0"),
        (5e-324, 1, "loss", "4.9e\N{MINUS SIGN}324"),
        (0.9512, 1, "test_accuracy", "95.1"),
        (0.9512, 0, "test_accuracy", "95"),
    ],
)
def test_numbers_are_short(value, digits, quantity, words):
    assert written(value, digits, quantity) == words


def test_many_panels_remain_readable_and_a_narrow_cell_gives_up_its_spread(plan, tmp_path):
    alphas = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25]
    plot = HEAT | {"x": "byzantine.alpha", "columns": "attack", "y": "test_accuracy", "worst": True}
    grid = {"attack": [*ATTACKS, "ipm", "mimic"], "aggregation": RULES, "byzantine.alpha": alphas}
    planned = stored(plan({"heat": plot}, SHARES, CURVES[:1], grid), tmp_path)
    drawn = drawing(planned, tmp_path)
    assert "In the table beside the figure: half the interquartile range." in caption(drawn)
    for line in drawn.page.axes:
        for axes in line:
            width = axes.get_window_extent().width / (len(alphas) + 1.3)
            assert all(text.get_window_extent().width < width for text in axes.texts)
            assert all(text.get_fontsize() >= 5 for text in axes.texts)
    assert [axes.get_title() for axes in drawn.page.axes[0]][:2] == ["no attack", "sign flip"]
    assert [line[0].get_ylabel().split() for line in drawn.page.axes] == [["median"], ["trimmed", "mean"]]


# A key down the rows: each panel is a curve

ALPHAS, ASSUMED = [0.0, 0.1, 0.2], [0.1, 0.2, 0.3]
DOWN = {"kind": "heatmap", "x": "byzantine.alpha", "down": "assumed_alpha", "worst": False, "caption": "Cells."}
TWO_KEYS = {"byzantine.alpha": ALPHAS, "assumed_alpha": ASSUMED}
TRIMMED = LINES | {"aggregation": "trimmed_mean"}


def test_each_panel_is_a_curve_and_its_rows_are_the_values_of_a_key(plan, tmp_path):
    curves = CURVES[:2]
    planned = stored(plan({"heat": DOWN}, TRIMMED, curves, TWO_KEYS), tmp_path)
    drawn = drawing(planned, tmp_path)
    assert [axes.get_title() for axes in drawn.page.axes[0]] == ["RBA-DL", "CRA-DL"]
    rows = drawn.data.set_index(["curve", "assumed_alpha", "x"])["median"]
    for curve, assumed, alpha in itertools.product(["RBA-DL", "CRA-DL"], ASSUMED, ALPHAS):
        own = level(runs(planned, curve, **{"byzantine.alpha": alpha, "assumed_alpha": assumed})[0])
        np.testing.assert_allclose(rows[curve, assumed, alpha], np.median(own), rtol=1e-12)
    assert len(rows) == 18


def test_regret_is_the_ratio_to_the_right_assumption_seed_by_seed(plan, tmp_path):
    planned = stored(plan({"heat": DOWN | {"regret": True}}, TRIMMED, CURVES[:1], TWO_KEYS), tmp_path)
    drawn = drawing(planned, tmp_path)
    rows = drawn.data.set_index(["assumed_alpha", "x"])["median"]
    for assumed, alpha in itertools.product(ASSUMED, ALPHAS[1:]):
        own, right = (
            level(runs(planned, "RBA-DL", **{"byzantine.alpha": alpha, "assumed_alpha": each})[0])
            for each in (assumed, alpha)
        )
        np.testing.assert_allclose(rows[assumed, alpha], np.median(own / right), rtol=1e-12)
    assert len(rows) == 6  # nobody assumes alpha = 0, so its column has no numbers
    assert "divided, seed by seed" in caption(drawn)


def test_a_seed_that_ended_early_with_the_right_assumption_has_no_regret(plan, tmp_path):
    def ended(spec):
        return SEEDS if (spec.byzantine.alpha, spec.assumed_alpha) == (0.2, 0.2) else 0

    planned = stored(plan({"heat": DOWN | {"regret": True}}, TRIMMED, CURVES[:1], TWO_KEYS), tmp_path, ended=ended)
    drawn = drawing(planned, tmp_path)
    rows = drawn.data.set_index(["assumed_alpha", "x"])["median"]
    assert np.isfinite(rows[:, 0.1]).all()
    assert not np.isfinite(rows[:, 0.2]).any()


# Checks of the study


def test_where_chooses_runs(plan):
    plot = HEAT | {"where": {"aggregation": "median"}}
    planned = plan({"heat": plot, "all": HEAT})
    assert {member.spec.aggregation.name for member in planned.shown(planned.study.plots["heat"])} == {
        "median",
        "mean",
    }  # Exact fixes the mean
    assert len(planned.run_ids("heat")) < len(planned.run_ids("all"))


BARE = {"kind": "heatmap", "x": "attack", "caption": "Cells."}
MISTAKES = {
    "an unknown quantity": (HEAT | {"y": "los"}, "plots.heat.heatmap.y|plots.heat.y"),
    "a quantity that the problem lacks": (HEAT | {"y": "test_accuracy"}, "no metric of that name; allowed: loss"),
    "an axis with one value": (HEAT | {"x": "devices"}, "x = 'devices': has a single value in these runs"),
    "an axis that no run has": (HEAT | {"x": "problem.sigma"}, "no run of this study has this key"),
    "several runs in a cell": (BARE, "differ in this key but share a place: use it as columns, rows, hue or x"),
    "an unknown key": (HEAT | {"where": {"devices": 10}}, "where = 'devices': not a grid key of this study"),
    "an unknown value": (BARE | {"where": {"aggregation": "krum"}}, "where.aggregation = 'krum': not a value"),
    "down and columns": (DOWN | {"columns": "aggregation"}, "columns: with down, the columns of panels are the curves"),
    "regret without rows": (HEAT | {"regret": True}, "regret: compares the rows of a panel, so it needs down"),
    "regret of a share": (DOWN | {"regret": True, "y": "test_accuracy"}, "test_accuracy is a share"),
    "rows of a single value": (HEAT | {"down": "devices"}, "down = 'devices': has a single value in these runs"),
    "an unknown average": (HEAT | {"average": "mode"}, "average = 'mode'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gives_one_line(plan, mistake):
    plot, words = MISTAKES[mistake]
    with pytest.raises(UserError) as error:
        plan({"heat": plot})
    assert any(each in str(error.value) for each in words.split("|")), str(error.value)
    assert "\n" not in str(error.value)


def test_too_many_cells_are_refused(plan):
    grid = {"step_size": [each / 100 for each in range(1, 42)]}
    base = LINES | {"aggregation": "median"}
    with pytest.raises(UserError, match=r"42 cells side by side; allowed: at most 40\. Use where to split"):
        plan({"heat": {"kind": "heatmap", "x": "step_size", "caption": "c"}}, base, CURVES[:1], grid)


def test_seeds_that_do_not_pair_have_no_worst_case(plan):
    curves = [CURVES[0] | {"grid": {"seeds": [[0, 1, 2], [3, 4, 5]]}}]
    plot = HEAT | {"columns": "seeds"}
    with pytest.raises(UserError, match="worst = True: takes the worst run seed by seed, but runs of curve 'RBA-DL'"):
        plan({"heat": plot}, curves=curves)
    plan({"heat": plot | {"worst": False}}, curves=curves)


def test_the_figure_reads_its_trajectories(plan, tmp_path):
    planned = plan({"heat": HEAT | {"where": {"aggregation": "median"}}})
    request = json.loads(planned.figure_json("heat"))
    assert {path.stem for path in read_by("figure", request, tmp_path)} == set(planned.run_ids("heat"))


def test_the_table_has_every_level_of_the_panels(plan, tmp_path):
    planned = stored(plan({"heat": HEAT}, curves=CURVES[:1]), tmp_path)
    with theme():
        drawing(planned, tmp_path).save(tmp_path / "figure")
    table = pd.read_csv(tmp_path / "figure.csv")
    assert list(table.columns[:2]) == ["aggregation", "quantity"]
    assert table["run"].isna().sum() == len(RULES)


def test_immense_regrets_do_not_stretch_the_scale_and_are_not_told_apart():
    def cell(number):
        plot = SimpleNamespace(regret=True, y="excess_loss")
        return SimpleNamespace(number=number, run=None, plot=plot)

    cells = [cell(number) for number in (1.0, 2.0, 60.0, 1e25, 3e26)]
    scale = scale_of(cells, "excess_loss", regret=True)
    assert scale.limits == (1.0, MOST_REGRET)
    assert scale.extend == "max"
    assert [Print(6.0, 1, with_spread=False).number(each) for each in cells] == ["1.0", "2.0", "60", ">99", ">99"]
