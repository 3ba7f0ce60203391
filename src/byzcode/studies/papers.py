"""The papers whose figures the studies reproduce, and the order and names of the studies on all pages."""

from __future__ import annotations

from byzcode.studies.study import Study

#: The papers in their order, by arXiv number.
PAPERS = {"2506.01989": "CRA-DL", "2603.28780": "LAD and Com-LAD"}
OURS = "Ours"
#: The headings under which studies are listed, in this order.
GROUPS = (*PAPERS.values(), OURS)


def group(study: Study) -> str:
    """The paper whose figure a study reproduces; "Ours" if it reproduces none or cites several."""
    if study.paper is None or "(ours)" in study.paper.figure:
        return OURS
    cited = [name for number, name in PAPERS.items() if number in study.paper.source]
    return cited[0] if len(cited) == 1 else OURS


def label(study: Study) -> str:
    """The short name of a study: that of the paper's figure, or the study's own."""
    named = "" if group(study) == OURS or study.paper is None else " ".join(study.paper.figure.split())
    return named or study.study


def heading(study: Study) -> str:
    """The name and the title of a study."""
    return f"{label(study)}: {study.title}"


def order(study: Study) -> tuple[int, str]:
    """The sort key of a study: by paper, then by name; our own studies are last."""
    return GROUPS.index(group(study)), label(study)
