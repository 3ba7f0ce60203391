"""The work of a Snakemake run of this workflow before its first job and after its last."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from byzcode.execution import slurm
from byzcode.execution.batch_lists import BatchLists
from byzcode.execution.display.work import Work, work_of
from byzcode.execution.request_files import RequestFiles
from byzcode.execution.snakemake import Snakemake, inform, inherited_by_jobs, one_line, tell_display
from byzcode.execution.warm.launch import WarmStarts
from byzcode.execution.workplace import Workplace, try_folder
from byzcode.studies.plan import Plan

LOCK = Path(".snakemake/byzcode.lock")


@dataclass
class Lifecycle:
    """The start and the end of a Snakemake run.

    ``usable_of`` returns those of the given files that are complete, of this code and for the present request.
    ``batches`` returns None if runs are not trained together.
    """

    snakemake: Snakemake
    results: Path
    requests: RequestFiles
    batches: Callable[[], BatchLists | None]
    usable_of: Callable[[set[Path]], set[Path]]
    plan: Plan
    _workplace: Workplace | None = None

    def register(self) -> None:
        """Add these methods to the handlers of an outer workflow; Snakemake ignores the handlers of a module."""
        if self.snakemake.is_module:
            self.snakemake.register(
                onstart=lambda log: self.started(),
                onsuccess=lambda log: self.succeeded(),
                onerror=lambda log: self.failed(),
            )

    def started(self) -> None:
        """Prepare all that the jobs need. Raises Snakemake's WorkflowError if they cannot run."""
        with one_line():
            workplace = self._workplace = Workplace(LOCK, self.results, inform, partial(inherited_by_jobs, "jobs"))
            if not self.snakemake.touches:
                self._settle(workplace)
            self._drop_requests()
            self._list_batches()
            self._start_warm()
        self.snakemake.survive_a_full_log()
        tell_display(self._work())
        self.snakemake.lift_rate_limit()

    def succeeded(self) -> None:
        """End the server of warm starts; release the folders, so that another Snakemake may use them."""
        WarmStarts.end()
        if self._workplace:
            self._workplace.release()

    def failed(self) -> None:
        """Release the folders; report a full disk, because the log of a job is empty then."""
        self.succeeded()
        with one_line():
            try_folder(self.results)

    def _settle(self, workplace: Workplace) -> None:
        """Wait for the jobs of a Snakemake that was killed, and keep the files that they have finished."""
        ended = self._join_cluster()
        workplace.wait_for_jobs()
        if self.snakemake.keep_finished(self.results, self.usable_of) or ended:
            workplace.release()
            self.snakemake.start_again()

    def _join_cluster(self) -> bool:
        """Prepare SLURM's plugin, and return whether jobs of an earlier Snakemake were in the queue."""
        settings = self.snakemake.cluster
        if settings is None:
            return False
        slurm.arrays_fit(settings.array_rules, settings.submitted(self.snakemake.needed_jobs()), settings.most_jobs)
        polling = slurm.polling(
            slurm.configuration(),
            settings.status_command,
            settings.first_look,
            sacct=shutil.which("sacct") is not None,
        )
        settings.status_command = polling.command
        inform(polling.line)
        slurm.see_cancelled(sys.modules["snakemake_executor_plugin_slurm"])
        return slurm.settle(Path.cwd(), inform)

    def _drop_requests(self) -> None:
        """Remove the files of requests that no job of this run needs."""
        self.requests.keep_only({str(job.params.get("argument")) for job in self.snakemake.needed_jobs()})

    def _start_warm(self) -> None:
        """Let jobs start warm if they run on this machine, in the environment of Snakemake."""
        snakemake = self.snakemake
        if not (snakemake.submits or snakemake.touches or snakemake.deploys):
            WarmStarts.begin(snakemake.commands(), partial(inherited_by_jobs, "warm"))

    def _work(self) -> Work:
        """What this run is about to do, for the display."""
        batches = self.batches()
        together = batches.of_run if batches else {}
        snakemake = self.snakemake
        return work_of(self.plan, snakemake.described_jobs(), together, log=snakemake.log(), submits=snakemake.submits)

    def _list_batches(self) -> None:
        """List the runs that are about to be trained, batch by batch, for their jobs to read."""
        batches = self.batches()
        if batches is not None:
            # By their wildcards: a workflow that uses this one as a module may rename its rules.
            runs = (job.wildcards_dict.get("run") for job in self.snakemake.needed_jobs())
            batches.write(run for run in runs if run in batches.of_run)
