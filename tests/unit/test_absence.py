"""Devices that do not answer: who they are, what the server gets and how long it waits, against what is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml

import byzcode as bz
from byzcode.absence import ABSENCES
from byzcode.allocation import EMPTY
from byzcode.analysis.levels import of_measurements
from byzcode.attacks import Threat
from byzcode.attacks.alie import paper_factor
from byzcode.coding import DECODERS
from byzcode.compression import COMPRESSORS
from byzcode.errors import UserError
from byzcode.randomness import Draws, Orders, Stream
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.storage.trajectories import variables_of
from byzcode.studies.plan import load_plan
from byzcode.theory.bounds import kappa_of
from byzcode.theory.constants import rule_constant
from byzcode.training.arrivals import Arrivals
from byzcode.training.batch import Part, assemble
from byzcode.training.channel import Channel
from byzcode.training.devices import Devices, messages
from byzcode.training.iterate import Iterate
from byzcode.training.loop import loop
from byzcode.training.server import Decoder, Rule
from byzcode.training.workers import train

NAMES = [name for name, entry in ABSENCES.items() if not entry.idle]
N, F, S, SEEDS = 20, 3, 5, (4, 0, 7)
PROBLEM = {"name": "linear_regression", "subsets": 60, "dimension": 7}


def spec_of(**changes):
    values = {
        "method": "cra_dl",
        "redundancy": 12,
        "aggregation": "trimmed_mean",
        "problem": PROBLEM,
        "devices": N,
        "attack": "sign_flip",
        "byzantine": {"alpha": F / N},
        "iterations": 12,
        "record": {"step": 1},
        "seeds": list(SEEDS),
    }
    values |= changes
    if values["method"] in ("ma", "sgc_dl", "draco_repetition", "draco_cyclic"):
        del values["aggregation"]
    return RunSpec.parse(values, "test")


def absent(name="slowest", share=S / N, **options):
    return {"absence": {"name": name, "share": share, **options}}


def run(spec):
    return train(spec, allocations.draw(spec.allocation_spec))


def draws_of(name, loads, iteration=0, seeds=SEEDS, **options):
    streams = [Stream(seed, "absence") for seed in seeds]
    return ABSENCES[name](Draws(streams, iteration, like=loads), loads, **options)


def loads_of(value=12.0):
    return torch.full((len(SEEDS), N), value, dtype=torch.float64)


# --- the components ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_twice_the_work_takes_twice_as_long(name):
    once, twice = (draws_of(name, loads_of(value)).delay for value in (3.0, 6.0))
    assert torch.equal(2 * once, twice)
    assert (once >= 3.0).all()
    assert once.shape == (len(SEEDS), N)
    assert once.unique().numel() > 1


@pytest.mark.parametrize("name", NAMES)
def test_iterations_and_seeds_differ_and_a_seed_is_the_same_alone(name):
    together, later = draws_of(name, loads_of()), draws_of(name, loads_of(), iteration=1)
    assert not torch.equal(together.rank, later.rank)
    for place, seed in enumerate(SEEDS):
        alone = draws_of(name, loads_of()[:1], seeds=(seed,))
        assert torch.equal(alone.rank[0], together.rank[place])
        assert torch.equal(alone.delay[0], together.delay[place])
    assert not torch.equal(together.rank[0], together.rank[1])


def test_both_models_have_the_same_delays():
    assert torch.equal(draws_of("share", loads_of()).delay, draws_of("slowest", loads_of()).delay)


# --- who answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_liars_answer_and_the_same_number_of_honest_devices_does_not(name):
    """Against a plain loop over seeds and devices."""
    spec = spec_of(**absent(name))
    arrivals, orders = Arrivals(spec, SEEDS, loads_of()), Orders(SEEDS, N, "byzantine", redrawn=True, first=F)
    for iteration in range(70):
        lying, honest = orders.parts(iteration)
        arrival = arrivals.at(iteration, lying, honest)
        late = draws_of(name, loads_of(), iteration, share=S / N)
        for seed in range(len(SEEDS)):
            ranks = {int(i): float(late.rank[seed, i]) for i in honest[seed]}
            gone = sorted(ranks, key=ranks.__getitem__)[-S:]
            stay = sorted(set(range(N)) - set(gone))
            assert arrival.present[seed].tolist() == stay
            assert arrival.honest[seed].tolist() == sorted(set(stay) - set(lying[seed].tolist()))
            waited = max(float(late.delay[seed, i]) for i in arrival.honest[seed])
            assert float(arrival.time[seed]) == waited
            if name == "slowest":
                assert waited < min(float(late.delay[seed, i]) for i in gone)


def test_every_device_is_absent_as_often():
    arrivals = Arrivals(spec_of(byzantine={"alpha": 0.0}, **absent("share")), SEEDS, loads_of())
    nobody, order = torch.empty(len(SEEDS), 0, dtype=torch.int64), torch.arange(N).expand(len(SEEDS), N)
    counted = torch.zeros(N)
    for iteration in range(1000):
        counted += torch.bincount(arrivals.at(iteration, nobody, order).present.flatten(), minlength=N)
    mean, deviation = 3000 * (1 - S / N), (3000 * S / N * (1 - S / N)) ** 0.5
    assert (counted - mean).abs().max() < 4.5 * deviation


@pytest.mark.parametrize(("name", "after"), [("share", 0), ("slowest", S)])
def test_the_mean_time_is_that_of_the_order_statistics(name, after):
    """Of n = 20 delays all of which, or the first 15, are waited for. With share 15 random ones are."""
    arrivals = Arrivals(
        spec_of(byzantine={"alpha": 0.0}, **absent(name, spread=0.5)), range(50), loads_of()[:1].expand(50, N)
    )
    nobody, order = torch.empty(50, 0, dtype=torch.int64), torch.arange(N).expand(50, N)
    times = torch.stack([arrivals.at(t, nobody, order).time for t in range(100)]).flatten().numpy()
    last = N if name == "slowest" else N - S
    expected = 12 * (1 + 0.5 * sum(1 / k for k in range(after + 1, last + 1)))
    assert abs(times.mean() - expected) < 4.5 * times.std() / len(times) ** 0.5


def test_loads_follow_the_devices_that_hold_them():
    spec, loads = spec_of(byzantine={"alpha": 0.0}, **absent(spread=0.0)), torch.arange(1.0, N + 1).expand(3, N)
    nobody, order = torch.empty(3, 0, dtype=torch.int64), torch.arange(N).expand(3, N)
    there = Arrivals(spec, SEEDS, loads).at(0, nobody, order, order.flip(-1))
    assert there.present.tolist() == [list(range(S, N))] * 3  # the first devices have the longest lists
    assert there.time.tolist() == [N - S] * 3


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["cra_dl", "sgc_dl", "rba_dl", "draco_repetition", "draco_cyclic"])
def test_a_run_in_which_nobody_is_absent_has_the_bits_of_one_without_absence(name, method):
    size = {"rba_dl": {"redundancy": 3}, "draco_repetition": {"redundancy": 30}, "draco_cyclic": {"redundancy": 21}}
    plain = spec_of(method=method, **size.get(method, {}))
    measured, expected = (
        run(spec_of(method=method, **size.get(method, {}), **absent(name, 0.0))).arrays(),
        run(plain).arrays(),
    )
    assert (np.diff(measured.pop("wall_time"), axis=1) > 0).all()
    assert measured.keys() == expected.keys()
    for quantity, values in expected.items():
        assert measured[quantity].tobytes() == values.tobytes(), quantity
    assert "absence" not in plain.canonical()


@pytest.mark.parametrize("share", [0.0, 0.25])
@pytest.mark.parametrize("name", NAMES)
def test_seeds_have_the_same_bits_alone(name, share):
    spec = spec_of(**absent(name, share))
    lists = allocations.draw(spec.allocation_spec)
    together = train(spec, lists).arrays()
    for place, seed in enumerate(SEEDS):
        alone = train(spec.model_copy(update={"seeds": (seed,)}), lists[place : place + 1]).arrays()
        for quantity, values in alone.items():
            assert together[quantity][place : place + 1].tobytes() == values.tobytes(), quantity


@pytest.mark.parametrize(
    "attack", ["sign_flip", "alie", "alie_search", "sample_duplicating", "mimic", "ipm", "gaussian"]
)
def test_the_server_uses_only_what_comes(attack):
    """What absent devices would have sent changes nothing, neither the lies nor the aggregate."""
    spec = spec_of(attack=attack, **absent())
    channel, server = Channel(spec, SEEDS), Rule(spec, SEEDS)
    arrivals, orders = Arrivals(spec, SEEDS, loads_of()), Orders(SEEDS, N, "byzantine", redrawn=True, first=F)
    lying, honest = orders.parts(0)
    arrival = arrivals.at(0, lying, honest)
    own = torch.from_numpy(np.random.default_rng(0).standard_normal((len(SEEDS), N, 7)))
    gone = torch.ones(len(SEEDS), N, dtype=torch.bool).scatter(-1, arrival.present, value=False)
    results = []
    for coded in (own, own.masked_fill(gone[..., None], torch.nan)):
        threat = Threat(
            liars=lying,
            honest=arrival.honest,
            aggregate=lambda trial: server.aggregate(trial, arrival.present, 0),
            absent=S,
        )
        exchange = channel.carry(coded, threat, 0, arrival.present)
        results.append(server.of(server.those_of(exchange.received, exchange.present), 0).aggregate)
        assert threat.mask.sum(dim=-1).tolist() == [F] * len(SEEDS)
        assert exchange.honest.shape[-2] == spec.honest == N - F - S
    assert results[0].isfinite().all()
    assert torch.equal(*results)


def test_the_first_iteration_is_that_of_a_plain_loop():
    """Under ALIE, whose factor is that of the messages that come; its mean and deviation are of those, too."""
    spec = spec_of(attack="alie", iterations=1, **absent())
    lists, measured = allocations.draw(spec.allocation_spec), run(spec)
    orders = Orders(SEEDS, N, "byzantine", redrawn=True, first=F)
    for seed in range(len(SEEDS)):
        problem = assemble([Part(spec, SEEDS[seed : seed + 1], lists[seed : seed + 1])], "cpu").problem
        z, y = problem.features[0].numpy(), problem.labels[0].numpy()
        gradients = -y[:, None] * z
        lying, honest = (part[seed].tolist() for part in orders.parts(0))
        delay = draws_of("slowest", loads_of(), share=S / N).delay[seed]
        come = sorted(honest, key=lambda i, delay=delay: float(delay[i]))[: N - S - F]
        sent = np.array([gradients[lists[seed, i]].mean(axis=0) for i in come])
        lie = sent.mean(axis=0) - paper_factor(N - S, F) * sent.std(axis=0, ddof=1)
        received = np.sort(np.concatenate([sent, [lie] * len(lying)]), axis=0)
        error = np.linalg.norm(received[F : len(received) - F].mean(axis=0) - gradients.mean(axis=0))
        away = np.sqrt(np.square(sent - sent.mean(axis=0)).sum(axis=1).mean())
        assert measured.aggregation_error[seed, 0] == pytest.approx(error, rel=1e-9)
        assert measured.honest_dispersion[seed, 0] == pytest.approx(away, rel=1e-9)
        assert measured.wall_time[seed, 1] == pytest.approx(float(delay[come].max()))
    assert paper_factor(N - S, F) != paper_factor(N, F)


def test_the_loads_are_permuted_as_the_lists_are():
    """Without spread the time is the longest list of an honest device."""
    spec = spec_of(
        allocation={"name": "random", "side": "subset"},
        assignment="redrawn",
        iterations=30,
        **absent(share=0, spread=0),
    )
    sizes = (allocations.draw(spec.allocation_spec) != EMPTY).sum(axis=-1)
    rows, liars = (Orders(SEEDS, N, purpose, redrawn=True) for purpose in ("assignment/devices", "byzantine"))
    taken = np.diff(run(spec).wall_time, axis=1)
    for t in range(30):
        for seed in range(len(SEEDS)):
            own = sizes[seed][rows.at(t)[seed].numpy()]
            assert taken[seed, t] == own[liars.at(t)[seed, F:].numpy()].max()


def test_the_plain_mean_is_the_sum_of_sgc_with_its_known_probability():
    """SGC adds up grad f_k / (c_k (1 - p)) over the devices that answer, and divides by M in the mean convention."""
    spec = spec_of(method="sgc_dl", byzantine={"alpha": 0.0}, iterations=1, **absent("share"))
    lists = allocations.draw(spec.allocation_spec)[:1]
    batch = assemble([Part(spec, spec.seeds[:1], lists)], "cpu")
    z, y = batch.problem.features[0].numpy(), batch.problem.labels[0].numpy()
    arrival = Arrivals(spec, SEEDS[:1], loads_of()[:1]).at(
        0, *Orders(SEEDS[:1], N, "byzantine", redrawn=True, first=0).parts(0)
    )
    copies = np.bincount(lists[0].ravel(), minlength=60)
    gradients = (z @ np.zeros(7) - y)[:, None] * z
    total = sum(gradients[k] / (copies[k] * (1 - S / N)) for i in arrival.present[0] for k in lists[0, i]) / 60
    error = np.linalg.norm(total - gradients.mean(axis=0))
    assert run(spec).aggregation_error[0, 0] == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_only_what_comes_counts_as_sent(compression):
    whole = run(spec_of(compression=compression)).bits_sent[:, -1]
    share = run(spec_of(compression=compression, **absent())).bits_sent[:, -1] / whole
    assert share == pytest.approx((N - S) / N, rel=0.1 if compression == "bernoulli" else 1e-12)


def test_a_rule_is_bounded_by_the_constant_of_the_messages_that_come():
    spec = spec_of(**absent())
    assert kappa_of(spec) == rule_constant("trimmed_mean", "none", N - S, F)
    assert kappa_of(spec) > kappa_of(spec_of())


# --- decoders ---------------------------------------------------------------------------------------------------------


def decoded(spec, gone, liars):
    """Whether the decoder is exact on random gradients if some devices are absent and others send the same lie."""
    lists = allocations.draw(spec.allocation_spec)
    batch = assemble([Part(spec, spec.seeds, lists)], "cpu")
    at = Iterate(batch.problem, batch.problem.start())
    devices = Devices(at.theta, batch.assigned, batch.weights, spec.seeds, spec.subsets, assignment="fixed")
    sent = messages(at, devices.codes(0)).clone()
    sent[:, liars] = 7.0
    server = Decoder(spec, spec.seeds)
    present = torch.tensor([[i for i in range(N) if i not in gone]] * len(spec.seeds))
    answer = server.of(server.those_of(sent, present), 0)
    exact = (answer.aggregate - at.gradient).abs().amax() < 1e-6 * at.gradient.abs().amax()
    return bool(exact) and not answer.failed.any()


@pytest.mark.parametrize("away", range(9))
def test_a_group_of_repetition_decodes_if_liars_are_fewer_than_the_other_voters(away):
    """Two groups of 10. The absent are all in one of them: 10 - s voters, of which a minority may lie."""
    share = away / N
    for f in range(5):
        spec = spec_of(method="draco_repetition", redundancy=30, byzantine={"alpha": f / N}, **absent(share=share))
        tolerated = 10 - away >= 2 * f + 1
        assert (spec.undecodable is None) == tolerated
        if away + f <= 10:
            assert decoded(spec, gone=range(away), liars=list(range(10 - f, 10))) == (10 - away > 2 * f)


def test_a_partial_nan_takes_a_vote_away_and_moves_no_other():
    decode = DECODERS["repetition"].prepare(5, 5, 5)
    honest = torch.ones(1, 5, 3, dtype=torch.float64)
    honest[0, 0] = torch.tensor([-9.0, -9.0, torch.nan])
    honest[0, 1] = torch.tensor([-9.0, torch.nan, -9.0])
    honest[0, 2] = -9.0
    answer = decode(honest)
    assert torch.equal(answer.gradient, torch.ones(1, 3, dtype=torch.float64))
    assert not answer.failed.any()


def test_the_cyclic_code_takes_an_absent_device_for_a_lie():
    for f, away in [(0, 3), (1, 2), (2, 1), (3, 0)]:  # d = 7 copies tolerate three
        spec = spec_of(method="draco_cyclic", redundancy=21, byzantine={"alpha": f / N}, **absent(share=away / N))
        assert spec.undecodable is None
        assert decoded(spec, gone=range(away), liars=list(range(10, 10 + f)))
    spec = spec_of(method="draco_cyclic", redundancy=21, byzantine={"alpha": 2 / N}, **absent(share=2 / N))
    assert "f = 2 liars and 2 absent devices" in spec.undecodable
    assert not decoded(spec, gone=range(2), liars=[10, 11])


@pytest.mark.parametrize(("method", "redundancy"), [("draco_repetition", 30), ("draco_cyclic", 27)])
def test_within_its_radius_draco_is_exact_in_training(method, redundancy):
    spec = spec_of(method=method, redundancy=redundancy, byzantine={"alpha": 0.1}, **absent(share=0.1))
    assert spec.undecodable is None
    measured = run(spec)
    assert not measured.decoding_failures.any()
    assert not measured.decoding_errors.any()


# --- files and figures ------------------------------------------------------------------------------------------------


def test_time_is_stored_and_is_an_axis(tmp_path):
    spec = spec_of(**absent())
    data = bz.train(spec, out=tmp_path / "run.nc")
    np.testing.assert_array_equal(data["wall_time"], run(spec).wall_time)
    assert set(variables_of(spec)) - set(variables_of(spec_of())) == {"wall_time"}
    drawn = bz.plot.trajectories(data, x="wall_time").data
    assert drawn["x"].tolist() == pytest.approx(data["wall_time"].max("seed").to_numpy().tolist())
    with pytest.raises(UserError, match="x = 'wall_time': no delays are modelled"):
        bz.plot.trajectories(bz.train(spec_of()), x="wall_time")


@pytest.mark.parametrize(
    ("absence", "curve", "refused"),
    [("slowest", {}, None), ("slowest", {"absence": "none"}, "no delays"), ("none", {}, "no delays")],
)
def test_a_study_may_draw_and_compare_time(absence, curve, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = {
        "study": "late",
        "title": "Late",
        "base": {"devices": 20, "problem.subsets": 60, "absence": absence, "aggregation": "median"},
        "curves": [{"label": "A", "method": "rba_dl"}, {"label": "B", "method": "cra_dl", "redundancy": 6, **curve}],
        "plots": {"p": {"kind": "trajectories", "x": "wall_time", "y": "loss", "caption": "c"}},
    }
    words = {"says": "s", "source": "s", "mark": "derived", "confirms": "c", "refutes": "r"}
    compared = {"claim": "c", "test": "lower", "curve": "A", "against": "B", "quantity": "wall_time", **words}
    for more in ({}, {"claims": [compared], "plots": {"p": {**study["plots"]["p"], "x": "iteration"}}}):
        (tmp_path / "late.yaml").write_text(yaml.safe_dump(study | more), encoding="utf-8")
        if refused is None:
            assert len(load_plan({"studies": ["late.yaml"]}).studies["late"].members) == 2
        else:
            with pytest.raises(UserError, match=refused):
                _ = load_plan({"studies": ["late.yaml"]}).studies["late"].cells


def test_time_is_compared_per_iteration():
    """Without spread an iteration takes as long as the gradients of a device."""
    found = [
        of_measurements(spec, run(spec), allocations.draw(spec.allocation_spec))
        for spec in (spec_of(redundancy=r, **absent(spread=0.0)) for r in (6, 12))
    ]
    assert [levels.levels("wall_time", "plateau").level.tolist() for levels in found] == [[6.0] * 3, [12.0] * 3]


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_an_honest_device_must_answer():
    with pytest.raises(UserError, match="17 absent and 3 Byzantine of 20 devices: an honest one must answer"):
        spec_of(**absent(share=0.85))
    assert spec_of(**absent(share=0.8)).honest == 1


def test_a_rule_that_gets_too_few_messages_is_undefined():
    spec = spec_of(byzantine={"alpha": 0.4}, **absent())
    assert "f = 8 liars, but trimmed_mean among 15 devices that answer tolerates at most 7" in spec.undefined
    assert spec_of(byzantine={"alpha": 0.4}).undefined is None


def test_memory_of_devices_needs_their_answers():
    with pytest.raises(UserError, match="estimation"):
        spec_of(estimation="remembered_scores", **absent())
    assert np.isfinite(run(spec_of(estimation="near_scores", **absent())).estimated_f).all()


def test_a_share_of_one_is_refused():
    with pytest.raises(UserError, match=r"absence\.share = 1"):
        spec_of(**absent(share=1.0))


def test_a_gpu_is_not_waited_for():
    spec = spec_of(**absent())
    with torch.inference_mode():
        loop(assemble([Part(spec, spec.seeds, allocations.draw(spec.allocation_spec))], "meta"), lambda _: None)
