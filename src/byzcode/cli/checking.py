"""Commands that check results, pack them, report on them, and write the schemas of the configuration files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from byzcode.cli.arguments import Configs, Json, OutArchive, OutReport, console, load, print_json
from byzcode.errors import UserError


def verify(
    results: Annotated[
        Path | None, typer.Argument(help="Folder of the results; that of the configuration if left out.")
    ] = None,
    config: Configs = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Tables to compare with; by default, the folder reference of the results, if it exists."),
    ] = None,
    allow_stale: Annotated[
        bool, typer.Option("--allow-stale", help="Do not count results of other code or of another request as faults.")
    ] = False,
    json: Json = False,
) -> None:
    """Check that results are complete, current and match the reference.

    Ends with 0 if all is well; with 1 if anything is missing, damaged, stale, of another run or outside a tolerance.
    """
    from byzcode.verify.report import counted
    from byzcode.verify.verification import Verification

    configured, _ = load(config)
    folder = Path(configured.config.results) if results is None else results
    verification = Verification.of(configured, folder, reference)
    faults = verification.faults(allow_stale=allow_stale)
    if json:
        print_json({"results": folder, "well": not faults, **verification.record(), "faults": faults})
    else:
        terminal = console(160)
        for table in verification.tables():
            terminal.print(table)
        for line in verification.lines(allow_stale=allow_stale):
            print(line)
    if faults:
        raise UserError(f"{folder}: {counted(faults)}")
    if not json:
        print(f"{folder}: all is well")


def archive(
    out: OutArchive = Path("byzcode-results.tar.gz"),
    config: Configs = None,
) -> None:
    """Pack the results with a manifest, the configuration and the versions, to redraw the figures without training."""
    from byzcode.verify.archive import write

    write(*load(config), out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


def report(
    out: OutReport = Path("byzcode-report.pdf"),
    config: Configs = None,
) -> None:
    """Write a report of two pages on the stated claims, from the results, or from the tables kept in reference/."""
    from byzcode.report.pdf import write

    plan, _ = load(config)
    tables = write(plan, out)
    print(f"{out}: made from {tables.folder}")


def freeze(
    config: Configs = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace registered hashes; held-out seeds that were used are then spent.")
    ] = False,
) -> None:
    """Register the claims of a configuration: write the hashes of what they test, before held-out seeds are used."""
    from byzcode.storage.atomic import text as writing
    from byzcode.studies.files import read_from
    from byzcode.studies.frozen import text_of

    plan, _ = load(config)
    registration, path = plan.registration, plan.config.registered
    if registration.registered and registration.differing and not replace:
        raise UserError(f"{path}: {registration.words}; --replace registers the claims anew")
    read_from(path).parent.mkdir(parents=True, exist_ok=True)
    with writing(read_from(path)) as file:
        file.write(text_of(registration.frozen))
    print(f"{path}: {len(registration.frozen)} studies, sha256 {registration.digest}")


def schema(project: Annotated[Path, typer.Option(help="Folder of the project.")] = Path()) -> None:
    """Write workflow/schemas/ and the reference in config/README.md from the models that check the files."""
    from byzcode.storage.atomic import text as writing
    from byzcode.storage.atomic import writable
    from byzcode.studies.schema import generated

    files = generated(project)
    writable(*files)
    for path, text in files.items():
        with writing(path) as file:
            file.write(text)
