"""Commands that list the runs of a configuration and the state of their results."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from byzcode.cli.arguments import Configs, console, load
from byzcode.errors import complain, one_of

if TYPE_CHECKING:
    from byzcode.specs.run import RunSpec
    from byzcode.studies.expand import Member
    from byzcode.studies.plan import Plan


def plan(
    config: Configs = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="Forecast the jobs of the missing runs.")] = False,
    at_once: Annotated[int, typer.Option(min=1, help="Number of jobs that run at the same time, for --slurm.")] = 50,
) -> None:
    """List the runs of each study with id, state and label, or forecast the work of the missing runs (--slurm)."""
    from byzcode.verify.states import notes, state

    configured, _ = load(config)
    for warning in configured.unreadable():
        print(f"byzcode: warning: {warning}", file=sys.stderr)
    results = Path(configured.config.results)
    states = {run: state(results, spec) for run, spec in configured.runs.items()}
    words = {run: each.word for run, each in states.items()}
    if slurm:
        from byzcode.execution.forecast import report

        terminal = console(120)
        for part in report(configured, [run for run, word in words.items() if word != "current"], at_once):
            terminal.print(part)
        return
    for planned in configured.studies.values():
        print(f"{planned.study.study}: {planned.study.title} ({planned.path})")
        print("\n".join(dict.fromkeys(_line(member, words) for member in planned.members)))
    counted = list(words.values())
    print(f"{len(counted)} runs: " + ", ".join(f"{counted.count(word)} {word}" for word in dict.fromkeys(counted)))
    for note in notes(states):
        print(note)
    for run in (run for run, word in words.items() if word == "unreadable"):
        _stored_spec(results, configured.runs[run])  # raises an error that says what is wrong


def _line(member: Member, words: Mapping[str, str]) -> str:
    """The line of a run in the list."""
    from byzcode.studies.expand import lookup

    curve, spec, point = member
    values = {key: lookup(spec, key) for key in point}
    where = ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)
    state = words.get(spec.run_id, f"allocation {spec.allocation_spec.allocation_id} only")
    why = f"; undefined: {spec.undefined}" if spec.undefined else ""
    why += f"; beyond its radius: {spec.undecodable}" if spec.undecodable else ""
    return f"  {spec.run_id}  {state:<18} {curve.label:<26} {where}{why}"


def explain(
    run_id: Annotated[str, typer.Argument(help="The id of a run or of an allocation, or its first digits.")],
    config: Configs = None,
) -> None:
    """Describe a stored or planned run or allocation in words."""
    from byzcode.storage.layout import NETCDF, STAGES, trajectory
    from byzcode.studies.describe import describe
    from byzcode.verify.states import notes, state

    configured, configuration = load(config)
    results = Path(configured.config.results)
    trajectories = results / STAGES["train"].folder
    stored = {path.stem: path for path in sorted(trajectories.glob(f"[!.]*.{NETCDF}"))}
    known = sorted({*configured.runs, *configured.allocations, *stored})
    matches = [name for name in known if run_id and name.startswith(run_id)]
    if len(matches) != 1:
        allowed = one_of(matches, run_id) if matches else f"no such run in {configuration} or {trajectories}"
        raise complain("byzcode explain", "RUN_ID", run_id, allowed)
    name = matches[0]
    if name in configured.allocations:
        print(_explain_allocation(configured, name))
        return
    spec = configured.runs[name] if name in configured.runs else _stored_spec(results, name)
    current = state(results, spec)
    print(f"{trajectory(results, name)}: {current.word}")
    print(describe(spec))
    print(f"Studies: {', '.join(_studies_of(configured, name)) or 'none of those configured'}.")
    for note in notes({name: current}):
        print(note)
    if current.word == "unreadable":
        _stored_spec(results, spec)  # raises an error that says what is wrong


def _stored_spec(results: Path, run: RunSpec | str) -> RunSpec:
    """The spec of a stored run. Raises UserError if its file is damaged or contains another run."""
    from byzcode.storage import trajectories
    from byzcode.storage.layout import trajectory

    name = run if isinstance(run, str) else run.run_id
    return trajectories.load(trajectory(results, name), run).spec


def _explain_allocation(configured: Plan, name: str) -> str:
    from byzcode.storage import allocations
    from byzcode.storage.layout import allocation

    spec = configured.allocations[name]
    path = allocation(Path(configured.config.results), name)
    if path.exists():
        allocations.load(path, name)  # raises an error if something is wrong
    return (
        f"{path}: {'present' if path.exists() else 'missing'}\n"
        f"Allocation ({spec.allocation.name}) of {spec.subsets} subsets to {spec.devices} devices, "
        f"{spec.redundancy} each, for seeds {', '.join(map(str, spec.seeds))}."
    )


def _studies_of(configured: Plan, run: str) -> list[str]:
    return [name for name, planned in configured.studies.items() if run in planned.run_ids()]
