"""Softmax regression on digits: against autograd, plain loops and scikit-learn; and what a run of it leaves behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from byzcode.data import DATA_SETS
from byzcode.errors import UserError
from byzcode.kernels.gather import Code
from byzcode.problems import PROBLEMS, softmax_regression
from byzcode.problems.on_data import subset_products
from byzcode.specs.parsing import parse
from byzcode.specs.parts import of_run
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations, trajectories
from byzcode.studies.expand import expand
from byzcode.studies.study import Reading, Study
from byzcode.training.workers import train, train_together

BUILD = PROBLEMS["softmax_regression"]
SUBSETS = 30


def built(seeds=(0, 5), dtype="float64", **options):
    return BUILD(seeds, "cpu", dtype, **{"subsets": SUBSETS, "partition": "by_label", "ridge": 0.1, **options})


def theta_of(problem, scale=0.3):
    dice = np.random.default_rng(3)
    return torch.from_numpy(scale * dice.normal(size=problem.start().shape))


def loss_of(features, targets, theta, ridge):
    """F of one seed by torch's own loss: features (K, d), targets (K, C), theta (D,)."""
    scores = features @ theta.view(targets.shape[-1], -1).T
    return torch.nn.functional.cross_entropy(scores, targets.argmax(dim=-1)) + ridge / 2 * theta.square().sum()


def spec_of(**changes):
    problem = {"name": "softmax_regression", "subsets": 20, "partition": "by_label", **changes.pop("problem", {})}
    values = {"method": "cra_dl", "redundancy": 4, "aggregation": "median", "devices": 10, "attack": "sign_flip"}
    return RunSpec.parse({**values, "problem": problem, "iterations": 8, "seeds": [3, 0], **changes}, "test")


# --- the problem ------------------------------------------------------------------------------------------------------


def test_loss_and_gradient_are_those_of_autograd():
    problem = built()
    theta = theta_of(problem)
    forward = problem.forward(theta)
    for seed in range(2):
        weights = theta[seed].clone().requires_grad_()
        loss = loss_of(problem.features[seed], problem.targets[seed], weights, 0.1)
        loss.backward()
        assert float(problem.loss(forward)[seed]) == pytest.approx(loss.item(), rel=1e-13)
        np.testing.assert_allclose(problem.gradient(forward)[seed], weights.grad, rtol=1e-11, atol=1e-14)


def test_coded_gradients_are_those_of_a_loop_over_devices_and_examples():
    problem = built()
    theta, dice = theta_of(problem), np.random.default_rng(4)
    assigned = np.stack([[dice.permutation(SUBSETS)[:7] for _ in range(5)] for _ in range(2)])
    weight = dice.normal(size=assigned.shape)
    sent = problem.coded_gradients(problem.forward(theta), Code(torch.from_numpy(assigned), torch.from_numpy(weight)))
    features, targets = problem.features.numpy(), problem.targets.numpy()
    share = features.shape[1] // SUBSETS
    for seed, device in np.ndindex(2, 5):
        matrix, message = theta[seed].numpy().reshape(10, 64), np.zeros((10, 64))
        for subset, factor in zip(assigned[seed, device], weight[seed, device], strict=True):
            for example in range(subset * share, (subset + 1) * share):
                scores = matrix @ features[seed, example]
                chances = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
                message += factor / share * np.outer(chances - targets[seed, example], features[seed, example])
            message += factor * 0.1 * matrix
        np.testing.assert_allclose(sent[seed, device], message.ravel(), rtol=1e-10, atol=1e-13)


def test_the_optimum_of_scikit_learn_is_ours():
    ridge = 0.1
    problem = built((0,), ridge=ridge)
    features, labels = problem.features[0].numpy(), problem.targets[0].argmax(dim=-1).numpy()
    solved = LogisticRegression(C=1 / (ridge * len(labels)), fit_intercept=False, tol=1e-10, max_iter=10_000)
    best = torch.from_numpy(solved.fit(features, labels).coef_.reshape(1, -1))
    forward = problem.forward(best)
    assert float(problem.gradient(forward).norm()) < 1e-6
    accuracy = solved.score(problem.test_features[0], problem.test_targets[0].argmax(dim=-1))
    assert float(problem.test_accuracy(forward)) == pytest.approx(accuracy)
    values = {"method": "gradient_descent", "devices": 10, "iterations": 1000, "step_size": 1.0, "seeds": 1}
    problem_options = {"name": "softmax_regression", "subsets": 20, "ridge": ridge}
    spec = RunSpec.parse({**values, "problem": problem_options, "record": {"step": 1000}}, "test")
    reached = train(spec, allocations.draw(spec.allocation_spec)).loss[0, -1]
    assert reached == pytest.approx(float(problem.loss(forward)), rel=1e-9)


def test_smoothness_bounds_the_hessian():
    problem = built((1,))
    theta = torch.zeros(640, dtype=torch.float64)
    hessian = torch.func.hessian(lambda at: loss_of(problem.features[0], problem.targets[0], at, 0.1))(theta)
    largest = float(torch.linalg.eigvalsh(hessian)[-1])
    assert largest <= float(problem.smoothness) <= 5 * largest
    assert float(problem.strong_convexity) == 0.1


def test_the_bound_on_large_features_is_that_on_small_ones_and_the_same_for_all_seeds(monkeypatch):
    want = built(ridge=0.1).smoothness
    for number in (1, 700, 10**4):
        monkeypatch.setattr(softmax_regression, "SMALL", 0)
        monkeypatch.setattr(softmax_regression, "ROWS", number)
        made = built(ridge=0.1).smoothness
        np.testing.assert_allclose(made, want, rtol=1e-12)
        assert made[0] == made[1] == built((5,)).smoothness


def test_relabelled_is_a_problem_with_the_opposite_classes():
    problem = built()
    forward = problem.relabelled(problem.forward(theta_of(problem)))
    for seed in range(2):
        weights = theta_of(problem)[seed].clone().requires_grad_()
        loss_of(problem.features[seed], problem.targets[seed].flip(-1), weights, 0.1).backward()
        np.testing.assert_allclose(problem.gradient(forward)[seed], weights.grad, rtol=1e-11, atol=1e-14)


def test_equal_scores_share_the_credit():
    problem = built()
    assert problem.test_accuracy(problem.forward(problem.start())).tolist() == pytest.approx([0.1, 0.1], rel=1e-14)


# --- the data ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATA_SETS)
def test_a_data_set_is_as_large_as_it_says_and_is_split_once(name):
    known = DATA_SETS[name]
    try:
        training, test = known.load()
    except UserError as error:
        pytest.skip(str(error))
    assert len(training.labels) == known.training
    assert len(test.labels) == known.test
    assert training.features.shape == (known.training, known.features)
    assert test.features.shape == (known.test, known.features)
    if known.classes:
        assert training.labels.dtype == test.labels.dtype == np.int64
        assert set(training.labels) == set(test.labels) == set(range(known.classes))
    else:
        assert training.labels.dtype == test.labels.dtype == np.float64
    assert not known.shape or np.prod(known.shape) == known.features
    rows = {row.tobytes() for row in training.features}
    assert sum(row.tobytes() in rows for row in test.features) <= 0.01 * known.test
    assert not training.features.flags.writeable


def test_too_many_subsets_are_refused_before_anything_is_loaded():
    with pytest.raises(Exception, match=r"test: problem\.subsets = 1501: allowed: 1 to 1500"):
        spec_of(problem={"subsets": 1501})


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_has_the_same_bits_alone_in_a_batch_and_in_other_processes():
    spec = spec_of(seeds=[3, 0, 8])
    assigned = allocations.draw(spec.allocation_spec)
    together = train(spec, assigned).arrays()
    others = [train(spec, assigned, threads=2), train_together([spec], [assigned], device="cpu")[0]]
    for other in others:
        for name, array in other.arrays().items():
            assert array.tobytes() == together[name].tobytes(), name
    for place, seed in enumerate(spec.seeds):
        alone = spec_of(seeds=[seed])
        for name, array in train(alone, assigned[place : place + 1]).arrays().items():
            assert array.tobytes() == together[name][place : place + 1].tobytes(), name


def test_single_precision_is_near_double():
    fine, rough = (train(s, allocations.draw(s.allocation_spec)) for s in (spec_of(), spec_of(dtype="float32")))
    np.testing.assert_allclose(rough.loss, fine.loss, rtol=1e-4)


def test_its_file_has_what_the_problem_knows_and_its_metric(tmp_path):
    spec = spec_of()
    assigned = allocations.draw(spec.allocation_spec)
    measured = train(spec, assigned)
    spent = {"device": "cpu", "threads": 1, "wall_seconds": 1.0, "cpu_seconds": 1.0}
    trajectories.write(tmp_path / "run.nc", spec, measured, assigned, **spent)
    stored = trajectories.open(tmp_path / "run.nc", spec.run_id)
    assert {"loss", "test_accuracy", "smoothness", "strong_convexity"} <= set(stored)
    assert not {"excess_loss", "distance_to_optimum"} & set(stored)
    assert stored["test_accuracy"].attrs["units"] == "1"
    assert "classified correctly" in stored["test_accuracy"].attrs["long_name"]
    np.testing.assert_array_equal(stored["test_accuracy"], measured.metrics["test_accuracy"])
    assert trajectories.agrees(tmp_path / "run.nc", spec, assigned, "cpu")


# --- subsets of unequal sizes -----------------------------------------------------------------------------------------

UNEQUAL = {"name": "dirichlet", "a": 0.3, "of": "classes"}


def unequal(seeds=(0, 5), **options):
    return built(seeds, partition=UNEQUAL, subsets=6, **options)


def test_with_unequal_sizes_f_averages_over_examples_and_subsets_follow_autograd():
    problem = unequal()
    theta, samples = theta_of(problem), problem.features.shape[1]
    forward = problem.forward(theta)
    assert samples == 1500
    assert (problem.sizes.sum(dim=-1) == samples).all()
    own = torch.cat(list(forward.gradients()), dim=-1)
    for seed in range(2):
        sizes = problem.sizes[seed].tolist()
        assert len(set(sizes)) > 3
        for subset, rows in enumerate(torch.arange(samples).split(sizes)):
            weights = theta[seed].clone().requires_grad_()
            mean = loss_of(problem.features[seed, rows], problem.targets[seed, rows], weights, 0.0)
            (6 / samples * len(rows) * mean + 0.05 * weights.square().sum()).backward()
            np.testing.assert_allclose(own[seed, subset], weights.grad, rtol=1e-10, atol=1e-13)
        weights = theta[seed].clone().requires_grad_()
        loss = loss_of(problem.features[seed], problem.targets[seed], weights, 0.1)
        loss.backward()
        assert float(problem.loss(forward)[seed]) == pytest.approx(loss.item(), rel=1e-13)
        np.testing.assert_allclose(problem.gradient(forward)[seed], weights.grad, rtol=1e-11, atol=1e-14)


def test_a_seed_with_unequal_sizes_has_the_same_bits_alone_and_in_other_processes():
    spec = spec_of(seeds=[3, 0, 8], devices=6, problem={"partition": UNEQUAL, "subsets": 6})
    assigned = allocations.draw(spec.allocation_spec)
    together = train(spec, assigned).arrays()
    others = [train(spec, assigned, threads=2), train_together([spec], [assigned], device="cpu")[0]]
    for other in others:
        for name, array in other.arrays().items():
            assert array.tobytes() == together[name].tobytes(), name


def test_a_run_whose_sizes_happen_to_be_equal_has_the_same_bits_beside_others():
    dice = np.random.default_rng(0)
    left, right = (torch.from_numpy(dice.normal(size=(2, 12, width))) for width in (3, 8))
    equal, other = torch.tensor([[4, 4, 4]]), torch.tensor([[2, 7, 3]])
    beside = subset_products(left, right, torch.cat([equal, other]))
    for place, sizes in enumerate((equal, other)):
        assert torch.equal(subset_products(left[place : place + 1], right[place : place + 1], sizes)[0], beside[place])
        want = [
            a.T @ b
            for a, b in zip(left[place].split(sizes[0].tolist()), right[place].split(sizes[0].tolist()), strict=True)
        ]
        np.testing.assert_allclose(beside[place], torch.stack(want), rtol=1e-13)


def test_examples_are_the_same_for_all_seeds_and_nested():
    few, more = (built((0, 1), examples=number, partition="iid", subsets=10) for number in (100, 200))
    rows = [{row.numpy().tobytes() for row in features} for features in (*few.features, *more.features)]
    assert rows[0] == rows[1]
    assert rows[0] < rows[2] == rows[3]
    assert len(few.features[0]) == 100


def test_groups_keep_the_heterogeneity_between_owners():
    """With ten groups sorted by label, the subsets of a group have its few classes, each in all of them."""
    problem = built((0,), subsets=50, groups=10)
    classes = problem.targets[0].argmax(dim=-1).view(50, 30)
    for group in classes.view(10, 150):
        assert len(set(group.tolist())) <= 3
    largest = [set(each.tolist()) for each in classes]
    assert any(len(each) > 1 for each in largest)


def test_a_group_without_enough_examples_is_refused_in_one_line():
    with pytest.raises(
        UserError, match=r"partition dirichlet, seed 0: problem\.subsets = 300: group \d+ of 30 has \d+ ex"
    ):
        built((0,), partition={"name": "dirichlet", "a": 0.05, "of": "classes"}, subsets=300, groups=30)


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        ({"groups": 3}, r"problem\.groups = 3: allowed: a divisor of 20"),
        ({"examples": 1501}, r"problem\.examples = 1501: allowed: 1 to 1500"),
        ({"examples": 10}, r"problem\.subsets = 20: allowed: 1 to 10"),
        ({"partition": {"name": "shards", "k": 76}}, r"problem\.partition\.k = 76: allowed: 1 to 75"),
        ({"partition": {"a": 0}}, r"problem\.partition\.a = 0: allowed: at least 0\.001"),
        ({"partition": {"name": "shards", "a": 1}}, r"problem\.partition\.a = 1: unknown key; allowed: name, k"),
        ({"partition": "sorted"}, r"problem\.partition = 'sorted': unknown partition"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_loaded(problem, says):
    with pytest.raises(UserError, match=says):
        spec_of(problem=problem)


def test_options_of_today_leave_the_first_ids_as_they_were():
    plain = {"name": "softmax_regression", "subsets": 20, "partition": "by_label", "ridge": 0.01}
    values = {"method": "cra_dl", "redundancy": 5, "aggregation": "trimmed_mean", "attack": "none", "devices": 10}
    spec = RunSpec.parse({**values, "problem": plain, "iterations": 12, "record": {"step": 3}, "seeds": 3}, "test")
    assert spec.run_id == "0b4a5c2a6595"
    assert RunSpec.from_json(spec.canonical(), "test") == spec
    other = spec_of(problem={"partition": {"name": "dirichlet", "a": 0.1}})
    assert RunSpec.from_json(other.canonical(), "test").run_id == other.run_id
    assert spec_of(problem={"partition": {"a": 0.1}}).run_id == other.run_id != spec_of().run_id


def test_measured_heterogeneity_grows_as_a_falls():
    def betahat(partition):
        problem = built(range(4), partition=partition, subsets=20)
        forward = problem.forward(problem.start())
        return float(problem.heterogeneity(forward, problem.gradient(forward)).mean())

    measured = [betahat({"name": "dirichlet", "a": a}) for a in (100.0, 10.0, 1.0, 0.03)]
    assert measured == sorted(measured)
    assert betahat("iid") < 1.2 * measured[0]
    assert measured[-1] > 0.8 * betahat("by_label")


# --- studies ----------------------------------------------------------------------------------------------------------


def members_of(**changes):
    values = {
        "study": "parts",
        "title": "Parts",
        "base": {
            "problem": {"name": "softmax_regression", "subsets": 20},
            "devices": 10,
            "iterations": 2,
            "seeds": 1,
            "aggregation": "median",
            "method": "rba_dl",
        },
        "curves": [{"label": "RBA-DL"}],
        "plots": {"loss": {"kind": "trajectories", "y": "loss", "caption": "Loss."}},
    }
    return expand(parse(Study, values | changes, "study"), Reading(reading="plain", title="Plain", choices=[]), "study")


def test_a_grid_goes_over_the_options_of_a_partition():
    points = [member.spec.problem.options["partition"] for member in members_of(grid={"problem.partition.a": [0.1, 1]})]
    assert points == [{"name": "dirichlet", "a": a, "of": "groups"} for a in (0.1, 1.0)]


def test_a_grid_goes_over_partitions_with_and_without_options():
    grid = {"problem.partition": ["iid", {"name": "dirichlet", "a": 0.1}, {"name": "shards"}, "similarity"]}
    members = members_of(grid=grid)
    assert [member.coordinate("problem.partition") for member in members] == [
        *("iid", "dirichlet (a 0.1)", "shards", "similarity"),
    ]
    assert len({member.spec.run_id for member in members}) == 4


def test_a_wrong_option_of_a_partition_in_a_grid_is_named():
    with pytest.raises(UserError, match=r"partition\.a"):
        members_of(grid={"problem.partition.a": [0.1, -1]})


def test_a_run_names_the_code_of_its_partition():
    roots = of_run(spec_of(problem={"partition": {"name": "dirichlet", "a": 0.1}}))
    assert "byzcode.data.partitions.dirichlet:ENTRY" in roots
    assert "byzcode.data.partitions.by_label:ENTRY" in of_run(spec_of())
