"""The configuration, as byzcode reads it, is the one that Snakemake reads; and a message names the file of a key."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.common.configfile import load_configfile
from snakemake.settings.types import ConfigSettings
from snakemake.utils import update_config

from byzcode.errors import UserError
from byzcode.studies.configuration import BASE, Configuration, merged
from byzcode.studies.plan import load_plan

KEYS = st.sampled_from(["studies", "results", "device", "style", "own"])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.sampled_from(["cpu", "out", "a/b"]))
VALUES = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=3)), max_leaves=6
)
LAYERS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)
#: Of ``key=value``: words, numbers, what YAML takes for a list or a mapping, and what is none.
WORDS = ["", "cuda", "1", "1.0", "1_0", "nan", "True", "true", "off", "[a, b]", "{a: 1}", "[a", "a: b", "010", "=", "ü"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()


def by_snakemake(files: list[str], assigned: list[str]) -> dict[str, Any]:
    """What ``configfile: BASE`` makes of ``--configfile files --config assigned``."""
    over = ConfigSettings(config=parse_config(assigned), configfiles=[Path(file) for file in files])
    config: dict[str, Any] = {}
    if Path(BASE).exists():
        update_config(config, load_configfile(BASE))
    update_config(config, over.overwrite_config)
    return config


def written(name: str, values: Mapping[str, Any]) -> str:
    Path(name).write_text(yaml.safe_dump(dict(values), allow_unicode=True), encoding="utf-8")
    return name


@example(layers=[{"own": {"style": 1}}, {"own": 5}, {"own": {"device": 2}}])
@example(layers=[{"own": {}}, {"own": None}, {"own": {}}])
@given(layers=st.lists(LAYERS, min_size=1, max_size=4))
def test_layers_merge_as_snakemake_merges_them(layers: list[dict[str, Any]]) -> None:
    theirs: dict[str, Any] = {}
    for layer in copy.deepcopy(layers):
        update_config(theirs, layer)
    before = copy.deepcopy(layers)

    assert merged(layers) == theirs
    assert layers == before


@example(base={"own": {"style": 1}}, over=[{"own": 5}, {"own": {"device": 2}}], again=True, assigned=[])
@given(
    base=st.none() | LAYERS,
    over=st.lists(LAYERS, max_size=3),
    again=st.booleans(),
    assigned=st.lists(st.tuples(KEYS, st.sampled_from(WORDS)), max_size=2),
)
def test_files_and_values_are_read_as_snakemake_reads_them(
    base: dict[str, Any] | None, over: list[dict[str, Any]], again: bool, assigned: list[tuple[str, str]]
) -> None:
    Path(BASE).unlink(missing_ok=True)
    if base is not None:
        written(BASE, base)
    files = [written(f"over-{place}.yaml", layer) for place, layer in enumerate(over)]
    files += [BASE] * (again and base is not None)
    words = [f"{key}={word}" for key, word in assigned]
    if base is None and not files:
        with pytest.raises(UserError, match=f"^{BASE}: cannot be read: No such file or directory$"):
            Configuration.read(words)
        return

    found = Configuration.read([*files, *words])

    theirs = by_snakemake(files, words)
    assert repr(dict(sorted(found.values.items()))) == repr(dict(sorted(theirs.items())))  # nan is nan, True is not 1
    for key in found.values:
        where = found.where(key)
        assert where == "--config" if key in dict(assigned) and where not in found.files else key in found.files[where]


def test_a_value_outweighs_a_file_wherever_it_stands() -> None:
    written(BASE, {"studies": ["a.yaml"]})
    written("over.yaml", {"results": "there", "device": "cpu"})

    found = Configuration.read(["results=here", "over.yaml"])

    assert found.values == {"studies": ["a.yaml"], "results": "here", "device": "cpu"}
    assert [found.where(key) for key in ("studies", "results", "device")] == [BASE, "--config", "over.yaml"]
    assert str(found) == f"{BASE}, over.yaml"


def test_a_file_may_have_an_equals_sign_in_its_name() -> None:
    written("a=b", {"studies": ["a.yaml"]})

    assert Configuration.read(["a=b"]).values == {"studies": ["a.yaml"]}


MISTAKES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], str]] = {
    "in the base": ({"studies": ["a"], "device": "tpu"}, {"results": "o"}, [], f"{BASE}: device = 'tpu': "),
    "in the overlay": ({"studies": ["a"], "device": "cpu"}, {"device": "tpu"}, [], "over.yaml: device = 'tpu': "),
    "mended by the overlay": ({"studies": ["a"], "device": "tpu"}, {"device": "cpu"}, [], f"{BASE}: studies = 'a': "),
    "unknown, in the base": ({"studies": ["a"], "devcie": 1}, {"results": "o"}, [], f"{BASE}: devcie = 1: unknown key"),
    "unknown, in the overlay": ({"studies": ["a"]}, {"devcie": 1}, [], "over.yaml: devcie = 1: unknown key"),
    "on the command line": ({"studies": ["a"]}, {"results": "o"}, ["results=a b"], "--config: results = 'a b': "),
    "emptied": ({"studies": ["a"]}, {"results": "o"}, ["results="], "--config: results = None: "),
    "in none": ({"device": "cpu"}, {"results": "o"}, [], f"{BASE}, over.yaml: studies = None: this key is required"),
    "no such study": ({"studies": ["a"]}, {"studies": ["b/*"]}, [], "over.yaml: studies = 'b/*': no such file"),
    "out of the project": ({"studies": ["a"]}, {"style": "../x"}, [], "over.yaml: style = '../x': allowed: a path"),
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("reader", ["byzcode", "snakemake"])
def test_a_message_names_the_file_of_the_key(name: str, reader: str) -> None:
    base, over, words, says = MISTAKES[name]
    written(BASE, base)
    written("over.yaml", over)
    if reader == "byzcode":
        found = Configuration.read(["over.yaml", *words])
    else:
        files = [Path.cwd() / BASE, Path.cwd() / "over.yaml"]
        found = Configuration.of_snakemake(by_snakemake(["over.yaml"], words), files, "--config")

    with pytest.raises(UserError) as caught:
        load_plan(found.values, found.where)

    assert str(caught.value).startswith(says), caught.value
