"""What commands are asked: anything but a request of theirs is refused in one line, before anything is read."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import ALLOCATION, CLAIM, ONE, REQUESTS, RUN, Call, byzcode, complaint, request, unchanged

from byzcode.multiverse.plan import Multiverse
from byzcode.provenance.content import canonical
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.plain_json import MOST_DEEP
from byzcode.specs.run import RunSpec
from byzcode.studies.plan import load_plan_file

__all__ = ["byzcode"]

Place = tuple[str | int, ...]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder of results in which nothing is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    return tmp_path


def call(byzcode: Call, command: str, asked: str, results: str = "results") -> str:
    """The complaint about a request."""
    folder = [] if command == "reading" else ["--results", results]
    out = [] if command == "multiverse" else ["--out", "out/made"]
    return complaint(byzcode(command, "--request", asked, *folder, *out))


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Where something stands in a request, the whole included."""
    yield here
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*here, key))


def put(value: Any, place: Place, new: Any) -> Any:
    """A value with another one at a place."""
    if not place:
        return new
    changed = copy.copy(value)
    changed[place[0]] = put(value[place[0]], place[1:], new)
    return changed


def without(value: Any, place: Place) -> Any:
    """A value without what stands at a place."""
    changed = copy.deepcopy(value)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    return changed


ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 10**30, "", "x", "\ud800", "a\nb", "../../../etc/passwd", "x" * 300, [], {}, [[]], [{}]),
    *([None], [1, 1], ["a", "a"], {"": ""}, {"a": {"b": [1]}}, list(range(100)), "0123456789ab"),
]


@pytest.mark.parametrize("command", REQUESTS)
def test_a_request_that_is_none_is_refused_in_one_line(command: str, here: Path, byzcode: Call) -> None:
    """Each part of it left out, and replaced by each of many values; a good one finds no results in this folder."""
    asked = request(command)
    with unchanged(here):
        for place in places(asked):
            for new in ODD:
                call(byzcode, command, json.dumps(put(asked, place, new)))
            if place:
                call(byzcode, command, json.dumps(without(asked, place)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "expected an object"),
        ('{"study": "a", "study": "b"}', "'study' occurs twice"),
        ('{"study": ' + "[" * (MOST_DEEP + 1) + "]" * (MOST_DEEP + 1) + "}", f"more than {MOST_DEEP} deep"),
        ('{"study": ' + "[" * 900 + "]" * 900 + "}", f"more than {MOST_DEEP} deep"),
        ('{"study": ' + "[" * 10**5 + "]" * 10**5 + "}", "not valid JSON"),
        ('{"study": ' + "9" * 5000 + "}", "not valid JSON"),
        ("missing.json", "missing.json: cannot be read: No such file"),
        ("results", "results: cannot be read: Is a directory"),
        ("a\0b", "cannot be read: "),
        ("/dev/zero", "/dev/zero: cannot be read: not a regular file"),
    ],
)
@pytest.mark.parametrize("command", REQUESTS)
def test_a_text_that_is_no_request_is_refused(command: str, text: str, says: str, here: Path, byzcode: Call) -> None:
    with unchanged(here):
        assert says in call(byzcode, command, text)


@pytest.mark.parametrize("option", ["--request", "--spec", "--allocation", "--together", "--config", "--reference"])
@pytest.mark.parametrize("kind", ["a pipe", "a device", "zeros", "a link to itself", "a link to nothing", "a folder"])
def test_no_file_that_a_user_names_is_waited_for(option: str, kind: str, here: Path, byzcode: Call) -> None:
    """Nor is one without end read."""
    path = here / "named"
    make = {
        "a pipe": os.mkfifo,
        "a device": lambda path: path.symlink_to("/dev/full"),
        "zeros": lambda path: path.symlink_to("/dev/zero"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to nothing": lambda path: path.symlink_to("nowhere"),
        "a folder": Path.mkdir,
    }
    make[kind](path)
    spec = ["train", "--spec", canonical(RUN), "--out", "out.nc", option, str(path)]
    command = {
        "--request": ["summarise", "--results", "results", "--out", "out.csv", option, str(path)],
        "--spec": ["train", "--out", "out.nc", option, str(path)],
        "--config": ["plan", option, str(path)],
        "--reference": ["verify", option, str(path)],
    }.get(option, spec)
    if option == "--reference":
        configured(here)
    with unchanged(here):
        said = complaint(byzcode(*command))
    assert said.startswith((f"{path}: ", f"{path}/"))


def test_schema_waits_for_no_file(here: Path, byzcode: Call) -> None:
    (here / "config").mkdir()
    os.mkfifo(here / "config/README.md")
    assert complaint(byzcode("schema")) == "config/README.md: cannot be read: not a regular file"


@pytest.mark.parametrize("command", sorted(REQUESTS.keys() - {"reading"}))
def test_results_that_are_not_there_are_told(command: str, here: Path, byzcode: Call) -> None:
    (here / "file").touch()
    for folder in ("nowhere", "file", "nowhere/results"):
        assert call(byzcode, command, json.dumps(request(command)), folder).endswith(": no such folder")


@pytest.mark.parametrize(
    ("command", "place", "new", "says"),
    [
        ("summarise", ("runs", 0), "../../secret", "runs[0] = '../../secret': string should match pattern"),
        ("summarise", ("runs", 0), f"{ONE}\n", "runs[0]"),
        ("summarise", ("runs",), [ONE, ONE], f"'{ONE}' occurs twice"),
        ("summarise", ("runs",), [], "runs = []"),
        ("summarise", ("study",), "../a", "study = '../a'"),
        ("claims", ("cells",), 2 * REQUESTS["claims"]["cells"], "'lines/lower' occurs twice"),
        ("claims", ("cells", 0, "against"), [], "cells.against = (): number of runs that a test"),
        ("claims", ("cells", 0, "against"), [ONE], "the same run as the curve's"),
        ("claims", ("cells", 0, "runs"), ["../x"], "cells[0].runs[0]"),
        ("claims", ("cells", 0, "claim", "test"), "higher", "claim.test = 'higher'"),
        ("scorecard", ("studies",), ["../claims/a"], "studies[0]"),
        ("scorecard", ("studies",), ["lines", "lines"], "'lines' occurs twice"),
        ("scorecard", ("claims",), {"others": ONE}, "claims = 'lines'"),
        ("multiverse", ("readings",), ["../readings"], "readings[0]"),
        ("multiverse", ("requests",), {ONE: ONE}, "requests = "),
        ("figure", ("curves", 0, "runs", 0, "run"), "../../x", "curves[0].runs[0].run"),
        ("figure", ("curves", 0, "runs", 0, "point"), {}, "curves[0].runs[0].point = {}: a value for each key"),
        ("figure", ("curves", 0, "runs"), [], "curves[0].runs"),
        ("figure", ("curves", 0, "method"), "magic", "method = 'magic': unknown method"),
        ("figure", ("curves",), 2 * REQUESTS["figure"]["curves"], "curves[1].label = 'CRA-DL': each label once"),
        ("figure", ("study",), "../../x", "study = "),
        ("reading", ("universe", "kind"), "other", "universe.kind"),
        ("reading", ("tests",), "x", "tests = 'x'"),
    ],
)
def test_a_mistake_in_a_request_is_named(
    command: str, place: Place, new: Any, says: str, here: Path, byzcode: Call
) -> None:
    with unchanged(here):
        assert says in call(byzcode, command, json.dumps(put(request(command), place, new)))


def test_a_test_along_a_key_has_a_run_for_each_of_its_values(here: Path, byzcode: Call) -> None:
    claim = {key: value for key, value in CLAIM.items() if key != "against"}
    claim |= {"test": "falls", "along": "redundancy", "values": [4, 6, 8]}
    asked = request("claims")
    for runs, values, says in (
        ([ONE], [4, 6, 8], "needs: 3"),
        ([ONE, ONE], [4, 6], "a different run at each"),
        ([ONE, 12 * "c"], [4, 4], "each value once"),
    ):
        asked["cells"] = [{"claim": claim | {"values": values}, "cell": "a", "place": "", "runs": runs, "against": []}]
        assert says in call(byzcode, "claims", json.dumps(asked))


# --- readings --------------------------------------------------------------------------------------------------------


def configured(here: Path) -> None:
    """A project with one study, one choice and two readings."""
    root = Path(__file__).parents[2]
    shutil.copytree(root / "config/readings", here / "config/readings")
    shutil.copy(root / "config/style.yaml", here / "config")
    (here / "config/studies").mkdir()
    study = {
        "study": "lines",
        "title": "Lines",
        "base": {"problem.subsets": 12, "devices": 6, "seeds": 6},
        "curves": [
            {"label": "One", "method": "ma", "step_size": 0.1},
            {"label": "Other", "method": "ma", "step_size": 0.2},
        ],
        "plots": {"loss": {"kind": "trajectories", "caption": "Lines."}},
        "claims": [CLAIM],
    }
    (here / "config/studies/lines.yaml").write_text(json.dumps(study))
    choice = {
        "choice": "which",
        "title": "Which?",
        "primary": "one",
        "others": [{"name": "two", "set": {"step_size": 0.3}, "reason": "Why not."}],
    }
    (here / "config/readings/alternatives.yaml").write_text(json.dumps({"choices": [choice]}))
    asked = {
        "alternatives": "config/readings/alternatives.yaml",
        "random": 1,
        "full": 0,
        "claims": [{"study": "lines"}],
    }
    (here / "config/multiverse.yaml").write_text(json.dumps(asked))
    (here / "config/config.yaml").write_text("studies: [config/studies/*.yaml]\n")


@pytest.fixture
def asked(here: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The request of the first reading of a project, in which nothing trains."""
    configured(here)
    monkeypatch.setattr(
        "byzcode.multiverse.universe.train_alike", lambda *_, **__: pytest.fail("something was trained")
    )
    found = Multiverse.load(load_plan_file("config/config.yaml"))
    made: dict[str, Any] = json.loads(found.request(next(iter(found.universes))))
    return made


def test_a_reading_is_made_as_the_workflow_asks(asked: dict[str, Any], here: Path, byzcode: Call) -> None:
    with pytest.raises(pytest.fail.Exception, match="something was trained"):
        byzcode("reading", "--request", canonical(asked), "--out", "out.csv")


@pytest.mark.parametrize(
    ("place", "new", "says"),
    [
        (("universe", "taken"), {}, "universe.taken = 'which': one value for each choice"),
        (
            ("universe", "taken"),
            {"which": "one", "other": "one"},
            "universe.taken = 'other': one value for each choice",
        ),
        (("universe", "taken", "which"), "three", "which = 'three'"),
        (("universe", "size"), "large", "universe.size = 'large'"),
        (("tests",), ONE, f"tests = '{ONE}': the hash of the tests of this configuration"),
        (("config", "studies"), ["config/../../x"], "studies = 'config/../../x'"),
        (("config", "multiverse"), "/etc/passwd", "multiverse = '/etc/passwd'"),
        (("config", "color"), "red", "color = 'red': unknown key"),
    ],
)
def test_a_reading_that_is_not_of_the_configuration_is_refused(
    place: Place, new: Any, says: str, asked: dict[str, Any], here: Path, byzcode: Call
) -> None:
    changed = put(asked, place[:-1], {**_at(asked, place[:-1]), place[-1]: new})
    with unchanged(here):
        assert says in call(byzcode, "reading", canonical(changed))


def _at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value


def test_a_reading_whose_claims_were_edited_since_is_not_made_for_the_old_request(
    asked: dict[str, Any], here: Path, byzcode: Call
) -> None:
    study = here / "config/studies/lines.yaml"
    study.write_text(study.read_text().replace("0.2", "0.25"))
    assert "its files were edited since" in call(byzcode, "reading", canonical(asked))


# --- specs -----------------------------------------------------------------------------------------------------------

#: Sizes that neither an allocation nor a run may have: what is changed, the key of each, and what is allowed.
SIZES: list[tuple[dict[str, Any], str, str]] = [
    ({"redundancy": 13}, "redundancy = 13", "allowed: 1 to 12"),
    ({"redundancy": 0}, "redundancy = 0", "allowed: at least 1"),
    ({"devices": 10**6}, "devices = 1000000", "allowed: at most 100000"),
    ({"seeds": [1, 1]}, "seeds = [1, 1]", "each seed once"),
    ({"seeds": []}, "seeds = []", "allowed: 1 or more entries"),
    ({"seeds": 10**9}, "seeds = 1000000000", "at most 10000 seeds"),
    ({"seeds": [2**32]}, "seeds[0] = 4294967296", "less than 4294967296"),
    ({"seeds": [-1]}, "seeds[0] = -1", "allowed: at least 0"),
    ({"devices": 100_000, "subsets": 10**6}, "subsets = ", "N M, whether a device holds a subset"),
    ({"subsets": 10**12}, "subsets = 1000000000000", "1000000000"),
    ({"devices": 100_000, "seeds": 10_000}, "", "allowed: at most 10000000000"),
    ({"devices": 5000, "subsets": 5000, "redundancy": 5000, "seeds": 1000}, "", "allowed: at most 10000000000"),
    ({"allocation": "disjoint", "redundancy": 5}, "redundancy = 5", "with allocation disjoint"),
    ({"allocation": "cyclic", "devices": 5}, "redundancy = 4", "with allocation cyclic"),
    ({"allocation": "repetition", "redundancy": 5}, "redundancy = 5", "with allocation repetition"),
    ({"allocation": "orthogonal_array"}, "redundancy = 4", "with allocation orthogonal_array"),
    ({"allocation": "block_design"}, "redundancy = 4", "with allocation block_design"),
    ({"allocation": "difference_set"}, "redundancy = 4", "with allocation difference_set"),
    ({"allocation": "unheard"}, "allocation = ", "unknown allocation"),
    ({"allocation": {"name": "random", "side": "left"}}, "allocation.side = 'left'", "allowed: device, subset"),
]


@pytest.mark.parametrize(("changes", "key", "allowed"), SIZES, ids=lambda found: str(found)[:60])
def test_a_size_that_no_allocation_has_is_refused_alone_and_in_a_run(
    changes: dict[str, Any], key: str, allowed: str, here: Path, byzcode: Call
) -> None:
    alone = ALLOCATION | changes
    in_a_run = {"method": "cra_dl", "aggregation": "median", "iterations": 4, **alone}
    in_a_run["problem"] = RUN["problem"] | {"subsets": in_a_run.pop("subsets"), "dimension": 1}
    with unchanged(here):
        for command, values in (("allocate", alone), ("train", in_a_run)):
            said = complaint(byzcode(command, "--spec", json.dumps(values), "--out", "out.nc"))
            assert key in said
            assert allowed in said


def test_what_a_run_may_ask_for_an_allocation_may_too() -> None:
    """The allocation of a run is not checked once more, so it must be one that would pass."""
    for values in (
        RUN,
        {**RUN, "method": "cra_dl", "redundancy": 5},
        {**RUN, "method": "lad", "redundancy": 6, "devices": 12},
    ):
        found = RunSpec.parse(values, "test").allocation_spec
        assert AllocationSpec.from_json(found.canonical(), "again") == found
        assert AllocationSpec.from_json(found.canonical(), "again").allocation_id == found.allocation_id
