"""The papers whose figures the studies reproduce, and the order and names of the studies on all pages."""

from __future__ import annotations

from byzcode.studies.study import Paper, Study

#: The papers in their order, by arXiv number.
PAPERS = {"2506.01989": "CRA-DL", "2603.28780": "LAD and Com-LAD"}
OURS = "Ours"
#: What marks a figure that no paper has.
_OF_OURS = "(ours)"
#: The headings under which studies are listed, in this order.
GROUPS = (*PAPERS.values(), OURS)


def group(study: Study) -> str:
    """The paper whose figure a study reproduces; "Ours" if it reproduces none or cites several."""
    if study.paper is None or _OF_OURS in study.paper.figure:
        return OURS
    cited = [name for number, name in PAPERS.items() if number in study.paper.source]
    return cited[0] if len(cited) == 1 else OURS


def label(study: Study) -> str:
    """The short name of a study: that of the paper's figure, or the study's own."""
    named = "" if group(study) == OURS or study.paper is None else " ".join(study.paper.figure.split())
    return named or study.study


def figure_words(paper: Paper) -> str:
    """What a caption says of the figure of a paper: our name for it, or that it is not the paper's."""
    own = paper.figure.removesuffix(_OF_OURS).strip()
    return f"our name for its figure: {own}" if own == paper.figure else f"the figure is ours: {own}"


def heading(study: Study, title: str | None = None) -> str:
    """The name of a study and its title, or that of one of its figures."""
    return f"{label(study)}: {title or study.title}"


def order(study: Study) -> tuple[int, str]:
    """The sort key of a study: by paper, then by name; our own studies are last."""
    return GROUPS.index(group(study)), label(study)
