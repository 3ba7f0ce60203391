"""A Snakemake run as this package sees it. No other module of the package imports Snakemake.

Snakemake has no interface for most of this, so this module reads and changes the ``workflow`` object of version 9.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from snakemake.exceptions import WorkflowError
from snakemake.jobs import Job
from snakemake.logging import logger
from snakemake.shell import shell

from byzcode.errors import UserError, in_locale
from byzcode.execution import decisions, handlers, kept
from byzcode.execution.display.display import mistakes
from byzcode.execution.display.work import Again, Needed
from byzcode.studies.configuration import BASE, Configuration

#: Log a line that the user should read, whatever the display hides.
inform: Callable[[str], None] = partial(logger.info, extra={"byzcode": True})
warn: Callable[[str], None] = partial(logger.warning, extra={"byzcode": True})


def tell_display(message: object) -> None:
    """Send an object to the display, in the order of Snakemake's own records."""
    logger.info("", extra={"byzcode": message})


@contextmanager
def one_line() -> Iterator[None]:
    """Raise a user's mistake as an error of Snakemake, which then prints the line and no traceback."""
    try:
        yield
    except UserError as error:
        mistakes.append(in_locale(str(error)))
        raise WorkflowError(mistakes[-1]) from None


_inherited: dict[str, Sequence[int]] = {}


def inherited_by_jobs(owner: str, descriptors: Sequence[int]) -> None:
    """Let each shell command that Snakemake starts from now on inherit these open files, and those of other owners."""
    settings: dict[str, Any] = shell._process_args
    _inherited[owner] = descriptors
    settings["pass_fds"] = tuple(chain.from_iterable(_inherited.values()))


class Snakemake:
    """A Snakemake run, by its ``workflow``.

    It is created while Snakemake reads the rules: the settings of a module are known only then.
    """

    def __init__(self, workflow: Any, name: str) -> None:
        """``name`` is the name of the module, if another workflow uses this one as a module."""
        self._workflow, self._modifier, self._name = workflow, workflow.modifier, name
        self.is_module: bool = not workflow.modifier.is_main_snakefile()

    def configuration(self, values: Mapping[str, Any]) -> Configuration:
        """The values that Snakemake has read, with the files that they come from. Raises UserError."""
        if self._modifier.skip_configfile:  # the outer workflow gives the configuration of a module
            return Configuration.of_snakemake(values, [], f"config of module {self._name}")
        files = [*[BASE] * Path(BASE).exists(), *self._workflow.overwrite_configfiles]
        return Configuration.of_snakemake(values, files, "--config")

    def results(self, root: str, folders: Sequence[str]) -> Path:
        """The folder of the results: a module may replace the prefix of paths.

        Raises UserError if it would not replace the prefix of all ``folders`` of ``root`` alike.
        """
        replaced = self._modifier.path_modifier.replace_prefix
        places = {str(Path(replaced(f"{root}/{folder}/x")).parent.parent) for folder in folders}
        if len(places) > 1:
            raise UserError(
                f"replace_prefix of module {self._name}: the results would lie in {', '.join(sorted(places))}; "
                f"allowed: one folder for all that is in {root}"
            )
        return Path(places.pop())

    @property
    def is_job(self) -> bool:
        """Whether this Snakemake runs one job that another Snakemake has submitted."""
        return bool(self._workflow.remote_exec)

    @property
    def submits(self) -> bool:
        """Whether jobs are submitted to a cluster; true in these jobs, too."""
        return not self._workflow.local_exec or self.is_job

    @property
    def deploys(self) -> bool:
        """Whether jobs run in environments or containers of their own (``--sdm``)."""
        return bool(self._workflow.deployment_settings.deployment_method)

    @property
    def runs_jobs(self) -> bool:
        """Whether jobs will run: not in a dry run, and not if Snakemake only lists or reports."""
        return self._workflow.executor_plugin is not None and not self._workflow.dryrun

    @property
    def touches(self) -> bool:
        """Whether files only get a new time (``--touch``)."""
        return bool(self._workflow.touch)

    @property
    def forces(self) -> bool:
        """Whether jobs run that are not needed (``--forceall``, ``--forcerun``)."""
        settings = self._workflow.dag_settings
        return bool(settings and (settings.forceall or settings.forcerun))

    def decide(self, decided: Callable[[], decisions.Decided]) -> None:
        """Let files decide which jobs run; see :mod:`byzcode.execution.decisions`."""

        def decided_in_one_line() -> decisions.Decided:
            with one_line():
                return decided()

        decisions.decide(self._workflow, Job, decided_in_one_line)

    @property
    def targets(self) -> list[str]:
        """The targets of the command line."""
        settings = self._workflow.dag_settings
        return [str(target) for target in (settings.targets if settings else ())]

    def needed_jobs(self) -> list[Any]:
        """The jobs that are about to run."""
        return list(self._workflow.dag.needrun_jobs())

    def commands(self) -> int:
        """The number of jobs about to run that are commands."""
        return sum(job.is_shell for job in self.needed_jobs())

    def described_jobs(self) -> list[Needed]:
        """The jobs that are about to run, for the display."""
        dag = self._workflow.dag
        return [Needed(dag.jobid(job), job.rule.name, job.wildcards_dict) for job in self.needed_jobs()]

    def files(self) -> set[str]:
        """The files that the jobs of this run make or have made before."""
        return {str(file) for job in self._workflow.dag.jobs for file in job.output}

    def log(self) -> str:
        """The path of Snakemake's full log, or nothing if it has none."""
        return next((os.path.relpath(path) for path in self._logs.values()), "")

    def survive_a_full_log(self) -> None:
        """Let an error in writing the full log (as on a full disk) give one line, not a traceback per record."""
        for handler, path in self._logs.items():
            handler.handleError = _Once(f"{path}: the log cannot be written any more")

    @property
    def _logs(self) -> dict[Any, str]:
        """The handlers that write files, and their paths; versions before 9.15 do not tell them."""
        manager = getattr(self._workflow, "logger_manager", None)
        return manager.logfile_handlers if manager else {}

    def keep_finished(self, results: Path, usable_of: Callable[[set[Path]], set[Path]]) -> bool:
        """Record the finished files of an earlier Snakemake; see :func:`byzcode.execution.kept.keep`."""
        return kept.keep(self._workflow, results, usable_of, inform)

    def start_again(self) -> NoReturn:
        """Replace this process with a new Snakemake. Raises UserError if Snakemake is part of another program."""
        kept.start_again(self._workflow, lambda: tell_display(Again()))

    def register(self, **own: handlers.Handler) -> None:
        """Add handlers (onstart, onsuccess, onerror) to those of the workflow that uses this one as a module."""
        for name, handler in own.items():
            handlers.beside(self._workflow, name, handler)

    def lift_rate_limit(self) -> None:
        """Let the scheduler start jobs without a limit per second.

        With its limit of 100 jobs a second, Snakemake 9 schedules an extra turn one second after each turn. These
        accumulate: after 200 jobs they take a sixth of a core from the trainings. The limits on cores, and on jobs in a
        queue, remain.
        """
        scheduler = getattr(self._workflow, "scheduler", None)
        if scheduler is not None and not self.is_module:
            scheduler.job_rate_limiter = None
            if not self._workflow.local_exec:
                # One turn must fill the queue: the next turn comes only when a job has ended.
                scheduler.subsample = max(scheduler.subsample or 1, self._workflow.nodes)

    @property
    def cluster(self) -> SlurmSettings | None:
        """The settings of the SLURM plugin, or None if another plugin runs the jobs."""
        if self._workflow.executor_plugin.name != "slurm":
            return None
        return SlurmSettings(self._workflow)


class _Once:
    """A handler of errors in logging that says its line at the first error only."""

    def __init__(self, line: str) -> None:
        self._line = line

    def __call__(self, record: object) -> None:
        line, self._line = self._line, ""
        if line:
            warn(f"{line}: {sys.exc_info()[1]}")


class SlurmSettings:
    """The settings of Snakemake's SLURM plugin."""

    def __init__(self, workflow: Any) -> None:
        self._workflow, self._settings = workflow, workflow.executor_settings

    @property
    def array_rules(self) -> str | None:
        """The rules whose jobs are submitted as arrays."""
        rules: str | None = self._settings.array_jobs
        return rules

    @property
    def most_jobs(self) -> int:
        """The most jobs that may be in the queue at a time (``--jobs``)."""
        return int(self._workflow.nodes)

    @property
    def first_look(self) -> int:
        """Seconds before the plugin first asks for the state of a job."""
        return int(self._settings.init_seconds_before_status_checks)

    @property
    def status_command(self) -> str:
        """The program that the plugin calls for the state of jobs."""
        return str(self._settings.status_command)

    @status_command.setter
    def status_command(self, command: str) -> None:
        self._settings.status_command = command

    def submitted(self, jobs: Sequence[Any]) -> list[str]:
        """The rules of those jobs that are submitted, a name per job."""
        return [job.rule.name for job in jobs if not self._workflow.is_local(job.rule)]
