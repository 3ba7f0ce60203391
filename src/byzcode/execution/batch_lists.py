"""List the runs that a GPU trains as one batch; :mod:`byzcode.execution.batches` reads the lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from byzcode.errors import UserError
from byzcode.provenance.content import short_hash
from byzcode.storage.layout import allocation, trajectory
from byzcode.studies.plan import Plan


@dataclass(frozen=True)
class BatchLists:
    """The batch lists of a plan's runs, in a folder of results."""

    plan: Plan
    results: Path

    @cached_property
    def of_run(self) -> dict[str, Path]:
        """The list of each run: the runs of a study that have the same shape form a batch."""
        from byzcode.training.batch import shape_of

        paths: dict[str, Path] = {}
        for name, planned in self.plan.studies.items():
            for member in planned.members if planned.trained else []:
                batch = short_hash(f"{name} {shape_of(member.spec)}")
                paths.setdefault(member.spec.run_id, self._folder / f"{batch}.json")
        return paths

    def write(self, runs: Iterable[str]) -> None:
        """Write the lists of the runs that are about to be trained. Raises UserError if there is no GPU."""
        from byzcode.execution.batches import write_list
        from byzcode.execution.cuda import count

        runs = list(runs)
        if runs and count() == 0:
            raise UserError("device = 'cuda': no CUDA device was found; allowed: cpu, on a machine without one")
        lists: dict[Path, dict[str, dict[str, object]]] = {}
        for run in runs:
            spec = self.plan.runs[run]
            lists.setdefault(self.of_run[run], {})[run] = {
                "spec": spec.model_dump(mode="json"),
                "allocation": str(allocation(self.results, spec.allocation_spec.allocation_id)),
                "out": str(trajectory(self.results, run)),
            }
        for path, listed in lists.items():
            write_list(path, str(self._folder), listed)

    @property
    def _folder(self) -> Path:
        return self.results / "batches"
