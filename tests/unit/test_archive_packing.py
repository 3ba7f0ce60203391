"""What an archive holds where results are links, where a disk loses a byte, and what its manifest claims."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from dag.small_results import byzcode, inside, make

ARCHIVE = "all.tar.gz"
RESULTS = Path("results")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packing") / "made"
    make(root)
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of a small project with its results, as the working directory."""
    shutil.copytree(made, tmp_path / "project")
    with inside(tmp_path / "project"):
        yield tmp_path / "project"


def packed() -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """All entries of an archive made now."""
    code, said = byzcode("archive", "--out", ARCHIVE)
    assert code == 0, said
    with tarfile.open(ARCHIVE) as tar:
        return {entry.name: (entry, file.read() if (file := tar.extractfile(entry)) else b"") for entry in tar}


def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(packed()["results/archived/manifest.json"][1])
    return found


def first(pattern: str) -> Path:
    return sorted(RESULTS.glob(pattern))[0]


def test_a_link_is_packed_as_what_it_leads_to(project: Path) -> None:
    path = first("trajectories/*.nc")
    kept = project.parent / "kept.nc"
    shutil.move(path, kept)
    os.utime(kept, (1e9, 1e9))
    path.symlink_to(kept)

    found = packed()

    assert all(entry.isreg() and not entry.linkname for entry, _ in found.values())
    assert found[str(path)][1] == kept.read_bytes()
    assert found[str(path)][0].mtime == 1e9
    assert str(project.parent).encode() not in b"".join(entry.tobuf() for entry, _ in found.values())


def test_an_archive_is_read_again_before_it_gets_its_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = first("summaries/*.csv")
    add = tarfile.TarFile.addfile

    def losing(tar: tarfile.TarFile, entry: tarfile.TarInfo, file: Any = None) -> None:
        if entry.name == str(path):
            file.seek(1)
            file = type(file)(file.read() + b"!")
        add(tar, entry, file)

    monkeypatch.setattr(tarfile.TarFile, "addfile", losing)
    code, said = byzcode("archive", "--out", ARCHIVE)

    assert code == 1
    assert f"byzcode: {ARCHIVE}: read again, {path} differs from what was packed\n" in said
    assert list(project.glob("*.tar.gz")) == list(project.glob(".*part*")) == []


@pytest.mark.usefixtures("project")
def test_a_manifest_claims_no_more_than_is_known() -> None:
    found = manifest()
    again = "snakemake --cores all all multiverse --configfile results/archived/config.yaml"
    assert found["made_anew_by"] == again
    assert found["redrawn_by"].startswith(f"{again} --forcerun summarise figure claims")
    assert found["packed_with"]["distributions"]["torch"] == version("torch")
    assert found["made_with"]["numpy"] == [version("numpy")]
    assert {"made_by", "distributions", "platform"}.isdisjoint(found)


@pytest.mark.parametrize("path", ["/etc/passwd", "../other.yaml"])
def test_a_configuration_elsewhere_is_not_packed(project: Path, path: str) -> None:
    if path.startswith(".."):
        shutil.copy("config/config.yaml", project.parent / "other.yaml")
    code, said = byzcode("archive", "--out", ARCHIVE, "--config", path)
    assert code == 1
    assert said.count("\n") == 1
    assert not Path(ARCHIVE).exists()


def git(*words: str) -> str:
    command = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_sources_that_no_commit_has_are_told(project: Path) -> None:
    Path(".gitignore").write_text("/results/\n*.tar.gz\n")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    head = git("rev-parse", "HEAD")

    def commit() -> str:
        found: str = manifest()["packed_with"]["commit"]
        return found

    assert commit() == head
    Path("notes.txt").touch()  # of no rule
    assert commit() == head
    Path("src").mkdir()
    Path("src/new.py").touch()
    assert commit() == f"{head}+"
    shutil.rmtree("src")
    Path(".gitignore").write_text("/results/\n*.tar.gz\n*.txt\n")
    assert commit() == f"{head}+"
