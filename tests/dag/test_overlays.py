"""Files and values laid over config/config.yaml: Snakemake and byzcode work on the same runs and in the same folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from dag.project import STUDIES, TINY, Project
from dag.small_results import inside

from byzcode.studies.configuration import BASE, Configuration
from byzcode.studies.plan import load_plan

pytestmark = pytest.mark.slow

FILES: dict[str, dict[str, Any]] = {
    "mine.yaml": {"studies": [f"{STUDIES}/lines.yaml"]},
    "device.yaml": {"device": "cpu"},
    "deep/elsewhere.yaml": {"results": "elsewhere/still"},
    "all.yaml": {"studies": [f"{STUDIES}/sweep.yaml"], "results": "own"},
}


class Laid(NamedTuple):
    """What is laid over the base, and what comes of it: the folder of results, and the studies."""

    files: list[str]
    values: list[str]
    results: str
    studies: set[str]


EVERY = {"lines", "sweep", "holding"}
LAID = {
    "nothing": Laid([], [], "out", EVERY),
    "one key": Laid(["device.yaml"], [], "out", EVERY),
    "other studies": Laid(["mine.yaml"], [], "out", {"lines"}),
    "two files": Laid(["mine.yaml", "deep/elsewhere.yaml"], [], "elsewhere/still", {"lines"}),
    "the base itself": Laid([BASE], [], "out", EVERY),
    "the base last": Laid(["all.yaml", BASE], [], "out", EVERY),
    "a value": Laid(["all.yaml"], ["results=third"], "third", {"sweep"}),
    "a list as a value": Laid([], [f"studies=[{STUDIES}/lines.yaml]"], "out", {"lines"}),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose results lie in another folder, and files to lay over its configuration."""
    made = Project.create(tmp_path_factory.mktemp("overlays") / "project", TINY, results="out")
    for name, values in FILES.items():
        made.write(name, values)
    return made


def check(project: Project, laid: Laid) -> None:
    options = [
        *(["--configfile", *laid.files] if laid.files else []),
        *(["--config", *laid.values] * bool(laid.values)),
    ]
    said = (ended := project.snakemake("--dry-run", *options)).stdout + ended.stderr
    assert ended.returncode == 0, said
    with inside(project.root):
        found = Configuration.read([*laid.files, *laid.values])
        plan = load_plan(found.values, found.where)

    assert (plan.config.results, set(plan.studies)) == (laid.results, laid.studies)
    assert set(re.findall(r"([\w/]+)/(?:trajectories|summaries|figures)/", said)) == {laid.results}
    assert set(re.findall(r"/trajectories/([0-9a-f]{12})\.nc", said)) == set(plan.runs)
    assert set(re.findall(r"/figures/([\w-]+)\.pdf", said)) == set(plan.figures)
    told = project.byzcode("plan", *(word for each in (*laid.files, *laid.values) for word in ("--config", each)))
    assert f"{len(plan.runs)} runs: {len(plan.runs)} missing" in told.stdout


@pytest.mark.parametrize("name", LAID)
def test_both_read_the_same(project: Project, name: str) -> None:
    check(project, LAID[name])


def test_both_read_the_same_without_a_base(project: Project, tmp_path: Path) -> None:
    alone = project.copy(tmp_path / "project")
    (alone.root / BASE).unlink()

    check(alone, Laid(["all.yaml", "device.yaml"], [], "own", {"sweep"}))

    assert f"{BASE}: cannot be read" in alone.byzcode("plan").stderr
    assert f"Workflow defines configfile {BASE} but it is not present" in alone.snakemake("--dry-run").stdout


def test_a_mistake_is_told_of_the_same_file(project: Project, tmp_path: Path) -> None:
    wrong = project.copy(tmp_path / "project")
    wrong.write("wrong.yaml", {"device": "tpu"})
    says = "wrong.yaml: device = 'tpu': did you mean 'cpu'? allowed: cpu, cuda"

    told, said = wrong.byzcode("plan", "--config", "wrong.yaml"), wrong.snakemake("-n", "--configfile", "wrong.yaml")

    assert told.stderr == f"byzcode: {says}\n"
    assert f"\n{says}\n" in said.stdout + said.stderr
