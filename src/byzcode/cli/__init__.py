"""The command line. Each command is thin: it reads its arguments and calls one function of the library."""

from __future__ import annotations

import gc
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from byzcode.cli.arguments import (
    Out,
    OutArchive,
    Stem,
    files_of,
    read_request,
    read_spec,
    try_files,
    try_table,
    write_list,
    write_table,
)
from byzcode.errors import UserError, complain, one_of
from byzcode.specs.run import AllocationSpec, RunSpec

if TYPE_CHECKING:
    from byzcode.studies.configuration import Configuration
    from byzcode.studies.plan import Plan

app = typer.Typer(
    name="byzcode",
    help="Coded robust aggregation for distributed learning with Byzantine devices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SpecText = Annotated[str, typer.Option(help="A spec: a JSON object, or the path of a file that holds one.")]
Configs = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        "--configfile",
        metavar="FILE or KEY=VALUE",
        help="Laid over config/config.yaml, as by Snakemake; may be given several times.",
    ),
]


@app.command()
def allocate(spec: SpecText, out: Out) -> None:
    """Draw the allocations of an allocation spec, for all its seeds, and store them."""
    from byzcode.storage import allocations
    from byzcode.storage.apart import apart
    from byzcode.storage.atomic import writable

    parsed = read_spec(AllocationSpec, spec)
    writable(out)
    apart([out], files_of(spec))
    allocations.write(parsed, out)


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
    from byzcode.execution import batches
    from byzcode.storage.apart import apart
    from byzcode.storage.atomic import writable

    parsed = read_spec(RunSpec, spec)
    writable(out)
    apart([out], files_of(spec, allocation, together))
    if together is None:
        batches.alone(parsed, allocation, out, device=device, threads=threads)
    else:
        batches.train(parsed, allocation, out, together=together, device=device)


@app.command()
def summarise(
    request: Annotated[str, typer.Option(help="The study and its runs, as JSON.")],
    results: Annotated[Path, typer.Option(help="Folder of the results.")],
    out: Out,
) -> None:
    """One row a run: plateau, rate and cost over its seeds."""
    from byzcode.analysis.summary import summarise as table
    from byzcode.studies.requests import Summary

    asked = read_request(Summary, "summary request", request, results)
    try_table(out, "summarise", request, asked, results)
    runs = asked["runs"]
    rows = table([_trajectory(results, run) for run in runs], runs)
    write_table(rows, out, "summarise", asked, results)


@app.command()
def claims(
    request: Annotated[str, typer.Option(help="The claims of a study and their runs, as JSON.")],
    results: Annotated[Path, typer.Option(help="Folder of the results.")],
    out: Out,
) -> None:
    """One row a test of a claim: effect, interval, p-values, and what is not at a plateau."""
    from byzcode.analysis.evidence import of_study
    from byzcode.studies.requests import Claims

    asked = read_request(Claims, "claims request", request, results)
    try_table(out, "claims", request, asked, results)
    rows = of_study(asked, lambda run: _trajectory(results, run))
    write_table(rows, out, "claims", asked, results)


@app.command()
def scorecard(
    request: Annotated[str, typer.Option(help="The studies and the title of the reading, as JSON.")],
    results: Annotated[Path, typer.Option(help="Folder of the results.")],
    out: Stem,
) -> None:
    """The verdicts on all claims, as a page (html) and as a table (csv)."""
    from byzcode.scorecard.page import write
    from byzcode.storage.atomic import with_suffixes
    from byzcode.studies.requests import Scorecard

    asked = read_request(Scorecard, "scorecard request", request, results)
    made, listed = with_suffixes(out, "csv", "html"), with_suffixes(out, "sha256")
    try_files([*made, *listed], "scorecard", request, asked, results)
    write(asked, results, out)
    write_list(listed[0], "scorecard", asked, results, made)


@app.command()
def reading(
    request: Annotated[str, typer.Option(help="A reading and the configuration, as JSON.")],
    out: Out,
) -> None:
    """Train what the claims need under one reading of the papers, and store their verdicts."""
    from byzcode.multiverse.plan import files_named, of_request
    from byzcode.multiverse.universe import verdicts
    from byzcode.storage.apart import apart
    from byzcode.storage.checksums import beside
    from byzcode.studies.files import read_from
    from byzcode.studies.requests import Reading

    asked = read_request(Reading, "reading request", request)
    try_table(out, "reading", request, asked, out.parent)
    found, universe = of_request(asked)
    apart([out, beside(out)], map(read_from, files_named(found.plan)))
    rows = verdicts(found, universe)
    write_table(rows, out, "reading", asked, out.parent, found.entries(universe))


@app.command()
def multiverse(
    request: Annotated[str, typer.Option(help="The names of the readings, as JSON.")],
    results: Annotated[Path, typer.Option(help="Folder of the results.")],
) -> None:
    """What all readings say together: tables and a picture of which claims hold, and which choices decide them."""
    from byzcode.multiverse.summarise import made_in
    from byzcode.multiverse.summarise import summarise as all_of
    from byzcode.studies.requests import Multiverse

    asked, folder = read_request(Multiverse, "multiverse request", request, results), results / "multiverse"
    listed = folder / "multiverse.sha256"
    try_files([*made_in(folder), listed], "multiverse", request, asked, results)
    made = all_of([folder / "readings" / f"{name}.csv" for name in asked["readings"]], folder, asked.get("requests"))
    write_list(listed, "multiverse", asked, results, made)


@app.command()
def figure(
    request: Annotated[str, typer.Option(help="What to draw, as JSON.")],
    results: Annotated[Path, typer.Option(help="Folder of the results.")],
    out: Stem,
) -> None:
    """Draw one figure, as pdf, svg and png, and store the plotted data as csv."""
    from byzcode.figures import draw
    from byzcode.figures.request import Request
    from byzcode.storage.atomic import with_suffixes

    asked = read_request(Request, "figure request", request, results)
    made, listed = with_suffixes(out, "csv", "pdf", "png", "svg"), with_suffixes(out, "sha256")
    try_files([*made, *listed], "figure", request, asked, results)
    draw(asked, results, out)
    write_list(listed[0], "figure", asked, results, made)


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
    results: Annotated[
        Path | None, typer.Option(help="Folder of results to look for measurements in; the configured one if left out.")
    ] = None,
) -> None:
    """Say which method, redundancy, rule and compressor the bounds favour within a budget, and what was measured."""
    from rich.console import Console

    from byzcode import recommend as advice
    from byzcode.studies.files import folder

    asked = advice.need(devices, alpha, heterogeneity, budget_gradients, budget_bits, subsets, dimension)
    searched = _results() if results is None else folder(results)
    found, refused = advice.recommend(asked)
    console = Console(width=None if sys.stdout.isatty() else 160)
    rows = advice.measurements(searched, asked)
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
    config: Configs = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="Say how much work the missing runs are, as jobs.")] = False,
    at_once: Annotated[int, typer.Option(min=1, help="Jobs that run at a time, for --slurm.")] = 50,
) -> None:
    """List the runs of each study: id, label, and whether the result is present and current; or what is to be done."""
    from byzcode.studies.expand import lookup
    from byzcode.verify.states import notes, state

    asked, _ = _plan(config)
    for warning in asked.unreadable():
        print(f"byzcode: warning: {warning}", file=sys.stderr)
    results = Path(asked.config.results)
    found = {run: state(results, spec) for run, spec in asked.runs.items()}
    states = {run: one.word for run, one in found.items()}
    if slurm:
        from rich.console import Console

        from byzcode.execution.forecast import told

        console = Console(width=None if sys.stdout.isatty() else 120)
        for said in told(asked, [run for run, state in states.items() if state != "current"], at_once):
            console.print(said)
        return
    for planned in asked.studies.values():
        print(f"{planned.study.study}: {planned.study.title} ({planned.path})")
        lines = []
        for curve, spec, point in planned.members:
            where = ", ".join(f"{key} {found}" for key in point if (found := lookup(spec, key)) is not None)
            word = states.get(spec.run_id, f"allocation {spec.allocation_spec.allocation_id} only")
            why = f"; undefined: {spec.undefined}" if spec.undefined else ""
            why += f"; beyond its radius: {spec.undecodable}" if spec.undecodable else ""
            lines.append(f"  {spec.run_id}  {word:<18} {curve.label:<26} {where}{why}")
        print("\n".join(dict.fromkeys(lines)))
    counted = list(states.values())
    print(f"{len(counted)} runs: " + ", ".join(f"{counted.count(state)} {state}" for state in dict.fromkeys(counted)))
    for note in notes(found):
        print(note)
    for run in (run for run, word in states.items() if word == "unreadable"):
        _stored_spec(results, asked.runs[run])  # raises what is wrong with it


@app.command()
def explain(
    run_id: Annotated[str, typer.Argument(help="The id of a run or of an allocation, or its first digits.")],
    config: Configs = None,
) -> None:
    """Say in words what a stored file is, or will be."""
    from byzcode.studies.describe import describe
    from byzcode.verify.states import notes, state

    asked, configuration = _plan(config)
    results = Path(asked.config.results)
    stored = {path.stem: path for path in sorted(results.glob("trajectories/[!.]*.nc"))}
    known = sorted({*asked.runs, *asked.allocations, *stored})
    matches = [name for name in known if run_id and name.startswith(run_id)]
    if len(matches) != 1:
        allowed = one_of(matches, run_id) if matches else f"no such run in {configuration} or {results}/trajectories"
        raise complain("byzcode explain", "RUN_ID", run_id, allowed)
    name = matches[0]
    if name in asked.allocations:
        print(_explain_allocation(asked, name))
        return
    spec = asked.runs[name] if name in asked.runs else _stored_spec(results, name)
    found = state(results, spec)
    print(f"{_trajectory(results, name)}: {found.word}")
    print(describe(spec))
    print(f"Studies: {', '.join(_studies_of(asked, name)) or 'none of the configured ones'}.")
    if found.word == "unreadable":
        _stored_spec(results, spec)  # raises what is wrong with it
    for note in notes({name: found}):
        print(note)


@app.command()
def verify(
    results: Annotated[
        Path | None, typer.Argument(help="Folder of the results; that of the configuration if left out.")
    ] = None,
    config: Configs = None,
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

    from byzcode.verify import Verification
    from byzcode.verify.report import counted

    asked, _ = _plan(config)
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
    out: OutArchive = Path("byzcode-results.tar.gz"),
    config: Configs = None,
) -> None:
    """Pack the results with a manifest, the configuration and the versions, to be drawn anew without training."""
    from byzcode.verify.archive import write

    write(*_plan(config), out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


@app.command()
def schema(project: Annotated[Path, typer.Option(help="Folder of the project.")] = Path()) -> None:
    """Write workflow/schemas/ and the reference in config/README.md out of the models that check the files."""
    from byzcode.storage.atomic import text as writing
    from byzcode.storage.atomic import writable
    from byzcode.studies.schema import generated

    files = generated(project)
    writable(*files)
    for path, text in files.items():
        with writing(path) as file:
            file.write(text)


def main() -> None:
    """Run the command line; a mistake of the user ends in one line and exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal or a log that knows not all letters
    try:
        app()
    except UserError as error:
        print(f"byzcode: {error}", file=sys.stderr)
        sys.exit(1)
    except MemoryError as error:
        print(f"byzcode: there is not enough memory: {error or 'none is left'}", file=sys.stderr)
        sys.exit(1)
    finally:
        gc.freeze()  # the process ends: to search a plotting library once more for garbage takes a third of a second


def _plan(config: list[str] | None) -> tuple[Plan, Configuration]:
    """What a configuration asks for, and in which files it stands."""
    from byzcode.studies.configuration import Configuration
    from byzcode.studies.plan import load_plan

    configuration = Configuration.read(config or ())
    return load_plan(configuration.values, configuration.where), configuration


def _results() -> Path:
    """The folder of results of the configuration; that of every configuration by default where there is none here."""
    from byzcode.specs.run import parse
    from byzcode.studies.configuration import BASE, Configuration
    from byzcode.studies.study import WorkflowConfig

    if not Path(BASE).exists():
        return Path("results")
    configuration = Configuration.read()
    return Path(parse(WorkflowConfig, configuration.values, configuration.where).results)


def _trajectory(results: Path, run: str) -> Path:
    from byzcode.storage.layout import trajectory

    return trajectory(results, run)


def _stored_spec(results: Path, run: RunSpec | str) -> RunSpec:
    """The spec of a stored run. Raises UserError where it is damaged, or another run."""
    from byzcode.storage import trajectories

    name = run if isinstance(run, str) else run.run_id
    return trajectories.read_spec(_trajectory(results, name), run)[0]


def _explain_allocation(asked: Plan, name: str) -> str:
    from byzcode.storage import allocations

    spec = asked.allocations[name]
    path = Path(asked.config.results) / "allocations" / f"{name}.nc"
    if path.exists():
        allocations.about(path, name)  # raises what is wrong with it
    return (
        f"{path}: {'present' if path.exists() else 'missing'}\n"
        f"Allocation ({spec.allocation.name}) of {spec.subsets} subsets to {spec.devices} devices, "
        f"{spec.redundancy} each, for seeds {', '.join(map(str, spec.seeds))}."
    )


def _studies_of(asked: Plan, run: str) -> list[str]:
    return [name for name, planned in asked.studies.items() if run in planned.run_ids()]


if __name__ == "__main__":
    main()
