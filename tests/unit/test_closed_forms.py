"""The closed forms of the project's reading of the papers (section 6), by Monte Carlo with tolerances of 5 sigma.

D_k = grad f_k - grad F, betahat^2 = (1/M) sum_k |D_k|^2. Every bound is made from the size and spread of the sample.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from byzcode.aggregation import RULES
from byzcode.allocation import ALLOCATIONS
from byzcode.allocation.statistics import overlaps, replications
from byzcode.attacks import ATTACKS, Threat
from byzcode.coding import ENCODERS
from byzcode.problems import PROBLEMS
from byzcode.randomness import Draws, Orders, Stream
from byzcode.theory import constants
from byzcode.training.devices import Devices, messages
from byzcode.training.iterate import Iterate

SIGMAS = 5


class Setting:
    """One problem at a point theta that is not the optimum, with the gradient of every subset."""

    def __init__(self, subsets: int, dimension: int = 10) -> None:
        self.subsets = subsets
        self.problem = PROBLEMS["linear_regression"]((1,), "cpu", "float64", subsets=subsets, dimension=dimension)
        theta = torch.from_numpy(Stream(1, "test").at(0).standard_normal((1, dimension)))
        self.at = Iterate(self.problem, theta)
        self.forward = self.at.forward
        self.gradients = (self.forward[0].unsqueeze(-1) * self.problem.features[0]).numpy()  # one sample a subset
        self.gradient = self.gradients.mean(axis=0)
        self.spread = ((self.gradients - self.gradient) ** 2).sum(axis=1).mean()  # betahat^2

    def messages(self, assigned, encoding="uniform"):
        """What the devices send, (N, D), by the library."""
        weights = ENCODERS[encoding](assigned, self.subsets)
        devices = Devices(self.forward, assigned[None], weights[None], (1,), self.subsets, assignment="fixed")
        return messages(self.at, devices.codes(0))[0].numpy()

    def factor(self, r):
        """F2: variance of a coded gradient over betahat^2."""
        return (self.subsets - r) / (r * (self.subsets - 1))


@pytest.fixture(scope="module", params=[1000, 60], ids="M={}".format)
def setting(request):
    return Setting(request.param)


@pytest.fixture(scope="module")
def large():
    return Setting(1000)


def draw(devices, subsets, r, seed=0, allocation="random", **options):
    generator = Stream(seed, "test allocation").at(0)
    return ALLOCATIONS[allocation](devices, subsets, r, generator, **options)


def assert_mean(sample, expected):
    """The mean of independent rows is the expected value, to 5 of its standard errors."""
    sample = np.asarray(sample, dtype=float)
    error = sample.std(axis=0, ddof=1) / np.sqrt(len(sample))
    assert (np.abs(sample.mean(axis=0) - expected) <= SIGMAS * error).all(), (sample.mean(axis=0), expected, error)


def test_the_library_sends_what_the_papers_say(setting):
    assigned = draw(7, setting.subsets, 12)
    expected = [np.mean([setting.gradients[k] for k in row], axis=0) for row in assigned]
    np.testing.assert_allclose(setting.messages(assigned), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("r", [1, 10, 40])
def test_f1_a_coded_gradient_is_unbiased(setting, r):
    assert_mean(setting.messages(draw(4000, setting.subsets, r)), setting.gradient)


@pytest.mark.parametrize("r", [10, 20, 30, 40, 50, 110])
def test_f2_variance_of_a_coded_gradient(large, r):
    error = ((large.messages(draw(4000, 1000, r)) - large.gradient) ** 2).sum(axis=1)
    assert_mean(error / large.spread, large.factor(r))


def test_f2_the_numbers_in_the_text(large):
    stated = {10: 0.0991, 20: 0.0490, 30: 0.0324, 40: 0.02402, 50: 0.01902, 110: 0.00810}
    assert {r: large.factor(r) for r in stated} == pytest.approx(stated, abs=6e-5)


@pytest.mark.parametrize("r", [1, 15, 30, 59, 60])
def test_f2_at_few_subsets_where_m_minus_one_counts(r):
    few = Setting(60)
    error = ((few.messages(draw(20_000, 60, r)) - few.gradient) ** 2).sum(axis=1)
    if r == 60:
        assert error.max() < 1e-24 * few.spread  # every device holds everything
    else:
        assert_mean(error / few.spread, few.factor(r))


@pytest.mark.parametrize(("subsets", "devices", "r"), [(1000, 100, 40), (1000, 10, 40), (60, 20, 12), (60, 5, 30)])
def test_f1_variance_of_the_mean_over_devices(subsets, devices, r):
    """betahat^2 (M - r) / (r (M - 1) N): sampled devices are independent."""
    some, groups = Setting(subsets), max(150, 2000 // devices)
    means = some.messages(draw(devices * groups, subsets, r)).reshape(groups, devices, -1).mean(axis=1)
    error = ((means - some.gradient) ** 2).sum(axis=1)
    assert_mean(error / some.spread, some.factor(r) / devices)


@pytest.mark.parametrize("side", ["device", "subset"])
@pytest.mark.parametrize(("subsets", "devices", "r"), [(1000, 100, 10), (1000, 100, 40), (60, 20, 12), (60, 20, 3)])
def test_f1_replication_weights_recover_the_covered_gradient_exactly(subsets, devices, r, side):
    """The mean over all devices is (1/M) sum over the covered subsets, for every single allocation."""
    some = Setting(subsets)
    for seed in range(3):
        assigned = draw(devices, subsets, r, seed, side=side)
        covered = replications(assigned, subsets) > 0
        expected = some.gradients[covered].sum(axis=0) / subsets
        scale = np.abs(some.gradients).mean()
        np.testing.assert_allclose(
            some.messages(assigned, "replication").mean(axis=0), expected, rtol=0, atol=1e-13 * scale
        )
        if side == "subset":
            assert covered.all()
    if r == 10:
        assert not covered.all() or side == "subset"  # the case of uncovered subsets was met


def test_f1_uniform_weights_do_not_for_one_allocation(large):
    assigned = draw(100, 1000, 110)
    off = ((large.messages(assigned).mean(axis=0) - large.gradient) ** 2).sum() / large.spread
    assert off > 0.1 * large.factor(110) / 100


def test_f1_disjoint_shares_recover_the_gradient_exactly(setting):
    devices = setting.subsets // 10
    assigned = draw(devices, setting.subsets, 10, allocation="disjoint")
    for encoding in ("uniform", "replication"):
        sent = setting.messages(assigned, encoding).mean(axis=0)
        np.testing.assert_allclose(sent, setting.gradient, rtol=0, atol=1e-13 * np.abs(setting.gradients).max())


@pytest.mark.parametrize("r", [10, 40, 110])
def test_f3_distance_of_two_coded_gradients(large, r):
    messages = large.messages(draw(8000, 1000, r))
    distance = ((messages[::2] - messages[1::2]) ** 2).sum(axis=1)
    assert_mean(distance / large.spread, 2 * large.factor(r))


@pytest.mark.parametrize(("r", "shared"), [(12, 0), (12, 5), (12, 11), (30, 15)])
def test_f3_distance_at_a_given_overlap(r, shared):
    """2 betahat^2 (r - lambda) / r^2 M / (M - 1), over random labels."""
    some, generator = Setting(60), np.random.default_rng(3)
    labels = np.argsort(generator.random((4000, 60)), axis=1)
    first, second = labels[:, :r], labels[:, r - shared : 2 * r - shared]
    messages = some.messages(np.sort(np.concatenate([first, second]), axis=1).astype(np.int32))
    distance = ((messages[:4000] - messages[4000:]) ** 2).sum(axis=1)
    assert_mean(distance / some.spread, 2 * (r - shared) / r**2 * 60 / 59)


@pytest.mark.parametrize("r", [12, 30, 60])
def test_f3_deterministic_bounds(r):
    some = Setting(60)
    assigned = draw(40, 60, r)
    messages = some.messages(assigned)
    largest = np.sqrt(((some.gradients - some.gradient) ** 2).sum(axis=1).max())  # B
    pairs = np.triu_indices(40, k=1)
    distance = np.sqrt(((messages[pairs[0]] - messages[pairs[1]]) ** 2).sum(axis=1))
    shared = overlaps(assigned, 60)
    assert (distance <= 2 * (1 - shared / r) * largest + 1e-12).all()
    assert (distance**2 <= 2 * (r - shared) * 60 * some.spread / r**2 + 1e-12).all()
    error = ((messages - some.gradient) ** 2).sum(axis=1)
    assert (error <= (60 - r) / r * some.spread + 1e-12).all()


@pytest.mark.parametrize("r", [10, 20, 30, 40, 50])
def test_f5_coverage(r):
    """P(a subset is on no device) = (1 - r/M)^N; allocations are independent samples."""
    stated = {10: 0.366, 20: 0.133, 30: 0.0476, 40: 0.0169, 50: 0.0059}
    expected = (1 - r / 1000) ** 100
    assert expected == pytest.approx(stated[r], abs=5e-4)
    bare = [(replications(draw(100, 1000, r, seed), 1000) == 0).mean() for seed in range(25)]
    assert_mean(bare, expected)


@pytest.mark.parametrize(("subsets", "devices", "r"), [(1000, 100, 10), (1000, 100, 40), (60, 20, 12)])
def test_overlap_of_two_devices_is_hypergeometric(subsets, devices, r):
    """Mean r^2/M; the pairs are pairwise independent, so the error of their mean is known exactly."""
    pairs = np.concatenate([overlaps(draw(devices, subsets, r, seed), subsets) for seed in range(12)])
    variance = r**2 * (subsets - r) ** 2 / (subsets**2 * (subsets - 1))
    assert abs(pairs.mean() - r**2 / subsets) < SIGMAS * np.sqrt(variance / len(pairs))
    assert pairs.var() == pytest.approx(variance, rel=0.15)


def test_f6_replications_of_device_side_sampling_are_binomial():
    """They vary like a binomial, N (r/M) (1 - r/M): sampled allocations are not constant in replication."""
    counts = np.concatenate([replications(draw(100, 1000, 40, seed), 1000) for seed in range(20)])
    assert counts.mean() == 4.0  # N r / M, exactly
    assert counts.var() == pytest.approx(100 * 0.04 * 0.96, rel=0.05)


@pytest.mark.parametrize("coefficient", [-1.0, -2.0, -5.0])
def test_f11_mean_under_sign_flip(coefficient):
    """E mean message = (1 - alpha (1 + c)) grad F over the draw of the liars: ascent beyond alpha = 1 / (1 + c)."""
    some, devices, f = Setting(60), 20, 4
    assigned = draw(devices, 60, 3, allocation="disjoint")
    honest = torch.from_numpy(some.messages(assigned))[None]
    sets, streams = Orders((1,), devices, "byzantine", redrawn=True), [Stream(1, "attack")]
    sent = []
    for iteration in range(1500):
        order = sets.at(iteration)
        threat = Threat(liars=order[:, :f], honest=order[:, f:])
        draws = Draws(streams, iteration, like=honest)
        messages = ATTACKS["sign_flip"](honest, threat, draws, coefficient=coefficient)
        sent.append(RULES["mean"](messages, f)[0].numpy())
    expected = 1 - f / devices * (1 - coefficient)
    assert_mean(sent, expected * some.gradient)
    assert np.sign(np.mean(sent, axis=0) @ some.gradient) == np.sign(expected)


def test_f11_error_variance_of_gaussian_lies_under_the_mean():
    """alpha sigma^2 D / N a step (honest parts aside: all honest messages are 0 here)."""
    honest = torch.zeros(1, 20, 7, dtype=torch.float64)
    sets, streams, sent = Orders((1,), 20, "byzantine", redrawn=True), [Stream(1, "attack")], []
    for iteration in range(3000):
        order = sets.at(iteration)
        threat = Threat(liars=order[:, :4], honest=order[:, 4:])
        lies = ATTACKS["gaussian"](honest, threat, Draws(streams, iteration, like=honest), scale=30.0)
        sent.append(lies.mean(dim=-2).square().sum().item())
    assert_mean(sent, 0.2 * 30.0**2 * 7 / 20)


def test_the_library_has_the_same_closed_forms():
    """byzcode.theory.constants, which figures draw, against the numbers that the tests above confirm."""
    assert [constants.coded_variance(1000, r) for r in (10, 40, 110)] == pytest.approx(
        [0.0991, 0.02402, 0.0081], abs=6e-5
    )
    assert constants.coded_variance(60, 12) == pytest.approx(Setting(60).factor(12))
    assert constants.coded_variance(60, 60) == 0


# --- LAD: cyclic windows, redrawn ------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 5, 20, 41, 59, 60])
def test_f3_overlaps_of_cyclic_windows(d):
    """Devices at offset k share max(0, d - k) + max(0, d - N + k) tasks; on average d (d - 1) / (N - 1)."""
    shared = overlaps(draw(60, 60, d, allocation="cyclic"), 60)
    i, j = np.triu_indices(60, k=1)
    offset = j - i
    np.testing.assert_array_equal(shared, np.maximum(0, d - offset) + np.maximum(0, d - 60 + offset))
    assert shared.mean() == pytest.approx(d * (d - 1) / 59)


def test_f1_the_mean_of_cyclic_messages_is_the_gradient_under_every_permutation():
    some = Setting(60)
    for d in (1, 7, 60):
        assigned = draw(60, 60, d, allocation="cyclic")
        weights = ENCODERS["uniform"](assigned, 60)
        devices = Devices(some.forward, assigned[None], weights[None], (1,), 60, assignment="redrawn")
        for iteration in range(5):
            sent = messages(some.at, devices.codes(iteration))[0].numpy()
            np.testing.assert_allclose(sent.mean(axis=0), some.gradient, rtol=0, atol=1e-12 * np.abs(sent).max())


@pytest.mark.parametrize("d", [1, 5, 10, 20, 41])
def test_f2_f3_variance_and_distance_of_redrawn_tasks(d):
    """Over permutations: E |g_i - grad F|^2 = betahat^2 (N - d) / (d (N - 1)), mean pairwise 2 N / (N - 1) of that."""
    some = Setting(60)
    assigned = draw(60, 60, d, allocation="cyclic")
    devices = Devices(
        some.forward, assigned[None], ENCODERS["uniform"](assigned, 60)[None], (1,), 60, assignment="redrawn"
    )
    near, pairs = [], []
    for iteration in range(400):
        sent = messages(some.at, devices.codes(iteration))[0].numpy()
        error = ((sent - some.gradient) ** 2).sum(axis=1)
        near.append(error.mean() / some.spread)
        pairs.append(2 * 60 / 59 * ((sent - sent.mean(axis=0)) ** 2).sum(axis=1).mean() / some.spread)
    expected = constants.coded_variance(60, d)
    if d == 1:  # every iteration has all subsets: exact
        np.testing.assert_allclose(near, expected)
    else:
        assert_mean(near, expected)
        assert_mean(pairs, 2 * 60 / 59 * expected)


def test_what_is_redrawn_is_subsets_devices_or_both():
    """Redrawn devices send the same messages in another order; redrawn subsets keep each window, with other labels."""
    some = Setting(60)
    assigned = draw(60, 60, 7, allocation="cyclic")
    sent = {}
    for assignment in ("fixed", "redrawn", "subsets_redrawn", "devices_redrawn"):
        weights = ENCODERS["uniform"](assigned, 60)[None]
        devices = Devices(some.forward, assigned[None], weights, (1,), 60, assignment=assignment)
        sent[assignment] = messages(some.at, devices.codes(3))[0].numpy()

    def rows(messages):
        return messages[np.lexsort(messages.T.round(9))]

    order = Orders((1,), 60, "assignment/devices", redrawn=True).at(3)[0].numpy()
    labels = Orders((1,), 60, "assignment/subsets", redrawn=True).at(3)[0].numpy()
    np.testing.assert_allclose(sent["devices_redrawn"], sent["fixed"][order])
    np.testing.assert_allclose(sent["subsets_redrawn"], some.gradients[labels][assigned].mean(axis=1))
    np.testing.assert_allclose(sent["redrawn"], sent["subsets_redrawn"][order])
    assert not np.allclose(rows(sent["fixed"]), rows(sent["subsets_redrawn"]))


# --- what differs among subsets --------------------------------------------------------------------------------------


def drawn_problem(seeds=range(2000), **options):
    """Features (R, M, s) and labels (R, M, s) of many seeds, one parameter and no noise: y / z is theta_k."""
    sizes = {"subsets": 12, "dimension": 1, "samples_per_subset": 2, "label_noise": 0.0}
    problem = PROBLEMS["linear_regression"](tuple(seeds), "cpu", "float64", **sizes, **options)
    shape = (len(seeds), 12, 2)
    return problem.features[..., 0].reshape(shape).numpy(), problem.labels.reshape(shape).numpy()


@pytest.mark.parametrize("sigma", [0.0, 0.5, 3.0])
def test_parameters_differ_from_a_common_one_by_sigma(sigma):
    z, y = drawn_problem(heterogeneity="parameters", sigma_h=sigma)
    theta = (y / z)[..., 0]
    np.testing.assert_allclose((y / z)[..., 1], theta, rtol=1e-9)  # both samples of a subset
    assert_mean(theta**2, 1 + sigma**2)
    assert_mean(theta[:, 3] * theta[:, 8], 1.0)
    assert_mean(z**2, 1.0)


@pytest.mark.parametrize("sigma", [0.0, 0.5, 3.0])
def test_parameters_spread_more_and_more(sigma):
    """Var theta_k = 1 + k sigma_H, k = 1 .. M, and no two have anything in common."""
    z, y = drawn_problem(heterogeneity="spread", sigma_h=sigma)
    theta = (y / z)[..., 0]
    np.testing.assert_allclose((y / z)[..., 1], theta, rtol=1e-9)
    assert_mean(theta**2, 1 + sigma * np.arange(1, 13))
    assert_mean(theta[:, 3] * theta[:, 8], 0.0)
    assert_mean(z**2, 1.0)


@pytest.mark.parametrize("sigma", [0.0, 0.5, 3.0])
def test_features_differ_in_their_means(sigma):
    """Samples of a subset share the mean sigma_H v_k, so E z z' = (scale sigma_H)^2; the parameters are one."""
    z, y = drawn_problem(heterogeneity="features", sigma_h=sigma, feature_scale=2.0)
    np.testing.assert_allclose(y / z, np.broadcast_to((y / z)[:, :1, :1], z.shape), rtol=1e-9)
    assert_mean(z**2, 4 * (1 + sigma**2))
    assert_mean(z[..., 0] * z[..., 1], 4 * sigma**2)
    assert_mean(z[:, 3, 0] * z[:, 8, 0], 0.0)


@pytest.mark.parametrize("sigma", [0.0, 0.25, 1.0])
def test_labels_drift_from_group_to_group(sigma):
    """Ten groups i of the 12 subsets: theta_k = theta_0 + N(0.8 sigma_H i, (2 sigma_H)^2), z ~ N(4 sigma_H i, 1)."""
    group = np.array([0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9])
    z, y = drawn_problem(heterogeneity="drift", sigma_h=sigma)
    theta = (y / z)[..., 0]
    np.testing.assert_allclose((y / z)[..., 1], theta, rtol=1e-9)  # both samples of a subset
    assert_mean(theta, 0.8 * sigma * group)
    assert_mean((theta - 0.8 * sigma * group)[:, 3] * theta[:, 0], 1.0)  # theta_0 is common
    assert_mean((theta - 0.8 * sigma * group) ** 2, 1 + 4 * sigma**2)
    assert_mean(z, 4 * sigma * group[:, None])
    assert_mean((z - 4 * sigma * group[:, None]) ** 2, 1.0)


@pytest.mark.parametrize("heterogeneity", ["parameters", "spread", "features"])
def test_all_degrees_of_heterogeneity_have_the_same_random_numbers(heterogeneity):
    (z0, y0), (z1, y1), (z2, y2) = (
        drawn_problem(range(5), heterogeneity=heterogeneity, sigma_h=sigma) for sigma in (0.0, 1.0, 2.0)
    )
    np.testing.assert_allclose(z2 - z0, 2 * (z1 - z0), atol=1e-12)  # linear in sigma_H, or the same
    if heterogeneity == "spread":
        k = np.arange(1, 13)[:, None]
        np.testing.assert_allclose(y2 / np.sqrt(1 + 2 * k), y1 / np.sqrt(1 + k))
        np.testing.assert_allclose(y1 / np.sqrt(1 + k), y0)
    else:
        np.testing.assert_allclose(y2 - y0, 2 * (y1 - y0), atol=1e-11)
