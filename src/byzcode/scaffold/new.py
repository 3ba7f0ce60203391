"""Write the file of a new component or study, which works as it stands and is meant to be changed."""

from __future__ import annotations

import builtins
import keyword
import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from byzcode.errors import UserError, complain, one_of, short
from byzcode.storage.regular import reason

_COMMAND = "byzcode new"


class Kind(NamedTuple):
    """A kind of component: its package, the table that lists it, and what the file of a new one contains."""

    package: str
    table: str
    content: str

    @property
    def listed_in(self) -> str:
        """The file of the table, in a clone."""
        return f"src/byzcode/{self.package}/__init__.py"


COMPONENTS = {
    "attack": Kind("attacks", "ATTACKS", "Byzantine devices that send the honest mean, shifted by a constant"),
    "rule": Kind("aggregation", "RULES", "the mid-point of the central values"),
    "compressor": Kind("compression", "COMPRESSORS", "ternary gradients"),
    "allocation": Kind("allocation", "ALLOCATIONS", "sliding windows on a circle of subsets"),
    "problem": Kind("problems", "PROBLEMS", "the estimation of a mean, which knows its optimum"),
    "data": Kind("data/sets", "DATA_SETS", "normal points around three centres"),
}
STUDY = "study"
KINDS = (*COMPONENTS, STUDY)

#: The folder of studies in a project.
_STUDIES = "config/studies"

#: The longest name of a component: longer ones would make lines too long.
_LONGEST = 30

#: How a component is called in the templates.
_PLACEHOLDER = "example"


def text_of(kind: str, name: str) -> str:
    """The content of the file of a new component or study."""
    text = _template(kind)
    text = text.replace(f'title="{_PLACEHOLDER}"', f'title="{name.replace("_", " ")}"')
    text = re.sub(rf"\b{_PLACEHOLDER}\b", name, text)
    return re.sub(rf"\b{_PLACEHOLDER.capitalize()}\b", _class(name), text)


def write(kind: str, name: str, project: Path) -> tuple[Path, list[str]]:
    """Write the file of a new component or study into a project. Returns its path, and what to do next.

    Raises UserError if the name cannot be used or is taken, or if the project has no place for the file.
    """
    if kind not in KINDS:
        raise complain(_COMMAND, "KIND", kind, f"no such kind; {one_of(KINDS, kind)}")
    path = _place_of_study(name, project) if kind == STUDY else _place_of_component(kind, name, project)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text_of(kind, name))
    except FileExistsError:
        raise complain(_COMMAND, "NAME", name, f"{path} exists, and is not overwritten; allowed: a new name") from None
    except OSError as error:
        raise UserError(f"{short(path, 300)}: cannot be written: {reason(error)}") from None
    return path, _next_of_study(name) if kind == STUDY else _next_of_component(kind, name)


def _place_of_study(name: str, project: Path) -> Path:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > 2 * _LONGEST:
        allowed = f"allowed: small letters and digits, with single hyphens between them, at most {2 * _LONGEST}"
        raise complain(_COMMAND, "NAME", name, allowed)
    if not (project / _STUDIES).is_dir():
        allowed = f"it has no folder {_STUDIES}; allowed: a project, which `byzcode init` lays out"
        raise complain(_COMMAND, "--project", str(project), allowed)
    return project / _STUDIES / f"{name}.yaml"


def _place_of_component(kind: str, name: str, project: Path) -> Path:
    about = COMPONENTS[kind]
    if not re.fullmatch(r"[a-z][a-z0-9_]+", name) or len(name) > _LONGEST:
        allowed = f"allowed: small letters, digits and _, first a letter, 2 to {_LONGEST} in all"
        raise complain(_COMMAND, "NAME", name, allowed)
    used = set(re.findall(r"\w+", _template(kind)))
    if keyword.iskeyword(name) or name in dir(builtins) or {name, _class(name)} & (used - {_PLACEHOLDER, "Example"}):
        raise complain(_COMMAND, "NAME", name, "Python or the file uses this word otherwise; allowed: another name")
    table = project / about.listed_in
    if not table.is_file():
        allowed = f"it has no {about.listed_in}; allowed: a clone of byzcode's repository, or the kind {STUDY}"
        raise complain(_COMMAND, "--project", str(project), allowed)
    path = table.with_name(f"{name}.py")
    if path.with_suffix("").is_dir():
        raise complain(_COMMAND, "NAME", name, f"{path.with_suffix('')} exists; allowed: a new name")
    return path


def _next_of_study(name: str) -> list[str]:
    return [
        "It asks a question as an example: change it. config/README.md lists every key.",
        f"byzcode plan {name}       # its runs",
        f"snakemake --cores 2     # train what is new, and draw results/figures/{name}-*",
    ]


def _next_of_component(kind: str, name: str) -> list[str]:
    about = COMPONENTS[kind]
    return [
        f"It contains {about.content}: change it.",
        f'In {about.listed_in}, add the line "{name}", to {about.table}.',
        "byzcode schema          # then update the schemas and the reference in config/README.md",
        f"python -m pytest tests/unit -k {name}      # and run its tests",
        "CONTRIBUTING.md says what they check, and how a study uses it.",
    ]


def _template(kind: str) -> str:
    name = f"{kind}.yaml" if kind == STUDY else f"{kind}.py"
    return (files("byzcode.scaffold.templates") / name).read_text(encoding="utf-8")


def _class(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
