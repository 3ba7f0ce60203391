"""A number is a number and no word; what is refused is told in plain words."""

from __future__ import annotations

import copy
import json
import re

import pytest
from unit.claim_runs import ROOT

from byzcode.attacks import ATTACKS
from byzcode.attacks.threat import Threat
from byzcode.errors import UserError, component_models
from byzcode.lazy import torch
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.parsing import parse
from byzcode.specs.run import RunSpec
from byzcode.studies.alternatives import Alternatives, MultiverseConfig
from byzcode.studies.plain_yaml import read_yaml
from byzcode.studies.plan import load_plan
from byzcode.studies.schema import SCHEMAS
from byzcode.studies.study import LineStyle, Reading, Study
from byzcode.studies.workflow_config import WorkflowConfig

RUN = {"method": "cra_dl", "redundancy": 4, "aggregation": "median", "devices": 10, "problem": "linear_regression"}


def spec(**changes):
    return RunSpec.parse({**RUN, **changes}, "test")


def refusal(**changes) -> str:
    with pytest.raises(UserError) as caught:
        spec(**changes)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("test: ")


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1e-1", 0.1), ("1E3", 1000.0), ("-2.5e+1", -25.0), (".5e1", 5.0), ("1.e2", 100.0), ("0.1", 0.1), ("10", 10)),
        *(("0", 0), ("-3", -3), ("0x1F", 31), ("'010'", "010"), ("'1_0'", "1_0"), ("yes", True), ("1_x", "1_x")),
    ],
)
def test_a_file_is_read_as_people_read_it(text, value, tmp_path):
    (tmp_path / "file.yaml").write_text(f"key: {text}\n")
    parsed = read_yaml(tmp_path / "file.yaml")["key"]
    assert (parsed, type(parsed)) == (value, type(value))


MISREAD = ["010", "-010", "00", "0_7", "1_000", "1_0", "1_0.5", "1:30", "190:20:30", "1:30.5", "0b1_0", "!!int 010"]


@pytest.mark.parametrize("text", MISREAD)
@pytest.mark.parametrize("form", ["key: {}", "key: [1, {}]", "{}: value"])
def test_a_number_that_can_be_read_in_two_ways_is_refused(text, form, tmp_path):
    (tmp_path / "file.yaml").write_text(form.format(text) + "\n")
    with pytest.raises(UserError, match=r"line 1: not valid YAML: \S+ can be read in two ways; allowed: decimal num"):
        read_yaml(tmp_path / "file.yaml")


def numeric_fields():
    """Each number of a run: the keys that lead to it, the values that they need, its default."""
    default = spec().model_dump(mode="json")
    for name in ("devices", "redundancy", "iterations", "step_size", "diverged_at", "message_bits"):
        yield (name,), {}, default[name]
    yield ("byzantine", "alpha"), {"byzantine": {}}, 0.2
    yield ("record", "step"), {"record": {}}, 5
    for head in COMPONENTS:
        for model in component_models(RunSpec, head):
            for option, value in model().options.items():
                if not isinstance(value, str | bool | tuple):
                    yield (head, option), {head: {"name": model().name}}, value


FIELDS = {
    ".".join([*path, *needs.get(path[0], {}).values()]): (path, needs, of) for path, needs, of in numeric_fields()
}


def given_at(path, needs, value):
    fields = copy.deepcopy(needs)
    if len(path) == 1:
        return {path[0]: value}
    fields[path[0]][path[1]] = value
    return fields


@pytest.mark.parametrize(("path", "needs", "default"), FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize(
    "value", [True, False, "5", "0.1", "1_0", "010", "1:30", "yes", " 1e0", "1e0_0", "nan"], ids=repr
)
def test_no_word_and_no_truth_value_is_a_number(path, needs, default, value):
    says = refusal(**given_at(path, needs, value))
    assert re.match(rf"{'.'.join(path)} = {value!r}: allowed: (whole )?numbers", says), says


@pytest.mark.parametrize(("path", "needs", "default"), FIELDS.values(), ids=FIELDS)
def test_a_number_is_one_run_however_it_is_written(path, needs, default):
    number = 4 if default is None else default
    try:
        expected = spec(**given_at(path, needs, number)).run_id
    except UserError as error:
        pytest.skip(f"the default alone is no run of this size: {error}")
    for same in (float(number), f"{number:e}"):
        assert spec(**given_at(path, needs, same)).run_id == expected


ZEROS = [
    {"byzantine": {"alpha": 0.0}},
    {"problem": {"name": "linear_regression", "sigma_h": 0.0}},
    {"problem": {"name": "linear_regression", "label_noise": 0.0, "sigma_h": 0.0}},
    {"attack": {"name": "alie", "factor": 0.0}},
    {"attack": {"name": "constant", "value": 0.0}},
    {"seeds": [0.0, 1.0]},
]


def turned(value):
    if isinstance(value, dict):
        return {key: turned(each) for key, each in value.items()}
    if isinstance(value, list):
        return [turned(each) for each in value]
    return -value if value == 0 else value


@pytest.mark.parametrize("zeros", ZEROS, ids=str)
def test_there_is_one_zero(zeros):
    first, second = spec(**zeros), spec(**turned(zeros))
    assert first.run_id == second.run_id
    assert "-0" not in second.canonical()
    stored = RunSpec.from_json(json.dumps({**json.loads(first.canonical()), **turned(zeros)}), "test")
    assert stored.run_id == first.run_id


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"iterations": True},
            "iterations = True: allowed: whole numbers; YAML reads yes, no, on and off as true and false",
        ),
        ({"seeds": 0}, "seeds = 0: allowed: how many seeds, 1 to 10000, or a list of them"),
        ({"seeds": -1}, "seeds = -1: allowed: how many seeds, 1 to 10000, or a list of them"),
        ({"seeds": "5"}, "seeds = '5': allowed: how many seeds, 1 to 10000, or a list of them"),
        ({"seeds": True}, "seeds = True: allowed: how many seeds, 1 to 10000, or a list of them"),
        ({"seeds": 2.5}, "seeds = 2.5: allowed: how many seeds, 1 to 10000, or a list of them"),
        ({"seeds": None}, "seeds = None: allowed: how many seeds, 1 to 10000, or a list of them"),
        ({"seeds": {"a": 1}}, "seeds = {'a': 1}: allowed: how many seeds, 1 to 10000, or a list of them"),
        ({"seeds": 10001}, "seeds = 10001: allowed: at most 10000 seeds"),
        ({"seeds": [0, "1"]}, "seeds[1] = '1': allowed: whole numbers, without quotes"),
        ({"seeds": [0, 1.5]}, "seeds[1] = 1.5: allowed: whole numbers"),
        ({"byzantine": {"compressed": 1}}, "byzantine.compressed = 1: allowed: true or false"),
        ({"byzantine": {"compressed": "yes"}}, "byzantine.compressed = 'yes': allowed: true or false"),
        ({"step_size": "0.1"}, "step_size = '0.1': allowed: numbers, without quotes"),
        ({"devices": 6.5}, "devices = 6.5: allowed: whole numbers"),
        ({"devices": 0}, "devices = 0: allowed: at least 1"),
        ({"devices": 10**6}, "devices = 1000000: allowed: at most 100000"),
        ({"byzantine": {"alpha": 1}}, "byzantine.alpha = 1: allowed: less than 1"),
        ({"step_size": 0}, "step_size = 0: allowed: greater than 0"),
        ({"dtype": "float46"}, "dtype = 'float46': did you mean 'float64'? allowed: float64, float32"),
    ],
    ids=str,
)
def test_what_is_allowed_is_said_in_plain_words(changes, says):
    assert refusal(**changes) == says


def test_a_spec_given_as_json_is_as_strict():
    for key, value in (("iterations", "true"), ("step_size", '"0.1"'), ("seeds", '"5"'), ("devices", "NaN")):
        text = re.sub(rf'"{key}":(\[[^]]*]|[^,}}]*)', f'"{key}":{value}', spec().canonical())
        with pytest.raises(UserError, match=rf"^--spec: {key} = .*: allowed: "):
            RunSpec.from_json(text, "--spec")
    with pytest.raises(UserError, match=r"^--spec: devices = True: allowed: whole numbers"):
        AllocationSpec.from_json(spec().allocation_spec.canonical().replace('"devices":10', '"devices":true'), "--spec")


JARGON = re.compile(r"should (be|have|match)|valid |pattern|\^\[|unable|instance|dictionary")
ALLOWED = re.compile(r"file: \S.* = .+: .*(allowed: |expected a|required|fixes|coded|once|multiple|overlay)")
WRONG = [None, True, 3, 2.5, -1, float("nan"), "", "x", "5", "a\nb", [], [1], {}, {"a": 1}, {1: 2}, "X" * 3000]
FILES = {
    "config/studies/lad-d.yaml": Study,
    "config/studies/cra-d.yaml": Study,
    "config/studies/cra-e.yaml": Study,
    "config/studies/bounds.yaml": Study,
    "config/readings/primary.yaml": Reading,
    "config/readings/alternatives.yaml": Alternatives,
    "config/multiverse.yaml": MultiverseConfig,
    "config/config.yaml": WorkflowConfig,
}


def places(value, path=()):
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def put(document, path, value):
    changed = inner = copy.deepcopy(document)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


DOCUMENTS = {path: (model, read_yaml(ROOT / path)) for path, model in FILES.items()}
DOCUMENTS["a run"] = (RunSpec, spec(attack="sign_flip", compression="random_k").model_dump(mode="json"))
DOCUMENTS["a style"] = (LineStyle, read_yaml(ROOT / "config/style.yaml")["lad"])


@pytest.mark.parametrize(("model", "document"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_no_complaint_speaks_of_patterns_or_of_the_library_that_checks(model, document):
    """Whatever is put in the place of whichever value."""
    messages = set()
    for path in places(document):
        for value in WRONG:
            try:
                parse(model, put(document, path, value), "file")
            except UserError as error:
                messages.add(str(error))
    assert len(messages) > 20
    for message in messages:
        bare = re.sub(r"'.*'|\{.*\}", "", message)
        assert not JARGON.search(bare), message
        assert ALLOWED.match(message), message


def test_all_kinds_of_files_are_among_those():
    assert {model for model, _ in DOCUMENTS.values()} >= set(SCHEMAS.values())


# --- other messages --------------------------------------------------------------------------------------------------


def test_a_configuration_of_no_file_is_named():
    with pytest.raises(UserError, match=r"^config/config\.yaml: studies = None: this key is required"):
        load_plan({}, "")


@pytest.mark.parametrize("path", ["results/", "results//x", "./results", "re sults", "-rf", ""])
def test_a_folder_of_results_is_described_in_words(path):
    with pytest.raises(UserError, match=r"^c: results = .*: allowed: a folder inside the project, its nam"):
        parse(WorkflowConfig, {"studies": ["x"], "results": path}, "c")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        *((name, "aggregate") for name in ("alie_search", "ipm_search", "tailored")),
        *(("label_flip", "relabelled"), ("negate_exclusive", "exclusive")),
    ],
)
def test_an_attack_alone_says_what_it_is_to_be_given(name, wanted):
    threat = Threat(torch.tensor([[0]]), torch.tensor([[1, 2, 3]]))
    with pytest.raises(UserError, match=rf"^Threat: {wanted} = None: .*pass a function"):
        ATTACKS[name](torch.zeros(1, 4, 2), threat, None)
