"""Figures in Snakemake's report: the subcategory, labels and caption of each. Its lists are sorted by these texts."""

from __future__ import annotations

import re

from byzcode.studies.claim import Claim
from byzcode.studies.papers import figure_words, heading
from byzcode.studies.study import Paper, Study

_OTHER_BRACKETS = str.maketrans("{}<>", "()\u2039\u203a")


def subcategory(study: Study) -> str:
    """The name and the title of a study, with braces and angle brackets replaced.

    Snakemake would read braces as wildcards, and it inserts the text unescaped into a script of its report.
    """
    return heading(study).translate(_OTHER_BRACKETS)


def labels(study: Study, plot: str) -> dict[str, str]:
    """The label of a figure in the report's lists: its name and the claims that it shows.

    Use a single label: Snakemake 9 turns a second label with two distinct values in a list into a toggle between
    figures, and its page fails if the figures do not pair up.
    """
    shown = [claim.claim for claim in _shown(study, plot)]
    return {"figure: claims": f"{study.study}-{plot}" + (f": {', '.join(shown)}" if shown else "")}


def caption(study: Study, plot: str) -> str:
    """What a figure shows and what the paper reports of it, in reStructuredText."""
    parts = [f"**{_plain(heading(study, study.plots[plot].title))}.**", _plain(study.plots[plot].caption)]
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
    return f"The paper ({_plain(paper.source)}; {_plain(figure_words(paper))}) reports: " + _plain(
        f"{paper.reported} ({paper.mark})"
    )


def _plain(text: str) -> str:
    """The text on one line, with everything escaped except letters, digits and spaces, so that nothing is markup."""
    return re.sub(r"([^\w\s]|_)", r"\\\1", " ".join(text.split()))
