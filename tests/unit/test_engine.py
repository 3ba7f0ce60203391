"""The training loop against a plain loop over devices, and what it promises about bits, divergence and records."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
import torch

from byzcode.aggregation import RULES
from byzcode.allocation import EMPTY
from byzcode.attacks import ATTACKS, Attack
from byzcode.compression import COMPRESSORS
from byzcode.errors import UserError
from byzcode.kernels import native
from byzcode.pre_aggregation import PRE_AGGREGATORS, PreAggregator
from byzcode.problems import PROBLEMS
from byzcode.randomness import Draws, Orders, Stream
from byzcode.specs.quantities import QUANTITIES
from byzcode.storage import allocations
from byzcode.training import records, workers
from byzcode.training.batch import Part, assemble
from byzcode.training.loop import loop
from byzcode.training.records import Book, Measurements, gradients_per_iteration, join
from byzcode.training.status import NEVER, Status
from byzcode.training.workers import train, train_together


def run(spec, **options):
    return train(spec, allocations.draw(spec.allocation_spec), **options)


def assert_same_bits(one: Measurements, two: Measurements, rows=slice(None)):
    for name, right in two.arrays().items():
        left = one.arrays()[name][rows]
        assert left.tobytes() == right.tobytes(), name


# --- (a) a second engine: one seed, one device, one subset at a time, in numpy ---------------------------------------


def nearest(column, centre, keep):
    """The mean of the values nearest to a centre. Copies are told apart by nothing, so only distances are compared."""
    return np.mean(sorted(column, key=lambda x: abs(x - centre))[:keep])


def loop_rule(name, messages, f):
    result = []
    for column in np.array(messages).T:
        ordered = sorted(column)
        trimmed = np.mean(ordered[f : len(ordered) - f])
        value = {
            "mean": lambda c: np.mean(c),
            "median": lambda c: np.median(c),
            "trimmed_mean": lambda c, t=trimmed: t,
            "phocas": lambda c, t=trimmed: nearest(c, t, len(c) - f),
        }[name](column)
        result.append(value)
    return np.array(result)


def loop_mixed(name, messages, f):
    """Nearest neighbour mixing, one message at a time."""
    if name == "none":
        return messages
    near = [sorted(messages, key=lambda other: np.linalg.norm(other - one))[: len(messages) - f] for one in messages]
    return [np.mean(chosen, axis=0) for chosen in near]


def loop_lies(spec, own, honest, flipped, liars, others, generator):
    """``own`` are the messages before compression, ``honest`` after it."""
    name, options = spec.attack.name, spec.attack.options
    if name == "label_flip":
        return [flipped[liar] for liar in liars]
    if name == "ipm":
        return [-options["factor"] * np.mean([honest[i] for i in others], axis=0) for _ in liars]
    if name == "sign_flip":
        return [options["coefficient"] * own[liar] for liar in liars]
    if name == "gaussian":
        return [options["scale"] * row for row in generator.standard_normal((len(liars), spec.dimension))]
    if name == "sample_duplicating":
        drawn = others[int(generator.random(1)[0] * len(others))]
        victim = min(others) if options["copied"] == "first" else drawn
        return [honest[victim] for _ in liars]
    return [own[liar] for liar in liars]


def compressed(spec, messages, seed, t):
    """By the library, which is tested elsewhere: the messages of one seed, and the bits of each."""
    stacked = torch.from_numpy(np.array(messages))[None]
    draws = Draws([Stream(seed, "compression")], t, like=stacked)
    chosen, bits = COMPRESSORS[spec.compression.name](stacked, draws, spec.message_bits, **spec.compression.options)
    return list(chosen[0].numpy()), [bits] * len(messages) if isinstance(bits, int) else bits[0].tolist()


def loop_engine(spec, seed, assigned, server):
    """All recorded quantities of one seed. Only data, lists, Byzantine sets and streams come from the library."""
    problem = PROBLEMS["linear_regression"]((seed,), "cpu", "float64", **spec.problem.options)
    z, y = problem.features[0].numpy(), problem.labels[0].numpy()
    samples, count = spec.problem.options["samples_per_subset"], spec.subsets
    optimum = np.linalg.solve(z.T @ z, z.T @ y)
    smoothness = np.linalg.eigvalsh(z.T @ z / len(y))[-1]
    initial = [[k for k in row if k != EMPTY] for row in assigned]
    copies = [sum(k in row for row in initial) for k in range(count)]
    sets = Orders((seed,), spec.devices, "byzantine", redrawn=spec.byzantine.identities == "redrawn")
    rows_at, labels_at = (
        Orders((seed,), size, f"assignment/{kind}", redrawn=True)
        for size, kind in ((spec.devices, "devices"), (count, "subsets"))
    )
    stream, bits_sent = Stream(seed, "attack"), 0
    theta = np.zeros(spec.dimension)
    least = np.mean([(z[j] @ optimum - y[j]) ** 2 / 2 for j in range(len(y))])
    rows = []
    for t in range(spec.iterations + 1):
        gradients, flipped, losses = [], [], []
        for k in range(count):
            mine = range(k * samples, (k + 1) * samples)
            gradients.append(sum((z[j] @ theta - y[j]) * z[j] for j in mine) / samples)
            flipped.append(sum((z[j] @ theta + y[j]) * z[j] for j in mine) / samples)
            losses.append(sum((z[j] @ theta - y[j]) ** 2 / 2 for j in mine) / samples)
        gradient = sum(gradients) / count
        lists, labels = initial, range(count)
        if spec.assignment in ("redrawn", "devices_redrawn"):
            lists = [initial[row] for row in rows_at.at(t)[0]]
        if spec.assignment in ("redrawn", "subsets_redrawn"):
            labels = labels_at.at(t)[0]

        def coded(of, lists=lists, labels=labels):
            if spec.encoding.name == "uniform":
                return [sum(of[labels[k]] for k in row) / len(row) for row in lists]
            return [sum(of[labels[k]] * spec.devices / (count * copies[k]) for k in row) for row in lists]

        own = coded(gradients)
        honest, bits = compressed(spec, own, seed, t)
        order = sets.at(t)[0].tolist()
        liars, others = order[: spec.f], order[spec.f :]
        messages = list(honest)
        lies = loop_lies(spec, own, honest, coded(flipped), liars, others, stream.at(t))
        for liar, lie in zip(liars, lies, strict=True):
            messages[liar] = lie
        if spec.byzantine.compressed:
            for liar in liars:  # each by its own random numbers
                messages[liar] = compressed(spec, messages, seed, t)[0][liar]
        among = [honest[i] for i in others]
        centre = sum(among) / len(among)
        if server == "rule":
            mixed = loop_mixed(spec.pre_aggregation.name, messages, spec.f)
            aggregate = loop_rule(spec.aggregation.name, mixed, spec.f)
        else:
            aggregate = centre if server == "honest_mean" else gradient
        rows.append(
            {
                "loss": np.mean(losses),
                "excess_loss": np.mean(losses) - least,
                "aggregation_error": np.linalg.norm(aggregate - gradient),
                "honest_dispersion": math.sqrt(sum(np.linalg.norm(m - centre) ** 2 for m in among) / len(among)),
                "coding_bias": np.linalg.norm(centre - gradient),
                "heterogeneity": math.sqrt(sum(np.linalg.norm(g - gradient) ** 2 for g in gradients) / count),
                "distance_to_optimum": np.linalg.norm(theta - optimum),
                "bits_sent": bits_sent,
                "largest_heterogeneity": max(np.linalg.norm(g - gradient) for g in gradients),
                "gradient_norm": np.linalg.norm(gradient),
            }
        )
        bits_sent += sum(bits)
        theta = theta - spec.step_size / smoothness * aggregate
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


MA = {"method": "ma", "redundancy": None, "aggregation": None}
RBA = {"method": "rba_dl", "redundancy": None}
SGC = {"method": "sgc_dl", "aggregation": None}
FLIP = {"attack": {"name": "sign_flip", "coefficient": -2.0}}
NOISE = {"attack": {"name": "gaussian", "scale": 3.0}}
COPY = {"attack": "sample_duplicating"}
LAD = {"method": "lad", "aggregation": "trimmed_mean"}
COM = LAD | {"method": "com_lad", "compression": {"name": "random_k", "share": 0.5}}

COMBINATIONS = {
    "ma, sign flip": ("rule", MA | FLIP),
    "ma, copies": ("rule", MA | COPY),
    "rba, median, gaussian": ("rule", RBA | NOISE),
    "rba, phocas, sign flip": ("rule", RBA | FLIP | {"aggregation": "phocas"}),
    "rba, one subset a device": ("rule", RBA | FLIP | {"redundancy": 1}),
    "sgc, gaussian": ("rule", SGC | NOISE),
    "sgc, no liars": ("rule", SGC | {"byzantine": {"alpha": 0.0}}),
    "cra, median, sign flip": ("rule", FLIP),
    "cra, median, copies": ("rule", COPY | {"byzantine": {"alpha": 0.4}}),
    "cra, median, copies of the first": ("rule", {"attack": {"name": "sample_duplicating", "copied": "first"}}),
    "cra, trimmed mean, gaussian": ("rule", NOISE | {"aggregation": "trimmed_mean"}),
    "cra, trimmed mean, persistent": (
        "rule",
        FLIP | {"aggregation": "trimmed_mean", "byzantine": {"alpha": 0.2, "identities": "persistent"}},
    ),
    "cra, phocas, sign flip": ("rule", FLIP | {"aggregation": "phocas"}),
    "cra, phocas, copies": ("rule", COPY | {"aggregation": "phocas"}),
    "cra, no attack": ("rule", {"attack": "none", "aggregation": "trimmed_mean"}),
    "cra from the subsets' side": ("rule", FLIP | {"allocation": {"name": "random", "side": "subset"}}),
    "corrected, phocas, gaussian": ("rule", NOISE | {"method": "cra_dl_corrected", "aggregation": "phocas"}),
    "corrected, median, sign flip": ("rule", FLIP | {"method": "cra_dl_corrected"}),
    "corrected, redrawn": ("rule", FLIP | {"method": "cra_dl_corrected", "assignment": "redrawn"}),
    "cra, label flip": ("rule", {"attack": "label_flip"}),
    "cra, nnm, sign flip": ("rule", FLIP | {"pre_aggregation": "nnm", "aggregation": "trimmed_mean"}),
    "lad, sign flip": ("rule", FLIP | LAD),
    "lad, fixed": ("rule", FLIP | LAD | {"assignment": "fixed"}),
    "lad, subsets redrawn": ("rule", FLIP | LAD | {"assignment": "subsets_redrawn"}),
    "lad, devices redrawn": ("rule", FLIP | LAD | {"assignment": "devices_redrawn"}),
    "lad, label flip": ("rule", LAD | {"attack": "label_flip"}),
    "com-lad, sign flip": ("rule", FLIP | COM),
    "com-lad, nnm, ipm": ("rule", COM | {"attack": "ipm", "pre_aggregation": "nnm"}),
    "com-lad, lies sent whole": ("rule", FLIP | COM | {"byzantine": {"alpha": 0.2, "compressed": False}}),
    "com-lad, copies": ("rule", COPY | COM | {"compression": {"name": "random_k", "share": 0.5, "mask": "shared"}}),
    "com-lad, quantised": ("rule", FLIP | COM | {"compression": "qsgd"}),
    "com-lad, numbers of 64 bits": ("rule", FLIP | COM | {"message_bits": 64}),
    "clairvoyant, compressed": (
        "honest_mean",
        FLIP | {"method": "clairvoyant", "aggregation": None, "compression": {"name": "random_k", "share": 0.5}},
    ),
    "com-lad, copies, own masks": ("rule", COPY | COM),
    "com-lad, counted": ("rule", FLIP | COM | {"compression": {"name": "bernoulli", "share": 0.5}}),
    "com-va, redrawn liars": (
        "rule",
        MA | FLIP | {"method": "com_va", "compression": {"name": "random_k", "share": 0.5}},
    ),
    "clairvoyant, sign flip": ("honest_mean", FLIP | {"method": "clairvoyant", "aggregation": None}),
    "gradient descent": ("true_gradient", MA | {"method": "gradient_descent", "attack": None, "byzantine": None}),
}


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("name", COMBINATIONS)
def test_agrees_with_a_loop_over_devices(name, samples, make_spec):
    server, changes = COMBINATIONS[name]
    spec = make_spec(**changes, problem={"samples_per_subset": samples}, seeds=[3, 11])
    assert (spec.devices, spec.subsets, spec.dimension, spec.iterations) == (20, 60, 7, 50)
    assigned = allocations.draw(spec.allocation_spec)
    measured = train(spec, assigned)
    assert (measured.status == Status.FINISHED).all()
    for place, seed in enumerate(spec.seeds):
        expected = loop_engine(spec, seed, assigned[place], server)
        scales = {
            "loss": 0.0,  # never near 0: purely relative
            "excess_loss": expected["loss"][0],  # the loop gets it as a difference of losses
            "distance_to_optimum": expected["distance_to_optimum"][0],
        }
        for quantity in (*QUANTITIES, "bits_sent"):
            scale = scales.get(quantity, expected["gradient_norm"][0])
            np.testing.assert_allclose(
                getattr(measured, quantity)[place], expected[quantity], rtol=1e-12, atol=1e-12 * scale, err_msg=quantity
            )


@pytest.mark.parametrize(("subsets", "samples"), [(60, 1), (6, 1), (6, 10)])
def test_the_constants_of_a_problem_are_eigenvalues_of_its_hessian(subsets, samples, make_spec):
    """With fewer samples than parameters the least one is 0, not what rounding leaves of it."""
    spec = make_spec(problem={"subsets": subsets, "samples_per_subset": samples}, redundancy=2, iterations=1)
    measured = run(spec)
    for place, seed in enumerate(spec.seeds):
        z = PROBLEMS["linear_regression"]((seed,), "cpu", "float64", **spec.problem.options).features[0].numpy()
        expected = np.linalg.eigvalsh(z.T @ z / len(z))
        assert measured.smoothness[place] == pytest.approx(expected[-1], rel=1e-12)
        assert measured.strong_convexity[place] == (pytest.approx(expected[0], rel=1e-9) if len(z) >= 7 else 0.0)


def test_excess_loss_is_accurate_near_the_optimum(make_spec):
    """It is no difference of two losses: it falls far below their rounding."""
    spec = make_spec(**COMBINATIONS["gradient descent"][1], iterations=400, step_size=1.0, record={"step": 400})
    excess = run(spec).excess_loss
    assert (excess[:, -1] < 1e-25 * excess[:, 0]).all()
    assert (excess >= 0).all()


# --- (b) gradient descent --------------------------------------------------------------------------------------------


def test_clairvoyant_with_everything_is_gradient_descent(make_spec):
    plain = run(make_spec(**COMBINATIONS["gradient descent"][1]))
    full = {"method": "clairvoyant", "aggregation": None, "redundancy": 60}
    for changes in (full | {"byzantine": {"alpha": 0.0}}, full | {"byzantine": {"alpha": 0.4}}):
        seen = run(make_spec(**changes))
        for quantity in ("loss", "excess_loss", "distance_to_optimum"):
            expected = getattr(plain, quantity)
            np.testing.assert_allclose(getattr(seen, quantity), expected, rtol=1e-12, atol=1e-12 * expected.max())
        assert seen.honest_dispersion.max() < 1e-13 * plain.loss[:, 0].max()


def test_gradient_descent_is_gradient_descent(make_spec):
    spec = make_spec(**COMBINATIONS["gradient descent"][1], step_size=0.7)
    measured = run(spec)
    assert (measured.aggregation_error == 0).all()
    for place, seed in enumerate(spec.seeds):
        problem = PROBLEMS["linear_regression"]((seed,), "cpu", "float64", **spec.problem.options)
        z, y = problem.features[0].numpy(), problem.labels[0].numpy()
        hessian = z.T @ z / 60
        theta, losses = np.zeros(7), []
        for _ in range(51):
            losses.append(np.mean((z @ theta - y) ** 2) / 2)
            theta = theta - 0.7 / np.linalg.eigvalsh(hessian)[-1] * (hessian @ theta - z.T @ y / 60)
        np.testing.assert_allclose(measured.loss[place], losses, rtol=1e-12)
        assert (np.diff(measured.loss[place]) < 1e-12).all()


def test_any_robust_rule_is_exact_where_every_device_holds_everything(make_spec):
    """r = M: all coded gradients are equal (F3')."""
    plain = run(make_spec(**COMBINATIONS["gradient descent"][1]))
    for rule in ("median", "trimmed_mean", "phocas"):
        coded = run(make_spec(redundancy=60, aggregation=rule, byzantine={"alpha": 0.4}))
        np.testing.assert_allclose(coded.loss, plain.loss, rtol=1e-12)


@pytest.mark.parametrize(
    ("method", "redundancy", "alpha"),
    [("draco_repetition", 15, 0.1), ("draco_cyclic", 15, 0.1), ("draco_cyclic", 27, 0.2)],
)
@pytest.mark.parametrize("attack", ["sign_flip", "infinite", "gaussian"])
def test_a_decoder_takes_the_path_of_gradient_descent(method, redundancy, alpha, attack, make_spec):
    """Up to s liars leave no trace; the loss is that of the true gradient, and the file says that none failed."""
    plain = run(make_spec(**COMBINATIONS["gradient descent"][1]))
    changes = {"method": method, "redundancy": redundancy, "aggregation": None, "byzantine": {"alpha": alpha}}
    coded = run(make_spec(**changes, attack=attack))
    np.testing.assert_allclose(coded.loss, plain.loss, rtol=1e-6)
    assert not coded.decoding_failures.any()
    assert not coded.decoding_errors.any()
    numbers = 14 if method == "draco_cyclic" else 7  # complex messages have twice as many
    np.testing.assert_array_equal(coded.bits_sent, np.arange(51) * 20.0 * 32 * numbers + np.zeros((2, 1)))
    assert np.isnan(coded.honest_dispersion).all() == (method == "draco_cyclic")


@pytest.mark.parametrize("method", ["draco_repetition", "draco_cyclic"])
def test_too_many_liars_for_a_decoder_are_counted(method, make_spec):
    changes = {"method": method, "redundancy": 15, "aggregation": None}
    broken = run(make_spec(**changes, byzantine={"alpha": 0.4}, attack="gaussian"))
    assert (broken.decoding_errors[:, -1] > 40).all()
    assert (broken.decoding_failures <= broken.decoding_errors).all()
    assert (np.diff(broken.decoding_errors, axis=1) >= 0).all()
    assert (broken.decoding_errors[:, 0] == 0).all()  # counted with the bits: what came before the measurement


def test_what_the_decoder_notices_is_told_from_what_is_wrong(make_spec):
    """Two groups of ten, 12 colluding liars: they always win a group, unnoticed unless the other is five to five."""
    changes = {"method": "draco_repetition", "redundancy": 30, "aggregation": None, "attack": "constant"}
    broken = run(make_spec(**changes, byzantine={"alpha": 0.6}))
    assert (broken.decoding_errors[:, -1] == 50).all()
    assert ((broken.decoding_failures[:, -1] > 0) & (broken.decoding_failures[:, -1] < 50)).all()


# --- (c) bits --------------------------------------------------------------------------------------------------------

#: Long sums, and data of a second seed that start at an odd address: 220 times 37 numbers are no multiple of 64 bytes.
ENOUGH = {"problem": {"subsets": 220, "dimension": 37}, "devices": 20, "redundancy": 33}


@pytest.mark.parametrize("attack", ["sign_flip", "gaussian", "sample_duplicating"])
@pytest.mark.parametrize("rule", ["median", "trimmed_mean", "phocas"])
def test_a_seed_gives_the_same_bits_alone_and_beside_others(attack, rule, make_spec):
    options = {**ENOUGH, "attack": attack, "aggregation": rule}
    together = run(make_spec(**options, seeds=[4, 0, 7]))
    for place, seed in enumerate((4, 0, 7)):
        assert_same_bits(together, run(make_spec(**options, seeds=[seed])), slice(place, place + 1))


def test_a_seed_gives_the_same_bits_however_many_threads_torch_had(make_spec):
    spec = make_spec(**ENOUGH)
    torch.set_num_threads(1)
    one = run(spec)
    torch.set_num_threads(2)
    assert_same_bits(one, run(spec))


def test_threads_give_the_same_bits_and_count_all_progress(make_spec):
    spec = make_spec(**ENOUGH, seeds=[4, 0, 7])
    done = []
    assert_same_bits(run(spec), run(spec, threads=2, progress=done.append))
    assert sum(done) == 3 * 51


ANOTHER_PROCESS = """
import sys
from byzcode.kernels import native
if sys.argv[3] == "plain":
    native.library = lambda: None
import torch
torch.set_num_threads(int(sys.argv[2]))
from hashlib import sha256
from byzcode.storage import allocations
from byzcode.training.workers import train
from byzcode.specs.run import RunSpec
spec = RunSpec.from_json(sys.argv[1], "test")
measured = train(spec, allocations.draw(spec.allocation_spec))
print(*(sha256(array.tobytes()).hexdigest() for array in measured.arrays().values()))
"""


@pytest.mark.parametrize(("threads", "kernels"), [(1, "compiled"), (2, "compiled"), (2, "plain")])
@pytest.mark.parametrize("changes", [{}, LAD | {"pre_aggregation": "nnm"}], ids=["cra_dl", "lad"])
def test_another_process_has_the_same_sha256_of_every_array(changes, threads, kernels, make_spec):
    """After a restart, with another number of threads in torch's environment, and without a compiler."""
    spec = make_spec(**ENOUGH | changes, seeds=[4, 0])
    local = run(spec)
    there = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS, spec.canonical(), str(threads), kernels],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)},
    )
    assert there.stdout.split() == [sha256(array.tobytes()).hexdigest() for array in local.arrays().values()]


@pytest.mark.parametrize("changes", [{}, LAD | {"pre_aggregation": "nnm"}], ids=["cra_dl", "lad"])
def test_a_batch_of_specs_has_the_same_bits_however_many_threads_torch_had(changes, make_spec):
    """At the size of the papers, where LAPACK would split its work."""
    spec = make_spec(problem={"subsets": 1000, "dimension": 100}, redundancy=100, iterations=3, seeds=[4, 0], **changes)
    assigned, before = allocations.draw(spec.allocation_spec), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = train_together([spec], [assigned], device="cpu")[0]
        torch.set_num_threads(2)
        assert_same_bits(one, train_together([spec], [assigned], device="cpu")[0])
        assert torch.get_num_threads() == 2  # left as it was
    finally:
        torch.set_num_threads(before)


def test_few_seeds_are_side_by_side_on_the_cpu(make_spec, monkeypatch):
    """As many as fit into the caches and leave work for all threads; one, where data are not aligned beside others."""
    monkeypatch.setattr(workers, "CACHE", 4 * 8 * (64 + 2 * 20) * 8)
    size = {"problem": {"subsets": 64, "dimension": 8}, "seeds": 10}
    assert workers._side_by_side(make_spec(**size), threads=1) == 4
    assert workers._side_by_side(make_spec(**size), threads=5) == 2
    assert workers._side_by_side(make_spec(**size, dtype="float32"), threads=1) == 8
    assert workers._side_by_side(make_spec(problem={"subsets": 64, "dimension": 7}, seeds=10), threads=1) == 4
    assert workers._side_by_side(make_spec(problem={"subsets": 63, "dimension": 7}, seeds=10), threads=1) == 1
    many = {"subsets": 64, "dimension": 8, "samples_per_subset": 50}
    assert workers._side_by_side(make_spec(problem=many, seeds=10), threads=1) == 1


def test_seeds_differ(make_spec):
    loss = run(make_spec(seeds=[0, 1, 2])).loss
    assert len(np.unique(loss[:, 0])) == len(np.unique(loss[:, -1])) == 3


# --- (d) divergence --------------------------------------------------------------------------------------------------


def all_nan(measured, row, start):
    return all(np.isnan(getattr(measured, name)[row, start:]).all() for name in QUANTITIES)


def test_a_divergence_is_recorded_and_no_crash(make_spec):
    """The plain mean under sign flip with coefficient -5 and alpha = 0.2 ascends: 0.2 > 1 / (1 + 5) (F11)."""
    spec = make_spec(**MA, iterations=400, record={"step": 5}, seeds=[0, 1, 2])
    measured, done = None, []
    with np.errstate(all="raise"):
        measured = run(spec, progress=done.append)
    recorded = spec.record.iterations(400)
    assert (measured.status == Status.DIVERGED).all()
    assert (measured.status_at > 0).all()
    for row, at in enumerate(measured.status_at.tolist()):
        place = recorded.index(at)
        assert all_nan(measured, row, place)
        kept = measured.loss[row, :place]
        assert np.isfinite(kept).all()
        assert (kept <= spec.diverged_at * kept[0]).all()
    assert sum(done) == 3 * 401  # a run that ends early counts in full


def test_the_limit_of_divergence_is_that_of_the_spec(make_spec):
    early = run(make_spec(**MA, iterations=200, diverged_at=3.0)).status_at
    late = run(make_spec(**MA, iterations=200, diverged_at=1e4)).status_at
    assert (early > 0).all()
    assert (early < late).all()


def test_without_an_attack_the_mean_does_not_diverge(make_spec):
    measured = run(make_spec(**MA, byzantine={"alpha": 0.0}))
    assert (measured.status == Status.FINISHED).all()
    assert np.isfinite(measured.loss).all()


@pytest.mark.parametrize("lie", [math.nan, math.inf, -math.inf])
def test_liars_may_send_anything(lie, make_spec, monkeypatch):
    def extreme(messages, threat, draws):
        return threat.replace(messages, torch.full((1, 1, 1), lie, dtype=messages.dtype))

    monkeypatch.setattr("byzcode.attacks.none.ENTRY", Attack(extreme, frozenset()))
    broken = run(make_spec(**MA, attack="none"))
    assert broken.status.tolist() == [Status.POISONED] * 2
    assert broken.status_at.tolist() == [1, 1]
    assert np.isfinite(broken.loss[:, 0]).all()
    assert all_nan(broken, slice(None), 1)
    for rule in ("median", "trimmed_mean", "phocas"):
        fine = run(make_spec(aggregation=rule, attack="none"))
        assert (fine.status == Status.FINISHED).all()
        assert all(np.isfinite(getattr(fine, name)).all() for name in QUANTITIES)


def test_a_run_that_comes_back_has_diverged_all_the_same():
    """What follows a divergence is not recorded, however small it is; a run beside it goes on."""
    constants = {"smoothness": torch.tensor([3.0, 4.0]), "strong_convexity": torch.tensor([1.0, 2.0])}
    book = Book(torch.zeros(2, 1), [0, 5, 10, 15], 10.0, constants)
    for iteration, losses in zip((0, 5, 10, 15), ([1.0, 1.0], [2.0, 2.0], [11.0, 3.0], [1.0, 4.0]), strict=True):
        book.enter(iteration, **dict.fromkeys(records.QUANTITIES, torch.tensor(losses)))
        assert not book.all_ended(iteration)
    closed = book.close()
    assert closed.status_at.tolist() == [10, NEVER]
    np.testing.assert_array_equal(closed.loss, [[1, 2, np.nan, np.nan], [1, 2, 3, 4]])
    assert (closed.smoothness.tolist(), closed.strong_convexity.tolist()) == ([3, 4], [1, 2])


def test_one_seed_may_diverge_beside_others(make_spec, monkeypatch):
    """In one batch (as on a GPU) the others go on, with the numbers that they have alone."""

    def extreme(messages, threat, draws):
        return messages + torch.tensor([[[math.nan]], [[0.0]]], dtype=messages.dtype)

    spec = make_spec(**MA, attack="none", seeds=[3, 0])
    alone = run(make_spec(**MA, attack="none", seeds=[0]))
    monkeypatch.setattr("byzcode.attacks.none.ENTRY", Attack(extreme, frozenset()))
    measured = train_together([spec], [allocations.draw(spec.allocation_spec)], device="cpu")[0]
    assert measured.status_at.tolist() == [1, NEVER]
    assert all_nan(measured, 0, 1)
    np.testing.assert_allclose(measured.loss[1:], alone.loss, rtol=1e-12)


def test_buckets_are_drawn_anew_in_each_iteration(make_spec, monkeypatch):
    met = []

    def spy(messages, f, draws):
        met.append(tuple(draws.uniform(3)[0].tolist()))
        return messages

    monkeypatch.setattr("byzcode.pre_aggregation.none.ENTRY", PreAggregator(spy))
    run(make_spec(seeds=[5]))
    assert len(set(met)) == len(met) == 51


# --- (e) identities, (f) precision, (g) accounting, (h) records ------------------------------------------------------


@pytest.mark.parametrize("identities", ["redrawn", "persistent"])
def test_liars_are_redrawn_or_persist(identities, make_spec, monkeypatch):
    met = []

    def spy(messages, threat, draws):
        met.append(tuple(sorted(threat.liars[0].tolist())))
        return messages

    monkeypatch.setattr("byzcode.attacks.none.ENTRY", Attack(spy, frozenset()))
    run(make_spec(attack="none", byzantine={"alpha": 0.2, "identities": identities}, seeds=[5]))
    assert len(met) == 51
    assert all(len(liars) == 4 for liars in met)
    assert len(set(met)) == 1 if identities == "persistent" else len(set(met)) > 45


@pytest.mark.parametrize("name", ["cra, median, sign flip", "cra, trimmed mean, gaussian", "clairvoyant, sign flip"])
def test_single_precision_agrees_loosely(name, make_spec):
    changes = COMBINATIONS[name][1]
    double, single = (run(make_spec(**changes, dtype=dtype)) for dtype in ("float64", "float32"))
    assert not np.array_equal(single.loss, double.loss)
    for quantity in QUANTITIES:
        scale = getattr(double, quantity).max()
        np.testing.assert_allclose(getattr(single, quantity), getattr(double, quantity), rtol=2e-3, atol=1e-4 * scale)


def test_gradients_are_counted_over_all_devices(make_spec):
    assigned = allocations.draw(make_spec().allocation_spec)
    assert gradients_per_iteration(assigned).tolist() == [20 * 12, 20 * 12]
    uneven = np.array([[[0, 1, EMPTY], [2, EMPTY, EMPTY]], [[0, 1, 2], [0, 1, 2]]], dtype=np.int32)
    assert gradients_per_iteration(uneven).tolist() == [3, 6]
    uncoded = allocations.draw(make_spec(**RBA).allocation_spec)
    assert gradients_per_iteration(uncoded).tolist() == [60, 60]


def test_what_is_recorded_does_not_change_what_is_computed(make_spec):
    full = run(make_spec(iterations=47))
    for record in ({"step": 10}, {"spacing": "log", "step": 3}, {"step": 100}):
        spec = make_spec(iterations=47, record=record)
        iterations = spec.record.iterations(47)
        part = run(spec)
        for quantity in (*QUANTITIES, "bits_sent"):
            np.testing.assert_array_equal(getattr(part, quantity), getattr(full, quantity)[:, iterations])


@pytest.mark.parametrize(
    ("record", "last", "expected"),
    [
        ({"step": 5}, 20, [0, 5, 10, 15, 20]),
        ({"step": 5}, 22, [0, 5, 10, 15, 20, 22]),
        ({"step": 1}, 3, [0, 1, 2, 3]),
        ({"step": 50}, 3, [0, 3]),
        ({"step": 1}, 1, [0, 1]),
        ({"spacing": "log", "step": 1}, 1000, [0, 1, 10, 100, 1000]),
        ({"spacing": "log", "step": 2}, 500, [0, 1, 3, 10, 32, 100, 316, 500]),
        ({"spacing": "log", "step": 10}, 1, [0, 1]),
    ],
)
def test_the_recorded_iterations(record, last, expected, make_spec):
    spec = make_spec(record=record, iterations=last)
    assert spec.record.iterations(last) == expected
    assert run(spec).loss.shape == (2, len(expected))


@pytest.mark.parametrize("record", [{"step": 1}, {"step": 7}, {"spacing": "log", "step": 4}])
def test_progress_counts_every_seed_and_iteration(record, make_spec):
    done = []
    run(make_spec(record=record), progress=done.append)
    assert sum(done) == 2 * 51


# --- (i) bias of the encodings ---------------------------------------------------------------------------------------


def test_replication_weights_reach_the_optimum_and_uniform_ones_do_not(make_spec):
    options = {
        "redundancy": 30,
        "byzantine": {"alpha": 0.0},
        "iterations": 500,
        "step_size": 1.0,
        "record": {"step": 500},
    }
    corrected = make_spec(**SGC, **options)
    assigned = allocations.draw(corrected.allocation_spec)
    assert all(len(np.unique(lists)) == 60 for lists in assigned)  # every subset is on some device
    exact = train(corrected, assigned)
    assert exact.coding_bias.max() < 1e-12
    assert (exact.excess_loss[:, -1] < 1e-24 * exact.excess_loss[:, 0]).all()
    uneven = run(make_spec(method="cra_dl", aggregation="mean", **options))
    assert (uneven.excess_loss[:, -1] > 1e-6 * uneven.excess_loss[:, 0]).all()
    assert (uneven.coding_bias[:, -1] > 1e-3).all()
    np.testing.assert_array_equal(uneven.loss[:, 0], exact.loss[:, 0])  # paired: the same problem


# --- (j) all seeds in one batch, as on a GPU -------------------------------------------------------------------------


def one_by_one(spec, assigned):
    """Each seed alone, without the rest of its batch."""
    alone = [spec.model_copy(update={"seeds": (seed,)}) for seed in spec.seeds]
    return join(train(each, assigned[place : place + 1]) for place, each in enumerate(alone))


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_batch_of_seeds_has_the_bits_of_seed_by_seed(name, make_spec):
    spec = make_spec(**COMBINATIONS[name][1], seeds=[3, 0, 11])
    assigned = allocations.draw(spec.allocation_spec)
    assert_same_bits(train_together([spec], [assigned], device="cpu")[0], one_by_one(spec, assigned))


EVERY_PART = {
    **{f"{rule}": {"aggregation": rule, "byzantine": {"alpha": 0.1}} for rule in RULES},
    **{f"{name}, median": {"pre_aggregation": name} for name in PRE_AGGREGATORS},
    **{f"{name}, phocas": {"attack": name, "aggregation": "phocas"} for name in ATTACKS},
    **{f"{name}, compressed": LAD | {"method": "com_lad", "compression": name} for name in COMPRESSORS},
    "draco": {"method": "draco_cyclic", "aggregation": None, "byzantine": {"alpha": 0.05}},
}


@pytest.mark.parametrize("name", EVERY_PART)
def test_every_part_of_the_tables_has_the_same_bits_in_a_batch(name, make_spec):
    """A rule, pre-aggregator or compressor that is added tomorrow is in this test by being in its table."""
    spec = make_spec(**ENOUGH | {"iterations": 10, "seeds": [4, 0, 7]} | EVERY_PART[name])
    assigned = allocations.draw(spec.allocation_spec)
    assert_same_bits(train_together([spec], [assigned], device="cpu")[0], one_by_one(spec, assigned))


def test_exact_decoding_at_the_size_of_the_papers_has_the_same_bits_in_a_batch(make_spec):
    """Among 100 devices many sets of suspects are equally suspect but for rounding."""
    spec = make_spec(
        method="draco_cyclic",
        problem={"subsets": 1000, "dimension": 100},
        devices=100,
        redundancy=110,
        aggregation=None,
        byzantine={"alpha": 0.05},
        iterations=25,
        seeds=[0, 1, 2],
    )
    assigned = allocations.draw(spec.allocation_spec)
    assert_same_bits(train_together([spec], [assigned], device="cpu")[0], one_by_one(spec, assigned))


@pytest.mark.parametrize("name", EVERY_PART)
def test_every_part_of_the_tables_has_the_same_bits_without_compiled_kernels(name, make_spec, monkeypatch):
    spec = make_spec(**ENOUGH | {"iterations": 10, "seeds": [4, 0]} | EVERY_PART[name])
    assigned = allocations.draw(spec.allocation_spec)
    compiled = train(spec, assigned)
    monkeypatch.setattr(native, "_functions", lambda _: {})
    assert_same_bits(compiled, train(spec, assigned))


@pytest.mark.parametrize("name", EVERY_PART)
def test_the_loop_waits_for_no_device(name, make_spec):
    """Tensors of the device "meta" have shapes and no values: whoever asks for a value, as a wait would, fails."""
    spec = make_spec(**ENOUGH | {"iterations": 3, "seeds": [4, 0]} | EVERY_PART[name])
    with torch.inference_mode():
        loop(assemble([Part(spec, spec.seeds, allocations.draw(spec.allocation_spec))], "meta"), lambda _: None)


# --- (k) specs of one shape in one batch -----------------------------------------------------------------------------


def test_specs_of_one_shape_are_trained_together(make_spec):
    """They differ in data, step, weights, lists and seeds; each has the bits that it has alone."""
    specs = [
        make_spec(seeds=[3, 0]),
        make_spec(seeds=[3, 5, 1], problem={"sigma_h": 1.5, "label_noise": 0.2}, step_size=0.3),
        make_spec(seeds=[9], method="cra_dl_corrected"),
        make_spec(seeds=[2, 4], allocation={"name": "random", "side": "subset"}),
    ]
    assigned = [allocations.draw(spec.allocation_spec) for spec in specs]
    assert len({lists.shape[-1] for lists in assigned}) > 1  # padded
    together = train_together(specs, assigned, device="cpu")
    for spec, lists, measured in zip(specs, assigned, together, strict=True):
        assert_same_bits(measured, train(spec, lists))


@pytest.mark.parametrize(
    "other",
    [
        {"aggregation": "phocas"},
        {"attack": {"name": "sign_flip", "coefficient": -2.0}},
        {"byzantine": {"alpha": 0.1}},
        {"iterations": 51},
        {"problem": {"dimension": 8}},
        {"dtype": "float32"},
        {"method": "clairvoyant", "aggregation": None},
        {"redundancy": 13},
    ],
)
def test_specs_of_other_shapes_are_not(other, make_spec):
    specs = [make_spec(), make_spec(**other)]
    with pytest.raises(ValueError, match="different shapes"):
        train_together(specs, [allocations.draw(spec.allocation_spec) for spec in specs], device="cpu")


# --- what is refused -------------------------------------------------------------------------------------------------


def test_lists_of_another_shape_are_refused(make_spec):
    spec = make_spec()
    assigned = allocations.draw(spec.allocation_spec)
    for wrong in (assigned[:1], assigned[:, :-1], assigned[0]):
        with pytest.raises(ValueError, match=r"\(R, N, S\) = \(2, 20, S\)"):
            train(spec, wrong)


def test_lists_of_subsets_that_are_not_there_are_refused(make_spec):
    spec = make_spec()
    for wrong in (60, -2, 10**9):
        assigned = allocations.draw(spec.allocation_spec).copy()
        assigned[1, 3, 2] = wrong
        with pytest.raises(ValueError, match="subsets 0 to 59, or -1 for none"):
            train(spec, assigned)


def test_no_threads_are_refused(make_spec):
    with pytest.raises(ValueError, match="at least 1; got 0"):
        run(make_spec(), threads=0)


@pytest.mark.parametrize("device", ["gpu", "cuda:0", "mps"])
def test_a_device_of_another_name_is_the_users_to_mend(device, make_spec):
    with pytest.raises(UserError, match="allowed: cpu, cuda"):
        run(make_spec(), device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_cuda_device_is_the_users_to_mend(make_spec):
    with pytest.raises(UserError, match="--device cuda: no CUDA device"):
        run(make_spec(), device="cuda")
