"""Prints the words of legends of figures over components of each kind, as JSON. Runs in a copy of the project.

The only argument is a folder for the trajectories.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from end_to_end.additions import ADDITIONS
from matplotlib.text import Text

from byzcode.figures import FIGURES
from byzcode.figures.request import Request
from byzcode.figures.style import theme
from byzcode.storage import allocations, trajectories
from byzcode.studies.expand import expand
from byzcode.studies.planned import PlannedStudy
from byzcode.studies.study import LineStyle, Reading, Study
from byzcode.training.workers import train

SIZES = {"subsets": 20, "dimension": 3}
BASE = {
    "problem": {"name": "linear_regression", **SIZES},
    "devices": 5,
    "iterations": 2,
    "record": {"step": 1},
    "seeds": 1,
    "byzantine": {"alpha": 0.2},
    "aggregation": "median",
    "attack": "sign_flip",
    "redundancy": 4,
}
#: The field of a run that names a component of a kind, one that is there already, and the method of its curve.
FIELDS = {
    "attack": ("attack", "gaussian", "cra_dl"),
    "rule": ("aggregation", "phocas", "cra_dl"),
    "pre-aggregator": ("pre_aggregation", "nnm", "cra_dl"),
    "compressor": ("compression", "qsgd", "com_lad"),
    "encoder": ("encoding", "replication", "cra_dl"),
    "allocation": ("allocation", "random", "cra_dl"),
    "problem": ("problem", "linear_regression", "cra_dl"),
}


def words_of(kind: str, names: Sequence[str], results: Path) -> list[str]:
    """The words on a figure whose hue is a component of a kind."""
    field, present, method = FIELDS[kind]
    values: list[Any] = [present, *names]
    if field == "problem":
        values = [{"name": name, **SIZES} for name in values]
    study = Study.model_validate(
        {
            "study": "added",
            "title": "Additions",
            "base": {key: value for key, value in BASE.items() if key != field},
            "curves": [{"label": "Curve", "method": method, "grid": {field: values}}],
            "plots": {"hue": {"kind": "trajectories", "y": "loss", "hue": field, "caption": "Components."}},
        }
    )
    reading = Reading(reading="none", title="none", choices=[])
    styles = {method: LineStyle(color="#0072B2")}
    planned = PlannedStudy(study, "added.yaml", expand(study, reading, "added.yaml"), styles)
    for member in planned.members:
        spec, assigned = member.spec, allocations.draw(member.spec.allocation_spec)
        how = {"device": "cpu", "threads": 1, "wall_seconds": 1.0, "cpu_seconds": 1.0}
        trajectories.write(results / "trajectories" / f"{spec.run_id}.nc", spec, train(spec, assigned), assigned, **how)
    with theme():
        drawing = FIGURES["trajectories"](Request.model_validate(json.loads(planned.figure_json("hue"))), results)
        return [text.get_text() for text in drawing.page.figure.findobj(Text)]


if __name__ == "__main__":
    added = {kind: [addition.name for addition in ADDITIONS if addition.kind == kind] for kind in FIELDS}
    print(json.dumps({kind: words_of(kind, names, Path(sys.argv[1])) for kind, names in added.items()}))
