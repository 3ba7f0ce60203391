"""Commands that list the runs of a configuration and the state of their results."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byzcode.cli.arguments import COMMAND, Configs, Json, console, load, print_json
from byzcode.cli.completion import runs as run_ids
from byzcode.cli.completion import studies as study_names
from byzcode.errors import complain, one_of

if TYPE_CHECKING:
    from rich.table import Table

    from byzcode.specs.run import RunSpec
    from byzcode.studies.configuration import Configuration
    from byzcode.studies.expand import Member
    from byzcode.studies.plan import Plan
    from byzcode.studies.planned import PlannedStudy
    from byzcode.verify.states import State


def plan(
    studies: Annotated[
        list[str] | None, typer.Argument(help="List the runs of these studies.", autocompletion=study_names)
    ] = None,
    config: Configs = None,
    runs: Annotated[bool, typer.Option("--runs", help="List the runs of all studies.")] = False,
    slurm: Annotated[bool, typer.Option("--slurm", help="Forecast the jobs of the missing runs.")] = False,
    at_once: Annotated[int, typer.Option(min=1, help="Number of jobs that run at the same time, for --slurm.")] = 50,
    json: Json = False,
) -> None:
    """Show which results are current and how much work is left, by study; or list runs with id, state and label."""
    from byzcode.verify.states import brief_notes, notes, state

    configured, configuration = load(config)
    chosen = _studies(configured, configuration, studies)
    for warning in configured.unreadable():
        print(f"byzcode: warning: {warning}", file=sys.stderr)
    results = Path(configured.config.results)
    states = {run: state(results, spec) for run, spec in configured.runs.items()}
    if json:
        if slurm:
            raise complain(COMMAND, "--json", True, "allowed: without --slurm")
        print_json(_record(chosen, states, configured))
        return
    if slurm:
        from byzcode.execution.forecast import report

        _show(report(configured, [run for run, each in states.items() if each.word != "current"], at_once))
        return
    if runs or studies:
        listed = {run for planned in chosen for run in planned.run_ids()}
        states = {run: each for run, each in states.items() if run in listed}
        _list(chosen, {run: each.word for run, each in states.items()})
    else:
        from byzcode.verify.overview import overview

        _show(overview(configured, states))
    counted = [each.word for each in states.values()]
    print(f"{len(counted)} runs: " + ", ".join(f"{counted.count(word)} {word}" for word in dict.fromkeys(counted)))
    for note in (notes if runs or studies else brief_notes)(states):
        print(note)
    for run in (run for run, each in states.items() if each.word == "unreadable"):
        _stored_spec(results, configured.runs[run])  # raises an error that says what is wrong


def _record(chosen: Iterable[PlannedStudy], states: Mapping[str, State], configured: Plan) -> dict[str, Any]:
    """The answer of ``plan`` for JSON: some studies with their runs, and the state of these runs."""
    studies = {
        planned.study.study: {"title": planned.study.title, "file": planned.path, "runs": planned.run_ids()}
        for planned in chosen
    }
    listed = dict.fromkeys(run for study in studies.values() for run in study["runs"])
    runs = {
        run: {"state": each.word, "changed": each.changed, "versions": each.versions}
        for run, each in states.items()
        if run in listed
    }
    return {"results": configured.config.results, "studies": studies, "runs": runs}


def _studies(configured: Plan, configuration: Configuration, names: list[str] | None) -> list[PlannedStudy]:
    """The studies of these names; all if there are none. Raises UserError for an unknown name."""
    for name in names or ():
        if name not in configured.studies:
            allowed = f"no such study in {configuration}; {one_of(configured.studies, name)}"
            raise complain("byzcode plan", "STUDY", name, allowed)
    return [planned for name, planned in configured.studies.items() if not names or name in names]


def _show(parts: Iterable[Table | str]) -> None:
    terminal = console(120)
    for part in parts:
        terminal.print(part)


def _list(studies: Iterable[PlannedStudy], words: Mapping[str, str]) -> None:
    for planned in studies:
        print(f"{planned.study.study}: {planned.study.title} ({planned.path})")
        print("\n".join(dict.fromkeys(_line(member, words) for member in planned.members)))


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
    run_id: Annotated[
        str,
        typer.Argument(help="The id of a run or of an allocation, or its first digits.", autocompletion=run_ids),
    ],
    config: Configs = None,
    json: Json = False,
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
        _explain_allocation(configured, name, json=json)
        return
    spec = configured.runs[name] if name in configured.runs else _stored_spec(results, name)
    current = state(results, spec)
    path, studies = trajectory(results, name), _studies_of(configured, name)
    if json:
        about = {"run_id": name, "file": path, "state": current.word, "changed": current.changed}
        print_json({**about, "studies": studies, "spec": spec.model_dump(mode="json")})
    else:
        print(f"{path}: {current.word}")
        print(describe(spec))
        print(f"Studies: {', '.join(studies) or 'none of those configured'}.")
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


def _explain_allocation(configured: Plan, name: str, *, json: bool) -> None:
    from byzcode.storage import allocations
    from byzcode.storage.layout import allocation

    spec = configured.allocations[name]
    path = allocation(Path(configured.config.results), name)
    if path.exists():
        allocations.load(path, name)  # raises an error if something is wrong
    state = "present" if path.exists() else "missing"
    if json:
        about = {"allocation_id": name, "file": path, "state": state}
        print_json({**about, "spec": spec.model_dump(mode="json")})
        return
    print(
        f"{path}: {state}\n"
        f"Allocation ({spec.allocation.name}) of {spec.subsets} subsets to {spec.devices} devices, "
        f"{spec.redundancy} each, for seeds {', '.join(map(str, spec.seeds))}."
    )


def _studies_of(configured: Plan, run: str) -> list[str]:
    return [name for name, planned in configured.studies.items() if run in planned.run_ids()]
