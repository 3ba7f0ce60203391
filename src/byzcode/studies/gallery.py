"""The request of the gallery: every figure of a plan in the order of the papers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS
from byzcode.provenance.content import canonical, short_hash
from byzcode.specs.components import in_words
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec
from byzcode.studies import papers
from byzcode.studies.plan import Plan
from byzcode.studies.planned import PlannedStudy


def gallery_json(plan: Plan) -> str:
    """The request for the gallery: all that the page says except stored results."""
    return canonical(
        {
            "studies": [_study(planned) for planned in plan.studies.values()],
            "reading": plan.reading.title,
            "scorecard": short_hash(plan.scorecard_json()) if plan.claimed else None,
        }
    )


def _study(planned: PlannedStudy) -> dict[str, Any]:
    study = planned.study
    paper = study.paper
    about = {"source": paper.source, "reported": paper.reported, "mark": paper.mark} if paper else {}
    return {
        "study": study.study,
        "label": papers.label(study),
        "title": study.title,
        "group": papers.group(study),
        "file": planned.path,
        **about,
        "figures": [_figure(planned, plot) for plot in sorted(study.plots)],  # a mapping in YAML has no order
    }


def _figure(planned: PlannedStudy, name: str) -> dict[str, Any]:
    plot = planned.study.plots[name]
    specs = [member.spec for member in planned.shown(plot)]
    trained = plot.kind != "allocation"
    drawn = {"runs": planned.run_ids(name)} if trained else {"allocations": planned.allocation_ids(name)}
    return {
        "figure": f"{planned.study.study}-{name}",
        "plot": name,
        "shows": first_sentence(plot.caption),
        "request": short_hash(planned.figure_json(name)),
        **drawn,
        "methods": _distinct(METHODS[spec.method].title for spec in specs),
        "attacks": _distinct(_attack(spec) for spec in specs if trained and spec.attack.name != "none"),
        "rules": _distinct(_rule(spec) for spec in specs if trained and METHODS[spec.method].server == "rule"),
    }


def first_sentence(caption: str) -> str:
    """The first sentence of a caption: up to a full stop before a capital letter, or all of it."""
    text = " ".join(caption.split())
    return re.split(r"(?<=[.!?]) +(?=[^\W\d_a-z])", text, maxsplit=1)[0]


def _attack(spec: RunSpec) -> str:
    return in_words(spec.attack.name, ATTACKS[spec.attack.name])


def _rule(spec: RunSpec) -> str:
    return in_words(spec.aggregation.name, RULES[spec.aggregation.name])


def _distinct(words: Iterable[str]) -> list[str]:
    return sorted(set(words), key=str.casefold)
