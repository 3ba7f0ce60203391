"""The configuration, read as Snakemake does: config/config.yaml, overridden by other files, then by single values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from byzcode.studies.files import from_disk
from byzcode.studies.plain_yaml import read_yaml

#: The base file, which all others override; the workflow's ``configfile:`` names the same.
BASE = "config/config.yaml"

_ABSENT = object()

_ASSIGNED = re.compile(r"([a-zA-Z_][\w-]*\w)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Configuration:
    """The values in force and the content of each file; later files override earlier ones."""

    values: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    beside: str = "--config"  # the source of values that are in none of the files

    @classmethod
    def read(cls, given: Sequence[str] = ()) -> Configuration:
        """The base configuration, overridden by the given files and then by the given ``key=value`` settings.

        The base file may be missing if another file is given. Raises UserError if a file cannot be read.
        """
        names = [from_disk(each) for each in given]
        assigned = [match for each in names if (match := _ASSIGNED.fullmatch(each)) and not Path(each).is_file()]
        over = [each for each in names if each not in {match[0] for match in assigned}]
        base = [BASE] if Path(BASE).exists() or not over else []
        files = {file: read_yaml(file) for file in (*base, *over)}
        single = [{match[1]: _parsed(match[2])} for match in assigned]
        on_top = merged([*(files[file] for file in over), *single])
        return cls(merged([*(files[file] for file in base), on_top]), files)

    @classmethod
    def of_snakemake(cls, values: Mapping[str, Any], files: Iterable[str | Path], beside: str) -> Configuration:
        """The values that Snakemake has read from some files. Raises UserError if one of them is not plain YAML."""
        return cls(values, {name: read_yaml(name) for name in map(_named, files)}, beside)

    def where(self, key: str) -> str:
        """The file that sets the value of a key; all files if none has the key."""
        if key not in self.values:
            return str(self)
        ours = self.values[key]
        for file in reversed(list(self.files)):
            stored = self.files[file].get(key, _ABSENT)
            if stored == ours or (isinstance(stored, Mapping) and isinstance(ours, Mapping)):
                return file
        return self.beside

    def __str__(self) -> str:
        return ", ".join(self.files) or self.beside


def merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge layers of values as ``snakemake.utils.update_config`` does: the last wins, mappings merge key by key."""
    values: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, Mapping):
                below = values.get(key, {})
                value = merged([below if isinstance(below, Mapping) else {}, value]) if value else below
            values[key] = value
    return values


def _parsed(text: str) -> Any:
    """The value of ``key=value``, parsed as ``snakemake --config`` does."""
    if text == "":
        return None
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    if text in ("True", "False"):
        return text == "True"
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        return text


def _named(file: str | Path) -> str:
    """The name of a file for messages: relative to the working directory if the file lies inside."""
    path = Path(file)
    with suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return from_disk(path)
