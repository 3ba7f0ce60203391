"""Every rule of the table, among liars of many kinds: what its constant and its properties promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from unit.tables import cases

from byzcode.aggregation import RULES

CASES = cases(RULES)
BOUND = [name for name, rule in RULES.items() if rule.least_kappa(5, 1) is not None]

#: What all liars send, given the honest messages (H, D), their mean, and f.
LIES = {
    "zero": lambda honest, mean, f, dice: np.zeros((f, len(mean))),
    "far": lambda honest, mean, f, dice: np.tile(mean + 1e6, (f, 1)),
    "near": lambda honest, mean, f, dice: mean + 1e-3 * dice.normal(size=(f, len(mean))),
    "like the last": lambda honest, mean, f, dice: np.tile(honest[-1], (f, 1)),
    "beyond the last": lambda honest, mean, f, dice: np.tile(mean + 1.5 * (honest[-1] - mean), (f, 1)),
    "opposite": lambda honest, mean, f, dice: np.tile(-5 * mean, (f, 1)),
    "on two sides": lambda honest, mean, f, dice: mean + 3 * np.where(np.arange(f) % 2, 1, -1)[:, None],
    "each elsewhere": lambda honest, mean, f, dice: 1e3 * dice.normal(size=(f, len(mean))),
    "not a number": lambda honest, mean, f, dice: np.full((f, len(mean)), np.nan),
    "infinite": lambda honest, mean, f, dice: np.full((f, len(mean)), np.inf),
}


def apply(case, messages, f):
    name, options = CASES[case]
    return RULES[name](torch.from_numpy(messages.copy()), f, **options).numpy()


def among(dice, lies, honest):
    """Messages of all devices, in a random order."""
    return np.concatenate([lies, honest])[dice.permutation(len(lies) + len(honest))]


@st.composite
def honest_messages(draw):
    """Honest messages: normal, a few of them far off, all but one equal, or heavy-tailed; and random numbers."""
    devices, dimension = draw(st.integers(2, 15)), draw(st.integers(1, 5))
    dice = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["normal", "apart", "one off", "heavy"]))
    values = dice.normal(size=(devices, dimension))
    if kind == "apart":
        values[: draw(st.integers(1, devices - 1))] += 10
    elif kind == "one off":
        values[1:] = values[1]
    elif kind == "heavy":
        values = values**3
    return values * 10.0 ** draw(st.integers(-6, 6)) + draw(st.sampled_from([0.0, 1.0])), dice


def liars_among(name, honest, part):
    """So many liars beside some honest devices as a part of the most that a rule bears, all below a half."""
    most = max((f for f in range(len(honest)) if f <= RULES[name].most_liars(len(honest) + f)), default=0)
    return round(part * most)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("case", [case for case, (name, _) in CASES.items() if name in BOUND])
@given(given_=honest_messages(), part=st.floats(0, 1))
def test_no_lie_makes_an_error_above_the_constant(case, lie, given_, part):
    """||rule - mean_H||^2 <= kappa (1/|H|) sum_H ||m_i - mean_H||^2, in any number of dimensions."""
    (honest, dice), name = given_, CASES[case][0]
    f = liars_among(name, honest, part)
    mean = honest.mean(axis=0)
    got = apply(case, among(dice, LIES[lie](honest, mean, f, dice), honest), f)
    error, spread = np.linalg.norm(got - mean), np.sqrt(((honest - mean) ** 2).sum(axis=1).mean())
    rounding = 1e-11 * np.abs(honest).max()
    assert error <= np.sqrt(RULES[name].least_kappa(len(honest) + f, f)) * spread * (1 + 1e-9) + rounding


@pytest.mark.parametrize("case", [case for case, (name, _) in CASES.items() if "agreement" not in RULES[name].lacks])
@given(given_=honest_messages(), part=st.floats(0, 1), lie=st.sampled_from(sorted(LIES)))
def test_what_all_honest_devices_agree_on_is_the_result(case, given_, part, lie):
    (honest, dice), name = given_, CASES[case][0]
    honest = np.tile(honest[:1], (len(honest), 1))
    f = liars_among(name, honest, part)
    got = apply(case, among(dice, LIES[lie](honest, honest[0], f, dice), honest), f)
    say_so = "a rule without this property says so in its ENTRY: lacks = ... (byzcode/aggregation/rule.py)"
    np.testing.assert_allclose(got, honest[0], rtol=1e-11, atol=1e-11 * np.abs(honest).max(), err_msg=say_so)


@pytest.mark.parametrize("name", BOUND)
def test_a_rule_with_a_constant_has_all_that_follows_from_it(name):
    """Where all honest messages are equal its error is 0; and it bears fewer liars than a half."""
    assert "agreement" not in RULES[name].lacks
    for devices in range(1, 30):
        assert RULES[name].most_liars(devices) <= (devices - 1) // 2


#: What the rules of the project lack. One that is added says so in its table.
LACKS = {
    "mean": {"agreement"},
    "centered_clipping": {"translation", "scale", "agreement"},
    "norm_trimming": {"translation", "agreement"},
}
OURS = ("mean", "median", "trimmed_mean", "phocas", "meamed", "geometric_median", "krum", "multi_krum", "bulyan")


@pytest.mark.parametrize("name", [*OURS, "centered_clipping", "norm_trimming"])
def test_no_rule_is_excused_from_more_than_it_must(name):
    assert RULES[name].lacks == LACKS.get(name, set())
