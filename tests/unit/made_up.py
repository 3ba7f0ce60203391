"""A made-up study whose runs are stored with levels that are known, and the drawing of its figures."""

from __future__ import annotations

import json

import numpy as np
import yaml

from byzcode.figures import FIGURES
from byzcode.figures.request import Request
from byzcode.figures.style import theme
from byzcode.specs.quantities import CONSTANTS, constants_of, quantities_of
from byzcode.storage import allocations, trajectories
from byzcode.studies.plan import load_plan
from byzcode.training.records import Measurements
from byzcode.training.status import NEVER, Status

SEEDS, LAST = 6, 10
SHARES = {"problem": {"name": "softmax_regression", "subsets": 10}, "step_size": 1.0}
LINES = {"problem": {"name": "linear_regression", "subsets": 10, "dimension": 3}}
COMMON = {"devices": 10, "seeds": SEEDS, "iterations": LAST, "record.step": 1, "byzantine.alpha": 0.2}
ATTACKS = ["none", "sign_flip", "alie"]
RULES = ["median", "trimmed_mean"]
CURVES = [
    {"label": "RBA-DL", "method": "rba_dl"},
    {"label": "CRA-DL", "method": "cra_dl", "redundancy": 4},
    {"label": "Exact", "method": "gradient_descent"},
]


def planner(folder, monkeypatch):
    """Plans a study in a folder of its own."""
    monkeypatch.chdir(folder)

    def planned(plots, base=LINES, curves=CURVES, grid=None):
        study = {
            "study": "made-up",
            "title": "Made up",
            "base": COMMON | base,
            "grid": {"attack": ATTACKS, "aggregation": RULES} if grid is None else grid,
            "curves": curves,
            "plots": plots,
        }
        (folder / "made-up.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
        return load_plan({"studies": ["made-up.yaml"]}).studies["made-up"]

    return planned


def level(spec, number=0):
    """A random level of each seed, between 0.2 and 0.8; another for each run."""
    return np.random.default_rng([int(spec.run_id, 16), number]).uniform(0.2, 0.8, len(spec.seeds))


def stored(planned, results, level=level, ended=lambda spec: 0, status=Status.DIVERGED):
    """Store runs that end at their level; the first ``ended`` seeds of a run end early."""
    for spec in {member.spec.run_id: member.spec for member in planned.members}.values():
        iterations = np.asarray(spec.record.iterations(spec.iterations))
        factor = np.where(iterations > 0.8 * LAST, 1.0, 2.0 - iterations / LAST)  # constant over the last fifth
        early = np.arange(len(spec.seeds)) < ended(spec)
        gone = early[:, None] & (iterations >= LAST // 2)
        values = np.where(gone, np.nan, level(spec)[:, None] * factor)
        arrays = dict.fromkeys(quantities_of(spec), values)
        arrays |= {name: np.zeros_like(values) for name in ("decoding_failures", "decoding_errors")}
        arrays["bits_sent"] = np.broadcast_to(iterations * float(100 * spec.devices), values.shape)
        if spec.timed:
            arrays["wall_time"] = np.where(gone, np.nan, iterations * 3.0)
        arrays |= {name: np.ones(len(spec.seeds)) for name in CONSTANTS if name in constants_of(spec)}
        arrays["status"] = np.where(early, status, Status.FINISHED).astype(np.int8)
        arrays["status_at"] = np.where(early, LAST // 2, NEVER)
        drawn = results / "allocations" / f"{spec.allocation_spec.allocation_id}.nc"
        if not drawn.exists():
            allocations.write(spec.allocation_spec, drawn)
        assigned = allocations.read(drawn, spec.allocation_spec)
        spent = {"device": "cpu", "threads": 1, "wall_seconds": 1.0, "cpu_seconds": 1.0}
        path = results / "trajectories" / f"{spec.run_id}.nc"
        trajectories.write(path, spec, Measurements.of(arrays), assigned, **spent)
    return planned


def drawing(planned, results, name="heat"):
    request = Request.model_validate(json.loads(planned.figure_json(name)))
    with theme():
        drawn = FIGURES[request.plot.kind](request, results)
        drawn.page.canvas.draw()
    return drawn


def runs(planned, label, **point):
    return [
        member.spec
        for member in planned.members
        if member.curve.label == label and all(member.point[key] == value for key, value in point.items())
    ]


def words_in(axes):
    return [text.get_text() for text in axes.texts]
