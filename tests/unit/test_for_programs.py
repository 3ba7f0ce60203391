"""What programs read: the JSON of commands, and what shells complete."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dag.project import TINY, Project
from dag.small_results import inside
from unit.commands import Call, byzcode, complaint

from byzcode.cli.arguments import print_json
from byzcode.execution import batches
from byzcode.studies.plan import Plan, load_plan_file

__all__ = ["byzcode"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project, of which one run is trained. Not to be changed."""
    root = tmp_path_factory.mktemp("small") / "project"
    Project.configured(root, TINY)
    with inside(root):
        name, spec = next(iter(load_plan_file("config/config.yaml").runs.items()))
        batches.alone(spec, None, Path(f"results/trajectories/{name}.nc"), device="cpu", threads=1)
    return root


@pytest.fixture
def plan(project: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Its plan; it is the working directory."""
    monkeypatch.chdir(project)
    return load_plan_file("config/config.yaml")


def answer(call: Call, *words: str) -> Any:
    """What a command says, which must be JSON and nothing else."""
    output = call(*words, "--json")
    assert (output.code, output.error) == (0, "")
    return json.loads(output.out)


def test_plan(plan: Plan, byzcode: Call) -> None:
    said = answer(byzcode, "plan")

    assert list(said["studies"]) == list(plan.studies)
    assert [run["state"] for run in said["runs"].values()] == ["current", "missing", "missing"]
    assert list(said["runs"]) == list(plan.runs)
    one = answer(byzcode, "plan", "sweep")
    assert list(one["studies"]) == ["sweep"]
    assert set(one["runs"]) == set(plan.studies["sweep"].run_ids())
    assert complaint(byzcode("plan", "--json", "--slurm")) == "the command: --json = True: allowed: without --slurm"


def test_explain(plan: Plan, byzcode: Call) -> None:
    name, spec = next(iter(plan.runs.items()))
    said = answer(byzcode, "explain", name)
    assert (said["run_id"], said["state"]) == (name, "current")
    assert said["spec"] == spec.model_dump(mode="json")

    name = next(iter(plan.allocations))
    assert answer(byzcode, "explain", name)["state"] == "missing"


def test_verify(plan: Plan, byzcode: Call) -> None:
    output = byzcode("verify", "--json")

    assert output.code == 1
    said = json.loads(output.out)
    assert said["well"] is False
    assert sorted({file["state"] for file in said["files"]}) == ["current", "missing"]
    assert said["faults"]


def test_recommend(byzcode: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    need = ["--devices", "20", "--alpha", "0.2", "--heterogeneity", "10", "--budget-gradients", "200"]

    said = answer(byzcode, "recommend", *need)

    assert said["need"]["devices"] == 20
    floors = [each["floor_expected"] for each in said["configurations"]]
    assert floors == sorted(floors)
    assert "method" in said["configurations"][0]["curve"]
    assert {"gradients", "bits", "stored", "time"} <= set(said["configurations"][0])
    assert said["best_measured"] is None
    assert said["lessons"] == []


def test_allocations(byzcode: Call) -> None:
    said = answer(byzcode, "allocations", "--devices", "6", "--subsets", "12", "--redundancy", "4")
    by_name = {each["name"]: each for each in said}
    assert by_name["random"] == {"name": "random", "refused": None, "exact": False}
    assert all(each["refused"] is None for each in said if each["exact"])


def test_data(byzcode: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = {each["name"]: each for each in answer(byzcode, "data")}
    assert (said["digits"]["classes"], said["digits"]["state"]) == (10, "needs no files")
    assert complaint(byzcode("data", "digits", "--json")) == "the command: --json = True: allowed: without NAME"


def test_what_json_cannot_hold_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), float("inf"), 1.5], "b": (Path("c"), None, True)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5], "b": ["c", None, True]}


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("byzcode recommend --expect a", {"absence"}),
        ("byzcode comp", {"compare"}),
        ("byzcode new pr", {"problem"}),
        ("byzcode plan sw", {"sweep"}),
        ("byzcode data dig", {"digits"}),
        ("byzcode plan --sl", {"--slurm"}),
    ],
)
def test_a_shell_completes(typed: str, completed: set[str], plan: Plan) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_BYZCODE_COMPLETE": "complete_bash"}
    assert _byzcode(words) == completed


def test_a_shell_completes_the_ids_of_stored_runs(plan: Plan) -> None:
    words = {"COMP_WORDS": "byzcode compare ", "COMP_CWORD": "2", "_BYZCODE_COMPLETE": "complete_bash"}
    assert _byzcode(words) == {next(iter(plan.runs))}


def _byzcode(environment: dict[str, str]) -> set[str]:
    command = [str(Path(sys.executable).with_name("byzcode"))]
    return set(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split())
