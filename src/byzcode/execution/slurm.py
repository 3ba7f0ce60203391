"""Work with SLURM: choose how to see ended jobs, and clear the queue of the jobs of an earlier Snakemake."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from byzcode.errors import UserError, complain

#: Seconds to wait for an answer from SLURM, whose controller may be busy.
PATIENCE = 60

#: Seconds between two checks of jobs to wait for: the first pause and the longest; each pause doubles.
PAUSES = (2.0, 30.0)

#: While waiting for jobs, the number of failed queries in a row that is allowed: the controller may be restarting.
SILENCES = 5

#: The longest pause, in seconds, between two checks of its jobs by Snakemake's plugin.
LONGEST_PAUSE = 180

#: The states of a job that has ended, and of a job that has not begun; in any other state a job runs.
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "EXPIRED", "FAILED", "LAUNCH_FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT"),
}
WAITING = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}

#: Variables by which a user may change the selection and output of SLURM's programs. SLURM_CONF and SLURM_CLUSTERS are
#: not among them, because they choose the cluster.
_FORMATTING = re.compile(r"(SQUEUE|SCANCEL|SCONTROL)_.*|SLURM_(BITSTR_LEN|JSON|TIME_FORMAT|YAML)")

#: The name that the plugin gives to all jobs of one Snakemake: a UUID, after a prefix if the user sets one.
_NAME = re.compile(r"([\w-]+_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class SilenceError(UserError):
    """SLURM did not answer, or refused; it may do so later."""


@dataclass(frozen=True)
class Polling:
    """The program that reports the state of jobs, and a line that says why it was chosen."""

    command: str
    line: str


@dataclass(frozen=True)
class Job:
    """A job in the queue: its id, as scancel accepts it, and its state."""

    name: str
    state: str


def polling(configuration: Mapping[str, str], preferred: str, first: int, *, sacct: bool) -> Polling:
    """Choose the program that reports ended jobs on this cluster; ``preferred`` is used if both would work.

    sacct needs slurmdbd: without it, an installed sacct waits forever. squeue shows an ended job for MinJobAge seconds.
    If MinJobAge is less than three times ``first``, the seconds before the plugin's first query, the plugin uses sacct
    anyway if it is installed (``sacct``). Raises UserError if the plugin would then wait forever.
    """
    age = int(configuration.get("MinJobAge", "300").split()[0])
    back = sacct and age < 3 * first
    if configuration.get("AccountingStorageType", "").endswith("slurmdbd"):
        command = "sacct" if back else preferred
        line = f"SLURM: {command} reports the state of jobs; this cluster has accounting"
        if command != preferred:
            line += f", and {preferred} forgets a job {age} s after its end (MinJobAge)"
        return Polling(command, line)
    if back:
        allowed = (
            f"allowed: at most {age // 3}, a third of MinJobAge; else Snakemake asks sacct, which has no accounting"
        )
        raise complain("the profile", "slurm-init-seconds-before-status-checks", first, allowed)
    line = "SLURM: squeue reports the state of jobs; this cluster has no accounting"
    if age < LONGEST_PAUSE:
        line += f", and forgets a job {age} s after its end (MinJobAge): if Snakemake misses an end, it waits forever"
    return Polling("squeue", line)


def arrays_fit(rules: str | None, submitted: Sequence[str], jobs: int) -> None:
    """Refuse array jobs of ``rules`` (the plugin's setting) if the ``submitted`` jobs, given by rule, exceed ``jobs``.

    The plugin submits a rule's array only if all its jobs fit in one scheduling round; otherwise it drops them, and the
    workflow would wait forever. Jobs of other rules take places in a round, too. Raises UserError.
    """
    chosen = {rule.strip() for rule in (rules or "").replace(";", ",").split(",")}
    together = any(number > 1 and chosen & {rule, "all"} for rule, number in Counter(submitted).items())
    if together and len(submitted) > jobs:
        allowed = f"allowed: {len(submitted)} or more, the number of jobs that are submitted"
        raise complain("slurm-array-jobs", "jobs", jobs, allowed)


def configuration() -> dict[str, str]:
    """The configuration of the cluster, from its controller. Raises UserError if the controller does not answer."""
    lines = (line.partition("=") for line in _ask("scontrol", "show", "config").splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def see_cancelled(plugin: ModuleType) -> None:
    """Let the plugin recognise cancelled jobs in the output of sacct.

    sacct names the user, as in ``CANCELLED by 1000``. The plugin (2.8.0) does not recognise this state, takes the job
    for a running one, and waits for it forever.
    """
    query = plugin.query_job_status

    async def without_by_whom(*arguments: Any) -> tuple[dict[str, str] | None, float | None]:
        states, seconds = await query(*arguments)
        return states and {job: state.partition(" by ")[0] for job, state in states.items()}, seconds

    plugin.query_job_status = without_by_whom  # type: ignore[attr-defined]


def from_command_line(program: str) -> bool:
    """Whether Python was started to run Snakemake, judged by ``sys.argv[0]``; else it is part of another program."""
    path = Path(program)
    return path.name == "snakemake" or (path.name == "__main__.py" and path.parent.name == "snakemake")


def settle(folder: Path, say: Callable[[str], None]) -> bool:
    """Clear the queue of the jobs of an earlier Snakemake, and return whether there were any.

    Jobs outlive a Snakemake that was killed. This Snakemake does not know them, so both would train the same runs.
    Therefore cancel the jobs that wait in the queue, and wait for the jobs that run, because their results count.
    Raises UserError if SLURM does not answer several times in a row.
    """
    jobs = _cancel_with_retries(folder)
    if not jobs:
        return False
    running = [job.name for job in jobs if job.state not in WAITING]
    waits = f"; {len(running)} still run, waiting for them (scancel {' '.join(running)} ends them)" if running else ""
    say(f"SLURM: jobs of an earlier Snakemake in this folder: {len(jobs) - len(running)} in the queue cancelled{waits}")
    pause, longest = PAUSES
    while jobs:
        time.sleep(pause)
        pause = min(2 * pause, longest)
        jobs = _cancel_with_retries(folder)
    return True


def _cancel_with_retries(folder: Path) -> list[Job]:
    """Call :func:`_cancel_waiting`, and try again while SLURM does not answer."""
    pause, longest = PAUSES
    for _ in range(SILENCES):
        try:
            return _cancel_waiting(folder)
        except SilenceError:
            time.sleep(pause)
            pause = min(2 * pause, longest)
    return _cancel_waiting(folder)


def _cancel_waiting(folder: Path) -> list[Job]:
    """Cancel the jobs that wait, and return all that had not ended. A job that has begun meanwhile is not cancelled."""
    jobs = earlier(folder)
    if waiting := [job.name for job in jobs if job.state in WAITING]:
        _ask("scancel", "--state=PENDING", *waiting)
    return jobs


def earlier(folder: Path) -> list[Job]:
    """The jobs of this user that a Snakemake has submitted from a folder and that have not ended."""
    columns = ("%i", "%T", "%j", "%Z")
    command = ("squeue", "--me", "--array", "--noheader", "--states=all", f"--format={'|'.join(columns)}")
    project = folder.resolve()
    jobs = (line.split("|", len(columns) - 1) for line in _ask(*command).splitlines())
    return [
        Job(name, state)
        for name, state, title, where in (job for job in jobs if len(job) == len(columns))  # not a cluster's name
        if _NAME.fullmatch(title) and state not in ENDED and Path(where).resolve() == project
    ]


def _ask(*command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not _FORMATTING.fullmatch(name)}
    try:
        ended = subprocess.run(  # noqa: S603 - SLURM's programs, with no text of a user
            command,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=PATIENCE,
            check=False,
            env=environment,
        )
    except FileNotFoundError:
        raise UserError(f"{command[0]}: not found: SLURM's programs are needed where its jobs are submitted") from None
    except subprocess.TimeoutExpired:
        raise SilenceError(f"{' '.join(command[:3])}: no answer in {PATIENCE} s: is SLURM's controller up?") from None
    if ended.returncode != 0:
        reason = ended.stderr.strip().partition("\n")[0] or f"exit status {ended.returncode}"
        raise SilenceError(f"{' '.join(command[:3])}: {reason}")
    return ended.stdout
