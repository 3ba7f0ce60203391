"""Words in figures: none covers another or leaves the page, all are drawn as they are written, in letters or said."""

from __future__ import annotations

import itertools
import subprocess
import sys
import unicodedata
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from degenerate import caption, drawing, planned, stored
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure
from pydantic import ValidationError

from byzcode.errors import UserError
from byzcode.figures.fit import Ruler
from byzcode.figures.line_words import in_panels
from byzcode.figures.style import theme, value_words
from byzcode.figures.words import in_plain
from byzcode.studies import letters
from byzcode.studies.alternatives import Alternatives
from byzcode.studies.checks import check_places
from byzcode.studies.study import Reading, Study
from byzcode.studies.texts import unreadable

ATTACKS = [
    "gaussian",
    {"name": "sign_flip", "coefficient": -1.23456789, "of": "honest_mean"},
    "alie_search",
    "ipm_search",
    "sample_duplicating",
    "label_flip",
    "constant",
    "mimic",
]
PLOTS = {
    "columns": {"kind": "trajectories", "columns": "attack", "caption": "c"},
    "rows": {"kind": "trajectories", "rows": "attack", "y": "largest_heterogeneity", "caption": "c"},
    "both": {"kind": "trajectories", "columns": "attack", "rows": "step_size", "x": "bits_sent", "caption": "c"},
    "hue": {"kind": "trajectories", "hue": "attack", "columns": "step_size", "caption": "c"},
    "x": {"kind": "sweep", "x": "attack", "columns": "step_size", "caption": "c"},
    "panels": {"kind": "sweep", "x": "step_size", "columns": "attack", "caption": "c"},
    "bounds": {"kind": "bounds", "x": "attack", "caption": "c"},
    "heat": {"kind": "heatmap", "x": "attack", "rows": "step_size", "caption": "c"},
    "tiles": {"kind": "heatmap", "x": "step_size", "columns": "attack", "caption": "c"},
    "stacked": {"kind": "heatmap", "x": "step_size", "rows": "attack", "caption": "c"},
    "beside": {"kind": "bounds", "x": "step_size", "columns": "attack", "caption": "c"},
}


def texts_of(drawn):
    """The texts that are drawn, with their boxes; of ticks those within the limits of their axes."""
    figure = drawn.page.figure
    drawn.page.canvas.draw()
    shown = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        shown += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
            shown += [label for place, label in ticks if low <= place <= high]
    renderer = drawn.page.ruler._renderer
    seen = [text for text in shown if text.get_visible() and text.get_text().strip()]
    return [(text, text.get_window_extent(renderer)) for text in seen]


def everything_fits(drawn):
    """No text leaves the page, and no two upright ones, or two at an axis, overlap."""
    sheet, found = drawn.page.figure.bbox.padded(2), texts_of(drawn)
    for text, box in found:
        assert sheet.x0 <= box.x0 <= box.x1 <= sheet.x1, text.get_text()
        assert sheet.y0 <= box.y0 <= box.y1 <= sheet.y1, text.get_text()
    for angle in (0, 90):
        upright = [(text.get_text(), box) for text, box in found if text.get_rotation() == angle]
        for (one, here), (other, there) in itertools.combinations(upright, 2):
            assert not here.padded(-2).overlaps(there.padded(-2)), (one, other)
    slanted = [text for text, _ in found if text.get_rotation() == 30]
    for axes in {text.axes for text in slanted}:
        labels = [text for text in slanted if text.axes is axes]
        lines = max(text.get_text().count("\n") + 1 for text in labels)
        places = sorted(text.get_transform().transform(text.get_position())[0] for text in labels)
        height = lines * labels[0].get_fontsize() / 72 * drawn.page.figure.dpi
        assert len(places) < 2 or np.diff(places).min() * np.sin(np.radians(30)) >= height


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Studies of one key and of two, each with its results."""

    def made(grid):
        results = tmp_path_factory.mktemp("long")
        curves = [{"label": "falling", "grid": grid}]
        return stored(planned({"curves": curves, "plots": PLOTS, "base": {"devices": 10}}), results), results

    return {1: made({"attack": ATTACKS}), 2: made({"attack": ATTACKS, "step_size": [0.123456789, 0.5]})}


@pytest.mark.parametrize("name", PLOTS)
def test_long_titles_and_names_are_broken_into_lines(long, name):
    drawn = drawing(*long[2 if "step_size" in PLOTS[name].values() else 1], name)
    everything_fits(drawn)
    said = " ".join(text.get_text() for text, _ in texts_of(drawn)).replace("\n", " ")
    assert "\N{MINUS SIGN}1.23456789, of honest mean" in said


def test_many_values_side_by_side_are_named_in_part_and_the_caption_says_so(tmp_path):
    values = [{"name": "gaussian", "scale": 0.1 + number / 7} for number in range(60)]
    study = planned({"curves": [{"label": "falling", "grid": {"attack": values}}], "plots": {"x": PLOTS["bounds"]}})
    drawn = drawing(stored(study, tmp_path), tmp_path, "x")
    everything_fits(drawn)
    assert "Only one in " in caption(drawn)


SIGNS = [
    "cost $5 and $6",
    "cost $5",
    "$x^2$",
    "$",
    "$$",
    "\\",
    "a\\$b",
    "\\$",
    "\\frac{1}{2} $\\frac{1}$",
    "_hidden",
    "a_b^c",
    "100 % #1 & <b> {x}",
    "--> -",
]


def test_labels_title_and_caption_are_drawn_as_they_are_written(tmp_path):
    curves = [{"label": label, "message_bits": 1 + place} for place, label in enumerate(SIGNS)]
    said = " ".join(SIGNS)
    plots = {name: {**PLOTS["columns"], "columns": None, "caption": said} for name in ("lines",)}
    study = planned({"title": said, "curves": curves, "plots": plots, "paper": PAPER | {"source": said}})
    for member, label in zip(study.members, SIGNS, strict=True):
        assert member.curve.label == label
    drawn = drawing(stored(study, tmp_path), tmp_path, "lines")
    everything_fits(drawn)
    with theme(), mpl.rc_context({"svg.fonttype": "none"}):
        drawn.page.figure.savefig(tmp_path / "text.svg")
    written = ["".join(element.itertext()) for element in ET.parse(tmp_path / "text.svg").iter() if _is_text(element)]
    assert [label for label in SIGNS if label not in written] == []
    assert said in " ".join(written)


def _is_text(element):
    return str(element.tag).endswith(("}text", "}tspan"))


PAPER = {"source": "s", "figure": "f", "reported": "r", "mark": "stated"}


def test_words_without_a_space_are_broken_where_a_line_ends(tmp_path):
    curves = [{"label": "W" * 60}, {"label": "$" * 60, "message_bits": 2}]
    plots = {"lines": {"kind": "trajectories", "caption": "x" * 2000}}
    plots |= {"heat": {"kind": "heatmap", "x": "redundancy", "caption": "x" * 2000}}
    study = planned({"title": "M" * 200, "curves": curves, "plots": plots, "paper": PAPER | {"source": "i" * 2000}})
    everything_fits(drawing(stored(study, tmp_path), tmp_path, "heat"))
    drawn = drawing(study, tmp_path, "lines")
    everything_fits(drawn)
    title, below = drawn.page.figure.texts[:2]
    assert title.get_text().replace("\n", "") == "M" * 200
    assert "x" * 2000 in below.get_text().replace("\n", "")


@pytest.fixture
def ruler():
    figure = Figure(dpi=300)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return Ruler(FigureCanvasAgg(figure).get_renderer(), figure.dpi)


def test_lines_are_no_longer_than_their_room_and_lose_nothing(ruler):
    said = r"the $r$ = 4 of \$5, $\|a b\|$ and a verylongwordthatdoesnotfit\$here"
    for room in (0.3, 0.5, 1.0, 3.0):
        lines = ruler.wrapped(said, room, 9, math=True).split("\n")
        assert "".join(lines).replace(" ", "") == said.replace(" ", "")
        assert all(ruler.width(line, 9, math=True) <= room for line in lines if r"\|" not in line)
        assert not [line for line in lines if line.startswith("$ ") or line.endswith("\\")]
    assert ruler.wrapped("a b c d e f", 0.01, 9, most=2).endswith("\N{HORIZONTAL ELLIPSIS}")
    assert ruler.wrapped("e\u0301" * 9, 0.2, 9).count("\n\u0301") == 0
    stops = ruler.wrapped("\u4e2d\u6587\uff0c" * 40, 1.0, 9).split("\n")
    assert len(stops) > 1
    assert not [line for line in stops if line.startswith("\uff0c")]


def test_numbers_that_differ_have_different_words():
    values = [0.1, 0.1 + 1e-9, 1234567, 1234568, 1e-300, 2, -3.0]
    assert len({value_words("step_size", value) for value in values}) == len(values)
    assert value_words("step_size", 0.5) == "0.5"
    assert value_words("pre_aggregation", "none") != value_words("attack", "none")


# Letters

CHINESE = "\u4e2d\u6587"


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    """What is installed, as far as figures know; forgotten at the end."""
    paths: list[str] = []
    before = list(font_manager.fontManager.ttflist)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_, **__: list(paths))
    letters._fonts_for.cache_clear()
    yield paths
    letters._fonts_for.cache_clear()
    font_manager.fontManager.ttflist[:] = before
    font_manager._findfont_cached = getattr(font_manager, "_findfont_cached", None)


def made_font(path, name, signs):
    """A font in which some signs are triangles."""
    names = [".notdef", *(f"sign{ord(sign):X}" for sign in signs)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(sign): f"sign{ord(sign):X}" for sign in signs})
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((800, 0))
    pen.lineTo((400, 800))
    pen.closePath()
    glyph = pen.glyph()
    builder.setupGlyf(dict.fromkeys(names, glyph))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (900, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


def test_the_letters_that_pass_for_plain_are_in_the_bundled_fonts():
    for first, last in letters._PLAIN:
        for number in range(max(first, 0xA0), last + 1):
            known = unicodedata.category(chr(number)) not in ("Cn", "Cc", "Cf", "Zl", "Zp")
            assert not known or chr(number) in letters._bundled(), f"U+{number:04X}"


def test_plain_text_does_not_load_matplotlib():
    program = (
        "import sys; from byzcode.studies.letters import fonts_for;"
        "assert fonts_for(['\u00e9\u0142 \u03b1\u2264\u2211 \u042f $']).missing == '';"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_font_that_has_the_letters_is_used_and_others_are_told(fonts, tmp_path):
    assert letters.fonts_for(["plain", CHINESE]) == ((), CHINESE)
    letters._fonts_for.cache_clear()
    fonts += [made_font(tmp_path / "a.ttf", "First", CHINESE[0]), made_font(tmp_path / "b.ttf", "Both", CHINESE)]
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    fonts.append(str(tmp_path / "broken.ttf"))
    assert letters.fonts_for([CHINESE, "plain"]) == (("Both",), "")
    assert letters.fonts_for([CHINESE + "\u05d0\u0f40"]) == (("Both",), "\u0f40")  # DejaVu has Hebrew


@pytest.mark.parametrize("installed", [False, True])
def test_a_figure_has_the_letters_or_says_that_they_are_boxes(installed, fonts, tmp_path):
    if installed:
        fonts.append(made_font(tmp_path / "han.ttf", "Han", CHINESE))
    plots = {"lines": {"kind": "trajectories", "caption": CHINESE}}
    study = planned({"title": CHINESE, "curves": [{"label": CHINESE}], "plots": plots})
    results = tmp_path / "results"
    with theme():
        drawn = drawing(stored(study, results), results, "lines")
        assert ("Han" in mpl.rcParams["font.family"]) is False  # as it was, once the figure is drawn
        drawn.save(tmp_path / "figure")
    told = "Boxes: no installed font has U+4E2D U+6587, so figures show boxes; install a font that has them"
    assert (told in caption(drawn)) is not installed
    assert [bool(unreadable(study.study, "a.yaml"))] == [not installed]
    families = {font for text in drawn.page.figure.texts for font in text.get_fontfamily()}
    assert ("Han" in families) is installed


def test_the_plan_names_file_key_text_and_letters(fonts):
    study = planned(
        {
            "title": CHINESE,
            "curves": [{"label": f"A {CHINESE[0]}"}],
            "plots": {"p": {"kind": "variance", "caption": f"{CHINESE}\u0f40\u0f41\u0f42"}},
            "paper": PAPER | {"figure": CHINESE},
        }
    )
    said = unreadable(study.study, "a.yaml")
    assert [line.partition(" = ")[0] for line in said] == [
        "a.yaml: title",
        "a.yaml: curves[0].label",
        "a.yaml: plots.p.caption",
        "a.yaml: paper.figure",
    ]
    assert all("no installed font has U+" in line and "install" in line and "\n" not in line for line in said)
    assert "U+0F40 U+0F41 U+0F42 and 2 more letters" in said[2]
    assert said[0].endswith("such as Noto Sans CJK")


# What no file can hold

FORBIDDEN = ["\0", "\x07", "\x7f", "\x85", "\ud800", "\ufffe", "\uffff", "\ufdd0", "\U0001fffe", "\U0010ffff", "\u202e"]
FORBIDDEN += ["\u2066", "\u2028", "\r", "\t"]
TEXTS = [
    ("title",),
    ("paper", "source"),
    ("paper", "figure"),
    ("paper", "reported"),
    ("curves", 0, "label"),
    ("curves", 0, "style"),
    ("curves", 0, "attack"),
    ("base", "dtype"),
    ("grid", "attack", 0),
    ("plots", "p", "caption"),
    *(("claims", 0, key) for key in ("says", "source", "confirms", "refutes")),
    ("claims", 0, "curve"),
    ("claims", 0, "where", "attack"),
    ("claims", 1, "reason"),
]
WORDS = {"says": "s", "source": "s", "mark": "stated"}
STUDY = {
    "study": "a",
    "title": "t",
    "paper": PAPER,
    "base": {"dtype": "float64"},
    "grid": {"attack": ["none"]},
    "curves": [{"label": "A", "style": "ma", "attack": "none"}],
    "plots": {"p": {"kind": "variance", "caption": "c"}},
    "claims": [
        {"claim": "one", "test": "predicted", "margin": 2, "curve": "A", "where": {"attack": "none"}, **WORDS}
        | {"confirms": "c", "refutes": "r"},
        {"claim": "two", "test": "open", "reason": "r", **WORDS},
    ],
}


def with_value(values, path, value):
    head, *rest = path
    copy = dict(values) if isinstance(values, dict) else list(values)
    copy[head] = with_value(copy[head], rest, value) if rest else value
    return copy


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_no_text_of_a_study_holds_what_xml_cannot(path):
    Study.model_validate(STUDY)
    for sign in FORBIDDEN:
        with pytest.raises(ValidationError, match=rf"U\+{ord(sign):04X}|unicode string"):
            Study.model_validate(with_value(STUDY, path, f"a{sign}b"))


def test_nor_do_readings_and_alternatives():
    choice = {"key": "step_size", "value": "v", "mark": "stated", "reason": "r"}
    reading = {"reading": "r", "title": "t", "choices": [choice]}
    other = {"name": "n", "set": {"aggregation": "median"}, "reason": "r"}
    alternatives = {"choices": [{"choice": "c", "title": "t", "primary": "p", "others": [other]}]}
    for sign, (model, values, path) in itertools.product(
        FORBIDDEN,
        [
            (Reading, reading, ("title",)),
            (Reading, reading, ("choices", 0, "reason")),
            (Reading, reading, ("choices", 0, "value")),
            (Alternatives, alternatives, ("choices", 0, "title")),
            (Alternatives, alternatives, ("choices", 0, "primary")),
            (Alternatives, alternatives, ("choices", 0, "others", 0, "name")),
            (Alternatives, alternatives, ("choices", 0, "others", 0, "set", "aggregation")),
        ],
    ):
        model.model_validate(values)
        with pytest.raises(ValidationError, match=rf"U\+{ord(sign):04X}|unicode string"):
            model.model_validate(with_value(values, path, f"a{sign}b"))


@pytest.mark.parametrize("blank", ["", " ", "\u200b", "\u00a0\u2060", "\ufeff"])
def test_a_label_of_which_nothing_is_seen_is_blank(blank):
    with pytest.raises(ValidationError):
        Study.model_validate(with_value(STUDY, ("curves", 0, "label"), blank))


@pytest.mark.parametrize("sign", ["\u200f", "\u4e2d", "\U0001f600", "\u0645", "\u0301", "\ue000", "\ufffd"])
def test_other_signs_are_text(sign):
    assert Study.model_validate(with_value(STUDY, ("title",), f"a{sign}b")).title == f"a{sign}b"


def test_a_refusal_is_one_line():
    study = planned({"curves": [{"label": "A"}], "plots": {"p": {"kind": "variance", "caption": "c"}}})
    check_places(study, "p")
    from byzcode.specs.parsing import parse

    with pytest.raises(
        UserError, match=r"a.yaml: title = 'a\\ufffeb': contains U\+FFFE, which is not a character"
    ) as error:
        parse(Study, with_value(STUDY, ("title",), "a\ufffeb"), "a.yaml")
    assert str(error.value).isprintable()


# Panels in sentences

GRID = [("median", "D = 0"), ("median", "D = 1"), ("Phocas", "D = 0"), ("Phocas", "D = 1")]


def test_panels_are_named_by_rows_or_columns_where_these_suffice():
    assert in_panels(GRID[:1], GRID[:1]) == ""
    assert in_panels(GRID, GRID) == " in every panel"
    assert in_panels(GRID[2:], GRID) == " in Phocas"
    assert in_panels(GRID[::2], GRID) == " in D = 0"
    assert in_panels([GRID[0], GRID[3]], GRID) == " in median with D = 0 and Phocas with D = 1"


def test_titles_lose_their_markup_in_sentences():
    assert in_plain(r"$\sigma_H$ = 0.25") == "\N{GREEK SMALL LETTER SIGMA}_H = 0.25"
    assert in_plain(r"$\eta L$ = 1") == "\N{GREEK SMALL LETTER ETA}L = 1"
    assert in_plain("trimmed mean") == "trimmed mean"
