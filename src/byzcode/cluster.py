"""What the workflow asks of SLURM: how ended jobs are seen, and what an earlier Snakemake has left in the queue."""

from __future__ import annotations

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

#: Seconds between two looks at jobs that are waited for.
PAUSE = 2.0

#: Seconds that Snakemake's plugin lets pass between two looks at its jobs, at most.
LONGEST_PAUSE = 180

#: How the plugin names all jobs of one Snakemake: a UUID, after a prefix if the user sets one.
_NAME = re.compile(r"([\w-]+_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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


def polling(configuration: Mapping[str, str], asked: str) -> Polling:
    """How ended jobs are seen, by the configuration of a cluster; ``asked`` is the user's wish where there is a choice.

    sacct needs slurmdbd, and where there is none it waits for ever, though it is installed. squeue shows an ended job
    for MinJobAge seconds.
    """
    if configuration.get("AccountingStorageType", "").endswith("slurmdbd"):
        return Polling(asked, f"SLURM: the state of jobs is asked of {asked}; this cluster has accounting")
    age = int(configuration.get("MinJobAge", "300").split()[0])
    said = "SLURM: the state of jobs is asked of squeue; this cluster has no accounting"
    if age < LONGEST_PAUSE:
        said += f", and forgets a job {age} s after its end (MinJobAge): one that ends unseen is waited for in vain"
    return Polling("squeue", said)


def arrays_fit(rules: str | None, needed: Sequence[str], jobs: int) -> None:
    """Refuse array jobs of ``rules``, as the plugin has them, that do not fit into ``jobs``.

    Of ``needed`` jobs of a rule, given by its name each, the plugin submits none in a turn that holds less than half
    of those that are ready, and forgets these: the workflow would wait for ever. Raises UserError.
    """
    chosen = {rule.strip() for rule in (rules or "").split(",")}
    most = max((number for rule, number in Counter(needed).items() if chosen & {rule, "all"}), default=0)
    if most > jobs:
        raise complain("slurm-array-jobs", "jobs", jobs, f"allowed: {most} or more, the number of jobs of one rule")


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


def settle(folder: Path, say: Callable[[str], None]) -> bool:
    """Let nothing of an earlier Snakemake be left in the queue, and return whether there was something.

    Its jobs outlive a Snakemake that was killed, and this one knows nothing of them: both would train the same runs.
    So those that wait are cancelled, and those that run are waited for, since what they finish counts.
    """
    found = earlier(folder)
    if not found:
        return False
    running = [job.name for job in found if job.state != "PENDING"]
    _ask("scancel", "--state=PENDING", *(job.name for job in found))
    waits = f"; {len(running)} still run and are waited for (scancel {' '.join(running)} ends them)" if running else ""
    say(
        f"SLURM: jobs of an earlier Snakemake in this folder: {len(found) - len(running)} in the queue cancelled{waits}"
    )
    while earlier(folder):
        time.sleep(PAUSE)
    return True


def earlier(folder: Path) -> list[Job]:
    """Jobs of this user that a Snakemake has submitted from a folder, and that have not ended."""
    columns = ("%i", "%T", "%j", "%Z")
    lines = _ask("squeue", "--me", "--array", "--noheader", f"--format={'|'.join(columns)}").splitlines()
    here = folder.resolve()
    jobs = (line.split("|", len(columns) - 1) for line in lines)
    return [
        Job(name, state)
        for name, state, title, where in jobs
        if _NAME.fullmatch(title) and Path(where).resolve() == here
    ]


def _ask(*command: str) -> str:
    try:
        ended = subprocess.run(  # noqa: S603 - SLURM's programs, with no word of a user
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except FileNotFoundError:
        raise UserError(f"{command[0]}: not found: SLURM's programs are needed where its jobs are submitted") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{' '.join(command[:3])}: no answer in {PATIENCE} s: is SLURM's controller up?") from None
    if ended.returncode != 0:
        reason = ended.stderr.strip().partition("\n")[0] or f"exit status {ended.returncode}"
        raise UserError(f"{' '.join(command[:3])}: {reason}")
    return ended.stdout
