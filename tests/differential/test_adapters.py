"""The adapters beside the libraries whose interfaces they have: byzfl's own classes, and Flower's own strategies."""

from __future__ import annotations

import copy
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import byzcode as bz
from byzcode.adapters import byzfl as ours
from byzcode.aggregation import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "other-libraries.md").read_text(encoding="utf-8")
CASES = range(200)


def case(seed):
    """Vectors (N, D) and f, some of them far away."""
    random = np.random.default_rng(seed)
    n = int(random.integers(9, 25))
    f = int(random.integers(1, (n - 3) // 2 + 1))
    vectors = random.normal(size=(n, int(random.integers(2, 8))))
    vectors[:f] *= 30.0 if seed % 2 else 1.0
    return vectors, f


def parameters_of(kind, f):
    return {"f": f} if "f" in inspect.signature(kind.__init__).parameters else {}


def agree(got, want, seed, rtol=0.0):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-12, err_msg=str(seed))


# --- byzfl -----------------------------------------------------------------------------------------------------------

#: What no rounding explains; :class:`byzcode.adapters.byzfl.Served` says why.
RANDOM = {"Bucketing", "Gaussian"}
OTHERWISE = {"GeometricMedian", *RANDOM}


@pytest.mark.parametrize("name", sorted({*ours.AGGREGATORS, *ours.PRE_AGGREGATORS} - OTHERWISE))
def test_a_name_gives_what_byzfl_gives(byzfl, name):
    compared = 0
    for seed in CASES:
        vectors, f = case(seed)
        theirs = getattr(byzfl, name)
        given = parameters_of(theirs, f)
        if name == "ARC" and int((2 * f / len(vectors)) * (len(vectors) - f)) != 2 * f * (len(vectors) - f) // len(
            vectors
        ):
            continue
        compared += 1
        agree(getattr(ours, name)(**given)(vectors), theirs(**given)(vectors.copy()), seed)
    assert compared >= 0.95 * len(CASES)


SEARCHES = ["Optimal_InnerProductManipulation", "Optimal_ALittleIsEnough"]


@pytest.mark.parametrize("name", sorted(set(ours.ATTACKS) - RANDOM - set(SEARCHES)))
def test_an_attack_gives_what_byzfl_gives(byzfl, name):
    for seed in CASES:
        vectors, _ = case(seed)
        agree(getattr(ours, name)()(vectors), getattr(byzfl, name)()(vectors.copy()), seed)


@pytest.mark.parametrize("rule", ["Average", "Median", "TrMean"])
@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_takes_rules_of_either_library(byzfl, name, rule):
    for seed in CASES[:40]:
        vectors, f = case(seed)
        found = [
            getattr(kind, name)(agg=getattr(rules, rule)(**parameters_of(getattr(byzfl, rule), f)), **given)(
                vectors.copy()
            )
            for given in ({"pre_agg_list": [], "f": f, "evals": 7 + seed % 14},)
            for kind in (ours, byzfl)
            for rules in (ours, byzfl)
        ]
        for lie in found[1:]:
            agree(lie, found[0], seed, rtol=1e-9)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_does_as_much_harm_as_byzfls(byzfl, name):
    """By default lies are clipped: beyond some factor all are equally harmful, and rounding chooses among them."""
    for seed in CASES[:60]:
        vectors, f = case(seed)
        harm = []
        for kind in (ours, byzfl):
            lie = getattr(kind, name)(f=f)(vectors.copy())
            received = byzfl.Clipping()(np.concatenate([vectors, np.tile(lie, (f, 1))]))
            harm.append(np.linalg.norm(received.mean(axis=0) - vectors.mean(axis=0)))
        assert harm[0] == pytest.approx(harm[1], rel=1e-9)


STATED = [
    ("CenteredClipping", {"L": 3, "tau": 1.5}),
    ("Clipping", {"c": 1.5}),
    ("InnerProductManipulation", {"tau": 0.5}),
    ("ALittleIsEnough", {"tau": -0.3}),
    ("Mimic", {"epsilon": 2}),
]


@pytest.mark.parametrize(("name", "given"), STATED, ids=[name for name, _ in STATED])
def test_stated_parameters_mean_the_same(byzfl, name, given):
    for seed in CASES[:60]:
        vectors, _ = case(seed)
        agree(getattr(ours, name)(**given)(vectors), getattr(byzfl, name)(**given)(vectors.copy()), seed, rtol=1e-9)


def test_defaults_are_those_of_byzfl(byzfl):
    for table in (ours.AGGREGATORS, ours.PRE_AGGREGATORS, ours.ATTACKS):
        for name, served in table.items():
            theirs = inspect.signature(getattr(byzfl, name).__init__).parameters
            for key, about in inspect.signature(served.options).parameters.items():
                assert key in theirs
                if key not in ("agg", "pre_agg_list"):
                    assert about.default == theirs[key].default, f"{name}({key})"


def test_centred_clipping_goes_on_from_its_last_result(byzfl):
    one, other = ours.CenteredClipping(L=2, tau=1.0), byzfl.CenteredClipping(L=2, tau=1.0)
    for seed in range(20):
        vectors = np.random.default_rng(seed).normal(size=(9, 4)) + 3
        agree(one(list(vectors) if seed % 2 else vectors), other(vectors), seed)


def test_the_geometric_median_is_byzfls_where_that_converges(byzfl):
    near = 0
    for seed in CASES[:30]:
        vectors, _ = case(seed)
        got, want = ours.GeometricMedian()(vectors), byzfl.GeometricMedian(nu=1e-12, T=500)(vectors)
        cost = [np.linalg.norm(vectors - point, axis=1).sum() for point in (got, want)]
        assert cost[0] <= cost[1] * (1 + 1e-15)
        near += np.abs(got - want).max() <= 1e-9
    assert near >= 25


def test_krum_of_byzfl_is_not_ours_by_default(byzfl):
    """So the agreement above is not for want of a difference."""
    differ = sum(not np.array_equal(bz.aggregate("krum", x, f=f), byzfl.Krum(f=f)(x)) for x, f in map(case, CASES))
    assert differ >= 5


def test_buckets_are_byzfls_in_the_same_order(byzfl, monkeypatch):
    for seed in CASES[:30]:
        vectors, _ = case(seed)
        order = ours.Bucketing(s=1)(np.arange(len(vectors), dtype=float)[:, None]).ravel().astype(int)
        monkeypatch.setattr(np.random, "permutation", lambda rows, order=order: rows[order])
        agree(ours.Bucketing(s=3)(vectors), byzfl.Bucketing(s=3)(vectors), seed)


def test_gaussian_lies_have_byzfls_law():
    lies = np.concatenate([ours.Gaussian(sigma=3.0, seed=seed)(np.zeros((2, 1000))) for seed in range(20)])
    assert abs(lies.mean()) < 0.1
    assert lies.std() == pytest.approx(3.0, rel=0.03)


INFO = {"name": "TrMean", "parameters": {"f": 3}}
BEFORE = [{"name": "Clipping", "parameters": {"c": 2.0}}, {"name": "NNM", "parameters": {"f": 3}}]


def test_the_dictionaries_of_byzfl_mean_the_same(byzfl):
    attack = {"aggregator_info": INFO, "pre_agg_list": [], "f": 3}
    params = {"name": "Optimal_ALittleIsEnough", "f": 3, "parameters": attack}
    for seed in CASES[:20]:
        honest = np.random.default_rng(seed).normal(size=(9, 4))
        lies = [kind.ByzantineClient(copy.deepcopy(params)).apply_attack(honest.copy()) for kind in (ours, byzfl)]
        agree(*lies, seed, rtol=1e-9)
        made = [
            kind.RobustAggregator(INFO, BEFORE).aggregate_vectors([*honest.copy(), *lies[1]]) for kind in (ours, byzfl)
        ]
        agree(*made, seed, rtol=1e-9)


def test_tensors_keep_their_precision(byzfl):
    vectors, f = case(0)
    tensor = torch.from_numpy(vectors)
    assert byzfl.TrMean(f=f)(tensor).dtype == torch.float32
    assert ours.TrMean(f=f)(tensor).dtype == torch.float64
    agree(ours.TrMean(f=f)(tensor), byzfl.TrMean(f=f)(vectors), 0)


def names(column, title):
    """The names of a library in a table of the page."""
    rows = PAGE.partition(f"### {title}\n\n")[2].partition("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.strip("|").split("|")[column])}


def test_every_name_of_byzfl_is_on_the_page_and_served_or_refused(byzfl):
    places = ("aggregators.aggregators", "aggregators.preaggregators", "attacks.attacks")
    modules = [importlib.import_module(f"byzfl.{place}") for place in places]
    known = {
        name
        for module in modules
        for name, own in vars(module).items()
        if inspect.isclass(own) and own.__module__ == module.__name__
    }
    served = {*ours.AGGREGATORS, *ours.PRE_AGGREGATORS, *ours.ATTACKS, *ours.NOT_SERVED}
    assert known == served
    listed = {name for title in ("Rules", "Pre-aggregation", "Attacks") for name in names(1, title)}
    others = PAGE.partition("Only others have: byzfl ")[2].partition(";")[0]
    assert known - listed <= set(re.findall(r"`(\w+)`", others))


# --- Flower ----------------------------------------------------------------------------------------------------------

CLIENTS, LIARS = 15, 3  # with two liars Bulyan would have ties, which Flower settles by place


def models(seed=0):
    """The models of the clients: two layers each."""
    draw = np.random.default_rng(seed)
    made = [[draw.normal(size=(3, 4)), draw.normal(size=5)] for _ in range(CLIENTS)]
    for model in made[:LIARS]:
        model[0] *= 20
    return made


@pytest.fixture
def replies(flwr, monkeypatch):
    """Replies of clients in Flower's two interfaces, with the same number of examples."""
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.common import Code, FitRes, Status, ndarrays_to_parameters

    for known in ("_task_id", "_run_id", "_node_id"):  # as in the process of a server
        monkeypatch.setattr(f"flwr.supercore.task_identity.TaskIdentity.{known}", 1)

    def message(model, number):
        content = {"arrays": ArrayRecord(model), "metrics": MetricRecord({"num-examples": 10, "loss": float(number)})}
        sent = Message(content=RecordDict({}), dst_node_id=number, message_type="train")
        return Message(content=RecordDict(content), reply_to=sent)

    def fit(model):
        return None, FitRes(Status(Code.OK, ""), ndarrays_to_parameters(model), 10, {"loss": 1.0})

    def made(seed=0, given=None):
        given = given or models(seed)
        return [message(model, number) for number, model in enumerate(given)], [fit(model) for model in given]

    return made


def aggregated(strategy, replies):
    """The model that a strategy of either interface makes of the replies."""
    from flwr.common import parameters_to_ndarrays

    messages, results = replies
    if hasattr(strategy, "aggregate_fit"):
        parameters, metrics = strategy.aggregate_fit(1, results, [])
        return parameters_to_ndarrays(parameters), metrics
    record, metrics = strategy.aggregate_train(1, messages)
    return record.to_numpy_ndarrays(), metrics


def both(rule, f=LIARS, **more):
    from byzcode.adapters.flower import LegacyRobustFedAvg, RobustFedAvg

    return RobustFedAvg(rule, f, **more), LegacyRobustFedAvg(rule, f, **more)


@pytest.mark.parametrize("before", ["none", "nnm", {"name": "clipping", "radius": 1.0}])
@pytest.mark.parametrize("rule", RULES)
def test_a_strategy_aggregates_by_our_rule(replies, rule, before):
    from flwr.app import ArrayRecord
    from flwr.common import ndarrays_to_parameters

    sent = [np.full((3, 4), 0.5), np.full(5, -0.5)]
    name, options = (before, {}) if isinstance(before, str) else (before["name"], {"radius": 1.0})
    relative = "clipping" in name or rule in ("centered_clipping", "norm_trimming")
    origin = np.concatenate([each.ravel() for each in sent]) if relative else 0
    vectors = np.stack([np.concatenate([each.ravel() for each in model]) for model in models()]) - origin
    mixed = bz.pre_aggregate(name, vectors, f=LIARS, iteration=1, **options)
    want = bz.aggregate(rule, mixed, f=LIARS) + origin
    for strategy in both(rule, pre_aggregation=before):
        strategy._sent = ndarrays_to_parameters(sent) if hasattr(strategy, "aggregate_fit") else ArrayRecord(sent)
        first, second = aggregated(strategy, replies())[0]
        np.testing.assert_array_equal(np.concatenate([first.ravel(), second]), want)
        assert first.shape == (3, 4)


def pairs():
    """Flower's own strategies and ours that mean the same, for replies with equal numbers of examples."""
    from flwr.server import strategy as legacy
    from flwr.serverapp import strategy as current

    krum = {"num_malicious_nodes": LIARS}
    return {
        "FedMedian": (current.FedMedian(), "median"),
        "FedTrimmedAvg": (current.FedTrimmedAvg(beta=(LIARS + 0.5) / CLIENTS), "trimmed_mean"),
        "Krum": (current.Krum(**krum), "krum"),
        "MultiKrum": (current.MultiKrum(**krum, num_nodes_to_select=4), {"name": "multi_krum", "kept": 4}),
        "FedAvg": (current.FedAvg(), "mean"),
        "Bulyan": (legacy.Bulyan(num_malicious_clients=LIARS, to_keep=0), "bulyan"),
    }


@pytest.mark.parametrize("name", ["FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum", "FedAvg", "Bulyan"])
def test_where_flower_has_the_rule_it_gives_the_same(flwr, replies, name):
    theirs, rule = pairs()[name]
    assert name in names(4, "Rules")
    for seed in range(10):
        want, _ = aggregated(theirs, replies(seed))
        for strategy in both(rule):
            got, _ = aggregated(strategy, replies(seed))
            for ours_of, theirs_of in zip(got, want, strict=True):
                np.testing.assert_allclose(ours_of, theirs_of, rtol=0, atol=1e-12)


def test_every_name_of_flower_on_the_page_exists(flwr):
    from flwr.serverapp import strategy as current

    assert all(hasattr(current, name) for name in names(4, "Rules"))


def test_metrics_are_those_of_fedavg(flwr, replies):
    from flwr.serverapp.strategy import FedAvg

    strategy, earlier = both("median")
    _, metrics = aggregated(strategy, replies())
    assert dict(metrics) == dict(FedAvg().aggregate_train(1, replies()[0])[1])
    assert aggregated(earlier, replies())[1] == {}
    earlier.fit_metrics_aggregation_fn = lambda stated: {"n": sum(number for number, _ in stated)}
    assert aggregated(earlier, replies())[1] == {"n": 10 * CLIENTS}


def test_no_replies_change_nothing(flwr):
    strategy, earlier = both("median")
    assert strategy.aggregate_train(1, []) == (None, None)
    assert earlier.aggregate_fit(1, [], []) == (None, {})
    earlier.accept_failures = False
    assert earlier.aggregate_fit(1, [(None, None)], [RuntimeError()]) == (None, {})


def test_lies_that_are_not_finite_do_no_harm(flwr, replies):
    lies = models()
    lies[0][0][:] = np.inf
    lies[1][1][:] = np.nan
    for strategy in both("trimmed_mean"):
        for array in aggregated(strategy, replies(given=lies))[0]:
            assert np.abs(array).max() < 3


class Clients:
    """What a strategy asks of Flower's grid, or of its client manager, to configure a round."""

    def get_node_ids(self):
        return range(CLIENTS)

    def num_available(self):
        return CLIENTS

    def sample(self, num_clients, min_num_clients):
        return [None] * num_clients


def test_the_sent_model_is_the_one_that_a_round_was_configured_with(flwr, replies):
    from flwr.app import ArrayRecord, ConfigRecord
    from flwr.common import ndarrays_to_parameters

    sent = [np.full((3, 4), 5.0), np.full(5, 5.0)]
    strategy, earlier = both({"name": "centered_clipping", "radius": 1e-3, "start": "zero"})
    assert len(list(strategy.configure_train(1, ArrayRecord(sent), ConfigRecord(), Clients()))) == CLIENTS
    assert len(earlier.configure_fit(1, ndarrays_to_parameters(sent), Clients())) == CLIENTS
    for each in (strategy, earlier):
        for array in aggregated(each, replies())[0]:
            np.testing.assert_allclose(array, 5.0, atol=1e-3)


def test_the_printed_code_for_flower_runs(flwr):
    (code,) = re.findall(r"```python\n(from byzcode.adapters.flower.*?)```", PAGE, flags=re.DOTALL)
    exec(code, {})
