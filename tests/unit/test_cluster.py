"""How the state of jobs is asked for, and which jobs are an earlier Snakemake's, by what SLURM's programs say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType

import pytest

from byzcode import cluster
from byzcode.cluster import Job, arrays_fit, earlier, polling, see_cancelled, settle
from byzcode.errors import UserError

DATABASE, NONE = "accounting_storage/slurmdbd", "accounting_storage/none"
RUN = "0b8f2a53-6f0e-4d0e-9d3c-3c7a5f2f1c11"


@pytest.mark.parametrize(
    ("storage", "asked", "command"),
    [
        (DATABASE, "sacct", "sacct"),
        (DATABASE, "squeue", "squeue"),
        (NONE, "sacct", "squeue"),  # it is installed, and waits for ever
        (NONE, "squeue", "squeue"),
        ("(null)", "sacct", "squeue"),
    ],
)
def test_sacct_where_there_is_accounting(storage: str, asked: str, command: str) -> None:
    found = polling({"AccountingStorageType": storage, "MinJobAge": "300 sec"}, asked)

    assert found.command == command
    assert f"is asked of {command}; this cluster has {'no ' if storage != DATABASE else ''}accounting" in found.said
    assert "in vain" not in found.said


def test_a_cluster_that_forgets_soon_is_told_of() -> None:
    assert "forgets a job 30 s after its end" in polling({"MinJobAge": "30 sec"}, "squeue").said


@pytest.mark.parametrize("rules", ["train", "all", "reading, train"])
def test_arrays_that_the_plugin_would_forget_are_refused(rules: str) -> None:
    with pytest.raises(UserError, match=r"jobs = 2: allowed: 3 or more"):
        arrays_fit(rules, ["train"] * 3, 2)


@pytest.mark.parametrize(("rules", "jobs"), [(None, 1), ("reading", 1), ("train", 3), ("all", 3)])
def test_other_jobs_are_not(rules: str | None, jobs: int) -> None:
    arrays_fit(rules, ["train"] * 3 + ["figure"] * 2, jobs)


@pytest.mark.parametrize(
    ("states", "seen"),
    [
        ({"7": "CANCELLED by 1000", "8": "RUNNING", "9": ""}, {"7": "CANCELLED", "8": "RUNNING", "9": ""}),
        ({}, {}),
        (None, None),  # no answer
    ],
)
def test_who_cancelled_a_job_is_not_part_of_its_state(
    states: dict[str, str] | None, seen: dict[str, str] | None
) -> None:
    plugin = ModuleType("plugin")

    async def query(command: str, logger: str) -> tuple[dict[str, str] | None, float]:
        assert (command, logger) == ("sacct", "logger")
        return states, 0.5

    plugin.query_job_status = query  # type: ignore[attr-defined]
    see_cancelled(plugin)

    assert asyncio.run(plugin.query_job_status("sacct", "logger")) == (seen, 0.5)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """What is asked of SLURM; its queue has jobs of this folder and others, and is empty in the end."""
    here = tmp_path / "with|bar"
    queue = [
        f"7|RUNNING|byzcode_{RUN}|{here}",
        f"8_[2-4]|PENDING|{RUN}|{here}",
        f"9|RUNNING|byzcode_{RUN}|{tmp_path}",  # of another folder
        f"10|RUNNING|mine|{here}",  # no Snakemake's
        f"11|COMPLETING|byzcode_{RUN}|{here}/.",
    ]
    answers = ["\n".join(queue), "\n".join(queue[:1]), ""]
    found: list[tuple[str, ...]] = []

    def ask(*command: str) -> str:
        found.append(command)
        return (
            answers[min(sum(call[0] == "squeue" for call in found), len(answers)) - 1] if command[0] == "squeue" else ""
        )

    monkeypatch.setattr(cluster, "_ask", ask)
    monkeypatch.setattr(cluster, "PAUSE", 0)
    return found


def test_the_jobs_of_an_earlier_snakemake(calls: list[tuple[str, ...]], tmp_path: Path) -> None:
    assert earlier(tmp_path / "with|bar") == [Job("7", "RUNNING"), Job("8_[2-4]", "PENDING"), Job("11", "COMPLETING")]
    assert len(calls) == 1


def test_what_waits_is_cancelled_and_what_runs_is_waited_for(calls: list[tuple[str, ...]], tmp_path: Path) -> None:
    said: list[str] = []

    assert settle(tmp_path / "with|bar", said.append)

    [cancelled] = [call for call in calls if call[0] == "scancel"]
    assert cancelled == ("scancel", "--state=PENDING", "7", "8_[2-4]", "11")
    assert [call[0] for call in calls].count("squeue") == 3
    [line] = said
    assert "1 in the queue cancelled; 2 still run and are waited for (scancel 7 11 ends them)" in line


def test_without_such_jobs_nothing_is_said(calls: list[tuple[str, ...]], tmp_path: Path) -> None:
    said: list[str] = []

    assert not settle(tmp_path / "elsewhere", said.append)
    assert said == []
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["no-such-program-of-slurm"], "no-such-program-of-slurm: not found"),
        (["false"], "false: exit status 1"),
        (["sh", "-c", "echo first >&2; echo second >&2; exit 2"], "sh -c .*: first$"),
    ],
)
def test_slurm_that_does_not_answer_is_one_line(command: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        cluster._ask(*command)
