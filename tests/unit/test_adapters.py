"""Adapters without the other libraries: what they refuse, and the server of a federated training.

tests/differential/test_adapters.py compares them with byzfl and Flower.
"""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from unit.claim_runs import ROOT

import byzcode as bz
from byzcode.adapters import byzfl
from byzcode.adapters.server import Server
from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS
from byzcode.pre_aggregation import PRE_AGGREGATORS

VECTORS = np.random.default_rng(0).normal(size=(11, 6))
PAGE = (ROOT / "docs" / "other-libraries.md").read_text(encoding="utf-8")

# --- byzfl's names ---------------------------------------------------------------------------------------------------

REFUSED = [
    (lambda: byzfl.TrMean(g=2), "byzfl.TrMean: g = 2: unknown parameter; allowed: f"),
    (lambda: byzfl.GeometricMedian(nu=0.1), "GeometricMedian has no parameters here (ours converges"),
    (lambda: byzfl.Gaussian(mu=1.0), "byzfl.Gaussian: mu = 1.0: allowed: 0.0, the only value that is served"),
    (lambda: byzfl.Optimal_ALittleIsEnough(ratio=0.7), "ratio = 0.7: allowed: 0.8, the only value that is served"),
    (lambda: byzfl.Aggregator("MDA", f=1), "byzfl.MDA: byzcode has no minimum-diameter averaging; allowed: Average,"),
    (lambda: byzfl.Attack("LabelFlipping"), "use byzcode.attack('label_flip', ..., relabelled=...)"),
    (lambda: byzfl.Aggregator("TrMeen"), "byzfl: name = 'TrMeen': did you mean 'TrMean'?"),
    (lambda: byzfl.TrMean(f=-1), "byzfl.TrMean: f = -1: allowed: 0 or more"),
    (lambda: byzfl.TrMean(f=1.0), "byzfl.TrMean: f = 1.0: allowed: 0 or more"),
    (lambda: byzfl.CenteredClipping(tau=-1.0), "byzfl.CenteredClipping: radius = -1.0: allowed: greater than 0"),
    (lambda: byzfl.Mimic(epsilon=11)(VECTORS), "byzfl.Mimic: epsilon = 11: allowed: 0 to 10 (the honest vectors)"),
    (lambda: byzfl.Krum(f=5)(VECTORS), "aggregate: f = 5: allowed: 0 to 4 (krum of 11 messages)"),
    (lambda: byzfl.RobustAggregator({"name": "TrMean", "params": {}}), "byzfl.TrMean: params = {}: unknown key"),
    (lambda: byzfl.RobustAggregator("TrMean"), "byzfl: aggregator_info = 'TrMean': expected a mapping with a name"),
    (lambda: byzfl.ByzantineClient({"name": "Inf"}), "byzfl.ByzantineClient: f = None: allowed: 0 or more"),
    (lambda: byzfl.ByzantineClient({"name": "NoAttack", "f": 1}), "f = 1: allowed: 0, because the attack is NoAttack"),
]


@pytest.mark.parametrize(("called", "says"), REFUSED, ids=[says[:50] for _, says in REFUSED])
def test_what_is_not_served_is_refused_in_one_line(called, says):
    with pytest.raises(bz.UserError) as refused:
        called()
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_name_that_is_not_served_is_no_attribute():
    with pytest.raises(AttributeError, match=r"byzfl\.MDA: byzcode has no minimum-diameter averaging"):
        _ = byzfl.MDA
    with pytest.raises(AttributeError, match=re.escape("has no attribute 'TrMeen'; did you mean 'TrMean'?")):
        _ = byzfl.TrMeen


@pytest.mark.parametrize("name", [*byzfl.AGGREGATORS, *byzfl.PRE_AGGREGATORS, *byzfl.ATTACKS])
def test_every_form_of_vectors_gives_the_same_and_stays_as_it_was(name):
    forms = {
        "array": VECTORS.copy(),
        "list": list(VECTORS.copy()),
        "tensor": torch.from_numpy(VECTORS.copy()),
        "tensors": list(torch.from_numpy(VECTORS.copy())),
    }
    made = {form: getattr(byzfl, name)()(vectors) for form, vectors in forms.items()}
    for form, vectors in forms.items():
        np.testing.assert_array_equal(np.asarray(torch.stack(vectors) if form == "tensors" else vectors), VECTORS)
        got = made[form]
        if isinstance(got, list):
            got = torch.stack(got) if form == "tensors" else np.stack(got)
        assert isinstance(got, torch.Tensor) == form.startswith("tensor")
        np.testing.assert_array_equal(np.asarray(got), made["array"])


def test_random_numbers_differ_from_call_to_call_and_not_from_object_to_object():
    one, other = byzfl.Bucketing(s=3, seed=1), byzfl.Bucketing(s=3, seed=1)
    first, second = one(VECTORS), one(VECTORS)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal([first, second], [other(VECTORS), other(VECTORS)])
    assert not np.array_equal(first, byzfl.Bucketing(s=3, seed=2)(VECTORS))


def test_a_client_without_liars_sends_nothing():
    assert byzfl.ByzantineClient({"name": "NoAttack", "f": 0, "parameters": {}}).apply_attack(VECTORS) == []
    assert byzfl.ByzantineClient({"name": "Inf", "f": 0}).apply_attack(VECTORS) == []
    lies = byzfl.ByzantineClient({"name": "SignFlipping", "f": 3}).apply_attack(VECTORS)
    np.testing.assert_allclose(lies, np.tile(-VECTORS.mean(axis=0), (3, 1)), atol=1e-15)


# --- the server of a federated training ------------------------------------------------------------------------------


def models(clients=11, seed=0):
    """Models of two layers and a counter."""
    draw = np.random.default_rng(seed)
    return [
        [draw.normal(size=(3, 4)).astype(np.float32), np.array(10 * client), draw.normal(size=5).astype(np.float32)]
        for client in range(clients)
    ]


def flat(model):
    return np.concatenate([model[0].ravel(), model[2]])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("before", PRE_AGGREGATORS)
def test_layers_are_one_message_and_counters_have_their_median(rule, before):
    """Of 16 clients: bucketing leaves 8 messages, of which no rule tolerates fewer than one lie."""
    given, sent = models(16), models(1, seed=1)[0]
    made = Server(rule, 1, before, 7).combined(given, sent, 4)
    assert [(array.shape, array.dtype) for array in made] == [(array.shape, array.dtype) for array in given[0]]
    assert made[1] == 70
    relative = {"translation"} & (RULES[rule].lacks | PRE_AGGREGATORS[before].lacks)
    origin = flat(sent) if relative else 0
    vectors = np.stack([flat(model) for model in given]) - origin
    mixed = bz.pre_aggregate(before, vectors, f=1, seed=7, iteration=4)
    np.testing.assert_array_equal(flat(made), bz.aggregate(rule, mixed, f=1) + origin)


@pytest.mark.parametrize("rule", ["centered_clipping", {"name": "centered_clipping", "radius": 0.1}, "norm_trimming"])
def test_a_rule_that_depends_on_the_origin_sees_updates(rule):
    given, sent = models(), models(1, seed=1)[0]
    moved = [[model[0] + 64, model[1], model[2] + 64] for model in given]
    with_it = Server(rule, 2, "none", 0).combined(given, sent, 0)
    far = Server(rule, 2, "none", 0).combined(moved, [sent[0] + 64, sent[1], sent[2] + 64], 0)
    np.testing.assert_allclose(flat(far) - 64, flat(with_it), atol=1e-4)
    with pytest.raises(bz.UserError, match="needs the model that was sent to the clients, but none was sent"):
        Server(rule, 2, "none", 0).combined(given, None, 0)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("medain", 1, "none", 0), "strategy: rule = 'medain': did you mean 'median'?"),
        (("median", 1, "nmm", 0), "strategy: pre_aggregation = 'nmm': did you mean 'nnm'?"),
        (("median", -1, "none", 0), "strategy: f = -1: allowed: 0 or more"),
        (({"name": "krum", "neighbors": 1}, 1, "none", 0), "strategy: neighbors = 1: unknown key"),
    ],
)
def test_a_wrong_strategy_is_refused_when_it_is_made(given, says):
    with pytest.raises(bz.UserError) as refused:
        Server(*given)
    assert str(refused.value).startswith(says)


def test_too_many_liars_for_those_that_reply_are_refused():
    with pytest.raises(bz.UserError, match=re.escape("aggregate: f = 2: allowed: 0 to 1 (median of 4 messages)")):
        Server("median", 2, "none", 0).combined(models(4), None, 0)


def test_a_missing_library_is_named_with_what_installs_it():
    """In a process of its own, in which Flower cannot be imported whether it is installed or not."""
    code = (
        "import sys; sys.modules['flwr'] = None\n"
        "import byzcode as bz\n"
        "try:\n    import byzcode.adapters.flower\n"
        "except ImportError as error:\n    print(isinstance(error, bz.UserError), error)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.startswith("True this adapter needs Flower (")
    assert said.endswith("to install it: pip install flwr\n")


# --- the page --------------------------------------------------------------------------------------------------------


def table(title: str) -> list[list[list[str]]]:
    """The names in each cell but the last of a table of names."""
    rows = PAGE.partition(f"### {title}\n\n")[2].partition("\n\n")[0].splitlines()[2:]
    return [[re.findall(r"`(\w+)`", cell) for cell in row.strip("|").split("|")[:-1]] for row in rows]


@pytest.mark.parametrize(
    ("title", "ours", "served"),
    [
        ("Rules", RULES, byzfl.AGGREGATORS),
        ("Pre-aggregation", PRE_AGGREGATORS, byzfl.PRE_AGGREGATORS),
        ("Attacks", ATTACKS, byzfl.ATTACKS),
    ],
)
def test_the_names_are_those_of_the_tables(title, ours, served):
    besides = re.findall(r"`(\w+)`", PAGE.partition("Only ours: ")[2].partition(". Only others")[0])
    named = [row[0][0] for row in table(title)]
    expected = [name for name in ours if name not in besides and (title == "Attacks" or name != "none")]
    assert sorted(named) == sorted(expected)
    for own, theirs, *_ in table(title):
        for name in theirs:
            assert name in byzfl.NOT_SERVED or served[name].ours == own[0]
    assert {name for _, theirs, *_ in table(title) for name in theirs} >= set(served)


def test_the_printed_code_for_byzfl_runs():
    (code,) = re.findall(r"```python\n(.*?import byzfl\n.*?)```", PAGE, flags=re.DOTALL)
    exec(code, {})
