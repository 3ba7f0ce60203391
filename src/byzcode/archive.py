"""One file that holds the results of a configuration and all that it takes to draw them anew without training."""

from __future__ import annotations

import gzip
import io
import platform
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

from byzcode.errors import UserError, complain
from byzcode.multiverse.plan import Multiverse
from byzcode.progress import progress
from byzcode.studies.plan import Plan
from byzcode.verify.archived import FOLDER, MANIFEST, Manifest, described
from byzcode.verify.expected import Item, expected
from byzcode.verify.files import look
from byzcode.verify.report import counted
from byzcode.wholefile import whole


def write(plan: Plan, config: str, out: Path) -> None:
    """Pack the results of a configuration, the file ``config``, with a manifest and the files of the configuration.

    The same results, libraries and commit give the same bytes. Times of files are kept: Snakemake compares them.
    Raises UserError where the results are not all there, whole and of this code, or ``out`` cannot be written.
    """
    results = Path(plan.config.results)
    if out.suffixes[-2:] != [".tar", ".gz"]:
        raise complain("byzcode archive", "--out", str(out), "a name that ends with .tar.gz")
    items = expected(plan, results, progress)
    if faults := [line for one in look(items, progress) for line in one.faults]:
        raise UserError(f"{results} cannot be archived: {counted(faults)}, the first: {faults[0]}; see byzcode verify")
    paths = sorted(path for item in items for path in item.paths)
    about = results / FOLDER
    manifest = _manifest(items, config, {str(path.relative_to(results)): path for path in paths})
    added = {about / "configuration" / path: Path(path).read_bytes() for path in sorted(_configuration(plan, config))}
    added[about / MANIFEST] = (manifest.model_dump_json(indent=1) + "\n").encode()
    with _packing(out) as tar:
        for path in paths:
            tar.add(path, filter=_anonymous)
        for name, content in added.items():
            entry = tarfile.TarInfo(str(name))
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


@contextmanager
def _packing(out: Path) -> Iterator[tarfile.TarFile]:
    """A new archive, whole or not there. No name and no time of its own stands in it."""
    with (
        whole(out) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        yield tar


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry


def _manifest(items: list[Item], config: str, files: dict[str, Path]) -> Manifest:
    chosen = "" if config == "config/config.yaml" else f" --configfile {config}"
    targets = " all multiverse" if any(item.kind == "multiverse" for item in items) else ""
    stages = [stage for stage in dict.fromkeys(item.stage for item in items) if stage not in _TRAINING]
    made = f"snakemake --cores all{targets}{chosen}"
    return Manifest(
        made_by=made,
        redrawn_by=f"{made} --forcerun {' '.join(stages)}",
        config=config,
        commit=_commit(),
        python=platform.python_version(),
        platform=platform.platform(),
        distributions={one.name: one.version for one in sorted(distributions(), key=lambda one: one.name.lower())},
        files={name: described(path) for name, path in files.items()},
    )


#: The stages whose results an archive is there to spare.
_TRAINING = ("allocate", "train", "reading")


def _configuration(plan: Plan, config: str) -> Iterator[str]:
    """The files that a configuration is made of."""
    yield from (config, plan.config.reading, plan.config.style)
    yield from (planned.path for planned in plan.studies.values())
    if Path(plan.config.multiverse).exists():
        yield plan.config.multiverse
        yield Multiverse.load(plan).settings.alternatives


def _commit() -> str | None:
    """The commit of the project in the working directory, "+" behind it where files differ; none outside git."""
    try:
        head, changed = (
            subprocess.run(["git", *command], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607
            for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")
