"""Where commands write: tried before the work, refused in one line, and nothing is left behind, replaced or lost."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from commands import ONE, REQUESTS, RUN, TWO, Call, arguments, byzcode, complaint, request, unchanged

from byzcode.errors import UserError
from byzcode.execution import batches
from byzcode.gallery import page as gallery
from byzcode.multiverse import universe
from byzcode.provenance.content import canonical
from byzcode.scorecard import page
from byzcode.specs.allocation import AllocationSpec
from byzcode.storage import allocations, netcdf, trajectories
from byzcode.storage.atomic import replacing, text, with_suffixes, writable
from byzcode.storage.layout import STAGES
from byzcode.training import workers

__all__ = ["byzcode"]

#: Commands with --out, and the suffixes of what they write.
COMMANDS: dict[str, tuple[str, ...]] = {
    "allocate": ("",),
    "train": ("",),
    "summarise": ("", ".sha256"),
    "claims": ("", ".sha256"),
    "heldout": ("", ".sha256"),
    "reading": ("", ".sha256"),
    "scorecard": (".csv", ".html", ".sha256"),
    "gallery": ("", ".sha256"),
    "figure": (".csv", ".pdf", ".png", ".svg", ".sha256"),
    "archive": ("",),
}
STEMS = ("scorecard", "figure")


def made(make: Callable[[Path], object]) -> Callable[[Path], str]:
    def at(folder: Path) -> str:
        path = folder / "out.tar.gz"
        make(path)
        return str(path)

    return at


def bound(path: Path) -> None:
    home = Path.cwd()
    os.chdir(path.parent)  # a socket's path has a hundred letters at most
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path.name)
    os.chdir(home)


NO_FOLDER, NO_ROOM = "it is a folder", "File name too long"

#: What stands behind --out, and what is said of it. The names end as archive wants them.
BAD: dict[str, tuple[Callable[[Path], str], str]] = {
    "nothing": (lambda _: "", "--out = ''"),
    "here": (lambda _: ".", NO_FOLDER),
    "the root": (lambda _: "/", "--out = '/'"),
    "above": (lambda _: "new/..", NO_FOLDER),
    "a folder": (made(Path.mkdir), NO_FOLDER),
    "a new folder": (lambda folder: f"{folder}/new.tar.gz/", "does not end with /"),
    "too long a name": (lambda folder: f"{folder}/{'x' * 260}.tar.gz", NO_ROOM),
    "too long a name in a new folder": (lambda folder: f"{folder}/new/{'x' * 260}.tar.gz", NO_ROOM),
    "too long a folder": (lambda folder: f"{folder}/new/{'x' * 260}/out.tar.gz", NO_ROOM),
    "too long a path": (lambda folder: f"{folder}/{'/'.join(40 * ['x' * 200])}/out.tar.gz", NO_ROOM),
    "below a file": (lambda folder: f"{file_in(folder)}/out.tar.gz", "Not a directory"),
    "a NUL": (lambda folder: f"{folder}/a\0b.tar.gz", "null"),
    "half a letter": (lambda folder: f"{folder}/\ud800.tar.gz", "surrogates not allowed"),
    "no folder of ours": (lambda _: "/proc/byzcode/out.tar.gz", "No such file or directory"),
}
#: What may be at the path of any of the files that a command writes.
THERE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, NO_FOLDER),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "it is a link"),
    "a link to a file": (lambda path: path.symlink_to(file_in(path.parent)), "it is a link"),
    "a link to a folder": (lambda path: path.symlink_to("."), "it is a"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "it is a link"),
    "a link to a device": (lambda path: path.symlink_to("/dev/null"), "it is a link"),
    "a pipe": (os.mkfifo, "it is a pipe"),
    "a socket": (bound, "it is a socket"),
}


def file_in(folder: Path) -> Path:
    """A file with something in it."""
    path = folder / "file"
    path.write_text("kept")
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a configuration and no results. Whatever computes fails the test."""
    folder = tmp_path / "project"
    (folder / "config/studies").mkdir(parents=True)
    (folder / "results").mkdir()
    shutil.copytree("config/readings", folder / "config/readings")
    shutil.copy("config/style.yaml", folder / "config")
    (folder / "config/config.yaml").write_text("studies: [config/studies/*.yaml]\n")
    (folder / "config/studies/one.yaml").write_text(
        "study: one\ntitle: One\nbase: {problem.subsets: 12, devices: 6, seeds: 6}\ncurves: [{label: MA, method: ma}]\n"
        "plots: {loss: {kind: trajectories, caption: One.}}\n"
    )
    monkeypatch.chdir(folder)

    def computed(*_: object, **__: object) -> None:
        pytest.fail("something was computed or read")

    for module, name in (
        *((workers, "train"), (allocations, "draw"), (allocations, "read"), (allocations, "open")),
        *(
            (trajectories, "open"),
            (page, "read"),
            (gallery, "thumbnail"),
            (universe, "verdicts"),
            (batches, "train_one"),
        ),
    ):
        monkeypatch.setattr(module, name, computed)
    monkeypatch.setattr("byzcode.verify.archive.expected", computed)
    monkeypatch.setattr("byzcode.multiverse.stored._reading", computed)
    monkeypatch.setattr("byzcode.multiverse.plan.load_plan", computed)
    return folder


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    command: str, kind: str, project: Path, byzcode: Call
) -> None:
    make, says = BAD[kind]
    out = make(project)
    with unchanged(project):
        message = complaint(byzcode(*arguments(command, out)))
    assert says in message or (command == "archive" and "a name that ends with .tar.gz" in message)


@pytest.mark.parametrize("kind", THERE)
@pytest.mark.parametrize(("command", "suffix"), [(name, suffix) for name in COMMANDS for suffix in COMMANDS[name]])
def test_what_is_no_file_is_never_replaced(command: str, suffix: str, kind: str, project: Path, byzcode: Call) -> None:
    """Of each of the files that a command writes, and not of the first one alone."""
    make, says = THERE[kind]
    out = project / "out" / "made.tar.gz"
    out.parent.mkdir()
    path = out.with_suffix(suffix) if suffix == ".sha256" and command not in STEMS else Path(f"{out}{suffix}")
    make(path)
    with unchanged(project):
        message = complaint(byzcode(*arguments(command, out)))
    assert message.startswith(f"{path}: cannot be written: ")
    assert says in message


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_is_never_replaced(command: str, project: Path, byzcode: Call) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    suffix = COMMANDS[command][0]
    path = project / f"null.tar.gz{suffix}"
    try:
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 3))
    except OSError:
        pytest.skip("no devices can be made here")
    with unchanged(project):
        assert "it is a device" in complaint(byzcode(*arguments(command, str(path).removesuffix(suffix))))


OF_ALL = [Path("results/multiverse", name) for name in (*STAGES["multiverse"].files("multiverse"), "multiverse.sha256")]


@pytest.mark.parametrize("path", OF_ALL)
def test_all_that_the_multiverse_writes_is_tried(path: Path, project: Path, byzcode: Call) -> None:
    path.mkdir(parents=True)
    with unchanged(project):
        assert complaint(byzcode(*arguments("multiverse", ""))).startswith(f"{path}: cannot be written: {NO_FOLDER}")


@pytest.mark.parametrize("path", ["workflow", "workflow/schemas", "workflow/schemas/run.schema.json"])
def test_all_that_schema_writes_is_tried(path: str, project: Path, byzcode: Call) -> None:
    (project / "config/README.md").write_text("Before.\n<!-- reference -->\n")
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).symlink_to("nowhere")
    with unchanged(project):
        assert "cannot be written: " in complaint(byzcode("schema", "--project", str(project)))


@pytest.mark.parametrize("suffix", COMMANDS["figure"])
def test_a_name_too_long_for_a_suffix_is_refused(suffix: str, project: Path, byzcode: Call) -> None:
    """255 bytes with it are a name, 256 are none: that of the longest suffix counts."""
    assert with_suffixes(project / ("x" * 248), "sha256")[0].name == "x" * 248 + ".sha256"
    writable(project / ("x" * (255 - len(suffix)) + suffix))
    with pytest.raises(UserError, match=NO_ROOM):
        writable(project / ("x" * (256 - len(suffix)) + suffix))
    with unchanged(project):
        assert NO_ROOM in complaint(byzcode(*arguments("figure", project / ("x" * 249))))
        assert NO_ROOM not in complaint_or_failure(byzcode, project / ("x" * 248))


def complaint_or_failure(byzcode: Call, out: Path) -> str:
    """What a figure says whose place is good: that it read something, which the project here forbids."""
    try:
        return complaint(byzcode(*arguments("figure", out)))
    except pytest.fail.Exception as error:
        return str(error)


@pytest.mark.parametrize("command", ["summarise", "claims", "reading"])
def test_a_table_is_not_its_own_list(command: str, project: Path, byzcode: Call) -> None:
    with unchanged(project):
        assert "any suffix but .sha256" in complaint(byzcode(*arguments(command, project / "table.sha256")))


# --- what is read ----------------------------------------------------------------------------------------------------

FIGURE_OF_SUMMARY = {"kind": "sweep", "x": "redundancy", "caption": "Lines."}
FIGURE_OF_ALLOCATION = {"kind": "allocation", "caption": "Lines."}
CURVE_OF_ALLOCATION = {**REQUESTS["figure"]["curves"][0], "runs": [{"run": ONE, "allocation": TWO, "point": {}}]}

#: By command what of its request is changed, the file that it reads, and the --out that would replace it.
READ: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a trajectory": ("summarise", {}, f"trajectories/{ONE}.nc", f"trajectories/{ONE}.nc"),
    "another trajectory": ("summarise", {}, f"trajectories/{TWO}.nc", f"trajectories/../trajectories/{TWO}.nc"),
    "the runs of claims": ("claims", {}, f"trajectories/{TWO}.nc", f"trajectories/{TWO}.nc"),
    "claims": ("scorecard", {}, "claims/lines.sha256", "claims/lines"),
    "claims on held-out seeds": ("heldout", {}, "claims/lines.sha256", "claims/lines.csv"),
    "a figure": ("gallery", {}, "figures/lines-loss.sha256", "figures/lines-loss"),
    "a summary": ("figure", {"plot": FIGURE_OF_SUMMARY}, "summaries/lines.sha256", "summaries/lines"),
    "a run of a figure": ("figure", {}, f"trajectories/{ONE}.nc", "linked"),
    "an allocation": (
        "figure",
        {"plot": FIGURE_OF_ALLOCATION, "curves": [CURVE_OF_ALLOCATION]},
        f"allocations/{TWO}.nc",
        "linked",
    ),
}


@pytest.mark.parametrize(("command", "changed", "read", "out"), READ.values(), ids=READ)
def test_what_a_stage_reads_is_never_replaced(
    command: str, changed: dict[str, Any], read: str, out: str, project: Path, byzcode: Call
) -> None:
    results = project / "results"
    (results / read).parent.mkdir()
    (results / read).write_text("kept")
    if out == "linked":  # another name of the same file
        (results / "linked.csv").hardlink_to(results / read)
    requested = canonical({**request(command), **changed})
    with unchanged(project):
        message = complaint(byzcode(command, "--request", requested, "--results", "results", "--out", f"results/{out}"))
    assert message.endswith(
        f"cannot be written: it is also an input (results/{read}); allowed: a file that is not an input"
    )
    assert (results / read).read_text() == "kept"


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "archive"])
def test_the_file_of_a_request_or_a_spec_is_never_replaced(command: str, project: Path, byzcode: Call) -> None:
    _, option, text, *rest = arguments(command, "asked.csv")
    Path("asked.csv").write_text(text)
    out = "asked" if command in STEMS else "asked.csv"
    with unchanged(project):
        message = complaint(byzcode(command, option, "asked.csv", *rest[:-1], out))
    assert (
        message == "asked.csv: cannot be written: it is also an input (asked.csv); allowed: a file that is not an input"
    )


@pytest.mark.parametrize("option", ["--allocation", "--together"])
def test_what_a_training_reads_is_never_replaced(option: str, project: Path, byzcode: Call) -> None:
    Path("read").write_text("kept")
    Path("link").symlink_to("read")
    with unchanged(project):
        message = complaint(byzcode(*arguments("train", "read"), option, "link"))
    assert message.startswith("read: cannot be written: it is also an input (link")


def test_an_allocation_of_a_batch_is_never_replaced(project: Path, byzcode: Call) -> None:
    Path("held.nc").write_text("kept")
    listed = {"spec": RUN, "allocation": "held.nc", "out": "one.nc"}
    Path("list.json").write_text(json.dumps({"folder": "batches", "runs": {ONE: listed}}))
    with unchanged(project):
        message = complaint(byzcode(*arguments("train", "held.nc"), "--together", "list.json"))
    assert message.startswith("held.nc: cannot be written: it is also an input (held.nc")


def test_a_file_of_the_configuration_is_never_replaced(project: Path, byzcode: Call) -> None:
    study = Path("config/studies/one.yaml").rename("config/studies/one.tar.gz")
    Path("config/config.yaml").write_text(f"studies: [{study}]\n")
    with unchanged(project):
        message = complaint(byzcode("archive", "--out", str(study)))
    assert message.startswith(f"{study}: cannot be written: it is also an input ({study}")


def test_the_process_ends_with_one_line(tmp_path: Path) -> None:
    """Not in this process, with nothing replaced: as a user sees it."""
    command = ["byzcode", *arguments("train", "/dev/null")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("byzcode: /dev/null: cannot be written: it is a device; allowed: ")
    assert ended.stderr.count("\n") == 1
    assert Path("/dev/null").is_char_device()


# --- what may be written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one.csv", "a/b/c/one.csv", "x" * 255, "\N{BULLET}" * 85, "a b\n.csv", "-rf"])
def test_what_is_writable_is_written_and_the_trial_leaves_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    writable(path)
    assert list(tmp_path.iterdir()) == []
    for words in ("first", "second"):
        with text(path) as written:
            written.write(words)
        assert path.read_text() == words
        writable(path)
        assert path.read_text() == words
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == [path]


def test_a_folder_behind_a_link_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    with text(tmp_path / "link/one.csv") as written:
        written.write("a")
    assert (tmp_path / "there/one.csv").read_text() == "a"


def test_what_comes_in_between_is_not_replaced_either(tmp_path: Path) -> None:
    """The work may take hours."""
    path = tmp_path / "one.csv"
    with pytest.raises(UserError, match="it is a pipe"), text(path):
        os.mkfifo(path)
    assert path.is_fifo()
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    writable(tmp_path / "there/new/one.csv")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def try_often(folder: Path, number: int) -> None:
    for step in range(150):
        writable(folder / "a/b" / f"{number}-{step}.csv")


def test_trials_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Each makes and removes the folders that another needs at that moment."""
    started = [multiprocessing.get_context("fork").Process(target=try_often, args=(tmp_path, n)) for n in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * 4
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# --- file systems ----------------------------------------------------------------------------------------------------


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A small file system in memory, where this is allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here: that takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_file_system_that_is_read_only_is_found_before_the_work(project: Path, byzcode: Call) -> None:
    with mounted(project / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for command in COMMANDS:
            message = complaint(byzcode(*arguments(command, disk / "new/out.tar.gz")))
            assert message.endswith("cannot be written: Read-only file system")


def test_a_full_disk_is_found_before_the_work(project: Path, byzcode: Call) -> None:
    with mounted(project / "disk", "64k") as disk:
        with pytest.raises(OSError, match="No space"):
            (disk / "all").write_bytes(bytes(2**20))
        for command in COMMANDS:
            message = complaint(byzcode(*arguments(command, disk / "out.tar.gz")))
            assert message.endswith("cannot be written: No space left on device")
        assert [path.name for path in disk.iterdir()] == ["all"]


@pytest.mark.parametrize("size", ["16k", "64k", "128k", "256k"])
def test_a_disk_that_fills_up_in_the_middle_is_told(size: str, tmp_path: Path) -> None:
    """A NetCDF file of half a megabyte: HDF5 says no more than that it failed."""
    spec = AllocationSpec.parse(
        {"allocation": "random", "devices": 100, "subsets": 4000, "redundancy": 200, "seeds": 20}, "test"
    )
    with mounted(tmp_path / "disk", size) as disk:
        path = disk / "one.nc"
        writable(path)
        with pytest.raises(UserError, match=rf"^{path}: cannot be written: No space left on device$"):
            allocations.write(spec, path)
        assert list(disk.iterdir()) == []


def test_an_error_of_netcdf_on_a_full_disk_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(netcdf, "_probe", full)
    path = tmp_path / "one.nc"
    with pytest.raises(UserError, match=rf"^{path}: cannot be written: No space left on device$"), netcdf.writing(path):
        raise RuntimeError("NetCDF: HDF error")
    assert list(tmp_path.iterdir()) == []


def test_another_error_of_netcdf_is_told_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "one.nc"
    with pytest.raises(UserError, match=rf"^{path}: cannot be written: NetCDF: HDF error$"), netcdf.writing(path):
        raise RuntimeError("NetCDF: HDF error")


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of root, and this process without its rights for a while."""
    if os.geteuid() != 0:
        pytest.skip("it takes root to give up its rights")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        os.seteuid(65534)
        yield folder
    finally:
        os.seteuid(0)
        shutil.rmtree(folder)


def test_a_folder_of_another_user_is_found_before_the_work(as_nobody: Path) -> None:
    for path in (as_nobody / "one.nc", as_nobody / "new/one.nc"):
        with pytest.raises(UserError, match=rf"^{path}: cannot be written: Permission denied$"):
            writable(path)


def test_a_file_of_another_user_in_a_shared_folder_is_found_before_the_work(as_nobody: Path) -> None:
    """As in /tmp: one may write beside it, and not replace it."""
    os.seteuid(0)
    (as_nobody / "one.nc").touch()
    as_nobody.chmod(0o1777)
    os.seteuid(65534)
    writable(as_nobody / "two.nc")
    with pytest.raises(UserError, match="cannot be written: Operation not permitted"):
        writable(as_nobody / "one.nc")


def test_a_file_that_may_only_be_read_is_replaced(tmp_path: Path) -> None:
    path = file_in(tmp_path)
    path.chmod(0o444)
    writable(path)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_file_that_may_not_change_is_found_before_the_work(tmp_path: Path) -> None:
    path = file_in(tmp_path)
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", path], capture_output=True).returncode:
        pytest.skip("no file can be made immutable here")
    try:
        with pytest.raises(UserError, match="cannot be written: Operation not permitted"):
            writable(path)
    finally:
        subprocess.run(["chattr", "-i", path], check=True)
