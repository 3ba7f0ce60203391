"""How the state of jobs is asked for, and which jobs are an earlier Snakemake's, by what SLURM's programs say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType

import pytest

from byzcode.errors import UserError
from byzcode.execution import slurm
from byzcode.execution.slurm import arrays_fit, earlier, polling, see_cancelled, settle

DATABASE, NONE = "accounting_storage/slurmdbd", "accounting_storage/none"
RUN = "0b8f2a53-6f0e-4d0e-9d3c-3c7a5f2f1c11"


@pytest.mark.parametrize(
    ("storage", "preferred", "command"),
    [
        (DATABASE, "sacct", "sacct"),
        (DATABASE, "squeue", "squeue"),
        (NONE, "sacct", "squeue"),  # it is installed, and waits for ever
        (NONE, "squeue", "squeue"),
        ("(null)", "sacct", "squeue"),
    ],
)
def test_sacct_where_there_is_accounting(storage: str, preferred: str, command: str) -> None:
    result = polling({"AccountingStorageType": storage, "MinJobAge": "300 sec"}, preferred, 10, sacct=True)

    assert result.command == command
    about = f"{command} reports the state of jobs; this cluster has {'no ' if storage != DATABASE else ''}accounting"
    assert about in result.line
    assert "waits forever" not in result.line


def test_a_cluster_that_forgets_soon_is_told_of() -> None:
    line = polling({"MinJobAge": "30 sec"}, "squeue", 10, sacct=True).line
    assert "forgets a job 30 s after its end" in line
    assert "waits forever" in line


def test_where_the_plugin_would_ask_sacct_and_wait_for_ever_it_is_refused() -> None:
    soon = {"MinJobAge": "30 sec"}
    with pytest.raises(UserError, match=r"slurm-init-seconds-before-status-checks = 11: allowed: at most 10, a third"):
        polling(soon, "squeue", 11, sacct=True)
    assert polling(soon, "squeue", 11, sacct=False).command == "squeue"  # sacct is not there to be asked


@pytest.mark.parametrize(("sacct", "command"), [(True, "sacct"), (False, "squeue")])
def test_where_the_plugin_asks_sacct_though_squeue_is_wished_for_that_is_said(sacct: bool, command: str) -> None:
    result = polling({"AccountingStorageType": DATABASE, "MinJobAge": "30 sec"}, "squeue", 11, sacct=sacct)
    assert result.command == command
    assert f"{command} reports the state of jobs; this cluster has accounting" in result.line
    assert ("squeue forgets a job 30 s after its end" in result.line) is sacct


@pytest.mark.parametrize("rules", ["train", "all", "reading, train", "reading;train"])
def test_arrays_that_the_plugin_would_forget_are_refused(rules: str) -> None:
    with pytest.raises(UserError, match=r"jobs = 2: allowed: 3 or more"):
        arrays_fit(rules, ["train"] * 3, 2)


@pytest.mark.parametrize("rules", ["train,reading", "all", "train", "reading"])
def test_all_that_is_submitted_takes_places(rules: str) -> None:
    with pytest.raises(UserError, match=r"jobs = 4: allowed: 5 or more"):
        arrays_fit(rules, ["train"] * 3 + ["reading"] * 2, 4)


@pytest.mark.parametrize(
    ("rules", "jobs"), [(None, 1), ("", 1), ("reading", 1), ("train", 3), ("all", 3), ("train,reading", 3)]
)
def test_other_jobs_are_not(rules: str | None, jobs: int) -> None:
    arrays_fit(rules, ["train"] * 3, jobs)


def test_a_single_job_is_no_array() -> None:
    arrays_fit("reading", ["train"] * 3 + ["reading"], 1)


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
    folder = tmp_path / "with|bar"
    queue = [
        f"7|RUNNING|byzcode_{RUN}|{folder}",
        f"8_[2-4]|PENDING|{RUN}|{folder}",
        f"9|RUNNING|byzcode_{RUN}|{tmp_path}",  # of another folder
        f"10|RUNNING|mine|{folder}",  # no Snakemake's
        f"11|COMPLETING|byzcode_{RUN}|{folder}/.",
        f"12|TIMEOUT|byzcode_{RUN}|{folder}",  # ended, and not yet forgotten
        f"13|SUSPENDED|byzcode_{RUN}|{folder}",
        "CLUSTER: one",
    ]
    answers = ["\n".join(queue), "\n".join(queue[:1]), ""]
    calls: list[tuple[str, ...]] = []

    def ask(*command: str) -> str:
        calls.append(command)
        return (
            answers[min(sum(call[0] == "squeue" for call in calls), len(answers)) - 1] if command[0] == "squeue" else ""
        )

    monkeypatch.setattr(slurm, "_ask", ask)
    monkeypatch.setattr(slurm, "PAUSES", (0, 0))
    return calls


def test_the_jobs_of_an_earlier_snakemake(calls: list[tuple[str, ...]], tmp_path: Path) -> None:
    result = {job.name: job.state for job in earlier(tmp_path / "with|bar")}
    assert result == {"7": "RUNNING", "8_[2-4]": "PENDING", "11": "COMPLETING", "13": "SUSPENDED"}
    [query] = calls
    assert "--states=all" in query  # else squeue hides some that have not ended


def test_what_waits_is_cancelled_and_what_runs_is_waited_for(calls: list[tuple[str, ...]], tmp_path: Path) -> None:
    lines: list[str] = []

    assert settle(tmp_path / "with|bar", lines.append)

    [cancelled] = [call for call in calls if call[0] == "scancel"]
    assert cancelled == ("scancel", "--state=PENDING", "8_[2-4]")
    assert [call[0] for call in calls].count("squeue") == 3
    [line] = lines
    assert "1 in the queue cancelled; 3 still run, waiting for them (scancel 7 11 13 ends them)" in line


def test_without_such_jobs_nothing_is_said(calls: list[tuple[str, ...]], tmp_path: Path) -> None:
    lines: list[str] = []

    assert not settle(tmp_path / "elsewhere", lines.append)
    assert lines == []
    assert len(calls) == 1


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[list[str], list[float]]:
    """Answers of squeue, one after another, of which an empty one is none, and the pauses that are made."""
    given: list[str] = []
    pauses: list[float] = []

    def ask(*command: str) -> str:
        state = given.pop(0) if command[0] == "squeue" else "taken"
        if not state:
            raise slurm.SilenceError("squeue: no answer")
        return f"7|{state}|{RUN}|{tmp_path}"

    monkeypatch.setattr(slurm, "_ask", ask)
    monkeypatch.setattr("time.sleep", pauses.append)
    return given, pauses


def _ignore(_: str) -> None:
    pass


def test_pauses_grow(answers: tuple[list[str], list[float]], tmp_path: Path) -> None:
    given, pauses = answers
    given += ["RUNNING"] * 6 + ["COMPLETED"]
    assert settle(tmp_path, _ignore)
    assert pauses == [2, 4, 8, 16, 30, 30]


def test_some_silence_is_borne(answers: tuple[list[str], list[float]], tmp_path: Path) -> None:
    given, _ = answers
    given += ["", "PENDING", *[""] * slurm.SILENCES, "RUNNING", "", "COMPLETED"]
    assert settle(tmp_path, _ignore)
    assert given == []


def test_longer_silence_is_told(answers: tuple[list[str], list[float]], tmp_path: Path) -> None:
    given, _ = answers
    given += ["RUNNING"] + [""] * (slurm.SILENCES + 1)
    with pytest.raises(UserError, match="squeue: no answer"):
        settle(tmp_path, _ignore)


def test_a_program_that_is_not_there_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("time.sleep", pytest.fail)
    with pytest.raises(UserError, match="squeue: not found"):
        settle(tmp_path, _ignore)


def test_what_a_user_set_for_slurms_programs_does_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = ("SQUEUE_FORMAT2", "SQUEUE_STATES", "SCANCEL_STATE", "SLURM_TIME_FORMAT")
    for name in (*unset, "SLURM_CONF"):
        monkeypatch.setenv(name, "set")
    environment = slurm._ask("env").splitlines()
    assert "SLURM_CONF=set" in environment
    assert not [line for line in environment if line.startswith(unset)]


@pytest.mark.parametrize(
    ("program", "is_it"),
    [
        ("/env/bin/snakemake", True),
        ("/env/lib/python3.11/site-packages/snakemake/__main__.py", True),
        ("/env/lib/python3.11/site-packages/ipykernel_launcher.py", False),
        ("run_snakemake.py", False),
        ("/env/lib/python3.11/site-packages/pytest/__main__.py", False),
        ("", False),  # python at a prompt
    ],
)
def test_only_a_snakemake_of_the_command_line_is_started_once_more(program: str, is_it: bool) -> None:
    assert slurm.from_command_line(program) is is_it


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
        slurm._ask(*command)
