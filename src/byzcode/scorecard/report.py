"""Figures in Snakemake's report: the category, labels and caption of each."""

from __future__ import annotations

import re

from byzcode.studies.claim import Claim
from byzcode.studies.study import Paper, Study

#: The papers, by their arXiv numbers.
PAPERS = {"2506.01989": "CRA-DL", "2603.28780": "LAD and Com-LAD"}
OURS = "Ours"

_OTHER_BRACKETS = str.maketrans("{}<>", "()\u2039\u203a")


def category(study: Study) -> str:
    """The paper whose figure a study reproduces; "Ours" if it reproduces none or cites several."""
    if study.paper is None or "(ours)" in study.paper.figure:
        return OURS
    cited = [name for number, name in PAPERS.items() if number in study.paper.source]
    return cited[0] if len(cited) == 1 else OURS


def subcategory(study: Study) -> str:
    """The title of a study, with braces and angle brackets replaced.

    Snakemake would read braces as wildcards, and it inserts the text unescaped into a script of its report.
    """
    return study.title.translate(_OTHER_BRACKETS)


def labels(study: Study, plot: str) -> dict[str, str]:
    """The label of a figure in the report's lists: its name and the claims that it shows.

    Use a single label: Snakemake 9 turns a second label with two distinct values in a list into a toggle between
    figures, and its page fails if the figures do not pair up.
    """
    shown = [claim.claim for claim in _shown(study, plot)]
    return {"figure: claims": f"{study.study}-{plot}" + (f": {', '.join(shown)}" if shown else "")}


def caption(study: Study, plot: str) -> str:
    """What a figure shows and what the paper reports of it, in reStructuredText."""
    parts = [f"**{_plain(study.plots[plot].title or study.title)}.**", _plain(study.plots[plot].caption)]
    if study.paper:
        parts.append(_reported(study.paper))
    if claims := _shown(study, plot):
        parts.append("Claims that it shows:")
        parts += [f"- {_plain(claim.says)} ({claim.mark})" for claim in claims]
    return "\n\n".join(parts)


def _shown(study: Study, plot: str) -> list[Claim]:
    """The claims that name a plot as their figure; open claims name none."""
    return [claim for claim in study.claims if getattr(claim, "figure", None) == plot]


def _reported(paper: Paper) -> str:
    return f"The paper ({_plain(paper.source)}; our name for its figure: {_plain(paper.figure)}) reports: " + _plain(
        f"{paper.reported} ({paper.mark})"
    )


def _plain(text: str) -> str:
    """The text on one line, with everything escaped except letters, digits and spaces, so that nothing is markup."""
    return re.sub(r"([^\w\s]|_)", r"\\\1", " ".join(text.split()))
