"""Labels, titles, captions and claims that are code to a shell, Snakemake, matplotlib or a browser are text."""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from dag.project import TINY, Project
from end_to_end.browser import browser
from PIL import Image

pytestmark = pytest.mark.slow

#: What would show that something was run: a file, or a name in a page.
TOUCH, REACH = "touch canary", "window.reached = 1"

LABELS = [
    f"$({TOUCH})",
    f"'; {TOUCH}; '",
    f"`{TOUCH}`",
    "{wildcards.run} {input} {{0}} {",
    "%s %(x)s %",
    "\\ \\\\ \\n \\N{BULLET}",
    "$x^2$ $ \\frac{1}",
    f"</script><script>{REACH}</script>",
    "\U0001f600 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "_hidden -rf --out ../..",
]
TITLE = f"{{wildcards.study}} $({TOUCH}) </script><script>{REACH}</script> $x"
CAPTION = f"""{{wildcards.figure}} {{input}} '; {TOUCH}; ' $({TOUCH})

.. include:: /etc/passwd

.. raw:: html

   <img src=x onerror="{REACH}">

`x <javascript:{REACH}>`_ |sub| {{{{ snakemake.config }}}} {{% raw %}} {"long " * 80}"""
MARKUP = f'"><img src=x onerror="{REACH}"><a href="javascript:{REACH}">x</a> {{{{ 7 * 7 }}}} {{input}} $({TOUCH})'

STUDY: dict[str, Any] = {
    "study": "con",
    "title": TITLE,
    "paper": {"source": f"2506.01989 {MARKUP}", "figure": "$y", "reported": ".. raw:: html", "mark": "stated"},
    "base": {**TINY["lines"]["base"], "seeds": 6},
    "curves": [{"label": label, "method": "cra_dl", "redundancy": 4 + each % 2} for each, label in enumerate(LABELS)],
    "plots": {
        "lines": {"kind": "trajectories", "caption": CAPTION},
        "sweep": {"kind": "sweep", "x": "redundancy", "caption": CAPTION},
        "heat": {"kind": "heatmap", "x": "redundancy", "caption": CAPTION},
        "holds": {"kind": "allocation", "curves": LABELS[:2], "caption": CAPTION},
    },
    "claims": [
        {
            "claim": "nul",
            "says": MARKUP,
            "source": MARKUP,
            "mark": "stated",
            "test": "lower",
            "curve": LABELS[0],
            "against": LABELS[7],
            "at": "end",
            "figure": "lines",
            "confirms": MARKUP,
            "refutes": MARKUP,
        }
    ],
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with everything made of such a study, and the report."""
    project = Project.create(tmp_path_factory.mktemp("hostile") / "project", {"con": copy.deepcopy(STUDY)})
    title = f"A <script>{REACH}</script> $({TOUCH})"
    project.edit("config/readings/primary.yaml", "title", to=title)
    for arguments in (["--cores", "2"], ["--report", "results/report.html"]):
        ended = project.snakemake(*arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return project


def test_no_shell_saw_a_name(hostile: Project) -> None:
    assert not list(hostile.root.parent.rglob("*canary*"))
    assert [path.name for path in hostile.root.parent.iterdir()] == ["project"]


@pytest.mark.parametrize("plot", STUDY["plots"])
def test_a_figure_is_drawn_with_names_as_they_stand(hostile: Project, plot: str) -> None:
    path = hostile.root / f"results/figures/con-{plot}"
    width, height = Image.open(path.with_suffix(".png")).size
    assert width <= 7.3 * 300
    assert height <= 15 * 300
    picture = ET.parse(path.with_suffix(".svg"))
    names = {str(element.tag).rpartition("}")[2] for element in picture.iter()}
    assert not names & {"script", "a", "image", "foreignObject", "iframe"}
    assert not [name for element in picture.iter() for name in element.attrib if name.lower().startswith("on")]
    assert TITLE in {element.text for element in picture.iter()}
    drawn = path.with_suffix(".csv").read_text("utf-8")
    assert plot == "holds" or all(label.replace('"', '""') in drawn for label in LABELS)


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", ["scorecard", "index"])
def test_nothing_of_it_is_an_element_of_a_page(hostile: Project, name: str) -> None:
    found = Elements((hostile.root / f"results/{name}.html").read_text("utf-8")).found

    tags = [tag for tag, _ in found]
    own = name == "index"  # the gallery has a form and a script of its own
    assert (tags.count("script"), tags.count("form")) == (own, own)
    assert not {*tags} & {"iframe", "object"}
    assert all(str(about["src"]).startswith("data:image/png;base64,") for tag, about in found if tag == "img")
    assert not [name for _, attributes in found for name in attributes if name.startswith("on")]
    links = {str(attributes["href"]) for _, attributes in found if "href" in attributes}
    local = r"#|(figures|trajectories|allocations)/[\w.-]+$|\.\./config/studies/con\.yaml$|data:,$"
    pages = r"(scorecard|index)\.html($|#)|scorecard\.csv$"
    assert all(re.match(rf"{local}|{pages}", link) for link in links), links


def test_nothing_of_it_runs_in_the_report(hostile: Project) -> None:
    with browser() as page:
        page.go((hostile.root / "results/report.html").as_uri())
        page.click("CRA-DL")
        page.click_at("(//tr[td='con-lines: nul']//a)[2]")
        page.wait_for("document.body.innerText.includes('include:: /etc/passwd')")
        assert page.value("window.reached === undefined")
        assert [said for said in page.complaints if "cdn.tailwindcss.com" not in said] == []  # Snakemake's own
        captions = page.value("Object.values(results).map(each => each.caption)")
        assert any("include:: /etc/passwd" in caption for caption in captions)
        assert not any("root:" in caption for caption in captions)
        shown = "const box = document.createElement('div'); box.innerHTML = each; return box"
        inside = f"results => results.flatMap(each => {{ {shown}.querySelectorAll('script, img, a, iframe') }})"
        assert page.value(f"({inside})({[*captions]!r}).reduce((sum, each) => sum + each.length, 0)") == 0
        assert page.value("window.reached === undefined")


@pytest.mark.parametrize(("name", "scripts"), [("scorecard", 0), ("index", 1)])
def test_a_page_that_is_opened_runs_nothing(hostile: Project, tmp_path: Path, name: str, scripts: int) -> None:
    with browser() as page:
        page.go((hostile.root / f"results/{name}.html").as_uri())
        assert page.value("document.scripts.length") == scripts
        assert page.value("window.reached === undefined")
        assert page.complaints == []
        page.picture(tmp_path / "page.png")
