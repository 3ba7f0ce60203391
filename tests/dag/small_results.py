"""All results of a small project, made by the commands that the workflow calls, in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dag.project import Project
from dag.test_scorecard_rules import ALTERNATIVES, CLAIMED, MULTIVERSE, OPEN, SETTINGS
from typer.testing import CliRunner

from byzcode.cli import app
from byzcode.errors import UserError
from byzcode.multiverse.plan import Multiverse, joint_request
from byzcode.studies.gallery import gallery_json
from byzcode.studies.plan import Plan, load_plan_file

RESULTS = Path("results")


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """In a working directory: configurations name files relative to it."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def byzcode(*arguments: str) -> tuple[int, str]:
    """A command: exit code and output, the line of a mistake included."""
    done = CliRunner().invoke(app, arguments)
    if done.exception is not None and not isinstance(done.exception, UserError | SystemExit):
        raise done.exception
    said = f"byzcode: {done.exception}\n" if isinstance(done.exception, UserError) else ""
    return done.exit_code, done.output + said


def make(root: Path, studies: Mapping[str, Mapping[str, Any]] = CLAIMED) -> Plan:
    """A project with two studies with claims and one without, its results, and its multiverse."""
    project = Project.configured(root, studies)
    project.write(MULTIVERSE, {**SETTINGS, "random": 2})
    project.write(ALTERNATIVES, OPEN)
    with inside(root):
        plan = load_plan_file("config/config.yaml")
        for command in commands(plan):
            code, said = byzcode(*command)
            assert code == 0, said
    return plan


def commands(plan: Plan) -> Iterator[list[str]]:
    """What the workflow calls, in an order in which it can."""
    for name, allocation in plan.allocations.items():
        yield ["allocate", "--spec", allocation.canonical(), "--out", f"results/allocations/{name}.nc"]
    for name in plan.runs:
        yield train(plan, name)
    for name, planned in plan.studies.items():
        if planned.trained:
            yield tabled("summarise", planned.summary_json(), f"summaries/{name}.csv")
    for name in plan.figures:
        yield figure(plan, name)
    for name in plan.claimed:
        yield tabled("claims", plan.studies[name].claims_json(), f"claims/{name}.csv")
    yield scorecard(plan)
    yield gallery(plan)
    readings = Multiverse.load(plan)
    for name in readings.universes:
        yield ["reading", "--request", readings.request(name), "--out", f"results/multiverse/readings/{name}.csv"]
    yield multiverse(plan)


def train(plan: Plan, name: str, out: str = "results/trajectories/{}.nc") -> list[str]:
    """The command that trains a run."""
    spec = plan.runs[name]
    assigned = f"results/allocations/{spec.allocation_spec.allocation_id}.nc"
    return ["train", "--spec", spec.canonical(), "--allocation", assigned, "--out", out.format(name)]


def tabled(command: str, request: str, out: str) -> list[str]:
    """The command that makes a table."""
    return [command, "--request", request, "--results", "results", "--out", f"results/{out}"]


def figure(plan: Plan, name: str, out: str = "results/figures/{}") -> list[str]:
    """The command that draws a figure."""
    planned, plot = plan.figures[name]
    return ["figure", "--request", planned.figure_json(plot), "--results", "results", "--out", out.format(name)]


def scorecard(plan: Plan, out: str = "results/scorecard") -> list[str]:
    """The command that makes the scorecard."""
    return ["scorecard", "--request", plan.scorecard_json(), "--results", "results", "--out", out]


def gallery(plan: Plan, out: str = "results/index.html") -> list[str]:
    """The command that makes the page of all figures."""
    return ["gallery", "--request", gallery_json(plan), "--results", "results", "--out", out]


def multiverse(plan: Plan) -> list[str]:
    """The command that sums up the readings."""
    found = Multiverse.load(plan)
    request = joint_request({name: found.request(name) for name in found.universes})
    return ["multiverse", "--request", request, "--results", "results"]
