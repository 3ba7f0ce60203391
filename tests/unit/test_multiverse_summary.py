"""The multiverse: shares, intervals and associations are those of the readings, and the picture shows them."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from scipy import stats
from vouched import vouched

from byzcode.errors import UserError
from byzcode.figures.style import theme
from byzcode.multiverse.deciding import choices, tree
from byzcode.multiverse.picture import _COLORS, _SHADES, _step, picture
from byzcode.multiverse.stored import VERDICTS, read
from byzcode.multiverse.summarise import summarise
from byzcode.multiverse.summary import claims, sizes, stated

#: The primary's value first. "none" and "NA" are names, "-5" is one, too.
VALUES = {
    "attack-coefficient": ("-5", "-2", "10"),
    "sampling side": ("NA", "none"),
    "noise": ("y", "x", "z"),
    "other": ("p", "q"),
}
PRIMARY = {name: values[0] for name, values in VALUES.items()}
CELLS = {  # study, claim, place: mark and the verdict under a set of choices
    ("s", "decided", ""): ("stated", lambda c: "supported" if c["sampling side"] == "none" else "refuted"),
    ("s", "certain", ""): ("derived", lambda c: "supported"),
    ("t", "worst", "rule = a"): ("stated", lambda c: "supported"),
    ("t", "worst", "rule = b"): (
        "stated",
        lambda c: {"-5": "supported", "-2": "undecided", "10": "refuted"}[c["attack-coefficient"]],
    ),
    ("t", "both", ""): (  # neither choice alone
        "inferred",
        lambda c: "supported" if (c["sampling side"] == "none") == (c["other"] == "p") else "undecided",
    ),
}


def reading(name, kind, taken, size="reduced"):
    return pd.DataFrame(
        {
            "reading": name,
            "kind": kind,
            "size": size,
            **{f"choice:{choice}": value for choice, value in taken.items()},
            "study": study,
            "claim": claim,
            "cell": "/".join(filter(None, (study, claim, place))),
            "mark": mark,
            "test": "lower",
            "effect": 0.5,
            "low": np.nan,
            "high": np.inf,
            "verdict": verdict(taken),
            "pairs": 10,
            "seeds": 10,
            "note": "",
        }
        for (study, claim, place), (mark, verdict) in CELLS.items()
    )


def drawn(count, seed=0):
    generator = np.random.default_rng(seed)
    return [{name: str(generator.choice(values)) for name, values in VALUES.items()} for _ in range(count)]


def made(count=120):
    singles = [
        reading(f"single-{name}-{value}", "single", PRIMARY | {name: value})
        for name, values in VALUES.items()
        for value in values[1:]
    ]
    random = [reading(f"random-{number:03}", "random", taken) for number, taken in enumerate(drawn(count))]
    return [reading("primary", "primary", PRIMARY), *singles, *random]


def written(readings, folder):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03}.csv" for number in range(len(readings))]
    for path, table in zip(paths, readings, strict=True):
        table.to_csv(path, index=False)
        vouched(path, "reading")
    return paths


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return written(made(), tmp_path_factory.mktemp("readings"))


@pytest.fixture(scope="module")
def table(paths):
    return read(paths)


@pytest.fixture(scope="module")
def by_choice(table):
    return choices(table)


def one(rows, **wanted):
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def swapped(table, study, claim, verdict):
    here = (table["study"] == study) & (table["claim"] == claim)
    return table.assign(verdict=table["verdict"].mask(here, verdict))


def test_what_is_read_is_what_was_written(table):
    pd.testing.assert_frame_equal(table, pd.concat(made(), ignore_index=True), check_dtype=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.drop(columns="verdict"), "'verdict' is missing"),
        (lambda t: t.drop(columns=[c for c in t if c.startswith("choice:")]), "choice:<name>"),
        (lambda t: t.iloc[:0], "has no row"),
        (lambda t: t.assign(verdict="suported"), "did you mean 'supported'?"),
        (lambda t: t.assign(kind="odd"), "allowed: primary, single, random"),
        (lambda t: t.assign(size="double"), "allowed: reduced, full"),
        (lambda t: t.assign(effect="large"), "effect = 'large': a number"),
        (lambda t: t.assign(**{"choice:noise": ["x", "y", "x", "x", "x"]}), "choice:noise = ['x', 'y']: one value"),
        (lambda t: t.assign(**{"choice:noise": ""}), "choice:noise = ['']: one value"),
        (lambda t: pd.concat([t, t]), "cell = 's/decided': each cell once"),
        (lambda t: t.assign(**{"choice:more": "x"}), "the same choices"),
        (lambda t: t.drop(index=1), "cell = 's/certain': the same cells as in"),
        (lambda t: t.assign(reading="primary"), "one file per reading"),
        (lambda t: t.assign(kind="primary"), "choices unlike the primary's = ['sampling side', 'noise', 'other']: 0"),
        (lambda t: t.assign(kind="single"), "choices unlike the primary's = ['sampling side', 'noise', 'other']: 1"),
    ],
)
def test_what_is_not_a_reading_is_refused_in_one_line(tmp_path, change, says):
    taken = PRIMARY | {"noise": "x", "other": "q", "sampling side": "none"}
    size = "full" if "unlike" in says else "reduced"
    odd = change(reading("odd", "random", taken, size))
    paths = written([reading("primary", "primary", PRIMARY), odd], tmp_path)
    with pytest.raises(UserError) as caught:
        read(paths)
    message = str(caught.value)
    assert message.startswith(str(paths[1]))
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01,", b'a,b\n"1', None])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "odd.csv"
    if content is not None:
        path.write_bytes(content)
        vouched(path, "reading")
    with pytest.raises(UserError, match=r"odd\.csv: ") as caught:
        read([path])
    assert "\n" not in str(caught.value)


def test_there_is_one_primary_reading_a_size(tmp_path):
    random = reading("random", "random", PRIMARY)
    with pytest.raises(UserError, match=r"kind = \['random'\]: one reading of kind primary"):
        read(written([random], tmp_path / "none"))
    twice = [reading(name, "primary", PRIMARY) for name in ("one", "two")]
    with pytest.raises(UserError, match="one primary reading of size reduced"):
        read(written(twice, tmp_path / "two"))
    assert len(read(written([twice[0], reading("two", "primary", PRIMARY, "full")], tmp_path / "sizes")))
    with pytest.raises(UserError, match="no reading"):
        read([])


def test_shares_are_counts_over_the_random_readings(table):
    row = one(claims(table), claim="decided", cell="")
    found = sum(taken["sampling side"] == "none" for taken in drawn(120))
    assert row["readings"] == 120
    assert [row[verdict] for verdict in VERDICTS] == [found / 120, 0.0, (120 - found) / 120]


def test_intervals_are_wilson_s(table):
    """Wilson (1927): (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)."""
    row = one(claims(table), claim="decided", cell="")
    p, n, z = row["supported"], 120, stats.norm.ppf(0.975)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [(p + z**2 / (2 * n) + sign * half) / (1 + z**2 / n) for sign in (-1, 1)]
    assert [row["supported_low"], row["supported_high"]] == pytest.approx(expected, rel=1e-9)
    certain = one(claims(table), claim="certain", cell="")
    assert certain["supported"] == certain["supported_high"] == 1
    assert 0.95 < certain["supported_low"] < 1


def test_a_claim_is_as_good_as_its_worst_cell(table):
    rows = claims(table)
    whole, good, bad = (one(rows, claim="worst", cell=cell) for cell in ("", "t/worst/rule = a", "t/worst/rule = b"))
    assert [whole[verdict] for verdict in VERDICTS] == [bad[verdict] for verdict in VERDICTS]
    assert (good["supported"], whole["cells"], good["cells"]) == (1, 2, 1)
    assert bad["undecided"] > 0
    assert bad["refuted"] > 0
    assert whole["cells_supported"] == pytest.approx((1 + bad["supported"]) / 2)


def test_the_primary_s_verdict_and_what_changes_it(paths):
    rows = claims(read(paths[::-1]))  # the order of choices, not of files
    decided = one(rows, claim="decided", cell="")
    assert (decided["primary"], decided["singles"], decided["changed"]) == ("refuted", 6, 1)
    assert decided["changed_by"] == "sampling side = none (supported)"
    worst = one(rows, claim="worst", cell="")
    assert worst["primary"] == "supported"
    assert worst["changed_by"] == "attack-coefficient = -2 (undecided); attack-coefficient = 10 (refuted)"
    both = one(rows, claim="both", cell="")
    assert both["changed_by"] == "sampling side = none (supported); other = q (supported)"
    assert one(rows, claim="certain", cell="")["changed"] == 0


def test_the_choice_that_decides_is_found_and_no_other(by_choice):
    for claim, name in {"decided": "sampling side", "worst": "attack-coefficient"}.items():
        about = by_choice[by_choice["claim"] == claim]
        assert set(about.loc[about["decides"], "choice"]) == {name}
        assert about.loc[about["choice"] == name, "v"].iloc[0] == pytest.approx(1, abs=0.01)
        assert about.loc[about["choice"] != name, "v"].max() < 0.25


def test_nothing_decides_a_verdict_that_never_varies(by_choice):
    about = by_choice[by_choice["claim"] == "certain"]
    assert about[["v", "p", "q"]].isna().all(axis=None)
    assert not about["decides"].any()
    assert (about["supported"] == 1).all()


def test_values_of_a_choice_have_their_own_shares(by_choice):
    about = by_choice[(by_choice["claim"] == "worst") & (by_choice["choice"] == "attack-coefficient")]
    assert about["value"].tolist() == ["-5", "-2", "10"]
    assert about[list(VERDICTS)].to_numpy().tolist() == np.eye(3).tolist()
    noise = by_choice[(by_choice["claim"] == "worst") & (by_choice["choice"] == "noise")]
    assert noise["value"].tolist() == ["y", "x", "z"]
    counted = pd.Series([taken["attack-coefficient"] for taken in drawn(120)]).value_counts()
    assert about["readings"].tolist() == [counted[value] for value in ("-5", "-2", "10")]


def test_v_is_corrected_for_its_bias_and_p_is_a_permutation_s(by_choice, table):
    """Bergsma's formula beside scipy's V, which has none of it; adjusted over all claims and choices."""
    random = table[(table["kind"] == "random") & (table["claim"] == "both")]
    for choice in VALUES:
        counts = stats.contingency.crosstab(random[f"choice:{choice}"], random["verdict"]).count
        (rows, columns), n = counts.shape, counts.sum()
        plain = stats.contingency.association(counts) ** 2 * min(rows - 1, columns - 1)
        cut = max(0, plain - (rows - 1) * (columns - 1) / (n - 1))
        room = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
        row = by_choice[(by_choice["claim"] == "both") & (by_choice["choice"] == choice)].iloc[0]
        assert row["v"] == pytest.approx(np.sqrt(cut / room), abs=1e-12)
        if (rows, columns) == (2, 2):  # chi squared grows with the distance of a count from its mean
            law = stats.hypergeom(n, counts[0].sum(), counts[:, 0].sum())
            far = abs(np.arange(n + 1) - law.mean()) >= abs(counts[0, 0] - law.mean()) - 1e-9
            assert row["p"] == pytest.approx(law.pmf(np.arange(n + 1))[far].sum(), abs=0.02)
    tests = by_choice.drop_duplicates(["study", "claim", "choice"]).dropna(subset="p")
    assert len(tests) == 12
    assert tests["q"].tolist() == pytest.approx(stats.false_discovery_control(tests["p"]).tolist())


def test_the_ranking_is_by_the_mean_over_all_claims(by_choice):
    tests = by_choice.drop_duplicates(["study", "claim", "choice"])
    for _, about in tests.groupby("choice"):
        assert about["mean_v"].nunique() == about["rank"].nunique() == 1
        assert about["mean_v"].iloc[0] == pytest.approx(about["v"].sum() / 4)
    ranked = tests.drop_duplicates("choice").sort_values("rank")
    assert ranked["rank"].tolist() == [1, 2, 3, 4]
    assert ranked["mean_v"].is_monotonic_decreasing
    assert set(ranked["choice"][:2]) == {"sampling side", "attack-coefficient"}


def test_a_tree_names_the_choices_that_settle_a_claim(table):
    rows = tree(table)
    assert rows.groupby("claim")["readings"].sum().eq(120).all()
    assert one(rows, claim="certain")["where"] == ""
    decided = rows[rows["claim"] == "decided"].set_index("where")
    assert decided["supported"].to_dict() == {"sampling side = NA": 0, "sampling side = none": 1}
    worst = rows[rows["claim"] == "worst"].set_index("where")
    assert worst["undecided"].to_dict() == {
        f"attack-coefficient = {value}": value == "-2" for value in ("-5", "-2", "10")
    }


def test_a_tree_sees_what_a_choice_does_given_another(tmp_path):
    """Where side is none all is well, else the other choice matters; the one that decides more comes first."""
    readings = []
    for table in made():
        taken = table.iloc[0]
        otherwise = {"p": "refuted", "q": "undecided"}[taken["choice:other"]]
        verdict = "supported" if taken["choice:sampling side"] == "none" else otherwise
        readings.append(swapped(table, "t", "both", verdict))
    rows = tree(read(written(readings, tmp_path)))
    leaves = rows[rows["claim"] == "both"].set_index("where")[list(VERDICTS)].T.to_dict("list")
    assert leaves == {
        "sampling side = NA, other = p": [0, 0, 1],
        "sampling side = NA, other = q": [0, 1, 0],
        "sampling side = none": [1, 0, 0],
    }


def test_a_reading_at_both_sizes_counts_once_and_its_verdicts_are_compared(table, by_choice, tmp_path):
    half = [one_table for one_table in made() if one_table["kind"].iloc[0] != "single"]
    full = [part.assign(reading=part["reading"] + "-full", size="full") for part in half[:40]]
    full[0] = swapped(full[0], "s", "decided", "supported")  # refuted at the reduced size
    full[1] = swapped(full[1], "s", "certain", "undecided")
    full[2] = swapped(full[2], "s", "certain", "refuted")
    both = read(written([*full, *made()], tmp_path))
    pd.testing.assert_frame_equal(choices(both), by_choice)
    pd.testing.assert_frame_equal(claims(both), claims(table))
    assert (stated(both)["size"] == "reduced").all()

    pairs = len({(part["kind"].iloc[0], *part.filter(like="choice:").iloc[0]) for part in half[:40]})
    rows = sizes(both)
    total = rows.iloc[0]
    assert (total["study"], total["claim"], total["pairs"]) == ("all", "all", 5 * pairs)
    assert (total["same"], total["swapped"], total["only_reduced"], total["only_full"]) == (5 * pairs - 3, 2, 1, 0)
    certain = one(rows, claim="certain")
    assert (certain["pairs"], certain["swapped"], certain["only_reduced"]) == (pairs, 1, 1)
    assert one(rows, claim="worst")["pairs"] == 2 * pairs


def test_a_verdict_at_full_size_alone_is_told_apart(tmp_path):
    half = swapped(reading("reduced", "primary", PRIMARY), "s", "certain", "undecided")
    rows = sizes(read(written([half, reading("full", "primary", PRIMARY, "full")], tmp_path)))
    assert rows.iloc[0][["pairs", "same", "swapped", "only_reduced", "only_full"]].tolist() == [5, 4, 0, 0, 1]


def test_without_a_full_size_there_is_nothing_to_compare(table):
    rows = sizes(table)
    assert len(rows) == 1
    assert rows.iloc[0]["pairs"] == 0


def test_stated_cells_are_counted_and_readings_ranked(table):
    rows = stated(table)
    assert len(rows) == 127
    assert (rows[list(VERDICTS)].sum(axis=1) == 3).all()
    assert (rows["rank"].iloc[0], rows["supported"].iloc[0]) == (1, 3)
    primary = one(rows, reading="primary")
    assert (primary["supported"], primary["undecided"], primary["refuted"], primary["differs"]) == (2, 0, 1, "")
    keys = list(zip(-rows["supported"], rows["refuted"], strict=True))
    assert keys == sorted(keys)
    assert rows["rank"].tolist() == [1 + sum(other < key for other in keys) for key in keys]
    assert one(rows, reading="single-noise-x")["differs"] == "noise = x"


def test_files_are_whole_and_the_same_in_another_process(paths, tmp_path):
    summarise(paths, tmp_path / "here")
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert names == sorted(
        [f"{name}.csv" for name in ("claims", "choices", "tree", "sizes", "stated")]
        + [f"multiverse.{kind}" for kind in ("pdf", "svg", "png", "csv")]
    )
    code = (
        "import json, sys; from pathlib import Path; from byzcode.multiverse.summarise import summarise; "
        "summarise([Path(path) for path in json.loads(sys.argv[1])], Path(sys.argv[2]))"
    )
    there = tmp_path / "there"
    subprocess.run([sys.executable, "-c", code, json.dumps([*map(str, paths)]), str(there)], check=True)
    for name in names:
        assert (there / name).read_bytes() == (tmp_path / "here" / name).read_bytes(), name


def test_a_picture_without_random_readings_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(UserError, match="no reading of kind random"):
        summarise(written(made(0), tmp_path / "readings"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def drawing(table, by_choice):
    with theme():
        return picture(table, claims(table), by_choice)


def rows_of(drawing):
    bars = drawing.page.axes[0][0]
    return {label.get_text(): place for label, place in zip(bars.get_yticklabels(), bars.get_yticks(), strict=True)}


def test_bars_are_the_shares(drawing, table):
    bars = drawing.page.axes[0][0]
    found = claims(table)
    for name in ("decided", "certain", "worst", "both"):
        patches = [patch for patch in bars.patches if np.isclose(patch.get_y() + 0.36, rows_of(drawing)[name])]
        widths = {to_hex(patch.get_facecolor()).upper(): patch.get_width() for patch in patches}
        expected = one(found, claim=name, cell="")
        assert widths == {_COLORS[verdict]: pytest.approx(expected[verdict]) for verdict in VERDICTS}
        ends = np.concatenate([[0], np.cumsum([patch.get_width() for patch in patches])])
        assert [patch.get_x() for patch in patches] == pytest.approx(ends[:-1])


def test_markers_are_the_primary_s_verdicts(drawing):
    found = {
        name: to_hex(line.get_markerfacecolor()).upper()
        for name, place in rows_of(drawing).items()
        for line in drawing.page.axes[0][0].lines
        if line.get_ydata()[0] == place
    }
    verdicts = {"decided": "refuted", "certain": "supported", "worst": "supported", "both": "undecided"}
    assert found == {name: _COLORS[verdict] for name, verdict in verdicts.items()}


def test_a_letter_names_the_value_under_which_the_claim_holds_most(drawing):
    grid = drawing.page.axes[0][1]
    columns = [label.get_text() for label in grid.get_xticklabels()]
    letters = {
        (text.get_position()[1], columns[round(text.get_position()[0])]): text.get_text()
        for text in grid.texts
        if len(text.get_text()) == 1
    }
    rows = rows_of(drawing)
    assert letters == {(rows["decided"], "sampling side"): "b", (rows["worst"], "attack coefficient"): "a"}
    assert columns[:2] in (["sampling side", "attack coefficient"], ["attack coefficient", "sampling side"])
    caption = drawing.page.figure.texts[1].get_text().replace("\n", " ")
    assert "sampling side: a=NA, b=none" in caption
    assert "a=\N{MINUS SIGN}5, b=\N{MINUS SIGN}2, c=10" in caption
    assert "120 readings" in caption
    assert "reduced size, 10 seeds" in caption


def test_squares_are_as_dark_as_v(drawing, by_choice):
    grid = drawing.page.axes[0][1]
    (squares,) = grid.collections
    shades = {
        tuple(np.round(path.get_extents().get_points().mean(axis=0), 6)): to_hex(color)
        for path, color in zip(squares.get_paths(), squares.get_facecolors(), strict=True)
    }
    columns = [label.get_text() for label in grid.get_xticklabels()]
    rows = rows_of(drawing)
    assert shades[columns.index("sampling side"), rows["decided"]] == _SHADES[-1].lower()
    assert shades[columns.index("sampling side"), rows["certain"]] == _SHADES[0].lower()
    said = [text for text in grid.texts if "the same in all" in text.get_text()]
    assert [text.get_position()[1] for text in said] == [rows["certain"]]


@pytest.mark.parametrize(
    ("v", "step"), [(np.nan, 0), (0, 0), (0.09, 0), (0.1, 1), (0.29, 2), (0.3, 3), (0.5, 4), (1, 4)]
)
def test_steps_of_the_colours_are_those_of_the_legend(drawing, v, step):
    assert _step(v) == step
    (legend,) = drawing.page.figure.legends
    said = [text.get_text().removeprefix("$V$ ") for text in legend.get_texts() if text.get_text().startswith("$V$")]
    low, high = map(float, said[step].split(" to "))
    assert np.isnan(v) or low <= v < high or v == high == 1


@pytest.fixture(scope="module")
def crowded():
    """As many claims and choices as there may be, with long words and signs of formulas."""
    generator = np.random.default_rng(1)
    taken = [f"choice {number} of some length"[:22] for number in range(18)]
    cells = [
        (f"study-{study}", f"claim-{claim}-$costs-as-much-as-the-one-before-it")
        for study in range(9)
        for claim in range(4)
    ]
    rows = [
        {
            "reading": name,
            "kind": name.split("-")[0],
            "size": "reduced",
            **{
                f"choice:{choice}": "$1" if name == "primary" else str(generator.choice(["$1", "-2"]))
                for choice in taken
            },
        }
        for name in ["primary", *(f"random-{number}" for number in range(40))]
    ]
    table = pd.DataFrame(
        row
        | {"study": study, "claim": claim, "cell": f"{study}/{claim}", "mark": "stated", "seeds": 10}
        | {"verdict": str(generator.choice(VERDICTS))}
        for row in rows
        for study, claim in cells
    )
    found = choices(table)
    found["decides"] = True
    with theme():
        return picture(table, claims(table), found)


@pytest.mark.parametrize("which", ["drawing", "crowded"])
def test_nothing_is_hidden(which, request):
    drawing = request.getfixturevalue(which)
    figure = drawing.page.figure
    drawing.page.canvas.draw()
    renderer = drawing.page.canvas.get_renderer()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown]
    sheet = figure.bbox.padded(1)
    for words, box in boxes:
        assert sheet.x0 <= box.x0 <= box.x1 <= sheet.x1, words
        assert sheet.y0 <= box.y0 <= box.y1 <= sheet.y1, words
    # The boxes of slanted labels overlap where their letters do not.
    upright = [(words, box) for text, (words, box) in zip(shown, boxes, strict=True) if text.get_rotation() == 0]
    x0, y0, x1, y1 = np.array([box.extents for _, box in upright]).T + 2 * np.array([[1], [1], [-1], [-1]])
    over = (x0[:, None] < x1) & (x0 < x1[:, None]) & (y0[:, None] < y1) & (y0 < y1[:, None])
    assert [(upright[i][0], upright[j][0]) for i, j in np.argwhere(over) if i < j] == []
    width, height = figure.get_size_inches()
    assert width == pytest.approx(7.2)
    assert height < 11
    assert drawing.page.axes[0][1].get_position().width > 0.49  # of the page


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 2, 3, 5, 26, 60])
@pytest.mark.parametrize("verdict", ["same", "of the choice", "another each time"])
def test_hardly_any_readings_make_a_picture_all_the_same(count, verdict):
    """Of a choice with as many values as readings nothing is known; one that decides everything is known for sure."""
    rows = [
        {
            "reading": name,
            "kind": name.split("-")[0],
            "size": "reduced",
            "choice:many": f"value {number if number else 1}",
            "choice:two": "ab"[number % 2],
            "study": "s",
            "claim": "one",
            "cell": "s/one",
            "mark": "stated",
            "seeds": 1,
            "verdict": VERDICTS[
                {"same": 1, "of the choice": 2 * (number % 2), "another each time": number % 3}[verdict]
            ],
        }
        for number, name in enumerate(["primary", *(f"random-{each}" for each in range(count))])
    ]
    table = pd.DataFrame(rows)
    found = choices(table)
    assert found["v"].dropna().between(0, 1).all()
    with theme():
        drawing = picture(table, claims(table), found)
        drawing.page.canvas.draw()
    means = [text.get_text() for text in drawing.page.axes[0][1].texts if text.get_position()[1] == 0]
    assert all(0 <= float(mean) <= 1 for mean in means)
    if count == 60 and verdict == "of the choice":
        assert "1" in means  # and not ".00"
