"""The command line. Each command is thin: it reads its arguments and calls one function of the library."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from byzcode.errors import UserError, complain, one_of
from byzcode.studies.spec import AllocationSpec, RunSpec

if TYPE_CHECKING:
    import pandas as pd

    from byzcode.studies.plan import Plan

app = typer.Typer(
    name="byzcode",
    help="Coded robust aggregation for distributed learning with Byzantine devices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Out = Annotated[Path, typer.Option(help="File to write.")]
SpecText = Annotated[str, typer.Option(help="A spec: a JSON object, or the path of a file that holds one.")]
ConfigPath = Annotated[str, typer.Option(help="The configuration of the workflow.")]


@app.command()
def allocate(spec: SpecText, out: Out) -> None:
    """Draw the allocations of an allocation spec, for all its seeds, and store them."""
    from byzcode.allocation import file

    file.write(_read_spec(AllocationSpec, spec), out)


@app.command()
def allocations(
    devices: Annotated[int, typer.Option(min=1, max=10**9, help="How many devices there are, N.")],
    subsets: Annotated[int, typer.Option(min=1, max=10**9, help="How many subsets there are, M.")],
    redundancy: Annotated[int, typer.Option(min=1, max=10**9, help="How many subsets each device holds, r.")],
) -> None:
    """Say which allocations serve a size, and for the others why not and what they serve nearest to it."""
    from byzcode.allocation.serving import described

    print(described(devices, subsets, redundancy))


@app.command()
def train(
    spec: SpecText,
    out: Out,
    allocation: Annotated[Path | None, typer.Option(help="Allocation file; drawn anew if left out.")] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to train.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Seeds trained at once, on the CPU.")] = 1,
    together: Annotated[Path | None, typer.Option(help="File that lists runs to train as one batch with it.")] = None,
) -> None:
    """Train all seeds of a run and store the trajectory. The same spec gives the same bits."""
    from byzcode import sharing

    parsed = _read_spec(RunSpec, spec)
    if together is None:
        sharing.alone(parsed, allocation, out, device=device, threads=threads)
    else:
        sharing.train(parsed, allocation, out, together=together, device=device)


@app.command()
def summarise(
    request: Annotated[str, typer.Option(help="The study and its runs, as JSON.")],
    results: Annotated[Path, typer.Option(help="Folder of the results.")],
    out: Out,
) -> None:
    """One row a run: plateau, rate and cost over its seeds."""
    from byzcode.analysis.summary import summarise as table

    asked = _read_request(request)
    runs = asked.get("runs", [])
    rows = table([_trajectory(results, run) for run in runs], runs)
    _write_table(rows, out, "summarise", asked, results)


@app.command()
def claims(
    request: Annotated[str, typer.Option(help="The claims of a study and their runs, as JSON.")],
    results: Annotated[Path, typer.Option(help="Folder of the results.")],
    out: Out,
) -> None:
    """One row a test of a claim: effect, interval, p-values, and what is not at a plateau."""
    from byzcode.analysis.evidence import of_study

    asked = _read_request(request)
    rows = of_study(asked, lambda run: _trajectory(results, run))
    _write_table(rows, out, "claims", asked, results)


@app.command()
def scorecard(
    request: Annotated[str, typer.Option(help="The studies and the title of the reading, as JSON.")],
    results: Annotated[Path, typer.Option(help="Folder of the results.")],
    out: Annotated[Path, typer.Option(help="Files to write, without their suffix.")],
) -> None:
    """The verdicts on all claims, as a page (html) and as a table (csv)."""
    from byzcode.scorecard.page import write

    asked = _read_request(request)
    write(asked, results, out)
    _write_list(out, "scorecard", asked, results, ("csv", "html"))


@app.command()
def reading(
    request: Annotated[str, typer.Option(help="A reading and the configuration, as JSON.")],
    out: Out,
) -> None:
    """Train what the claims need under one reading of the papers, and store their verdicts."""
    from byzcode.multiverse.plan import of_request
    from byzcode.multiverse.universe import verdicts

    asked = _read_request(request)
    rows = verdicts(*of_request(asked))
    _write_table(rows, out, "reading", asked, out.parent)


@app.command()
def multiverse(
    request: Annotated[str, typer.Option(help="The names of the readings, as JSON.")],
    results: Annotated[Path, typer.Option(help="Folder of the results.")],
) -> None:
    """What all readings say together: tables and a picture of which claims hold, and which choices decide them."""
    from byzcode import checklist, inputs
    from byzcode.multiverse.summarise import summarise as all_of

    asked, folder = _read_request(request), results / "multiverse"
    made = all_of(
        [folder / "readings" / f"{name}.csv" for name in asked.get("readings", [])], folder, asked.get("requests")
    )
    read = inputs.read_by("multiverse", asked, results)
    checklist.write(folder / "multiverse.sha256", "multiverse", asked, made, read)


@app.command()
def figure(
    request: Annotated[str, typer.Option(help="What to draw, as JSON.")],
    results: Annotated[Path, typer.Option(help="Folder of the results.")],
    out: Annotated[Path, typer.Option(help="Files to write, without their suffix.")],
) -> None:
    """Draw one figure, as pdf, svg and png, and store the plotted data as csv."""
    from byzcode.figures import draw

    asked = _read_request(request)
    draw(asked, results, out)
    _write_list(out, "figure", asked, results, ("csv", "pdf", "png", "svg"))


@app.command()
def recommend(
    devices: Annotated[int, typer.Option(help="How many devices there are, N.")],
    alpha: Annotated[float, typer.Option(help="Byzantine fraction.")],
    heterogeneity: Annotated[
        float, typer.Option(help="Root mean squared distance of the subsets' gradients from the true one.")
    ],
    budget_gradients: Annotated[int, typer.Option(help="Gradients in an iteration, of all devices together.")],
    budget_bits: Annotated[int | None, typer.Option(help="Bits sent in an iteration, by all devices together.")] = None,
    subsets: Annotated[int | None, typer.Option(help="How many subsets there are, M; N if left out.")] = None,
    dimension: Annotated[int, typer.Option(help="How many parameters there are, D.")] = 100,
    results: Annotated[Path, typer.Option(help="Folder of results to look for measurements in.")] = Path("results"),
) -> None:
    """Say which method, redundancy, rule and compressor the bounds favour within a budget, and what was measured."""
    from rich.console import Console

    from byzcode import recommend as advice

    asked = advice.need(devices, alpha, heterogeneity, budget_gradients, budget_bits, subsets, dimension)
    found, refused = advice.recommend(asked)
    console = Console(width=None if sys.stdout.isatty() else 160)
    rows = advice.measurements(results, asked)
    told = [(one, advice.measured(asked, one, rows)) for one in found]
    console.print(advice.table(asked, told))
    print(f"Best by the bounds: {found[0].title}. {found[0].reason}")
    print(f"As a curve of a study: {json.dumps(found[0].curve)}")
    best = advice.favourite(told)
    if best is not None:
        print(f"Best by what was measured: {best[1]}")
        if best[0] is not found[0]:
            print(f"As a curve of a study: {json.dumps(best[0].curve)}")
    for reason in refused:
        print(f"Not listed: {reason}")


@app.command()
def plan(
    config: ConfigPath = "config/config.yaml",
    slurm: Annotated[bool, typer.Option("--slurm", help="Say how much work the missing runs are, as jobs.")] = False,
    at_once: Annotated[int, typer.Option(min=1, help="Jobs that run at a time, for --slurm.")] = 50,
) -> None:
    """List the runs of each study: id, label, and whether the result is present and current; or what is to be done."""
    from byzcode.studies.expand import lookup
    from byzcode.studies.plan import load_plan_file

    asked = load_plan_file(config)
    results = Path(asked.config.results)
    states = {run: _state(results, run) for run in asked.runs}
    if slurm:
        from rich.console import Console

        from byzcode.sizing import told

        console = Console(width=None if sys.stdout.isatty() else 120)
        for said in told(asked, [run for run, state in states.items() if state != "current"], at_once):
            console.print(said)
        return
    for planned in asked.studies.values():
        print(f"{planned.study.study}: {planned.study.title} ({planned.path})")
        lines = []
        for curve, spec, point in planned.members:
            where = ", ".join(f"{key} {found}" for key in point if (found := lookup(spec, key)) is not None)
            state = states.get(spec.run_id, f"allocation {spec.allocation_spec.allocation_id} only")
            why = f"; undefined: {spec.undefined}" if spec.undefined else ""
            why += f"; beyond its radius: {spec.undecodable}" if spec.undecodable else ""
            lines.append(f"  {spec.run_id}  {state:<18} {curve.label:<26} {where}{why}")
        print("\n".join(dict.fromkeys(lines)))
    counted = list(states.values())
    print(f"{len(counted)} runs: " + ", ".join(f"{counted.count(state)} {state}" for state in dict.fromkeys(counted)))
    for run in (run for run, state in states.items() if state == "unreadable"):
        _stored_spec(results, run)  # raises what is wrong with it


@app.command()
def explain(
    run_id: Annotated[str, typer.Argument(help="The id of a run or of an allocation, or its first digits.")],
    config: ConfigPath = "config/config.yaml",
) -> None:
    """Say in words what a stored file is, or will be."""
    from byzcode.studies.describe import describe
    from byzcode.studies.plan import load_plan_file

    asked = load_plan_file(config)
    results = Path(asked.config.results)
    stored = {path.stem: path for path in sorted(results.glob("trajectories/[!.]*.nc"))}
    known = sorted({*asked.runs, *asked.allocations, *stored})
    matches = [name for name in known if run_id and name.startswith(run_id)]
    if len(matches) != 1:
        allowed = one_of(matches, run_id) if matches else f"no such run in {config} or {results}/trajectories"
        raise complain("byzcode explain", "RUN_ID", run_id, allowed)
    name = matches[0]
    if name in asked.allocations:
        print(_explain_allocation(asked, name))
        return
    state = _state(results, name)
    print(f"{_trajectory(results, name)}: {state}")
    print(describe(asked.runs[name] if name in asked.runs else _stored_spec(results, name)))
    print(f"Studies: {', '.join(_studies_of(asked, name)) or 'none of the configured ones'}.")
    if state == "unreadable":
        _stored_spec(results, name)  # raises what is wrong with it


@app.command()
def verify(
    results: Annotated[
        Path | None, typer.Argument(help="Folder of the results; that of the configuration if left out.")
    ] = None,
    config: ConfigPath = "config/config.yaml",
    reference: Annotated[
        Path | None, typer.Option(help="Tables to compare with; the folder reference of the results, if it is there.")
    ] = None,
    allow_stale: Annotated[
        bool, typer.Option("--allow-stale", help="Results of other code, or of another request, are no fault.")
    ] = False,
) -> None:
    """Say whether the results are those that the configuration asks for, whole, of this code, and as the reference.

    Ends with 0 if all is well; with 1 if anything is missing, damaged, of another run, stale or outside a tolerance.
    """
    from rich.console import Console

    from byzcode.studies.plan import load_plan_file
    from byzcode.verify import Verification
    from byzcode.verify.report import counted

    asked = load_plan_file(config)
    folder = Path(asked.config.results) if results is None else results
    done = Verification.of(asked, folder, reference)
    console = Console(width=None if sys.stdout.isatty() else 160)
    for table in done.tables():
        console.print(table)
    for line in done.lines(allow_stale=allow_stale):
        print(line)
    if faults := done.faults(allow_stale=allow_stale):
        raise UserError(f"{folder}: {counted(faults)}")
    print(f"{folder}: all is well")


@app.command()
def archive(
    out: Annotated[Path, typer.Option(help="File to write, *.tar.gz.")] = Path("byzcode-results.tar.gz"),
    config: ConfigPath = "config/config.yaml",
) -> None:
    """Pack the results with a manifest, the configuration and the versions, to be drawn anew without training."""
    from byzcode.archive import write
    from byzcode.studies.plan import load_plan_file

    write(load_plan_file(config), config, out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


@app.command()
def schema(project: Annotated[Path, typer.Option(help="Folder of the project.")] = Path()) -> None:
    """Write workflow/schemas/ and the reference in config/README.md out of the models that check the files."""
    from byzcode.studies.schema import generated
    from byzcode.wholefile import text as writing

    for path, text in generated(project).items():
        with writing(path) as file:
            file.write(text)


def main() -> None:
    """Run the command line; a mistake of the user ends in one line and exit status 1."""
    try:
        app()
    except UserError as error:
        print(f"byzcode: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        gc.freeze()  # the process ends: to search a plotting library once more for garbage takes a third of a second


def _read_spec(model: Any, text: str) -> Any:
    """A spec from a JSON text or from the file that holds one."""
    return model.from_json(*_read_json("--spec", text))


def _read_json(option: str, text: str) -> tuple[str, str]:
    """A JSON text, given as such or as the file that holds it; and where it stands."""
    if not text.strip() or text.lstrip()[0] in "{[":
        return text, option
    from byzcode.studies.files import read_text

    return read_text(text, most=_MOST_BYTES), text


#: Of a request or a spec: that of 100,000 runs has some 10 million.
_MOST_BYTES = 2**28


def _write_table(rows: pd.DataFrame, out: Path, stage: str, asked: Mapping[str, Any], results: Path) -> None:
    """A table, made of files in a folder of results, and the list of its checksum."""
    from byzcode import checklist, inputs
    from byzcode.wholefile import text as writing

    with writing(out) as file:
        rows.to_csv(file, index=False)
    checklist.write(checklist.beside(out), stage, asked, [out], inputs.read_by(stage, asked, results))


def _write_list(out: Path, stage: str, asked: Mapping[str, Any], results: Path, suffixes: Sequence[str]) -> None:
    """The list of the checksums of ``out`` with some suffixes, made of files in a folder of results."""
    from byzcode import checklist, inputs

    made = [out.with_name(f"{out.name}.{suffix}") for suffix in suffixes]
    read = inputs.read_by(stage, asked, results)
    checklist.write(out.with_name(out.name + checklist.SUFFIX), stage, asked, made, read)


def _read_request(request: str) -> dict[str, Any]:
    """A request of the workflow, as it writes them itself: a JSON text, or the file that holds a long one."""
    text, where = _read_json("--request", request)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise complain(where, "JSON", text, f"not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise complain(where, "JSON", found, "expected an object of keys and values")
    return found


def _trajectory(results: Path, run: str) -> Path:
    return results / "trajectories" / f"{run}.nc"


def _state(results: Path, run: str) -> str:
    """missing, current, made by another engine, or unreadable."""
    from byzcode import trajectory

    path = _trajectory(results, run)
    if not path.exists():
        return "missing"
    try:
        _, digest = trajectory.read_spec(path, run)
    except UserError:
        return "unreadable"
    return "current" if digest == trajectory.engine_digest() else "of another engine"


def _stored_spec(results: Path, run: str) -> RunSpec:
    """The spec of a stored run. Raises UserError where it is damaged, or another run."""
    from byzcode import trajectory

    return trajectory.read_spec(_trajectory(results, run), run)[0]


def _explain_allocation(asked: Plan, name: str) -> str:
    from byzcode.allocation import file

    spec = asked.allocations[name]
    path = Path(asked.config.results) / "allocations" / f"{name}.nc"
    if path.exists():
        file.about(path, name)  # raises what is wrong with it
    return (
        f"{path}: {'present' if path.exists() else 'missing'}\n"
        f"Allocation ({spec.allocation.name}) of {spec.subsets} subsets to {spec.devices} devices, "
        f"{spec.redundancy} each, for seeds {', '.join(map(str, spec.seeds))}."
    )


def _studies_of(asked: Plan, run: str) -> list[str]:
    return [name for name, planned in asked.studies.items() if run in planned.run_ids()]


if __name__ == "__main__":
    main()
