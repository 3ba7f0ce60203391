"""The gallery: every figure of a plan once, in the order of the papers, with its verdicts and files.

The names of figures in Snakemake's report are the same.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import io
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from dag.small_results import byzcode, gallery, inside, make
from dag.test_scorecard_rules import CLAIMED
from docutils.core import publish_parts
from PIL import Image
from unit.fake_claims import table
from unit.test_scorecard import Parsed

from byzcode.errors import UserError
from byzcode.gallery import report
from byzcode.gallery.page import page
from byzcode.pages.thumbnails import Thumbnail, reduced, thumbnail
from byzcode.scorecard.table import VERDICTS
from byzcode.studies import papers
from byzcode.studies.gallery import first_sentence, gallery_json
from byzcode.studies.plan import Plan, load, load_plan_file
from byzcode.studies.requests import Gallery
from byzcode.studies.study import Study

PICTURE = Thumbnail("data:image/png;base64,AAAA", 560, 420)


class Cards(Parsed):
    """A gallery: its figures as elements with their attributes, and the texts and links of each."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        found = re.findall(r'<article class="card" id="figure-([\w-]+)"(.*?)</article>', text, re.DOTALL)
        self.names = [name for name, _ in found]
        self.cards = {name: Parsed(f"<article{rest}</article>") for name, rest in found}

    def data(self, name: str, key: str) -> list[str]:
        """What the filter compares."""
        [attributes] = [attributes for tag, attributes in self.cards[name].elements if tag == "article"]
        values: list[str] = json.loads(attributes[f"data-{key}"] or "")
        return values


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """A project with all its results."""
    root = tmp_path_factory.mktemp("gallery") / "project"
    root.mkdir()
    studies = copy.deepcopy(CLAIMED)
    for study, figure in (("lines", "loss"), ("sweep", "plateau")):
        for claim in studies[study]["claims"]:
            claim["figure"] = figure
    return root, make(root, studies)


@pytest.fixture(scope="module")
def small(made: tuple[Path, Plan]) -> Cards:
    """Its gallery."""
    return Cards((made[0] / "results/index.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shipped() -> Plan:
    """The plan of the project itself."""
    return load_plan_file()


@pytest.fixture(scope="module")
def full(shipped: Plan) -> Cards:
    """The gallery of the project itself, with claims that its figures show."""
    request = Gallery.model_validate_json(gallery_json(shipped))
    cells = table().query("study == 'cra-a'")
    return Cards(page(request, cells, dict.fromkeys(shipped.figures, PICTURE)))


# What is on the page.


def test_every_figure_of_the_plan_is_there_once(full: Cards, small: Cards, shipped: Plan, made: Any) -> None:
    assert len(full.names) == len(set(full.names)) == len(shipped.figures)
    assert set(full.names) == set(shipped.figures)
    assert set(small.names) == set(made[1].figures)
    for cards in (full, small):
        images = [attributes for tag, attributes in cards.elements if tag == "img"]
        assert len(images) == len(cards.names)
        assert all(image["alt"] and image["src"].startswith("data:image/png;base64,") for image in images)  # type: ignore[union-attr]


def test_studies_are_in_the_order_of_the_papers(full: Cards, shipped: Plan) -> None:
    headings = re.findall(r'<h3 id="title-[\w-]+"><span class="label">(.*?):</span>', full.source)
    ours = sorted(papers.label(one.study) for one in shipped.studies.values() if papers.group(one.study) == papers.OURS)

    assert headings[:10] == [f"CRA-{letter}" for letter in "ABCDEF"] + [f"LAD-{letter}" for letter in "ABCD"]
    assert headings[10:] == ours
    groups = re.findall(r'<h2 id="group-\d">(.*?)</h2>', full.source)
    assert groups == list(papers.GROUPS)
    assert re.findall(r'data-study="([\w-]+)"', full.source) == re.findall(
        r'<section class="study" id="([\w-]+)"', full.source
    )


def test_a_figure_has_the_papers_name_and_says_what_it_shows(full: Cards, shipped: Plan) -> None:
    for name, (planned, plot) in shipped.figures.items():
        said = full.cards[name].texts
        assert any(text.startswith(f"{papers.label(planned.study)}, {plot}") for text in said)
        assert first_sentence(planned.study.plots[plot].caption) in said


def test_links_lead_to_files(made: tuple[Path, Plan], small: Cards) -> None:
    root, plan = made
    links = [unquote(link) for link in small.values("href") if not link.startswith(("#", "data:"))]

    for link in links:
        assert (root / "results" / link.partition("#")[0]).is_file(), link
    for name, (planned, plot) in plan.figures.items():
        own = set(small.cards[name].values("href"))
        assert {f"figures/{name}.{suffix}" for suffix in ("pdf", "svg", "csv")} <= own
        assert f"../{planned.path}" in own
        trained = planned.study.plots[plot].kind != "allocation"
        stored = planned.run_ids(plot) if trained else planned.allocation_ids(plot)
        folder = "trajectories" if trained else "allocations"
        assert [link for link in small.cards[name].values("href") if link.endswith(".nc")] == [
            f"{folder}/{one}.nc" for one in stored
        ]


def test_links_to_claims_lead_to_their_places(made: tuple[Path, Plan], small: Cards) -> None:
    there = Parsed((made[0] / "results/scorecard.html").read_text(encoding="utf-8"))
    places = {unquote(link.partition("#")[2]) for link in small.values("href") if link.startswith("scorecard.html#")}
    back = {link.partition("#")[2] for link in there.values("href") if link.startswith("index.html#")}

    assert places
    assert places <= set(there.values("id"))
    assert back
    assert back <= set(small.values("id"))


def test_verdicts_are_those_of_the_table(made: tuple[Path, Plan], small: Cards) -> None:
    cells = pd.read_csv(made[0] / "results/scorecard.csv", keep_default_na=False)
    shown = 0
    for name in small.names:
        own = cells[cells["figure"] == name]
        counted = dict.fromkeys(VERDICTS, 0)
        for number, verdict in re.findall(r"(\d+) (supported|refuted|undecided)", small.cards[name].text):
            counted[verdict] += int(number)
        assert counted == {verdict: (own["verdict"] == verdict).sum() for verdict in VERDICTS}
        assert set(own["says"]) <= set(small.cards[name].texts)
        shown += len(own)
    assert shown == (cells["figure"] != "").sum() > 0
    assert f"{(cells['verdict'] == 'undecided').sum()} undecided in all" in small.text


def test_the_command_makes_the_figure(small: Cards) -> None:
    for name in small.names:
        [command] = re.findall(r'<code class="command">(.*?)</code>', small.cards[name].source)
        assert shlex.split(html.unescape(command)) == f"snakemake --cores all results/figures/{name}.svg".split()


def test_the_command_names_the_configuration(shipped: Plan) -> None:
    request = Gallery.model_validate_json(gallery_json(shipped))
    pictures = dict.fromkeys(shipped.figures, PICTURE)
    found = Cards(page(request, None, pictures, results=Path("results/quick"), configured=["config/quick/config.yaml"]))

    text = found.cards["cra-a-excess"].text
    assert "results/quick/figures/cra-a-excess.svg --configfile config/quick/config.yaml" in text
    assert "../../config/studies/cra-a.yaml" in found.values("href")
    assert "scorecard.html" not in found.values("href")


@pytest.mark.parametrize(("key", "value"), [("methods", "LAD"), ("attacks", "ALIE"), ("rules", "Phocas")])
def test_the_filter_knows_what_a_figure_draws(full: Cards, shipped: Plan, key: str, value: str) -> None:
    chosen = {name for name in full.names if value in full.data(name, key)}

    assert {"lad-a", "lad-b", "bounds"} & {name.rpartition("-")[0] for name in chosen} or key == "rules"
    assert 0 < len(chosen) < len(full.names)
    assert f"<option>{value}</option>" in full.source
    assert {full.data(name, "paper")[0] for name in full.names} == set(papers.GROUPS)


def test_the_page_needs_nothing_else_and_runs_its_own_script_only(full: Cards, small: Cards) -> None:
    for cards in (full, small):
        [script] = re.findall(r"<script>(.*?)</script>", cards.source, re.DOTALL)
        [policy] = [value for value in cards.values("content") if "default-src 'none'" in value]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in policy
        assert "unsafe-inline" not in policy.partition("script-src")[2]
        addresses = cards.values("src") + cards.values("href")
        assert not [one for one in addresses if re.match(r"\w+:|//", one) and not one.startswith("data:")]
        assert not re.search(r"url\(|@import|https?://", cards.source)
        assert cards.values("id") == list(dict.fromkeys(cards.values("id")))


def test_the_page_is_light(full: Cards) -> None:
    assert len(full.source) < 300_000  # without thumbnails


# Files.


@pytest.fixture
def results(made: tuple[Path, Plan]) -> Iterator[Path]:
    """The results of the project, as the working directory has them."""
    with inside(made[0]):
        yield Path("results")


@pytest.mark.usefixtures("results")
def test_the_same_results_give_the_same_page(made: tuple[Path, Plan], tmp_path: Path) -> None:
    code, said = byzcode(*gallery(made[1], str(tmp_path / "index.html")))

    assert code == 0, said
    assert (tmp_path / "index.html").read_bytes() == Path("results/index.html").read_bytes()


def test_a_figure_of_another_request_is_refused(results: Path) -> None:
    with pytest.raises(UserError, match="made for another request"):
        thumbnail(results, "lines-loss", 100, "0" * 12)


def test_a_thumbnail_is_small_and_of_the_upper_part_of_a_picture_that_is_too_tall() -> None:
    stored = Image.new("RGB", (300, 900), "white")
    stored.paste("red", (0, 0, 300, 225))
    written = io.BytesIO()
    stored.save(written, "PNG")

    found = reduced(written.getvalue(), 100, tallest=0.75)
    complete = reduced(written.getvalue(), 100)

    assert (complete.width, complete.height) == (100, 300)
    assert (found.width, found.height) == (100, 75)
    shown = Image.open(io.BytesIO(base64.b64decode(found.address.partition(",")[2]))).convert("RGB")
    assert shown.size == (100, 75)
    assert {color for _, color in shown.getcolors() or ()} == {(255, 0, 0)}


@pytest.mark.parametrize(
    ("caption", "first"),
    [
        ("Loss. More of it.", "Loss."),
        ("Loss, alpha = 0.2 and r = 40.5 of it. Below, the cost.", "Loss, alpha = 0.2 and r = 40.5 of it."),
        ("Only one", "Only one"),
        ("Lines,\n  folded. And more.", "Lines, folded."),
        ("Is it? It is.", "Is it?"),
        ("Ends. \N{GREEK CAPITAL LETTER ALPHA} begins.", "Ends."),
        ("Of a device, here r. e.g. this.", "Of a device, here r. e.g. this."),
    ],
)
def test_the_first_sentence_of_a_caption(caption: str, first: str) -> None:
    assert first_sentence(caption) == first


# Snakemake's report.

STRANGE = r"Ends *lower*: `x`_ |y| <b> \ {{ 7 * 7 }} [1]_ :role:`z` **; .. note:: https://a.example/b_c x_ 1. - +"


def study(**more: Any) -> Study:
    """A study with a claim."""
    paper = {"source": "LAD (arXiv 2603.28780)", "figure": "LAD-A", "reported": STRANGE, "mark": "inferred"}
    claim: Mapping[str, Any] = {
        "claim": "below",
        "says": STRANGE,
        "source": "s",
        "mark": "stated",
        "test": "lower",
        "curve": "A",
        "against": "B",
        "figure": "loss",
        "confirms": "c",
        "refutes": "r",
    }
    plots = {name: {"kind": "trajectories", "caption": STRANGE} for name in ("loss", "excess")}
    curves = [{"label": "A", "method": "lad"}, {"label": "B", "method": "cwtm"}]
    values = {"study": "x", "title": STRANGE, "paper": paper, "claims": [claim], "plots": plots, "curves": curves}
    return Study.model_validate({**values, **more})


def test_a_figure_is_filed_with_its_claims() -> None:
    assert report.labels(study(), "loss") == {"figure: claims": "x-loss: below"}
    assert report.labels(study(), "excess") == {"figure: claims": "x-excess"}


@pytest.mark.parametrize("plot", ["loss", "excess"])
def test_a_caption_says_what_was_written_and_nothing_is_markup(plot: str) -> None:
    said = publish_parts(report.caption(study(), plot), writer="html", settings_overrides={"report_level": 1})["body"]

    text = Parsed(said).text
    assert text.count(STRANGE) == (4 if plot == "loss" else 3)
    assert ("Claims that it shows" in text) == (plot == "loss")
    assert "system-message" not in said


def test_the_report_sorts_studies_as_the_gallery_lists_them(shipped: Plan) -> None:
    studies = [planned.study for planned in shipped.studies.values()]

    assert list(dict.fromkeys(map(papers.group, studies))) == sorted(papers.GROUPS)
    for name in papers.GROUPS:
        filed = [report.subcategory(one) for one in studies if papers.group(one) == name]
        assert filed == sorted(filed, key=str.casefold)


def test_every_shipped_study_is_filed_under_its_paper() -> None:
    found = {path.stem: papers.group(load(Study, str(path))) for path in Path("config/studies").glob("*.yaml")}

    assert {name for name, paper in found.items() if paper == "CRA-DL"} == {f"cra-{letter}" for letter in "abcdef"}
    assert {name for name, paper in found.items() if paper == "LAD and Com-LAD"} == {
        f"lad-{letter}" for letter in "abcd"
    }
    assert papers.group(study(paper=None)) == papers.OURS


def test_a_study_without_a_paper_has_its_own_name() -> None:
    assert papers.label(study(paper=None)) == "x"
    assert papers.label(study()) == "LAD-A"
    blank = {**study().paper.model_dump(), "figure": " \n"}  # type: ignore[union-attr]
    assert papers.label(study(paper=blank)) == "x"
