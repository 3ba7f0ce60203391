"""The inputs and params of the job of each rule. The rules use these methods as functions.

Snakemake passes ``wildcards``. A method that also takes ``output`` returns a param that is not tracked: changing it
makes no file again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from byzcode.errors import UserError
from byzcode.execution.batch_lists import BatchLists
from byzcode.execution.request_files import RequestFiles
from byzcode.execution.snakemake import Snakemake, one_line
from byzcode.gallery import report
from byzcode.multiverse.plan import Multiverse, joint_request
from byzcode.specs.run import RunSpec
from byzcode.storage.layout import LIST, NETCDF, STAGES, trajectory
from byzcode.studies import papers
from byzcode.studies.configuration import BASE
from byzcode.studies.gallery import gallery_json
from byzcode.studies.plan import Plan
from byzcode.studies.planned import PlannedStudy

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Jobs:
    """The jobs of a plan."""

    plan: Plan
    snakemake: Snakemake
    results: Path
    files: Sequence[str] = ()  # of the configuration
    current: set[str] = field(default_factory=set)  # the files that are current, known when the graph of jobs is made

    @property
    def root(self) -> str:
        """The folder of results as the rules name it; a module may move it (see ``results``)."""
        return self.plan.config.results

    @property
    def device(self) -> str:
        """The kind of device that trains."""
        return self.plan.config.device

    @property
    def trained(self) -> list[str]:
        """The studies with trainings."""
        return self.plan.summarised

    @cached_property
    def requests(self) -> RequestFiles:
        """The files of requests that are too long for a command line."""
        return RequestFiles(self.results, lambda: self.snakemake.runs_jobs)

    @cached_property
    def _all_batches(self) -> BatchLists:
        return BatchLists(self.plan, self.results)

    def batches(self) -> BatchLists | None:
        """The batches of runs that a GPU trains together; None on a cluster, where jobs would occupy a GPU to wait."""
        return self._all_batches if self.device == "cuda" and not self.snakemake.submits else None

    # --- for all rules -----------------------------------------------------------------------------------------------

    def file(self, stage: str, name: str, suffix: str) -> str:
        """The path of a file that a stage makes, as the rules name it."""
        return str(Path(self.root) / STAGES[stage].folder_of(name) / f"{name}.{suffix}")

    def table(self, stage: str, name: str) -> list[str]:
        """A table that a stage makes, with its list of checksums."""
        return [self.file(stage, name, "csv"), self.file(stage, name, LIST)]

    def argument(self, request: Callable[[Any], str]) -> Callable[[Any, Any], str]:
        """The argument of a rule's command for its request. Not tracked, because the request itself is tracked."""
        return lambda wildcards, output: self.requests.argument(request(wildcards))

    def memory(self, wildcards: Any, attempt: int) -> int:
        """The memory of a job in MB. If a profile allows further attempts, each gets more."""
        return 1000 * attempt

    def minutes(self, wildcards: Any, attempt: int) -> int:
        """The time limit of a job in minutes."""
        return 60 * attempt

    def results_folder(self, wildcards: Any, output: Any) -> str:
        """The folder of results, for the commands."""
        return str(self.results)

    # --- allocations and trainings -----------------------------------------------------------------------------------

    def allocation_spec(self, wildcards: Any) -> str:
        """The spec of an allocation."""
        return _requested("allocation", wildcards.allocation, self.plan.allocations).canonical()

    def run_spec(self, wildcards: Any) -> str:
        """The spec of a run."""
        return self._run(wildcards).canonical()

    def allocation_of_run(self, wildcards: Any) -> str:
        """The allocation that a run reads."""
        return self._allocation(self._run(wildcards).allocation_spec.allocation_id)

    def data_of_run(self, wildcards: Any) -> list[str]:
        """The lists of checksums of the data sets that a run reads.

        A run that is current does not need them. Snakemake would train it again if it had an input that is missing and
        is made for another run.
        """
        spec = self._run(wildcards)
        names = self.plan.data_sets_of(spec)
        if str(trajectory(self.results, spec.run_id)) in self.current and not self.snakemake.forces:
            names = [name for name in names if STAGES["data"].path(self.results, name).exists()]
        return [self.file("data", name, LIST) for name in names]

    def data_of_readings(self, wildcards: Any) -> list[str]:
        """Those of all data sets that the plan names: other readings have the same."""
        return [self.file("data", name, LIST) for name in self.plan.data_sets]

    def data_folder(self, wildcards: Any, output: Any) -> str:
        """The folder of the data sets, for the commands that train. Not tracked."""
        return str(self.results / STAGES["data"].folder)

    def data_routes(self, wildcards: Any, output: Any) -> str:
        """The options that bring a data set. Not tracked, because the checksums of its files are pinned."""
        settings = self.plan.config.data
        given = ["--files", settings.files] if settings.files else []
        return shlex.join([*(f"--route={route}" for route in settings.routes), *given])

    def run_device(self, wildcards: Any, output: Any) -> str:
        """The device of a run, and the list of its batch. Not tracked, because another device retrains nothing."""
        batches = self.batches()
        return f"{self.device} --together {batches.of_run[wildcards.run]}" if batches else self.device

    # --- tables ------------------------------------------------------------------------------------------------------

    def trajectories_of_study(self, wildcards: Any) -> list[str]:
        """The inputs of a study's summary."""
        return self._trajectories(self.plan.studies[wildcards.study].run_ids())

    def summary_request(self, wildcards: Any) -> str:
        """The request of a study's summary."""
        return self.plan.studies[wildcards.study].summary_json()

    def trajectories_of_claims(self, wildcards: Any) -> list[str]:
        """The inputs of the table of a study's claims."""
        requests = [cell.request() for cell in self.plan.studies[wildcards.study].cells]
        return self._trajectories(sorted({run for request in requests for run in request["runs"] + request["against"]}))

    def claims_request(self, wildcards: Any) -> str:
        """The request of the table of a study's claims."""
        return self.plan.studies[wildcards.study].claims_json()

    def scorecard_request(self, wildcards: Any) -> str:
        """The request of the scorecard."""
        return self.plan.scorecard_json()

    def heldout_request(self, wildcards: Any) -> str:
        """The request of the table of verdicts on held-out seeds."""
        return self.plan.heldout_json()

    def figures_of_claims(self, wildcards: Any) -> list[str]:
        """The figures on the scorecard."""
        return [path for name in self.plan.figures_of_claims for path in self._files_of_figure(name)]

    def gallery_request(self, wildcards: Any) -> str:
        """The request of the gallery."""
        return gallery_json(self.plan)

    def figures(self, wildcards: Any) -> list[str]:
        """The figures of the gallery."""
        return [path for name in self.plan.figures for path in self._files_of_figure(name)]

    def configured(self, wildcards: Any, output: Any) -> str:
        """The configuration files that the commands on pages name. Not tracked, because they change no result."""
        return " ".join(f"--configfile {shlex.quote(file)}" for file in self.files if file != BASE)

    def scorecard_stem(self, wildcards: Any, output: Any) -> str:
        """The path of the scorecard without a suffix."""
        return str(Path(output.html).with_suffix(""))

    # --- figures -----------------------------------------------------------------------------------------------------

    def data_of_figure(self, wildcards: Any) -> list[str]:
        """The inputs of a figure."""
        planned, plot = self._figure(wildcards)
        shown = planned.study.plots[plot]
        if shown.kind == "allocation":
            return list(map(self._allocation, planned.allocation_ids(plot)))
        if shown.kind == "sweep":
            along = self._trajectories(planned.run_ids(plot)) if shown.measured else []
            return [*self.table("summarise", planned.study.study), *along]
        return self._trajectories(planned.run_ids(plot))

    def figure_request(self, wildcards: Any) -> str:
        """The request of a figure."""
        planned, plot = self._figure(wildcards)
        return planned.figure_json(plot)

    def figure_stem(self, wildcards: Any, output: Any) -> str:
        """The path of a figure without a suffix."""
        return str(Path(output.pdf).with_suffix(""))

    def paper_of_figure(self, wildcards: Any) -> str:
        """The category of a figure in the report: its paper."""
        return papers.group(self._figure(wildcards)[0].study)

    def study_of_figure(self, wildcards: Any) -> str:
        """The subcategory of a figure in the report, below its paper: its study."""
        return report.subcategory(self._figure(wildcards)[0].study)

    def labels_of_figure(self, wildcards: Any) -> dict[str, str]:
        """The labels of a figure in the report's list."""
        planned, plot = self._figure(wildcards)
        return report.labels(planned.study, plot)

    def caption_of_figure(self, wildcards: Any, output: Any) -> str:
        """The caption of a figure in the report. Not tracked, because only the report uses it."""
        planned, plot = self._figure(wildcards)
        return report.caption(planned.study, plot)

    # --- the multiverse ----------------------------------------------------------------------------------------------

    def readings_of_multiverse(self, wildcards: Any) -> list[str]:
        """The inputs of the multiverse's tables."""
        return [path for name in self.readings for path in self.table("reading", name)]

    @property
    def multiverse_files(self) -> list[str]:
        """The tables and pictures of the multiverse, except the picture in the report."""
        folder = Path(self.root) / STAGES["multiverse"].folder
        return [str(folder / name) for name in STAGES["multiverse"].files("multiverse") if not name.endswith(".svg")]

    def multiverse_request(self, wildcards: Any) -> str:
        """The request of the multiverse's tables."""
        return joint_request(self.readings)

    def reading_request(self, wildcards: Any) -> str:
        """The request of a reading's table."""
        return _requested("reading", wildcards.reading, self.readings)

    @cached_property
    def readings(self) -> dict[str, str]:
        """The requests of all readings. They take seconds, so only targets of the multiverse use them."""
        with one_line():
            return {name: self.multiverse.request(name) for name in self.multiverse.universes}

    @cached_property
    def multiverse(self) -> Multiverse:
        """The readings and their tests."""
        with one_line():
            return Multiverse.load(self.plan)

    # -----------------------------------------------------------------------------------------------------------------

    def _run(self, wildcards: Any) -> RunSpec:
        return _requested("run", wildcards.run, self.plan.runs)

    def _figure(self, wildcards: Any) -> tuple[PlannedStudy, str]:
        return self.plan.figures[wildcards.figure]

    def _files_of_figure(self, name: str) -> list[str]:
        """The picture of a figure, with its list of checksums."""
        return [self.file("figure", name, "png"), self.file("figure", name, LIST)]

    def _allocation(self, name: str) -> str:
        return self.file("allocate", name, NETCDF)

    def _trajectories(self, runs: Iterable[str]) -> list[str]:
        return [self.file("train", run, NETCDF) for run in runs]


def _requested(kind: str, name: str, known: Mapping[str, T]) -> T:
    """An entry of a mapping. Raises Snakemake's WorkflowError for a name that the configuration does not contain."""
    if name not in known:
        with one_line():
            raise UserError(
                f"{kind} {name}: not requested by the configuration; `byzcode plan --runs` lists the runs that are"
            )
    return known[name]
