"""Commands of jobs that make pictures and pages."""

from __future__ import annotations

from byzcode.cli.arguments import Results, Stem
from byzcode.cli.jobs import RequestText, job


def figure(request: RequestText, results: Results, out: Stem) -> None:
    """Draw one figure, as pdf, svg and png, and store the plotted data as csv."""
    from byzcode.figures import draw
    from byzcode.figures.request import Request
    from byzcode.storage.atomic import with_suffixes

    *files, listed = with_suffixes(out, "csv", "pdf", "png", "svg", "sha256")
    with job("figure", Request, request, results, files, listed) as content:
        draw(content, results, out)


def scorecard(request: RequestText, results: Results, out: Stem) -> None:
    """The verdicts on all claims, as a page (html) and as a table (csv)."""
    from byzcode.scorecard.page import write
    from byzcode.storage.atomic import with_suffixes
    from byzcode.studies.requests import Scorecard

    *files, listed = with_suffixes(out, "csv", "html", "sha256")
    with job("scorecard", Scorecard, request, results, files, listed) as content:
        write(content, results, out)


def multiverse(request: RequestText, results: Results) -> None:
    """What all readings say together: tables and a picture of which claims hold, and which choices decide them."""
    from byzcode.multiverse.summarise import made_in, summarise
    from byzcode.studies.requests import Multiverse

    folder = results / "multiverse"
    files, listed = made_in(folder), folder / "multiverse.sha256"
    with job("multiverse", Multiverse, request, results, files, listed) as content:
        readings = [folder / "readings" / f"{name}.csv" for name in content["readings"]]
        summarise(readings, folder, content.get("requests"))
