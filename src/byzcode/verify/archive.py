"""Pack the results of a configuration, and everything needed to redraw them without training, into one file."""

from __future__ import annotations

import gzip
import io
import platform
import subprocess
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import distributions
from importlib.resources import files as resources
from pathlib import Path

import yaml

from byzcode.errors import UserError, complain
from byzcode.execution.progress import progress
from byzcode.multiverse.plan import files_named
from byzcode.specs.parts import data_sets_of
from byzcode.storage.apart import apart
from byzcode.storage.atomic import replacing, writable
from byzcode.storage.seal import content_of
from byzcode.studies.configuration import Configuration
from byzcode.studies.files import inside, read_from
from byzcode.studies.plan import Plan
from byzcode.verify.archived import (
    CONFIGURATION,
    FOLDER,
    IN_FORCE,
    MANIFEST,
    METADATA,
    WORKFLOW,
    Environment,
    Listed,
    Manifest,
    as_listed,
)
from byzcode.verify.crate import Contents, metadata
from byzcode.verify.expected import expected
from byzcode.verify.files import LIBRARIES, Finding, look
from byzcode.verify.report import counted


def write(plan: Plan, configuration: Configuration, out: Path) -> None:
    """Pack the results of a configuration with a manifest, the files of the configuration and the values in force.

    The rules of the workflow and an RO-Crate's metadata go with them.
    The same results, libraries and commit give the same bytes. Modification times are kept, because Snakemake compares
    them. Links become regular files. Results are not compared with a reference, because other studies have none.
    Raises UserError if results are missing, damaged or not of the current code, or if ``out`` cannot be written.
    """
    results = Path(plan.config.results)
    if out.suffixes[-2:] != [".tar", ".gz"]:
        raise complain("byzcode archive", "--out", str(out), "a name that ends with .tar.gz")
    for file in configuration.files:
        inside(file, "byzcode archive", "--config")
    writable(out)
    files_in_force = sorted(_files(plan, configuration))
    apart([out], map(read_from, files_in_force))
    # Without data sets: their licences are their own, and only trainings read them.
    items = [item for item in expected(plan, results, progress) if item.stage != "data"]
    findings = look(items, progress)
    if faults := [line for finding in findings for line in finding.faults]:
        raise UserError(f"{results} cannot be archived: {counted(faults)}, the first: {faults[0]}; see byzcode verify")
    about = results / FOLDER
    packed: dict[str, Listed] = {}
    with replacing(out) as temporary:
        with _packing(temporary) as tar:
            for path in sorted(path for item in items for path in item.paths):
                content = content_of(path)
                packed[str(path)] = as_listed(content)
                _add(tar, path, content, path.stat().st_mtime)
            manifest = _manifest(findings, configuration, about / IN_FORCE, _listed(packed, results))
            added = {about / CONFIGURATION / path: _content(path) for path in files_in_force}
            added |= {about / WORKFLOW / name: content for name, content in _workflow().items()}
            added |= {about / IN_FORCE: _in_force(plan), about / MANIFEST: _json(manifest)}
            files = _listed(packed | {str(path): as_listed(content) for path, content in added.items()}, results)
            added[results / METADATA] = metadata(_contents(plan, findings, manifest, files))
            for path, content in added.items():
                packed[str(path)] = as_listed(content)
                _add(tar, path, content, 0)
        _reread(temporary, out, packed)


@contextmanager
def _packing(path: Path) -> Iterator[tarfile.TarFile]:
    """A new archive, without a name or time in its gzip header."""
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        yield tar


def _add(tar: tarfile.TarFile, path: Path, content: bytes, time: float) -> None:
    """Add a file to an archive, without an owner and readable by all."""
    entry = tarfile.TarInfo(str(path))
    entry.size, entry.mtime = len(content), time
    tar.addfile(entry, io.BytesIO(content))


def _reread(path: Path, name: Path, packed: dict[str, Listed]) -> None:
    """Raise UserError if an archive, read again, differs from what was packed: disks may lose data."""
    reread: dict[str, Listed] = {}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for entry in tar:
                file = tar.extractfile(entry)
                reread[entry.name] = as_listed(file.read() if file else b"")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(f"{name}: cannot be read again: {error}") from None
    if wrong := [file for file in {**packed, **reread} if packed.get(file) != reread.get(file)]:
        raise UserError(f"{name}: read again, {wrong[0]} differs from what was packed")


def _manifest(
    findings: list[Finding], configuration: Configuration, in_force: Path, files: dict[str, Listed]
) -> Manifest:
    # This file sets all values, so config/config.yaml at the place of unpacking has no effect.
    chosen = f" --configfile {in_force}"
    targets = " all multiverse" if any(finding.item.kind == "multiverse" for finding in findings) else ""
    stages = [stage for stage in dict.fromkeys(finding.item.stage for finding in findings) if stage not in _TRAINING]
    command = f"snakemake --cores all{targets}{chosen}"
    return Manifest(
        made_anew_by=command,
        redrawn_by=f"{command} --forcerun {' '.join(stages)}",
        config=list(configuration.files),
        made_with={
            name: sorted({finding.versions[name] for finding in findings if name in finding.versions})
            for name in LIBRARIES
        },
        packed_with=Environment(
            commit=_commit(),
            python=platform.python_version(),
            platform=platform.platform(),
            distributions={
                package.name: package.version for package in sorted(distributions(), key=lambda each: each.name.lower())
            },
        ),
        files=files,
    )


#: The stages that need not run again with an archive.
_TRAINING = ("allocate", "train", "reading")


def _contents(plan: Plan, findings: list[Finding], manifest: Manifest, files: Mapping[str, Listed]) -> Contents:
    """What the metadata of an archive are about."""
    times = [path.stat().st_mtime for finding in findings for path in finding.item.paths]
    return Contents(
        files=files,
        results=frozenset(manifest.files),
        manifest=manifest,
        studies={name: planned.study.title for name, planned in plan.studies.items()},
        data_sets={name: known for spec in plan.runs.values() for name, known in data_sets_of(spec).items()},
        begun=min(times, default=0),
        ended=max(times, default=0),
    )


def _listed(packed: Mapping[str, Listed], results: Path) -> dict[str, Listed]:
    """The same files by their path in the folder of results."""
    return {str(Path(name).relative_to(results)): entry for name, entry in packed.items()}


def _json(manifest: Manifest) -> bytes:
    return f"{manifest.model_dump_json(indent=1)}\n".encode()


def _workflow() -> dict[str, bytes]:
    """The Snakefile and its rules, by their path in the folder of the workflow."""
    folder = Path(str(resources("byzcode"))) / "project" / "workflow"
    paths = [folder / "Snakefile", *sorted(folder.glob("rules/*.smk"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _in_force(plan: Plan) -> bytes:
    """A configuration file that sets every value in force."""
    text: str = yaml.safe_dump(plan.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text.encode()


def _content(path: str) -> bytes:
    return content_of(read_from(path))


def _files(plan: Plan, configuration: Configuration) -> set[str]:
    """The files of a configuration."""
    beside = [path for path in (plan.config.registered, plan.config.heldout) if read_from(path).exists()]
    return {*configuration.files, *files_named(plan), *beside}


#: Folders in which untracked files count as changes, because they may have contributed to the results.
_SOURCES = ("src", "workflow", "config", "Snakefile")


def _commit() -> str | None:
    """The commit in the working directory, followed by "+" if sources differ from it; None outside git."""
    commands = (
        ("rev-parse", "HEAD"),
        ("status", "--porcelain", "--untracked-files=no"),
        ("status", "--porcelain", "--untracked-files=all", "--", *_SOURCES),
    )
    try:
        head, *changed = (
            subprocess.run(  # noqa: S603
                ["git", *command],  # noqa: S607
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=True,
            ).stdout.strip()
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if any(changed) else "")
