"""The pages, in a headless Chromium: no complaint on its console, nothing asked of the network, nothing cut off."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dag.project import TINY, Project
from end_to_end.browser import DESK, PHONE, Page, browser, violations
from PIL import Image
from unit.fake_claims import VERSIONS, table

from byzcode.gallery.page import SIZE
from byzcode.gallery.page import page as listed
from byzcode.pages.thumbnails import reduced
from byzcode.scorecard.page import page as written
from byzcode.studies.gallery import gallery_json
from byzcode.studies.plan import load_plan_file
from byzcode.studies.requests import Gallery

#: Where an address leads that needs no network.
LOCAL = ("file:", "data:", "blob:", "about:")

#: What Snakemake's report says of itself.
OWN = "cdn.tailwindcss.com should not be used in production"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A browser."""
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def scorecard(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a scorecard with all that it must bear."""
    path = tmp_path_factory.mktemp("scorecard") / "scorecard.html"
    path.write_text(written(table(), reading="The primary reading", versions=VERSIONS), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_the_scorecard_complains_of_nothing_and_asks_for_nothing(
    page: Page, scorecard: str, screen: dict[str, Any], scripts: bool
) -> None:
    page.go(scorecard, scripts=scripts, **screen)

    assert page.value("document.querySelectorAll('.verdict').length") == len(table())
    assert page.value("document.scripts.length") == 0
    assert page.complaints == []
    assert page.requests == [scorecard]


#: Elements that stick out of the window or of what holds them; what is hidden on purpose does not count.
STICKING_OUT = """
[...document.querySelectorAll('body *')].filter(one => {
  if (one.closest('.unseen, .cells thead, symbol')) return false;
  const box = one.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(one => one.outerHTML.slice(0, 200))
"""


@pytest.mark.parametrize("width", [320, 390, 740, 800, 1200])
@pytest.mark.parametrize("unfolded", [False, True], ids=["folded", "unfolded"])
def test_nothing_sticks_out_at_any_width(page: Page, scorecard: str, width: int, unfolded: bool) -> None:
    page.go(scorecard, **{**PHONE, "width": width})
    if unfolded:
        page.value("document.querySelectorAll('details').forEach(one => { one.open = true })")

    assert page.value("innerWidth") == width
    assert page.value("document.documentElement.scrollWidth") == width
    assert page.value(STICKING_OUT) == []


#: Pairs of neighbours in a row whose letters or drawings overlap.
OVERLAPS = """
[...document.querySelectorAll('.cells tbody tr')].flatMap(row => {
  const boxes = [...row.querySelectorAll('td > *, .effect > *')].filter(one => !one.matches('.effect'))
    .map(one => [one, one.getBoundingClientRect()]).filter(([, box]) => box.width && box.height);
  return boxes.flatMap(([one, a], at) => boxes.slice(at + 1).filter(([other, b]) => !one.contains(other) &&
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
    .map(([other]) => one.outerHTML.slice(0, 120) + other.outerHTML.slice(0, 120)));
})
"""


@pytest.mark.parametrize("width", [390, 760, 1200])
def test_nothing_covers_anything(page: Page, scorecard: str, width: int) -> None:
    page.go(scorecard, **{**PHONE, "width": width})

    assert page.value(OVERLAPS) == []


def test_on_a_phone_a_row_is_a_card_and_letters_can_be_read(page: Page, scorecard: str) -> None:
    page.go(scorecard, **PHONE)

    style = "[...document.querySelectorAll('{}')].map(one => getComputedStyle(one).{})"
    assert set(page.value(style.format(".cells tbody tr", "display"))) == {"grid"}
    sizes = page.value(style.format("p, td, th, dd, summary", "fontSize"))
    assert min(float(size.removesuffix("px")) for size in sizes) >= 12


def test_a_table_is_a_table_to_a_screen_reader_on_a_phone_too(page: Page, scorecard: str) -> None:
    page.go(scorecard, **PHONE)

    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in tree if not node["ignored"]]
    cells = len(table())
    rows = 2 + table()["kind"].nunique() + table()["study"].nunique()
    assert roles.count("cell") == 4 * cells + 3 * rows
    assert roles.count("banner") == roles.count("main") == roles.count("navigation") == roles.count("contentinfo") == 1
    images = [node["name"]["value"] for node in tree if not node["ignored"] and node["role"]["value"] == "image"]
    assert len(images) == (table()["test"] != "open").sum()
    assert all(images)


def test_what_is_folded_unfolds_without_scripts(page: Page, scorecard: str) -> None:
    page.go(scorecard, scripts=False)
    assert page.value("document.querySelectorAll('details[open]').length") == 0

    page.click("Runs and numbers")

    page.wait_for("document.querySelectorAll('details[open]').length === 1")


def test_dark_is_dark(page: Page, scorecard: str) -> None:
    color = "getComputedStyle(document.documentElement).backgroundColor"
    page.go(scorecard)
    light = page.value(color)
    page.prefer(scheme="dark")

    assert sum(map(int, re.findall(r"\d+", light))) > 700
    assert sum(map(int, re.findall(r"\d+", page.value(color)))) < 120
    page.prefer(scheme="light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_on_the_scorecard(page: Page, scorecard: str, screen: dict[str, Any], scheme: str) -> None:
    page.prefer(scheme=scheme)
    page.go(scorecard, **screen)
    page.value("document.querySelectorAll('details').forEach(one => { one.open = true })")

    assert violations(page) == []


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
def test_the_summary_fits_a_screen(page: Page, scorecard: str, width: int, height: int) -> None:
    page.go(scorecard, **{**DESK, "width": width, "height": height})

    box = page.value("JSON.parse(JSON.stringify(document.querySelector('.counts').getBoundingClientRect()))")
    assert box["height"] < height
    assert box["right"] <= width


def test_it_prints_on_a_few_pages_of_a4(page: Page, scorecard: str) -> None:
    page.go(scorecard)

    printed = page.pdf()

    sizes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed)
    assert 5 <= len(sizes) <= 10
    assert {(round(float(width)), round(float(height))) for width, height in sizes} == {(595, 842)}


def test_print_shows_what_would_refute_a_claim_and_leaves_out_the_runs(page: Page, scorecard: str) -> None:
    page.go(scorecard)
    page.prefer(medium="print")

    seen = "[...document.querySelectorAll('{}')].map(one => one.checkVisibility())"
    assert set(page.value(seen.format(".criterion dl"))) == {True}
    assert set(page.value(seen.format(".evidence"))) == {False}
    page.prefer()


# The gallery.

#: The numbers of the cards that are shown, and of all.
SHOWN = "[...document.querySelectorAll('.card')].filter(card => card.checkVisibility()).map(card => card.id)"
CHOOSE = """
(() => { const list = document.querySelector('select[name=%s]'); list.value = '%s';
  list.dispatchEvent(new Event('input', {bubbles: true})); return list.value })()
"""


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the gallery of all shipped studies, with claims of one and a thumbnail for each."""
    plan = load_plan_file()
    request = Gallery.model_validate_json(gallery_json(plan))
    white = io.BytesIO()
    Image.new("RGB", (600, 500), "white").save(white, "PNG")
    pictures = dict.fromkeys(plan.figures, reduced(white.getvalue(), SIZE))
    path = tmp_path_factory.mktemp("gallery") / "index.html"
    path.write_text(listed(request, table(), pictures, configured=["config/quick/config.yaml"]), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_the_gallery_shows_all_and_asks_for_nothing(
    page: Page, gallery: str, screen: dict[str, Any], scripts: bool
) -> None:
    page.go(gallery, scripts=scripts, **screen)

    cards = page.value("document.querySelectorAll('.card').length")
    assert cards == len(load_plan_file().figures)
    assert len(page.value(SHOWN)) == cards
    assert page.value("document.querySelector('form').checkVisibility()") == scripts
    assert page.complaints == []
    assert {address for address in page.requests if not address.startswith("data:")} == {gallery}


def test_the_filter_shows_what_it_says(page: Page, gallery: str) -> None:
    page.go(gallery)
    everything = page.value(SHOWN)

    assert page.value(CHOOSE % ("methods", "Com-LAD")) == "Com-LAD"
    assert {name.rpartition("-")[0] for name in page.value(SHOWN)} == {"figure-lad-d", "figure-lad-lies"}
    assert page.value("[...document.querySelectorAll('h2')].filter(one => one.checkVisibility()).length") == 2
    entries = (
        "[...document.querySelectorAll('.studies a')].filter(one => one.checkVisibility()).map(one => one.innerText)"
    )
    assert page.value(entries) == ["LAD-D", "lad-lies"]
    page.value(CHOOSE % ("paper", "Ours"))
    assert page.value(SHOWN) == ["figure-lad-lies-iterations"]
    assert page.value("document.querySelector('output').value") == f"1 of {len(everything)} figures"
    page.value(CHOOSE % ("attacks", "ALIE"))
    assert page.value(SHOWN) == []

    page.value("document.querySelector('form button').click()")

    page.wait_for(f"{SHOWN}.length === {len(everything)}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_in_the_gallery(page: Page, gallery: str, screen: dict[str, Any], scheme: str) -> None:
    page.prefer(scheme=scheme)
    page.go(gallery, **screen)
    page.value("document.querySelectorAll('details').forEach(one => { one.open = true })")

    assert violations(page) == []


def test_axe_sees_what_is_wrong(page: Page, gallery: str) -> None:
    page.prefer()
    page.go(gallery)
    page.value(
        "document.querySelector('img').removeAttribute('alt'); document.querySelector('h1').style.color = '#bbb'"
    )

    assert {line.partition(":")[0] for line in violations(page)} >= {"image-alt", "color-contrast"}


@pytest.mark.parametrize("width", [320, 360, 740, 800, 1400])
@pytest.mark.parametrize("unfolded", [False, True], ids=["folded", "unfolded"])
def test_nothing_of_the_gallery_sticks_out(page: Page, gallery: str, width: int, unfolded: bool) -> None:
    page.go(gallery, **{**PHONE, "width": width})
    if unfolded:
        page.value("document.querySelectorAll('details').forEach(one => { one.open = true })")

    assert page.value("document.documentElement.scrollWidth") == width
    assert page.value(STICKING_OUT) == []


def test_the_keyboard_reaches_the_filter_and_shows_where_it_is(page: Page, gallery: str) -> None:
    page.go(gallery)
    reached = []
    for _ in range(8):
        for kind in ("keyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(page.value("document.activeElement.tagName"))
        assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    assert reached == ["A", "A", *4 * ["SELECT"], "BUTTON", "A"]


# The report of Snakemake.

STUDY = {
    **TINY["lines"],
    "paper": {
        "source": "CRA-DL (arXiv 2506.01989)",
        "figure": "CRA-A",
        "mark": "stated",
        "reported": "CRA-DL ends *significantly* lower.",
    },
    "claims": [
        {
            "claim": "below",
            "says": "CRA-DL ends lower than RBA-DL.",
            "source": "abstract",
            "mark": "stated",
            "test": "lower",
            "curve": "CRA-DL, r = 4",
            "against": "RBA-DL",
            "figure": "loss",
            "confirms": "The ratio is below 1.",
            "refutes": "The ratio is above 1.",
        }
    ],
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report over a study with a paper and a claim, and one without."""
    project = Project.create(tmp_path_factory.mktemp("report") / "project", {**TINY, "lines": STUDY})
    for arguments in (("--cores", "2"), ("--report", "results/report.html")):
        ended = project.snakemake(*arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return project.root / "results" / "report.html"


@pytest.mark.slow
def test_the_report_shows_figures_and_scorecard_and_asks_for_nothing(page: Page, report: Path) -> None:
    page.go(report.as_uri())
    page.click("CRA-DL")
    page.click_at("(//tr[td='lines-loss: below']//a)[1]")
    page.wait_for("[...document.images].some(one => one.src.startsWith('data:image/svg') && one.naturalWidth > 300)")
    page.click_at("(//tr[td='lines-loss: below']//a)[2]")
    page.wait_for("document.body.innerText.includes('our name for its figure')")
    said = page.value("document.body.innerText")
    assert "Three curves." in said
    assert "All curves." in said
    assert "reports: CRA-DL ends *significantly* lower. (stated)" in said
    assert "CRA-DL ends lower than RBA-DL. (stated)" in said

    assert [said for said in page.complaints if OWN not in said] == []
    assert [address for address in page.requests if not address.startswith(LOCAL)] == []


@pytest.mark.slow
def test_the_report_holds_every_figure_and_the_scorecard(page: Page, report: Path) -> None:
    page.go(report.as_uri())

    filed = page.value("categories")

    assert filed["CRA-DL"] == {
        "CRA-A: Three curves": [f"results/figures/lines-{plot}.svg" for plot in ("excess", "loss")]
    }
    assert filed["Ours"] == {
        "sweep: A sweep": ["results/figures/sweep-plateau.svg"],
        "holding: Who holds what": ["results/figures/holding-balance.svg"],
    }
    assert "results/scorecard.html" in page.value("Object.keys(results)")
    captions = page.value("Object.values(results).map(one => one.caption)")
    assert all(len(caption) > 50 and "system-message" not in caption for caption in captions)


@pytest.mark.slow
def test_the_scorecard_opens_inside_the_report(page: Page, report: Path) -> None:
    page.go(report.as_uri())
    page.click("Scorecard")
    page.click_at("(//tr[contains(., 'scorecard.html')]//a)[1]")

    page.wait_for("document.querySelector('iframe') !== null")
    assert [said for said in page.complaints if OWN not in said] == []
    assert [address for address in page.requests if not address.startswith(LOCAL)] == []
