"""What becomes of a seed, drawn: marks where curves end, words in legends and captions, and nothing left out."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from vouched import vouched

from byzcode.analysis.summary import summarise
from byzcode.figures import FIGURES
from byzcode.figures.request import Request
from byzcode.figures.style import MARKS, theme
from byzcode.storage import allocations as allocation
from byzcode.storage import trajectories
from byzcode.studies.expand import expand
from byzcode.studies.planned import PlannedStudy
from byzcode.studies.study import LineStyle, Reading, Study
from byzcode.training.status import ENDINGS, Status
from byzcode.training.workers import train

CONFIG = {
    "ma": LineStyle(color="#D55E00", dashes="dashed", marker="x"),
    "rba_dl": LineStyle(color="#0072B2", dashes="solid", marker="o"),
    "cra_dl": LineStyle(color="#009E73", dashes="solid", marker="s"),
}
CRA = {"method": "cra_dl", "redundancy": 12}
STUDY = {
    "study": "endings",
    "title": "A sweep over one half",
    "base": {
        "problem.subsets": 60,
        "problem.dimension": 7,
        "devices": 20,
        "attack": "sign_flip",
        "iterations": 150,
        "record": {"step": 5},
        "seeds": 4,
    },
    "grid": {"byzantine.alpha": [0.1, 0.3, 0.5, 0.7]},
    "curves": [
        {"label": "MA", "method": "ma"},
        {"label": "RBA-DL", "method": "rba_dl", "aggregation": "trimmed_mean"},
        {"label": "CRA-DL, buckets", **CRA, "pre_aggregation": "bucketing", "aggregation": "trimmed_mean"},
        {"label": "Krum", **CRA, "aggregation": "krum", "grid": {"byzantine.alpha": [0.5, 0.7]}},
        {"label": "NaN", "method": "ma", "attack": "nan"},
        {"label": "no limit", "method": "rba_dl", "aggregation": "trimmed_mean", "step_size": 50, "diverged_at": 1e307},
    ],
    "plots": {
        "time": {"kind": "trajectories", "columns": "byzantine.alpha", "caption": "Over time."},
        "error": {
            "kind": "trajectories",
            "y": "aggregation_error",
            "columns": "byzantine.alpha",
            "curves": ["RBA-DL", "Krum"],
            "caption": "An error.",
        },
        "cost": {
            "kind": "trajectories",
            "x": "bits_sent",
            "columns": "byzantine.alpha",
            "last": 20,
            "caption": "By cost.",
        },
        "hue": {"kind": "trajectories", "hue": "byzantine.alpha", "curves": ["RBA-DL"], "caption": "By hue."},
        "sweep": {"kind": "sweep", "x": "byzantine.alpha", "caption": "A sweep."},
        "bounds": {"kind": "bounds", "x": "byzantine.alpha", "caption": "Bounds."},
    },
}
TITLES = {0.1: 0, 0.3: 1, 0.5: 2, 0.7: 3}


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """The figures, of runs that were trained."""
    results = tmp_path_factory.mktemp("results")
    study = Study.model_validate(STUDY)
    members = expand(study, Reading(reading="none", title="none", choices=[]), "endings.yaml")
    planned = PlannedStudy(study, "endings.yaml", members, CONFIG)
    specs = {member.spec.run_id: member.spec for member in members}
    paths = [results / "trajectories" / f"{run}.nc" for run in specs]
    for path, spec in zip(paths, specs.values(), strict=True):
        assigned = allocation.draw(spec.allocation_spec)
        spent = {"device": "cpu", "threads": 1, "wall_seconds": 1.0, "cpu_seconds": 1.0}
        trajectories.write(path, spec, train(spec, assigned), assigned, **spent)
    (results / "summaries").mkdir()
    summarise(paths, list(specs)).to_csv(results / "summaries" / "endings.csv", index=False)
    vouched(results / "summaries" / "endings.csv", request=planned.summary_json())
    with theme():
        return {
            name: FIGURES[asked.plot.kind](asked, results)
            for name in STUDY["plots"]
            for asked in [Request.model_validate(json.loads(planned.figure_json(name)))]
        }


def legend(drawing):
    return [text.get_text() for text in drawing.page.figure.legends[0].get_texts()]


def caption(drawing):
    return " ".join(drawing.page.figure.texts[1].get_text().split())


def marked(axes):
    """The marks in a panel: status and colour."""
    marks = {str(look["marker"]): status for status, look in MARKS.items()}
    return sorted(
        (marks[str(line.get_marker())].word, line.get_color()) for line in axes.lines if str(line.get_marker()) in marks
    )


def test_a_mark_at_the_end_of_a_curve_says_what_ended_it(drawings):
    panels = drawings["time"].page.axes[0]
    ma, rba, cra = (CONFIG[name].color for name in ("ma", "rba_dl", "cra_dl"))
    assert marked(panels[TITLES[0.1]]) == [("overflowed", rba), ("poisoned", ma)]
    assert marked(panels[TITLES[0.3]]) == [
        ("diverged", ma),
        ("overflowed", rba),
        ("poisoned", ma),
        ("undefined", cra),
    ]
    assert marked(panels[TITLES[0.5]]) == sorted(
        [("diverged", ma), ("poisoned", ma), *[("undefined", rba)] * 2, *[("undefined", cra)] * 2]
    )


def test_the_legend_has_every_curve_and_every_mark(drawings):
    shown = legend(drawings["time"])
    assert shown == [
        *("MA", "RBA-DL", "CRA-DL, buckets", "Krum (undefined)", "NaN (poisoned)", "no limit"),
        *("diverged", "overflowed", "poisoned", "undefined"),
    ]
    assert legend(drawings["sweep"])[:6] == [
        *(
            "MA",
            "RBA-DL",
            "CRA-DL, buckets",
            "Krum (undefined)",
            "NaN (poisoned)",
            "no limit (overflowed and undefined)",
        ),
    ]
    assert legend(drawings["sweep"])[6:10] == ["diverged", "overflowed", "poisoned", "undefined"]
    assert legend(drawings["error"]) == ["RBA-DL", "Krum (undefined)", "undefined"]


def test_the_caption_counts_the_seeds_that_ended_and_says_when(drawings):
    said = caption(drawings["time"])
    assert "NaN (4 of 4 seeds poisoned at 5 in every panel)" in said
    assert "MA (4 of 4 seeds diverged at " in said
    assert "no limit (4 of 4 seeds overflowed at " in said
    assert "Undefined, because the rule tolerates fewer liars: CRA-DL, buckets; RBA-DL; Krum; no limit." in said


def test_a_reason_that_all_share_is_said(drawings):
    said = caption(drawings["hue"])
    assert (
        "Undefined, because the rule tolerates fewer liars: RBA-DL at \N{GREEK SMALL LETTER ALPHA} = 0.5, 0.7." in said
    )


def test_what_ends_after_the_figure_does_has_not_ended_in_it(drawings):
    said = caption(drawings["cost"])
    assert "seeds poisoned at 5" in said
    rows = drawings["cost"].data
    assert set(rows[rows.curve == "MA"].ending) <= {"finished", "diverged"}
    for axes in drawings["cost"].page.axes[0]:
        for line in axes.lines:
            assert np.isfinite(np.asarray(line.get_xdata(), dtype=float)).any() or not len(line.get_xdata())


def test_the_data_says_what_became_of_the_seeds(drawings):
    rows = drawings["time"].data
    last = rows.groupby(["curve", "byzantine.alpha"]).tail(1).set_index(["curve", "byzantine.alpha"])
    assert last.loc[("Krum", 0.5), "ending"] == "undefined"
    assert last.loc[("NaN", 0.1), ["ended", "ending"]].tolist() == [4, "poisoned"]
    assert last.loc[("RBA-DL", 0.1), ["ended", "ending"]].tolist() == [0, "finished"]
    sweep = drawings["sweep"].data.set_index(["curve", "x"])
    for word in ("diverged", "overflowed", "poisoned", "undefined"):
        assert word in sweep
    assert sweep.loc[("RBA-DL", 0.5), "undefined"].tolist() == [4] * len(sweep.loc[[("RBA-DL", 0.5)]])
    assert pd.isna(sweep.loc[[("RBA-DL", 0.5)], "median"]).all()


def test_points_without_a_level_stand_on_the_upper_edge_as_what_ended_them(drawings):
    upper = drawings["sweep"].page.axes[0][0]
    found = [word for word, _ in marked(upper)]
    counted = {ending.word: found.count(ending.word) for ending in ENDINGS}
    assert counted == {"diverged": 3, "overflowed": 2, "poisoned": 4, "undefined": 2 + 3 + 2 + 2}
    said = caption(drawings["sweep"])
    assert "A mark on the upper edge: infinite, because at least half of the seeds ended this way." in said
    assert "RBA-DL at \N{GREEK SMALL LETTER ALPHA} = 0.5, 0.7; CRA-DL, buckets at" in said


def test_bounds_say_what_ended_the_runs(drawings):
    said = caption(drawings["bounds"])
    assert "Undefined, because the rule tolerates fewer liars: RBA-DL at" in said
    assert "Poisoned, at least half of the seeds: NaN" in said
    assert {"diverged", "overflowed", "poisoned", "undefined"} <= set(legend(drawings["bounds"]))
    assert Status.UNDEFINED.word in {word for word, _ in marked(drawings["bounds"].page.axes[0][0])}


@pytest.mark.parametrize("name", STUDY["plots"])
def test_every_figure_is_saved_and_says_undefined(name, drawings, tmp_path):
    """In the files letters are paths, so what is asked is what was typeset."""
    with theme():
        drawings[name].save(tmp_path / name)
    assert (tmp_path / f"{name}.svg").stat().st_size > 0
    assert "undefined" in legend(drawings[name])
    assert "Undefined, " in caption(drawings[name])


@pytest.mark.parametrize("name", ["time", "error", "hue"])
def test_no_mark_covers_another(name, drawings):
    """Two marks in a panel are a mark apart, in points."""
    page = drawings[name].page
    for axes in page.axes[0]:
        scale = 72 / page.figure.dpi
        ends = [line for line in axes.lines if line.get_transform() == axes.transAxes and len(line.get_xdata()) == 1]
        places = [axes.transAxes.transform((line.get_xdata()[0], line.get_ydata()[0])) * scale for line in ends]
        for place, one in enumerate(places):
            assert all(np.abs(one - other).max() > 7 for other in places[:place])
