"""Commands of jobs that make figures and pages."""

from __future__ import annotations

from typing import Annotated

import typer

from byzcode.cli.arguments import Out, Results, Stem
from byzcode.cli.jobs import RequestText, job
from byzcode.errors import complain


def figure(request: RequestText, results: Results, out: Stem) -> None:
    """Draw one figure, as pdf, svg and png, and store the plotted data as csv."""
    from byzcode.figures import draw
    from byzcode.figures.request import Request
    from byzcode.storage.atomic import with_suffixes
    from byzcode.storage.layout import LIST, STAGES

    *files, listed = with_suffixes(out, *STAGES["figure"].suffixes, LIST)
    entries: list[str] = []
    with job("figure", Request, request, results, files, listed, entries) as content:
        entries += content.get("entries", ())
        try:
            STAGES["figure"].parts(entries)
        except ModuleNotFoundError as error:
            raise complain("figure request", "entries", str(error), "entries of components of byzcode") from None
        draw(content, results, out)


Configured = Annotated[
    list[str] | None,
    typer.Option("--configfile", metavar="FILE", help="Named by the commands on the page; may be given several times."),
]


def scorecard(request: RequestText, results: Results, out: Stem, configfile: Configured = None) -> None:
    """Write the verdicts on all claims, as a page (html) and as a table (csv)."""
    from byzcode.scorecard.page import write
    from byzcode.storage.atomic import with_suffixes
    from byzcode.storage.layout import LIST, STAGES
    from byzcode.studies.requests import Scorecard

    *files, listed = with_suffixes(out, *STAGES["scorecard"].suffixes, LIST)
    with job("scorecard", Scorecard, request, results, files, listed) as content:
        write(content, results, out, configfile or ())


def gallery(request: RequestText, results: Results, out: Out, configfile: Configured = None) -> None:
    """Write a page with all figures by paper, their claims with verdicts, and their files."""
    from byzcode.gallery.page import write
    from byzcode.studies.requests import Gallery

    with job("gallery", Gallery, request, results, [out]) as content:
        write(content, results, out, configfile or ())


def multiverse(request: RequestText, results: Results) -> None:
    """Combine all readings: tables and a picture of which claims hold, and which choices decide them."""
    from byzcode.multiverse.summarise import summarise
    from byzcode.storage.layout import STAGES
    from byzcode.studies.requests import Multiverse

    listed = STAGES["multiverse"].path(results, "multiverse")
    files = [listed.with_name(name) for name in STAGES["multiverse"].files("multiverse")]
    with job("multiverse", Multiverse, request, results, files, listed) as content:
        readings = [STAGES["reading"].table(results, name) for name in content["readings"]]
        summarise(readings, listed.parent, content.get("requests"))
