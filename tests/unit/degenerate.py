"""Stored runs whose values no ordinary training has, and the figures of a study of them."""

from __future__ import annotations

import json

import numpy as np
from vouched import vouched

from byzcode.analysis.summary import summarise
from byzcode.figures import FIGURES
from byzcode.figures.request import Request
from byzcode.figures.style import theme
from byzcode.storage import allocations as allocation
from byzcode.storage import trajectories
from byzcode.studies.expand import expand
from byzcode.studies.planned import PlannedStudy
from byzcode.studies.study import LineStyle, Reading, Study
from byzcode.training.records import PER_SEED, QUANTITIES, Measurements
from byzcode.training.status import NEVER, Status

FALL = np.geomspace(10.0, 0.1, 11)
ONES = np.ones(11)
NAN = np.full(11, np.nan)


def _from(place, before, after):
    return np.where(np.arange(11) < place, before, after)


#: What is recorded of a seed, whatever the quantity, at eleven iterations.
VALUES = {
    "falling": FALL,
    "constant": ONES,
    "zero": 0 * ONES,
    "ends at zero": _from(6, FALL, 0.0),
    "negative": -FALL,
    "ends below zero": _from(6, FALL, -1e-17),
    "one point": _from(1, FALL, 0.0),
    "alone among zeros": np.where(np.arange(11) % 2, FALL, 0.0),
    "huge": 1e300 * FALL,
    "grows huge": np.geomspace(1.0, 1e300, 11),
    "tiny": 1e-300 * FALL,
    "subnormal": 5e-324 * ONES,
    "from huge to tiny": np.geomspace(1e307, 1e-307, 11),
    "infinite": np.inf * ONES,
    "becomes infinite": _from(6, FALL, np.inf),
    "not measured": NAN,
    "nowhere": _from(1, FALL, np.nan),
}
#: What becomes of seeds: status, and since which record.
ENDED = {
    "diverged at once": (Status.DIVERGED, 1, _from(1, FALL, np.nan)),
    "overflowed before the start": (Status.OVERFLOWED, 0, NAN),
    "poisoned": (Status.POISONED, 5, _from(5, 1e3 / FALL, np.nan)),
    "undefined": (Status.UNDEFINED, 0, _from(1, FALL, np.nan)),
}
CASES = [*VALUES, *ENDED]
STYLES = {
    "cra_dl": LineStyle(color="#D55E00", dashes="solid", marker="o"),
    "gradient_descent": LineStyle(color="#7F7F7F", dashes="dotted", marker="*"),
    "draco_cyclic": LineStyle(color="#117733", dashes="dashdot", marker="D"),
}


def measurements(spec, case, spare=()):
    """All quantities of a run, in all seeds alike, but for those of a quantity in ``spare``, which fall."""
    seeds, iterations = len(spec.seeds), spec.record.iterations(spec.iterations)
    status, since, values = ENDED.get(case, (Status.FINISHED, NEVER, VALUES.get(case, FALL)))
    rows = np.tile(values[: len(iterations)], (seeds, 1))
    found = {name: np.tile(FALL[: len(iterations)], (seeds, 1)) if name in spare else rows for name in QUANTITIES}
    found |= {name: np.arange(len(iterations)) * np.ones((seeds, 1)) for name in ("bits_sent",)}
    found |= {name: np.zeros_like(rows) for name in ("decoding_failures", "decoding_errors")}
    if case in ENDED:
        gone = np.arange(len(iterations)) >= since + (status is Status.UNDEFINED)
        found = {name: np.where(gone, np.nan, each) for name, each in found.items()}
    constants = {name: np.ones(seeds) for name in PER_SEED}
    at = np.full(seeds, NEVER if since == NEVER else iterations[since])
    return Measurements(**found | constants | {"status": np.full(seeds, status), "status_at": at})


def planned(study):
    """A study with its runs."""
    base = {
        "problem.subsets": 20,
        "problem.dimension": 3,
        "devices": 5,
        "attack": "sign_flip",
        "iterations": 10,
        "record.step": 1,
        "seeds": 2,
        "aggregation": "median",
        "method": "cra_dl",
        "redundancy": 4,
    }
    made = Study.model_validate({"study": "made", "title": "Made up", **study, "base": base | study.get("base", {})})
    return PlannedStudy(made, "made.yaml", expand(made, Reading(reading="none", title="none", choices=[]), "x"), STYLES)


def curves(*cases, **more):
    """A curve a case; what sets the runs apart changes no number."""
    return [{"label": case, "message_bits": 1 + CASES.index(case), **more} for case in cases]


def stored(study, results, spare=()):
    """The files of a study, of which the curves' labels say what is in them."""
    specs = {member.spec.run_id: (member.spec, member.curve.label) for member in study.members}
    paths = [results / "trajectories" / f"{run}.nc" for run in specs]
    for path, (spec, case) in zip(paths, specs.values(), strict=True):
        spent = {"device": "cpu", "threads": 1, "wall_seconds": 1.0, "cpu_seconds": 1.0}
        drawn = results / "allocations" / f"{spec.allocation_spec.allocation_id}.nc"
        if not drawn.exists():
            allocation.write(spec.allocation_spec, drawn)
        assigned = allocation.read(drawn, spec.allocation_spec)
        if not path.exists():
            trajectories.write(path, spec, measurements(spec, case, spare), assigned, **spent)
    summary = results / "summaries" / f"{study.study.study}.csv"
    summary.parent.mkdir(exist_ok=True)
    summarise(paths, list(specs)).to_csv(summary, index=False)
    vouched(summary, request=study.summary_json())
    return study


def drawing(study, results, name):
    """A figure of it."""
    asked = Request.model_validate(json.loads(study.figure_json(name)))
    with theme():
        return FIGURES[asked.plot.kind](asked, results)


def caption(drawn):
    """What it says below."""
    return " ".join(drawn.page.figure.texts[1].get_text().split())
