"""Run specifications: their identity, what methods fill in, what is refused."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from unit.tables import of_own_size

from byzcode import errors
from byzcode.errors import UserError
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec
from byzcode.studies.describe import describe
from byzcode.studies.expand import merge

#: What a code needs that does not serve every redundancy.
REDUNDANCY = {"draco_repetition": 100, "draco_cyclic": 110}
CRA = {"method": "cra_dl", "redundancy": 40, "aggregation": "median"}


def spec(**changes):
    return RunSpec.parse({**CRA, **changes}, "test")


def of_method(name, **changes):
    needs = {"redundancy": REDUNDANCY.get(name, 40)} if METHODS[name].coded else {}
    rule = {} if "aggregation" in METHODS[name].fixed else {"aggregation": "median"}
    return RunSpec.parse({"method": name, **needs, **rule, **of_own_size(name), **changes}, "test")


def refusal(**changes) -> str:
    with pytest.raises(UserError) as caught:
        spec(**changes)
    message = str(caught.value)
    assert message.startswith("test: ")
    assert "\n" not in message
    return message.removeprefix("test: ")


# --- identity --------------------------------------------------------------------------------------------------------

FULL = {
    "method": "cra_dl",
    "problem": {"name": "linear_regression", "subsets": 1000, "dimension": 100, "sigma_h": 0.25},
    "devices": 100,
    "redundancy": 40,
    "attack": {"name": "sign_flip", "coefficient": -2.0},
    "byzantine": {"alpha": 0.2, "identities": "redrawn"},
    "aggregation": {"name": "trimmed_mean"},
    "record": {"spacing": "every", "step": 5},
    "seeds": [0, 1, 2],
    "step_size": 0.5,
}


def shuffled(value, order):
    if isinstance(value, dict):
        keys = sorted(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return value


@given(order=st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(order):
    values = shuffled(FULL, order)
    assert RunSpec.parse(values, "test").run_id == RunSpec.parse(FULL, "test").run_id
    through_yaml = yaml.safe_load(yaml.safe_dump(values, sort_keys=False))
    assert RunSpec.parse(through_yaml, "test").run_id == RunSpec.parse(FULL, "test").run_id


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("byzantine: {alpha: 0.2}", "byzantine: {alpha: 2.0e-1}"),
        ("byzantine: {alpha: 0}", "byzantine: {alpha: 0.0}"),
        ("step_size: 1", "step_size: 1.0"),
        ("attack: {name: sign_flip, coefficient: -5}", "attack: {coefficient: -5.0, name: sign_flip}"),
        ("attack: sign_flip", "attack: {name: sign_flip}"),
        ("attack: sign_flip", "attack: {name: sign_flip, coefficient: -5.0}"),
        ("aggregation: median", "aggregation: {name: median}"),
        ("problem: linear_regression", "problem: {name: linear_regression, dimension: 100}"),
        ("seeds: 3", "seeds: [0, 1, 2]"),
        ("diverged_at: 1000000", "diverged_at: 1.0e+6"),
        ("devices: 100", "{}"),
        ("redundancy: 40", "redundancy: 40.0"),
        ("allocation: random", "allocation: {name: random, side: device}"),
    ],
)
def test_the_same_said_otherwise_is_the_same_run(first, second):
    left, right = (spec(**yaml.safe_load(text)) for text in (first, second))
    assert left == right
    assert left.run_id == right.run_id
    assert left.canonical() == right.canonical()


CHANGES = {
    "method": "cra_dl_corrected",
    "devices": 99,
    "redundancy": 41,
    "step_size": 0.25,
    "step_unit": "absolute",
    "step_schedule": "cosine",
    "momentum": 0.5,
    "assumed_alpha": 0.3,
    "estimation": "near_scores",
    "absence": "slowest",
    "iterations": 501,
    "diverged_at": 1e5,
    "message_bits": 64,
    "seeds": [0, 1],
    "dtype": "float32",
    "encoding": "replication",
    "aggregation": "phocas",
    "attack": "gaussian",
    "attack.coefficient": -1.0,
    "byzantine.alpha": 0.25,
    "byzantine.identities": "persistent",
    "byzantine.compressed": False,
    "assignment": "redrawn",
    "compression": "random_k",
    "pre_aggregation": "nnm",
    "record.spacing": "log",
    "record.step": 6,
    "allocation.side": "subset",
    "problem.subsets": 999,
    "problem.dimension": 99,
    "problem.samples_per_subset": 2,
    "problem.heterogeneity": "spread",
    "problem.sigma_h": 0.5,
    "problem.label_noise": 0.5,
    "problem.feature_scale": 2.0,
}


def test_every_change_of_one_field_is_another_run():
    base = {**FULL, "allocation": {"name": "random"}}
    ids = {key: RunSpec.parse(merge(base, {key: value}), "test").run_id for key, value in CHANGES.items()}
    ids["none"] = RunSpec.parse(base, "test").run_id
    assert len(set(ids.values())) == len(ids)


def test_every_field_is_among_those_changes():
    """A field added tomorrow is to be added there."""
    unchangeable = {"spec_version", "start"}  # one allowed value each
    tried = {key.split(".")[0] for key in CHANGES}
    assert tried | unchangeable >= set(RunSpec.model_fields)
    options = {f"problem.{name}" for name in spec().problem.options}
    assert set(CHANGES) >= options
    dumped = spec().model_dump()
    for field in ("byzantine", "record"):
        assert set(CHANGES) >= {f"{field}.{name}" for name in dumped[field]}


def test_a_run_id_is_short_and_frozen():
    assert RunSpec.parse(FULL, "test").run_id == "0c53fff2d263"  # changes where a field is added: every run is then new
    assert (
        AllocationSpec.parse(
            {"allocation": "random", "devices": 4, "subsets": 8, "redundancy": 2, "seeds": [0]}, "test"
        ).allocation_id
        == "c44c9ececdbf"
    )


@pytest.mark.parametrize("name", METHODS)
def test_canonical_json_goes_round(name):
    run = of_method(name)
    again = RunSpec.from_json(run.canonical(), "test")
    assert again == run
    assert again.canonical() == run.canonical()
    assert again.run_id == run.run_id
    values = json.loads(run.canonical())
    assert list(values) == sorted(values)
    later = {
        "step_unit",
        "step_schedule",
        "momentum",
        "assumed_alpha",
        "estimation",
        "absence",
    }  # fields that came after runs had been stored
    assert set(values) == set(RunSpec.model_fields) - later  # all other defaults are written out
    allocation = run.allocation_spec
    assert AllocationSpec.from_json(allocation.canonical(), "test") == allocation


def test_an_allocation_is_shared_by_what_holds_the_same_subsets():
    ids = {
        spec(**changes).allocation_spec.allocation_id
        for changes in ({}, {"aggregation": "phocas"}, {"attack": "gaussian"}, {"method": "cra_dl_corrected"})
    }
    assert len(ids) == 1
    assert len(ids | {spec(redundancy=41).allocation_spec.allocation_id}) == 2
    problem = {"name": "linear_regression", "sigma_h": 0.0}
    assert spec(problem=problem).allocation_spec.allocation_id in ids
    assert spec(problem={**problem, "subsets": 500}).allocation_spec.allocation_id not in ids


def test_a_spec_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        spec().devices = 3


# --- what is filled in -----------------------------------------------------------------------------------------------


def test_defaults_are_filled_in():
    run = spec()
    assert (run.devices, run.subsets, run.dimension, run.iterations, run.dtype) == (
        100,
        1000,
        100,
        500,
        "float64",
    )
    assert run.attack.name == "none"
    assert run.seeds == tuple(range(10))
    assert (run.byzantine.alpha, run.byzantine.identities, run.f) == (0.2, "redrawn", 20)
    assert run.problem.options == {
        "subsets": 1000,
        "dimension": 100,
        "samples_per_subset": 1,
        "heterogeneity": "parameters",
        "sigma_h": 0.25,
        "label_noise": 1.0,
        "feature_scale": 1.0,
    }


@pytest.mark.parametrize(
    ("method", "allocation", "encoding", "aggregation"),
    [
        ("ma", "disjoint", "uniform", "mean"),
        ("rba_dl", "disjoint", "uniform", "median"),
        ("sgc_dl", "random", "replication", "mean"),
        ("cra_dl", "random", "uniform", "median"),
        ("cra_dl_corrected", "random", "replication", "median"),
        ("clairvoyant", "random", "uniform", "mean"),
        ("gradient_descent", "disjoint", "uniform", "mean"),
        ("draco_repetition", "repetition", "uniform", "mean"),
        ("draco_cyclic", "cyclic", "draco_cyclic", "mean"),
        ("va", "disjoint", "uniform", "mean"),
        ("cwtm", "disjoint", "uniform", "trimmed_mean"),
        ("cwtm_nnm", "disjoint", "uniform", "trimmed_mean"),
        ("lad", "cyclic", "uniform", "median"),
        ("com_lad", "cyclic", "uniform", "median"),
        ("com_va", "disjoint", "uniform", "mean"),
        ("com_cwtm", "disjoint", "uniform", "trimmed_mean"),
        ("com_cwtm_nnm", "disjoint", "uniform", "trimmed_mean"),
        ("com_tgn", "disjoint", "uniform", "norm_trimming"),
    ],
)
def test_a_method_settles_its_parts(method, allocation, encoding, aggregation):
    run = of_method(method)
    assert (run.allocation.name, run.encoding.name, run.aggregation.name) == (allocation, encoding, aggregation)
    if not METHODS[method].coded:
        assert run.redundancy == 10  # M / N
    assert run.compression.name == ("random_k" if method.startswith("com_") else "identity")
    assert run.pre_aggregation.name == ("nnm" if method.endswith("_nnm") else "none")
    assert run.assignment == ("redrawn" if method.endswith("lad") else "fixed")
    if method == "gradient_descent":
        assert (run.f, run.attack.name) == (0, "none")


def test_what_a_method_leaves_open_may_be_said():
    assert spec(encoding="replication").encoding.name == "replication"
    assert spec(allocation={"name": "random", "side": "subset"}).allocation.options == {"side": "subset"}
    assert of_method("rba_dl", redundancy=1).redundancy == 1
    assert of_method("rba_dl", devices=30, problem={"name": "linear_regression", "subsets": 100}).redundancy == 3


@pytest.mark.parametrize(
    ("method", "changes", "key"),
    [
        ("ma", {"aggregation": "median"}, "aggregation"),
        ("sgc_dl", {"aggregation": {"name": "phocas"}}, "aggregation"),
        ("gradient_descent", {"attack": "sign_flip"}, "attack"),
        ("gradient_descent", {"byzantine": {"alpha": 0.1}}, "byzantine"),
        ("lad", {"compression": "random_k"}, "compression"),
        ("cwtm_nnm", {"pre_aggregation": "none"}, "pre_aggregation"),
        ("draco_cyclic", {"assignment": "redrawn"}, "assignment"),
        ("draco_cyclic", {"allocation": "random"}, "allocation"),
    ],
)
def test_what_a_method_fixes_may_not_be_changed(method, changes, key):
    with pytest.raises(UserError, match=rf"^test: {key} = .*method {method} fixes {key} to"):
        of_method(method, **changes)


def test_what_a_method_fixes_may_be_repeated():
    assert of_method("ma", aggregation="mean") == of_method("ma", aggregation={"name": "mean"}) == of_method("ma")
    assert of_method("gradient_descent", attack="none", byzantine={"alpha": 0}) == of_method("gradient_descent")


@pytest.mark.parametrize(
    ("alpha", "devices", "f"),
    [
        (0.2, 100, 20),
        (0.05, 100, 5),
        (0.03, 100, 3),
        (0.29, 100, 29),
        (0.07, 100, 7),
        (0.025, 20, 1),
        (0.024, 20, 0),
        (0.29, 50, 15),
    ],
)
def test_the_number_of_liars_is_rounded_half_up(alpha, devices, f):
    assert spec(byzantine={"alpha": alpha}, devices=devices).f == f


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"byzantine": {"alpha": 0.5}}, "f = 50 liars, but median among 100 devices tolerates at most 49"),
        (
            {"pre_aggregation": {"name": "bucketing", "size": 3}},
            "f = 20 liars, but median among 100 devices, reduced to 34 messages by bucketing, tolerates at most 16",
        ),
        (
            {"aggregation": "bulyan", "byzantine": {"alpha": 0.25}},
            "f = 25 liars, but bulyan among 100 devices tolerates at most 24",
        ),
        (
            {"aggregation": {"name": "multi_krum", "kept": 81}, "byzantine": {"alpha": 0.6}},
            "f = 60 liars, but multi_krum",
        ),
        (
            {"assumed_alpha": 0.6},
            "assumed f = 60 liars, but median among 100 devices tolerates at most 49",
        ),
    ],
    ids=str,
)
def test_more_liars_than_the_rule_bears_are_no_mistake_but_undefined(changes, words):
    run = spec(**changes)
    assert run.undefined.startswith(words)
    assert f"it is undefined: {words[:4]}" in describe(run)


@pytest.mark.parametrize(
    "changes",
    [
        {"byzantine": {"alpha": 0.49}},
        {"pre_aggregation": {"name": "bucketing", "size": 3}, "byzantine": {"alpha": 0.16}},
        {"aggregation": "mean", "byzantine": {"alpha": 0.99}},
        {"aggregation": "bulyan", "byzantine": {"alpha": 0.24}},
        {"byzantine": {"alpha": 0.6}, "assumed_alpha": 0.3},
    ],
    ids=str,
)
def test_as_many_liars_as_the_rule_bears_are_defined(changes):
    run = spec(**changes)
    assert run.undefined is None
    assert "undefined" not in describe(run)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "cra"}, ["method = 'cra'", "did you mean", "cra_dl"]),
        ({"colour": "red"}, ["colour", "unknown key"]),
        ({"step_sise": 0.5}, ["step_sise", "did you mean 'step_size'"]),
        ({"aggregation": "medain"}, ["aggregation", "did you mean 'median'"]),
        ({"aggregation": {"name": "median", "f": 3}}, ["aggregation.f", "unknown key"]),
        ({"attack": {"name": "sign_flip", "coeficient": -1}}, ["attack.coeficient", "did you mean 'coefficient'"]),
        ({"attack": {"name": "sign_flip", "coefficient": 1.0}}, ["attack.coefficient = 1.0", "less than 0"]),
        ({"attack": {"name": "gaussian", "scale": 0}}, ["attack.scale = 0", "greater than 0"]),
        ({"problem": {"name": "linear_regression", "sigma_h": -1}}, ["problem.sigma_h = -1"]),
        ({"problem": {"name": "linear_regression", "sigma_h": float("nan")}}, ["problem.sigma_h = nan"]),
        ({"byzantine": {"alpha": 1.0}}, ["byzantine.alpha = 1.0"]),
        ({"byzantine": {"alpha": 0.995}}, ["byzantine.alpha = 0.995", "f = 100", "at least one must be honest"]),
        ({"byzantine": {"alpha": 0.2, "f": 3}}, ["byzantine.f", "unknown key"]),
        ({"redundancy": 1001}, ["redundancy = 1001", "1 to 1000"]),
        ({"redundancy": -1}, ["redundancy = -1"]),
        ({"redundancy": 40.5}, ["redundancy = 40.5"]),
        ({"redundancy": None}, ["redundancy", "method cra_dl is coded"]),
        ({"allocation": "disjoint"}, ["redundancy = 40", "1 to 10", "disjoint"]),
        ({"seeds": []}, ["seeds = []"]),
        ({"seeds": 0}, ["seeds"]),
        ({"seeds": [1, 1]}, ["seeds = [1, 1]", "each seed once"]),
        ({"seeds": [-1]}, ["seeds[0] = -1"]),
        ({"iterations": 0}, ["iterations = 0"]),
        ({"step_size": 0}, ["step_size = 0"]),
        ({"step_size": float("inf")}, ["step_size = inf"]),
        ({"dtype": "float16"}, ["dtype = 'float16'", "float64"]),
        ({"start": "one"}, ["start = 'one'"]),
        ({"record": {"spacing": "linear"}}, ["record.spacing = 'linear'"]),
        ({"aggregation": None}, ["aggregation = None", "allowed: mean, median"]),
        ({"dtype": None}, ["dtype = None", "float64"]),
        ({"devices": "many"}, ["devices = 'many'"]),
        ({"diverged_at": 1.0}, ["diverged_at = 1.0"]),
        ({"compression": "randomk"}, ["compression", "did you mean 'random_k'"]),
        ({"compression": {"name": "random_k", "share": 0}}, ["compression.share = 0", "greater than 0"]),
        ({"pre_aggregation": "NNM"}, ["pre_aggregation", "unknown pre-aggregator"]),
        ({"aggregation": {"name": "multi_krum", "kept": 81}}, ["aggregation.kept = 81", "1 to 80"]),
        (
            {"encoding": "draco_cyclic", "allocation": "cyclic", "redundancy": 50},
            ["encoding", "only for a method that"],
        ),
        ({"compression": {"name": "qsgd", "levels": 10**21}}, ["compression.levels", "at most"]),
        ({"assignment": "drawn"}, ["assignment = 'drawn'", "redrawn"]),
        ({"assumed_alpha": 1.0}, ["assumed_alpha = 1.0", "less than 1"]),
        (
            {"method": "clairvoyant", "redundancy": 10, "aggregation": "mean", "assumed_alpha": 0.3},
            ["assumed_alpha = 0.3", "the server of method clairvoyant has no rule", "leave it out"],
        ),
        ({"attack": {"name": "mimic", "victim": 100}}, ["attack.victim = 100", "0 to 99"]),
        ({"method": "draco_cyclic", "redundancy": 100, "aggregation": "mean"}, ["redundancy = 100", "odd", "110"]),
        ({"method": "draco_cyclic", "redundancy": 45, "aggregation": "mean"}, ["redundancy = 45", "multiples of"]),
        ({"method": "draco_repetition", "redundancy": 30, "aggregation": "mean"}, ["redundancy = 30", "divisors"]),
        ({"method": "lad", "devices": 30}, ["redundancy = 40", "multiple of the 30 devices"]),
        ({"allocation": "orthogonal_array"}, ["redundancy = 40", "not an integer", "nearest"]),
    ],
    ids=str,
)
def test_a_mistake_is_told_in_one_line_with_key_value_and_what_is_allowed(changes, words):
    message = refusal(**changes)
    for word in words:
        assert word in message


def test_messages_about_options_name_the_component_and_no_more():
    """A component added tomorrow is to be added where messages are made."""
    assert {*COMPONENTS, "partition"} == errors._TAGGED  # an option of problems that has options of its own


def test_what_nothing_settles_is_required():
    with pytest.raises(UserError, match=r"^test: aggregation = .*: this key is required"):
        RunSpec.parse({"method": "cra_dl", "redundancy": 40}, "test")
    with pytest.raises(UserError, match=r"^test: method = .*: this key is required"):
        RunSpec.parse({"redundancy": 40}, "test")


def test_an_uncoded_method_needs_as_many_subsets_as_devices():
    with pytest.raises(UserError, match="devices = 100: allowed: 1 to 99"):
        of_method("rba_dl", problem={"name": "linear_regression", "subsets": 99})


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"method": 3}', '{"redundancy": 3}'])
def test_json_that_is_no_spec_is_refused(text):
    with pytest.raises(UserError, match=r"^there: ") as caught:
        RunSpec.from_json(text, "there")
    assert "\n" not in str(caught.value)
