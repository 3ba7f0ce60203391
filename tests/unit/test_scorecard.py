"""The scorecard: every test of a claim is on the page, as text, at its place."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner
from unit.fake_claims import HOSTILE, LONG, VERSIONS, table, unjudged
from vouched import vouched

from byzcode.analysis.marks import VERDICTS, verdicts
from byzcode.cli import app
from byzcode.errors import UserError
from byzcode.pages.thumbnails import Thumbnail
from byzcode.scorecard import words
from byzcode.scorecard.axis import Axis, Interval
from byzcode.scorecard.page import page, write
from byzcode.scorecard.table import NUMBERS, TEXTS, read

INF, NAN = math.inf, math.nan
NO_BAND = (NAN, NAN)


class Parsed(HTMLParser):
    """A page: its elements with their attributes and texts, refused where its tags are not closed in order."""

    VOID = {"meta", "link", "img"}

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.source = text
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), "an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All that is said, in one line."""
        return " ".join(" ".join(self.texts).split())

    def with_class(self, name: str) -> list[tuple[str, dict[str, str | None]]]:
        """The elements of a class."""
        return [one for one in self.elements if name in (one[1].get("class") or "").split()]

    def values(self, attribute: str) -> list[str]:
        """All values of an attribute."""
        return [value for _, attributes in self.elements if (value := attributes.get(attribute)) is not None]


@pytest.fixture(scope="module")
def text() -> str:
    return page(table(), reading="The <primary> reading", versions=VERSIONS)


@pytest.fixture(scope="module")
def parsed(text: str) -> Parsed:
    return Parsed(text)


# What is on the page.


def test_every_test_is_a_row_with_its_verdict(parsed: Parsed) -> None:
    shown = [attributes["class"] for _, attributes in parsed.with_class("verdict")]

    assert Counter(shown) == Counter(f"verdict {verdict}" for verdict in table()["verdict"])
    assert len(parsed.with_class("interval")) == (table()["test"] != "open").sum()


@pytest.mark.parametrize(
    "column", [name for name in TEXTS if name not in {"cell", "test", "tested", "unit", "runs", "claim"}]
)
def test_every_text_is_said(parsed: Parsed, column: str) -> None:
    said = set(parsed.texts) | {parsed.text}

    for value in table()[column]:
        shown = words.place(value) if column == "place" else value
        assert any(shown in one for one in said)


def test_every_run_is_named_with_the_command_that_trains_it(parsed: Parsed) -> None:
    for runs in table()["runs"]:
        if HOSTILE not in runs:
            paths = "".join(f" results/trajectories/{run}.nc" for run in runs.split())
            assert not runs or f"snakemake --cores all results/scorecard.html --forcerun{paths}" in parsed.texts
    for study in set(table()["study"]):
        assert f"snakemake --cores all results/scorecard.html --forcerun results/claims/{study}.csv" in parsed.texts


def test_verdicts_are_counted_over_all_and_over_the_stated(parsed: Parsed) -> None:
    cells = table()
    wanted = [
        str((found["verdict"] == verdict).sum())
        for found in (cells[(cells["mark"] == "stated") & (cells["kind"] == "empirical")], cells)
        for verdict in VERDICTS
    ]

    assert f"{len(cells)} tests of" in parsed.text
    said = re.search(r"stated empirical, by a source (\d+) (\d+) (\d+) .*? all (\d+) (\d+) (\d+)", parsed.text)
    assert said
    assert list(said.groups()) == wanted


def test_verdicts_are_at_the_level_that_the_page_says(parsed: Parsed) -> None:
    said = re.search(r"at ([\d.]+) % for all of them together", parsed.text)
    assert said
    level = float(said[1]) / 100
    sides = [(0.49 * level, 1.0), (0.51 * level, 1.0), (1.0, 0.49 * level)]  # of one test, both corrected for two
    for p, wanted in zip(sides, ["supported", "undecided", "refuted"], strict=True):
        row = table().query("test != 'open'").iloc[:1].assign(p_support=p[0], p_refute=p[1])
        assert list(verdicts(row)["verdict"]) == [wanted]


def test_versions_and_reading_are_said(parsed: Parsed) -> None:
    assert "The <primary> reading" in parsed.text
    for name, found in VERSIONS.items():
        assert f"{name} {found}" in parsed.text.replace("\N{NO-BREAK SPACE}", " ")


def test_what_the_user_wrote_is_text_and_nothing_else(text: str, parsed: Parsed) -> None:
    assert HOSTILE in parsed.texts
    assert LONG in parsed.texts
    assert not {tag for tag, _ in parsed.elements} & {"script", "iframe", "img"}
    assert text.count("</style>") == 1
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]


def test_the_page_needs_nothing_else(parsed: Parsed) -> None:
    linked = set(parsed.values("href")) | set(parsed.values("src"))
    local = {one for one in linked if one.startswith("#")}

    assert {one[1:] for one in local} <= set(parsed.values("id"))
    assert linked - local >= {"scorecard.csv", "index.html"}
    pages = r"(index|scorecard)\.html|scorecard\.csv"
    assert all(re.fullmatch(rf"figures/[\w%.~-]+\.svg|{pages}|data:,", one) for one in linked - local)
    assert "default-src 'none'" in " ".join(parsed.values("content"))
    assert parsed.values("id") == list(dict.fromkeys(parsed.values("id")))


def test_every_drawing_is_also_said_in_words(parsed: Parsed) -> None:
    said = [attributes["aria-label"] for _, attributes in parsed.with_class("interval")]

    assert "ratio of plateaus 0.310; 95 % interval 0.298 to 0.322; neutral at 1" in said
    tiny = "1.00e-12; 95 % interval < 1e-12 to 1.00e-11".replace("-", "\N{MINUS SIGN}")
    assert f"ratio of plateaus {tiny}; neutral at 1" in said
    assert "ratio of plateaus 0.931; 95 % interval 0.850 to 1.02; equivalent from 0.8 to 1.25" in said
    assert "ratio of plateaus none; 95 % interval no interval; neutral at 1" in said


def test_tables_keep_their_roles_when_they_are_shown_as_cards(parsed: Parsed) -> None:
    tables = [attributes for tag, attributes in parsed.elements if tag in {"table", "thead", "tbody", "tr", "th", "td"}]

    assert all(attributes.get("role") for attributes in tables)


def test_cells_that_differ_in_what_refutes_them_are_shown_apart() -> None:
    rows = table().iloc[:2].assign(refutes=["The one.", "The other."])

    parsed = Parsed(page(rows, reading="", versions={}))

    assert {"The one.", "The other."} <= set(parsed.texts)
    assert len([tag for tag, _ in parsed.elements if tag == "article"]) == 2


def summary(parsed: Parsed) -> dict[str, list[int]]:
    """The rows of the summary: a label and the numbers after it."""
    rows = re.split(r"<tr", parsed.source.partition("<table")[2].partition("</table>")[0])[2:]
    texts = [Parsed(f"<tr{row.partition('</tr>')[0]}</tr>") for row in rows]
    return {
        row.texts[1] if row.texts[0] in "\n" else row.texts[0]: [int(one) for one in row.texts if one.isdigit()]
        for row in texts
    }


def test_the_summary_counts_every_study(parsed: Parsed) -> None:
    counted = summary(parsed)

    for study, cells in table().groupby("study"):
        assert counted[study][:3] == [int((cells["verdict"] == verdict).sum()) for verdict in VERDICTS]
    assert list(counted) == ["empirical", "stated", "law", "all", *dict.fromkeys(table()["study"])]


def test_kinds_marks_and_other_verdicts_are_shown() -> None:
    more = {
        "kind": "identity",
        "fragile": "",
        "verdict_missing_against": "undecided",
        "warning": "a control passed",
        "verdict_heldout": "supported",
    }
    rows = table().head(4).assign(verdict="supported", **more)
    rows.iloc[:3, rows.columns.get_loc("kind")] = "empirical"
    rows.iloc[0, rows.columns.get_loc("fragile")] = "p near the edge"

    shown = Parsed(page(rows, reading="", versions={}))

    counted = summary(shown)
    assert list(counted)[:4] == ["empirical", "stated", "identity", "all"]
    assert counted["empirical"] == [3, 0, 0, 1, 0, 3]
    assert counted["identity"] == [1, 0, 0, 0, 0, 1]
    assert "fragile: p near the edge" in shown.texts
    assert shown.text.count("held-out seeds : supported") == 4
    assert shown.text.count("missing seeds against it : undecided") == 4
    assert shown.texts.count("a control passed") == 4
    assert "Kind of claim: identity" in shown.texts


def test_effects_of_a_kind_stand_on_one_axis() -> None:
    rows = table().iloc[[0, 1, 2]].assign(unit=["ratio of plateaus", "ratio of losses at the end", "exponent"])
    found = Parsed(page(rows.assign(claim=["a", "b", "c"]), reading="", versions={}))

    scales = re.findall(r'<svg class="scale".*?</svg>', found.source, re.DOTALL)

    assert len(scales) == 4  # one in the summary, one for each claim
    assert len(set(scales[:3])) == 1
    assert scales[3] != scales[0]


def test_figures_are_shown_with_links_to_the_gallery() -> None:
    rows = table().query("study == 'cra-a'")
    pictures = {"cra-a-excess": Thumbnail("data:image/png;base64,AAAA", 320, 240)}

    found = Parsed(page(rows, reading="", versions={}, labels={"cra-a": "CRA-A"}, pictures=pictures))

    images = [attributes for tag, attributes in found.elements if tag == "img"]
    assert [(image["src"], image["width"], image["alt"]) for image in images] == [
        (pictures["cra-a-excess"].address, "320", "")
    ]
    assert "index.html#figure-cra-a-excess" in found.values("href")
    assert "CRA-A:" in found.texts


def test_commands_name_the_configuration() -> None:
    found = page(table().head(1), reading="", versions={}, configured=["config/my own.yaml"])

    commands = re.findall(r'<code class="command">(.*?)</code>', found)
    assert len(commands) == 2
    assert all(command.endswith(" --configfile &#39;config/my own.yaml&#39;") for command in commands)


def test_no_claim_at_all_is_a_page_too() -> None:
    assert "0 tests of 0 claims" in Parsed(page(table().iloc[:0], reading="", versions={})).text


def _luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_letters_and_marks_stand_out_in_every_scheme() -> None:
    style = (files("byzcode.pages") / "theme.css").read_text(encoding="utf-8")
    schemes = [
        dict(re.findall(r"--(\w+): (#\w+);", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]

    assert len(schemes) == 3
    for scheme in schemes:
        full = {
            name: "#" + "".join(2 * c for c in color[1:]) if len(color) == 4 else color
            for name, color in scheme.items()
        }
        for name in ("ink", "soft", "link", *VERDICTS):
            for ground in ("paper", "tint"):
                dark, light = sorted(_luminance(full[one]) for one in (name, ground))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)


# Numbers.


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.42, "0.420"),
        (1, "1.00"),
        (12.34, "12.3"),
        (123.4, "123"),
        (999.7, "1000"),
        (4321, "4321"),
        (54321, "5.43e4"),
        (1e6, "1.00e6"),
        (1.1e12, "> 1e12"),
        (INF, "\N{INFINITY}"),
        (0, "0"),
        (0.00123, "0.00123"),
        (0.000123, "1.23e\N{MINUS SIGN}4"),
        (2.4e-9, "2.40e\N{MINUS SIGN}9"),
        (1e-13, "< 1e\N{MINUS SIGN}12"),
        (-0.4, "\N{MINUS SIGN}0.400"),
        (-1e-13, "> \N{MINUS SIGN}1e\N{MINUS SIGN}12"),
        (-1e13, "< \N{MINUS SIGN}1e12"),
        (-INF, "\N{MINUS SIGN}\N{INFINITY}"),
        (NAN, "none"),
    ],
)
def test_numbers_in_words(value: float, said: str) -> None:
    assert words.number(value) == said


def test_chances_and_counts_in_words() -> None:
    assert [words.probability(p) for p in (0.031, 1e-9, NAN)] == ["p = 0.0310", "p < 1e\N{MINUS SIGN}6", "no p"]
    assert [words.of(17, 20), words.of(20, 20), words.of(NAN, 20)] == ["17 of 20", "20", "0 of 20"]


# Axes.


def cells(*effects: float, spread: float = 1.1, **more: float) -> pd.DataFrame:
    """Cells with these effects."""
    rows = pd.DataFrame({"effect": effects, "low": np.array(effects) / spread, "high": np.array(effects) * spread})
    return rows.assign(**{"neutral": 1.0, "band_low": NAN, "band_high": NAN, **more})


def test_ratios_stand_on_a_logarithmic_axis() -> None:
    axis = Axis.of(cells(0.1, 0.5, 4))

    assert axis.log
    assert axis.at(0.5) - axis.at(0.25) == pytest.approx(axis.at(2) - axis.at(1), abs=2e-4)
    assert axis.low < 0.1 / 1.1 < 4 * 1.1 < axis.high


def test_exponents_stand_on_a_linear_axis() -> None:
    axis = Axis.of(cells(0.4, 1.2, neutral=0.0))

    assert not axis.log
    assert axis.at(1) - axis.at(0.5) == pytest.approx(axis.at(0.5) - axis.at(0), abs=2e-4)
    assert not Axis.of(cells(-0.4, 1.2)).log


def test_a_few_extreme_cells_do_not_flatten_the_others() -> None:
    usual = [0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.4, 1.5] * 2

    axis = Axis.of(cells(*usual, 1e-12, 0.0, INF, 1e9))

    assert axis.high / axis.low < 10


@pytest.mark.parametrize("effects", [(), (NAN,), (INF, 0.0), (1e-12,) * 9, (1e12,) * 9, (1.0,), (0.01, 100)])
def test_every_axis_shows_its_neutral_value_and_has_ticks(effects: tuple[float, ...]) -> None:
    axis = Axis.of(cells(*effects)) if effects else Axis.of(cells(1.0).iloc[:0])

    assert axis.beyond(1) == 0
    assert 0.9e-3 < axis.low < axis.high < 1.2e3
    assert 2 <= len(axis.ticks) <= 6
    assert all(0 <= tick.place <= 1 for tick in axis.ticks)
    assert len({tick.label for tick in axis.ticks}) == len(axis.ticks)
    assert np.diff([tick.place for tick in axis.ticks]).min() > 0.1


@pytest.mark.parametrize(
    ("effect", "low", "high", "expected"),
    [
        (0.5, 0.4, 0.6, (0, True, ())),
        (0.5, 0.0, 0.6, (0, True, (-1,))),
        (5.0, 0.4, INF, (0, True, (1,))),
        (1.0, 0.0, INF, (0, True, (-1, 1))),
        (1e-9, 1e-10, 1e-8, (-1, False, ())),
        (INF, 2.0, INF, (1, True, (1,))),
        (1e9, 1e8, 1e10, (1, False, ())),
        (0.5, NAN, NAN, (0, False, ())),
    ],
)
def test_what_leaves_the_axis_becomes_an_arrow(effect: float, low: float, high: float, expected: Any) -> None:
    drawn = Interval.of(Axis.of(cells(0.1, 10)), effect, low, high, 1.0, NO_BAND)

    assert (drawn.outside, drawn.line is not None, drawn.arrows) == expected


def test_what_there_is_not_is_not_drawn() -> None:
    drawn = Interval.of(Axis.of(cells(0.1, 10)), NAN, NAN, NAN, NAN, (0.8, 1.25))

    assert (drawn.point, drawn.line, drawn.neutral) == (None, None, None)
    assert drawn.band is not None
    assert drawn.band[0] < drawn.band[1]


# Files.


def stored(folder: Path) -> dict[str, Any]:
    """The evidence of the studies as the workflow stores it, and the request for their scorecard."""
    evidence = unjudged()
    for study, rows in evidence.groupby("study", sort=False):
        (folder / "claims").mkdir(exist_ok=True)
        rows.to_csv(folder / "claims" / f"{study}.csv", index=False)
        vouched(folder / "claims" / f"{study}.csv", "claims")
    return {"studies": list(dict.fromkeys(evidence["study"])), "reading": "The primary reading"}


def test_a_stored_table_is_read_as_it_was(tmp_path: Path) -> None:
    stored(tmp_path)
    expected = table().query("study == 'cra-d'").reset_index(drop=True)

    found = read(tmp_path / "claims" / "cra-d.csv")

    for name in TEXTS:
        assert list(found[name]) == list(expected[name])
    for name in NUMBERS:
        np.testing.assert_allclose(found[name], expected[name].astype(float), rtol=1e-12)


def test_labels_that_look_like_nothing_are_labels(tmp_path: Path) -> None:
    table().iloc[:2].assign(against=["NA", "None"]).to_csv(tmp_path / "x.csv", index=False)

    assert list(read(vouched(tmp_path / "x.csv", "claims"))["against"]) == ["NA", "None"]


def test_the_command_writes_the_page_and_the_table(tmp_path: Path) -> None:
    asked = json.dumps(stored(tmp_path))

    ended = CliRunner().invoke(
        app, ["scorecard", "--request", asked, "--results", str(tmp_path), "--out", str(tmp_path / "scorecard")]
    )

    assert ended.exit_code == 0, ended.output
    written = pd.read_csv(tmp_path / "scorecard.csv")
    shown = Parsed((tmp_path / "scorecard.html").read_text(encoding="utf-8")).with_class("verdict")
    assert Counter(f"verdict {verdict}" for verdict in written["verdict"]) == Counter(one["class"] for _, one in shown)
    assert list(written["cell"]) == [
        cell for study in stored(tmp_path)["studies"] for cell in table().query("study == @study")["cell"]
    ]
    assert written["version_byzcode"].nunique() == written["version_engine_digest"].nunique() == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("claims", "scorecard.csv", "scorecard.html", "scorecard.sha256")
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), "cra-a.csv: no such file"),
        (lambda path: path.write_text(""), "cra-a.csv: truncated: it is empty"),
        (lambda path: path.write_text("a,b\n1,2\n"), "cra-a.csv: not a table of claims: column 'study' is missing"),
        (
            lambda path: path.write_text(path.read_text().replace(",0.31,", ",much,", 1)),
            "cra-a.csv: not a table of claims: could not convert string to float: 'much'",
        ),
    ],
)
def test_a_foreign_table_is_refused_in_one_line(tmp_path: Path, change: Any, said: str) -> None:
    asked = stored(tmp_path)
    path = tmp_path / "claims" / "cra-a.csv"
    change(path)
    if path.exists():
        vouched(path, "claims")

    with pytest.raises(UserError) as refused:
        write(asked, tmp_path, tmp_path / "scorecard")

    assert str(refused.value) == f"{tmp_path}/claims/{said}"
    assert not (tmp_path / "scorecard.html").exists()


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("verdict", "verdict = 'likely': allowed: supported, refuted, undecided"),
        ("mark", "mark = 'likely': allowed: stated, inferred, unknown, derived"),
    ],
)
def test_unknown_words_are_refused(column: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        page(table().assign(**{column: "likely"}), reading="", versions={})


def test_a_request_without_studies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="studies"):
        write({"studies": [], "reading": ""}, tmp_path, tmp_path / "scorecard")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("attack.coefficient = -5, aggregation = phocas", "coefficient \N{MINUS SIGN}5, Phocas"),
        ("problem.dimension = 50, attack = sign_flip -2", "D = 50, sign flip \N{MINUS SIGN}2"),
        ("compression = random_k 0.1", "random-k 0.1"),
        ("a place of another program", "a place of another program"),
        ("", ""),
    ],
)
def test_a_place_is_in_words(keys: str, expected: str) -> None:
    assert words.place(keys) == expected
