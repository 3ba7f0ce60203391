"""Make the plan when Snakemake reads the rules, and from it the inputs and requests of all jobs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from byzcode.errors import in_locale
from byzcode.execution import command
from byzcode.execution.decisions import Decided
from byzcode.execution.display.work import Pages
from byzcode.execution.lifecycle import Lifecycle
from byzcode.execution.snakemake import Snakemake, inform, one_line, tell_display, warn
from byzcode.execution.workplace import check_folders
from byzcode.multiverse.plan import Multiverse
from byzcode.storage import layout
from byzcode.studies.configuration import BASE
from byzcode.studies.plain_yaml import read_yaml
from byzcode.studies.plan import Plan, load_plan
from byzcode.workflow.jobs import Jobs


def refuse_code(workflow: Any) -> None:
    """Check, before Snakemake reads the configuration, that it is plain YAML.

    Snakemake would run parts of a file that are marked as code (``__use_yte__``), and would build objects and dates. If
    an outer workflow gives a module its configuration, the file belongs to that workflow and is not checked.
    """
    if not workflow.modifier.skip_configfile and Path(BASE).exists():
        with one_line():
            read_yaml(BASE)


def begin(workflow: Any, values: Mapping[str, Any], name: str) -> tuple[Jobs, Lifecycle]:
    """The jobs for the rules, and the start and end of the run, from a configuration that Snakemake has read.

    ``name`` is the name of the module, if another workflow uses this one as a module.
    """
    command.put_in_path()
    command.name_package()
    snakemake = Snakemake(workflow, name)
    with one_line():
        configuration = snakemake.configuration(values)
        plan = load_plan(configuration.values, configuration.where)
        results = snakemake.results(plan.config.results, layout.folders())
        check_folders(results)  # else Snakemake ends with a traceback if a file has the path of a folder
    if not snakemake.is_job:
        for line in plan.unreadable():
            warn(in_locale(line))
        if plan.held_out and plan.registration.differing:
            warn(in_locale(f"{plan.config.registered}: {plan.registration.words}; the table will say so"))
    jobs = Jobs(plan, snakemake, results, tuple(configuration.files))
    multiverse = any("multiverse" in word for word in [*sys.argv, *snakemake.targets])
    if multiverse:
        _ = jobs.readings  # load it now: a mistake in its file then gives one line, without Snakemake's traceback
    lifecycle = Lifecycle(snakemake, results, jobs.requests, jobs.batches, _usable_of(plan, results), plan)
    lifecycle.register()
    if not snakemake.is_job:
        tell_display(Pages(lambda: _pages(snakemake)))
    if not snakemake.is_job and not snakemake.touches:
        snakemake.decide(lambda: _decided(plan, results, jobs, jobs.multiverse if multiverse else None))
    return jobs, lifecycle


def _decided(plan: Plan, results: Path, jobs: Jobs, multiverse: Multiverse | None) -> Decided:
    """The files of a plan that are current, stale or missing, by what they say about themselves; tell the jobs."""
    from byzcode.verify.stale import MISSING, standing

    examined = standing(plan, results, multiverse)
    jobs.current.update(examined.current)
    for line in examined.lines():
        inform(line)
    missing = frozenset(path for path, reason in examined.stale.items() if reason == MISSING)
    return Decided(examined.current, frozenset(examined.stale) - missing, missing)


def _pages(snakemake: Snakemake) -> dict[str, str]:
    """The pages among the files of this run that exist, by title; the page that leads to all others is the last."""
    pages = [Path(file) for file in sorted(snakemake.files()) if file.endswith(".html") and Path(file).exists()]
    pages.sort(key=lambda page: page.stem == "index")
    return {"all results" if page.stem == "index" else page.stem: str(page) for page in pages}


def _usable_of(plan: Plan, results: Path) -> Any:
    def usable_of(files: set[Path]) -> set[Path]:
        from byzcode.verify.current import current  # its imports take seconds, and only a run after a kill needs it

        return current(plan, results, files)

    return usable_of
