"""What the workflow asks of SLURM: how ended jobs are seen, and what an earlier Snakemake has left in the queue."""

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

#: Seconds for an answer of SLURM, whose controller may be busy.
PATIENCE = 60

#: Seconds between two looks at jobs that are waited for: at first, and at most; each pause is twice the one before.
PAUSES = (2.0, 30.0)

#: So many times in a row the controller may give no answer, where jobs are waited for: it may be started anew.
SILENCES = 5

#: Seconds that Snakemake's plugin lets pass between two looks at its jobs, at most.
LONGEST_PAUSE = 180

#: States of a job that has ended, and of one that is yet to begin; any other state is one at work.
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "EXPIRED", "FAILED", "LAUNCH_FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT"),
}
WAITING = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}

#: What a user may set of how SLURM's programs choose and write. SLURM_CONF and SLURM_CLUSTERS say which SLURM.
_FORMATTING = re.compile(r"(SQUEUE|SCANCEL|SCONTROL)_.*|SLURM_(BITSTR_LEN|JSON|TIME_FORMAT|YAML)")

#: How the plugin names all jobs of one Snakemake: a UUID, after a prefix if the user sets one.
_NAME = re.compile(r"([\w-]+_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class SilenceError(UserError):
    """SLURM did not answer, or refused; it may do so later."""


@dataclass(frozen=True)
class Polling:
    """The program that is asked for the state of jobs, and one line that says why."""

    command: str
    said: str


@dataclass(frozen=True)
class Job:
    """A job in the queue: its id, as scancel takes it, and its state."""

    name: str
    state: str


def polling(configuration: Mapping[str, str], asked: str, first: int, *, sacct: bool) -> Polling:
    """How ended jobs are seen, by the configuration of a cluster; ``asked`` is the user's wish where there is a choice.

    sacct needs slurmdbd, and where there is none it waits for ever, though it is installed. squeue shows an ended job
    for MinJobAge seconds. If that is less than three times the ``first`` pause before a look, in seconds, the plugin
    asks sacct all the same where it is installed (``sacct``). Raises UserError where it would wait for ever so.
    """
    age = int(configuration.get("MinJobAge", "300").split()[0])
    back = sacct and age < 3 * first
    if configuration.get("AccountingStorageType", "").endswith("slurmdbd"):
        command = "sacct" if back else asked
        said = f"SLURM: the state of jobs is asked of {command}; this cluster has accounting"
        if command != asked:
            said += f", and {asked} forgets a job {age} s after its end (MinJobAge)"
        return Polling(command, said)
    if back:
        allowed = (
            f"allowed: at most {age // 3}, a third of MinJobAge; else Snakemake asks sacct, which has no accounting"
        )
        raise complain("the profile", "slurm-init-seconds-before-status-checks", first, allowed)
    said = "SLURM: the state of jobs is asked of squeue; this cluster has no accounting"
    if age < LONGEST_PAUSE:
        said += f", and forgets a job {age} s after its end (MinJobAge): one that ends unseen is waited for in vain"
    return Polling("squeue", said)


def arrays_fit(rules: str | None, submitted: Sequence[str], jobs: int) -> None:
    """Refuse array jobs of ``rules``, as the plugin has them, where what is ``submitted`` does not fit into ``jobs``.

    Of several jobs of such a rule, given by its name each, the plugin submits none in a turn that does not hold all of
    them, and forgets these: the workflow would wait for ever. Jobs of other rules take places in a turn, too. Raises
    UserError.
    """
    chosen = {rule.strip() for rule in (rules or "").replace(";", ",").split(",")}
    together = any(number > 1 and chosen & {rule, "all"} for rule, number in Counter(submitted).items())
    if together and len(submitted) > jobs:
        allowed = f"allowed: {len(submitted)} or more, the number of jobs that are submitted"
        raise complain("slurm-array-jobs", "jobs", jobs, allowed)


def configuration() -> dict[str, str]:
    """The configuration of the cluster, as its controller says it. Raises UserError where that does not answer."""
    lines = (line.partition("=") for line in _ask("scontrol", "show", "config").splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def see_cancelled(plugin: ModuleType) -> None:
    """Let the plugin see that a job was cancelled, where it asks sacct.

    sacct says by whom, ``CANCELLED by 1000``, which the plugin (2.8.0) takes for a job that still runs, and waits for
    it for ever.
    """
    query = plugin.query_job_status

    async def without_by_whom(*asked: Any) -> tuple[dict[str, str] | None, float | None]:
        states, seconds = await query(*asked)
        return states and {job: state.partition(" by ")[0] for job, state in states.items()}, seconds

    plugin.query_job_status = without_by_whom  # type: ignore[attr-defined]


def from_command_line(program: str) -> bool:
    """Whether Snakemake is what Python was started for, by ``sys.argv[0]``; else it is part of another program."""
    path = Path(program)
    return path.name == "snakemake" or (path.name == "__main__.py" and path.parent.name == "snakemake")


def settle(folder: Path, say: Callable[[str], None]) -> bool:
    """Let nothing of an earlier Snakemake be left in the queue, and return whether there was something.

    Its jobs outlive a Snakemake that was killed, and this one knows nothing of them: both would train the same runs.
    So those that wait are cancelled, and those that run are waited for, since what they finish counts. Raises UserError
    where SLURM gives no answer several times in a row.
    """
    found = _borne(folder)
    if not found:
        return False
    running = [job.name for job in found if job.state not in WAITING]
    waits = f"; {len(running)} still run and are waited for (scancel {' '.join(running)} ends them)" if running else ""
    say(
        f"SLURM: jobs of an earlier Snakemake in this folder: {len(found) - len(running)} in the queue cancelled{waits}"
    )
    pause, longest = PAUSES
    while found:
        time.sleep(pause)
        pause = min(2 * pause, longest)
        found = _borne(folder)
    return True


def _borne(folder: Path) -> list[Job]:
    """What is left, as :func:`_cancel_waiting` has it, where some questions are not answered."""
    pause, longest = PAUSES
    for _ in range(SILENCES):
        try:
            return _cancel_waiting(folder)
        except SilenceError:
            time.sleep(pause)
            pause = min(2 * pause, longest)
    return _cancel_waiting(folder)


def _cancel_waiting(folder: Path) -> list[Job]:
    """The jobs that had not ended, of which those that waited are cancelled. One that began meanwhile is left alone."""
    found = earlier(folder)
    if waiting := [job.name for job in found if job.state in WAITING]:
        _ask("scancel", "--state=PENDING", *waiting)
    return found


def earlier(folder: Path) -> list[Job]:
    """Jobs of this user that a Snakemake has submitted from a folder, and that have not ended."""
    columns = ("%i", "%T", "%j", "%Z")
    command = ("squeue", "--me", "--array", "--noheader", "--states=all", f"--format={'|'.join(columns)}")
    here = folder.resolve()
    jobs = (line.split("|", len(columns) - 1) for line in _ask(*command).splitlines())
    return [
        Job(name, state)
        for name, state, title, where in (job for job in jobs if len(job) == len(columns))  # else the name of a cluster
        if _NAME.fullmatch(title) and state not in ENDED and Path(where).resolve() == here
    ]


def _ask(*command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not _FORMATTING.fullmatch(name)}
    try:
        ended = subprocess.run(  # noqa: S603 - SLURM's programs, with no word of a user
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
