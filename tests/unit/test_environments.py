"""What is installed, by pip, conda or in a container: one set of ranges, one set of pins."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: The Pythons that the project says it runs on, from its classifiers.
PYTHONS = [
    found[1]
    for line in PROJECT["project"]["classifiers"]
    if (found := re.fullmatch(r"Programming Language :: Python :: (\d+\.\d+)", line))
]
PLATFORMS = {"linux": "Linux", "darwin": "Darwin"}

RUNTIME = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
WORKFLOW = [Requirement(text) for text in PROJECT["project"]["optional-dependencies"]["workflow"]]
DEVELOPMENT = [
    requirement
    for text in PROJECT["project"]["optional-dependencies"]["dev"]
    if (requirement := Requirement(text)).name != "byzcode"
]
BUILD = [Requirement(text) for text in PROJECT["build-system"]["requires"]]

CONDA_FILES = {"environment.yml": [*RUNTIME, *WORKFLOW, *BUILD], "workflow/envs/byzcode.yaml": [*RUNTIME, *BUILD]}
#: What conda-forge calls otherwise than the Python index.
CONDA_NAMES = {"torch": "pytorch"}
#: In an environment of conda beside what pyproject.toml asks for: what installs and compiles the project.
CONDA_TOOLS = {"python", "pip", "cxx-compiler"}


class Pin(NamedTuple):
    """One entry of a lock."""

    requirement: Requirement
    hashes: list[str]


def pins(name: str) -> list[Pin]:
    lines = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    entries = [line.split(" --hash=") for line in lines if line.strip() and not line.startswith("#")]
    return [Pin(Requirement(text.strip()), [value.strip() for value in hashes]) for text, *hashes in entries]


LOCK = pins("requirements.lock")
TORCH = pins("requirements-torch.lock")


def version_of(pin: Pin) -> Version:
    (specifier,) = pin.requirement.specifier
    assert specifier.operator == "==", f"{pin.requirement} is not one version"
    return Version(specifier.version)


def locked(name: str, python: str, platform: str) -> list[Version]:
    """The versions of a library that the locks install on a system: one, if all is well."""
    system = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    system |= {"sys_platform": platform, "platform_system": PLATFORMS[platform], "platform_machine": "x86_64"}
    return [
        version_of(pin)
        for pin in [*LOCK, *TORCH]
        if canonicalize_name(pin.requirement.name) == canonicalize_name(name)
        and (pin.requirement.marker is None or pin.requirement.marker.evaluate(system))
    ]


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_meets_every_range(python: str, platform: str) -> None:
    versions = {asked: locked(asked.name, python, platform) for asked in [*RUNTIME, *WORKFLOW, *DEVELOPMENT, *BUILD]}

    assert len(versions) > 20
    amiss = [
        f"{asked}: locked as {', '.join(map(str, found)) or 'nothing'}"
        for asked, found in versions.items()
        if len(found) != 1 or found[0] not in asked.specifier
    ]
    assert not amiss, "run `make lock`"


def test_every_pin_is_one_version_with_hashes() -> None:
    assert len(LOCK) > 60
    assert all(version_of(pin) for pin in LOCK)
    without = [pin.requirement for pin in LOCK if not pin.hashes]
    assert not without
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for pin in LOCK for value in pin.hashes)


def test_torch_is_pinned_once_and_alone() -> None:
    assert [pin.requirement.name for pin in TORCH] == ["torch"]
    assert version_of(TORCH[0])
    assert TORCH[0].hashes == [], "its CPU and CUDA builds differ"
    assert "torch" not in {pin.requirement.name for pin in LOCK}


def of_cuda(name: str) -> bool:
    """Whether a library belongs to torch's CUDA build."""
    return re.match("cuda|nvidia|triton", name) is not None


def test_the_lock_leaves_cuda_to_torch() -> None:
    assert not [pin.requirement for pin in LOCK if of_cuda(pin.requirement.name)]


def test_what_torch_needs_is_locked() -> None:
    own = {canonicalize_name(pin.requirement.name): version_of(pin) for pin in LOCK}
    needed = [Requirement(text) for text in requires("torch") or []]
    here = [asked for asked in needed if asked.marker is None or asked.marker.evaluate()]

    assert here
    for asked in here:
        assert of_cuda(asked.name) or own[canonicalize_name(asked.name)] in asked.specifier, str(asked)


def test_the_supported_pythons_are_those_that_may_install() -> None:
    allowed = SpecifierSet(PROJECT["project"]["requires-python"])

    assert all(f"{python}.0" in allowed for python in PYTHONS)
    assert f"3.{int(PYTHONS[0].split('.')[1]) - 1}.9" not in allowed


def conda(name: str) -> dict[str, Requirement]:
    """The requirements of an environment, those that its pip installs among them, by their names there."""
    listed = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["dependencies"]
    by_pip = [text for entry in listed if isinstance(entry, dict) for text in entry["pip"]]
    found = [Requirement(text) for text in [*(entry for entry in listed if isinstance(entry, str)), *by_pip]]
    return {requirement.name.lower(): requirement for requirement in found}


@pytest.mark.parametrize("name", CONDA_FILES)
def test_an_environment_of_conda_has_the_ranges_of_the_project(name: str) -> None:
    asked = {
        CONDA_NAMES.get(requirement.name, requirement.name).lower(): requirement.specifier
        for requirement in CONDA_FILES[name]
    }
    there = {key: requirement.specifier for key, requirement in conda(name).items() if key not in CONDA_TOOLS}

    assert there == asked
    assert conda(name).keys() >= CONDA_TOOLS


@pytest.mark.parametrize("name", CONDA_FILES)
def test_an_environment_of_conda_takes_the_supported_pythons_and_no_others(name: str) -> None:
    minors = [f"3.{minor}" for minor in range(8, 20)]

    assert [minor for minor in minors if f"{minor}.0" in conda(name)["python"].specifier] == PYTHONS


@pytest.mark.parametrize("name", CONDA_FILES)
def test_an_environment_of_conda_says_what_was_tested(name: str) -> None:
    assert "Untested: no conda was at hand." in (ROOT / name).read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Containerfile and what they are given, long lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def given(word: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == word]


def test_the_image_is_of_a_supported_python() -> None:
    (base,) = (rest for rest in given("ARG") if rest.startswith("BASE="))

    assert (found := re.search(r"/python:(\d+\.\d+)-", base))
    assert found[1] in PYTHONS
    assert {stage.split()[0] for stage in given("FROM")} == {"${BASE}"}


def test_the_image_installs_from_the_lock() -> None:
    runs = " && ".join(given("RUN"))

    assert "--require-hashes -r requirements.lock" in runs
    assert "-r requirements-torch.lock" in runs
    assert re.search(r"pip install [^&]*--no-deps [^&]*\.$", runs), "the project itself brings no library"


def test_the_image_copies_what_is_there() -> None:
    sources = {source for rest in given("COPY") if "--from" not in rest for source in rest.split()[:-1]}
    let_in = {line[1:] for line in (ROOT / ".containerignore").read_text(encoding="utf-8").split() if line[0] == "!"}

    assert all((ROOT / source).exists() for source in sources)
    assert {"requirements.lock", "requirements-torch.lock", "pyproject.toml", "src"} <= sources
    assert sources == {path.split("/")[0] for path in let_in}


def test_the_image_can_be_run_by_any_user() -> None:
    assert not given("USER")
    environment = dict(pair.split("=", 1) for rest in given("ENV") for pair in rest.split())
    assert all(environment[name].startswith("/tmp/") for name in ("MPLCONFIGDIR", "XDG_CACHE_HOME"))


def test_the_workflow_runs_in_the_image_that_the_containerfile_says_how_to_build() -> None:
    how = (ROOT / "Containerfile").read_text(encoding="utf-8")
    workflow = (ROOT / "workflow" / "Snakefile").read_text(encoding="utf-8")
    (image,) = re.findall(r'^container: "(.+)"$', workflow, re.MULTILINE)

    assert f"apptainer build {image} " in how
    assert workflow.index("container:") < workflow.index("rules/common.smk"), "it counts for the rules after it"
