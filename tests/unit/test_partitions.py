"""Every partition of the table, what each promises, and how a partition is chosen and cut into subsets."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from unit.tables import cases, options_of

from byzcode.data import PARTITIONS, PartitionChoice, chosen, divide
from byzcode.data.partition import BANDS, Parts, classes_of, equal_sizes
from byzcode.errors import KeyedError

DIGITS = np.repeat(np.arange(10), 60)
CASES = list(cases(PARTITIONS).values())
#: Those whose groups have sizes that the number of examples and the options alone determine.
EVEN = [(name, options) for name, options in CASES if (name, options) != ("dirichlet", {"of": "classes"})]
every = pytest.mark.parametrize(("name", "options"), CASES, ids=str)
even = pytest.mark.parametrize(("name", "options"), EVEN, ids=str)


def parts_of(name, groups, labels=DIGITS, seed=0, **options):
    return PARTITIONS[name](labels, groups, np.random.default_rng(seed), **options)


def groups_of(parts):
    return np.split(parts.order, parts.sizes.cumsum()[:-1])


def unlikeness(labels, groups):
    """The mean distance in total variation of the groups' shares of classes from those of all examples."""
    classes = classes_of(labels)
    shares = [np.bincount(classes[own], minlength=classes.max() + 1) / len(own) for own in groups if len(own)]
    return np.abs(shares - np.bincount(classes) / len(classes)).sum(axis=1).mean() / 2


# --- all partitions ---------------------------------------------------------------------------------------------------


@st.composite
def labelled(draw):
    """Labels, classes or targets of a regression, and a number of groups."""
    examples = draw(st.integers(1, 60))
    kind = draw(st.sampled_from([st.integers(0, 4), st.floats(-2, 2)]))
    labels = np.array(draw(st.lists(kind, min_size=examples, max_size=examples)))
    return labels, draw(st.integers(1, examples))


@every
@given(data=labelled(), seed=st.integers(0, 9))
def test_each_example_is_in_one_group(name, options, data, seed):
    labels, groups = data
    defaults = {option: about.default for option, about in options_of(PARTITIONS[name]).items()}
    if PARTITIONS[name].refuses(len(labels), groups, **defaults | options):
        return
    parts = parts_of(name, groups, labels, seed, **options)
    assert parts.sizes.shape == (groups,)
    assert (parts.sizes >= 0).all()
    assert parts.sizes.sum() == len(labels)
    assert sorted(parts.order) == list(range(len(labels)))


@every
def test_the_generator_alone_decides(name, options):
    first, again, other = (parts_of(name, 12, seed=seed, **options) for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first.order, other.order)


@even
@pytest.mark.parametrize("groups", [1, 7, 100])
def test_sizes_are_nearly_equal(name, options, groups):
    parts = parts_of(name, groups, **options)
    assert np.ptp(parts.sizes) <= (2 if name == "shards" else 1)  # two shards a group
    if 600 % groups == 0 and name != "shards":
        assert (parts.sizes == 600 // groups).all()


@pytest.mark.parametrize("examples", [1, 5, 12, 13])
def test_equal_sizes_are_those_of_numpy(examples):
    for parts in range(1, 15):
        assert equal_sizes(examples, parts).tolist() == [len(each) for each in np.array_split(range(examples), parts)]


# --- one by one -------------------------------------------------------------------------------------------------------


def test_sorted_by_label_a_group_has_few_classes():
    few = [len(set(DIGITS[own])) for own in groups_of(parts_of("by_label", 30))]
    many = [len(set(DIGITS[own])) for own in groups_of(parts_of("iid", 30))]
    assert max(few) == 1
    assert min(many) > 1


def test_sorted_by_target_groups_are_intervals():
    labels = np.random.default_rng(1).normal(size=100)
    owned = [labels[own] for own in groups_of(parts_of("by_label", 7, labels))]
    assert all(before.max() < after.min() for before, after in pairwise(owned))


@pytest.mark.parametrize(("gamma", "same"), [(0.0, "by_label"), (1.0, "iid")])
def test_similarity_has_two_ends(gamma, same):
    mixed, pure = parts_of("similarity", 7, gamma=gamma), parts_of(same, 7)
    assert np.array_equal(mixed.order, pure.order)
    assert np.array_equal(mixed.sizes, pure.sizes)


def test_similarity_mixes_a_share_of_each_group():
    """Two classes, two groups: a group has its whole class but for half of gamma."""
    labels = np.repeat([0, 1], 5000)
    own = groups_of(parts_of("similarity", 2, labels, gamma=0.2))[0]
    assert (labels[own] == 1).mean() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_a_group_has_k_shards_of_the_sorted_examples(k):
    owned = groups_of(parts_of("shards", 10, k=k))
    length = 600 // (10 * k)
    for own in owned:  # the 60 examples of a class are k shards
        counts = np.bincount(DIGITS[own], minlength=10)
        assert (counts % length == 0).all()
        assert (counts > 0).sum() <= k


def test_too_many_shards_are_refused():
    assert PARTITIONS["shards"].refuses(600, 100, k=6) is None
    assert PARTITIONS["shards"].refuses(600, 100, k=7) == ("k", "allowed: 1 to 6 (600 examples)")


@pytest.mark.parametrize("of", ["groups", "classes"])
def test_groups_differ_the_more_the_smaller_a_is(of):
    values = (0.03, 0.3, 3.0, 30.0, 300.0) if of == "groups" else (0.003, 0.03, 0.3, 3.0, 30.0)
    labels = np.repeat(np.arange(10), 1000)
    differ = [
        np.mean(
            [unlikeness(labels, groups_of(parts_of("dirichlet", 20, labels, seed, a=a, of=of))) for seed in range(5)]
        )
        for a in values
    ]
    assert differ == sorted(differ, reverse=True)
    assert differ[0] > 0.7
    iid = unlikeness(labels, groups_of(parts_of("iid", 20, labels)))
    assert differ[-1] < iid + 0.05


def test_shares_of_groups_have_the_variance_of_their_dirichlet_law():
    """The first group is filled before a class has run out."""
    labels = np.repeat([0, 1], [3000, 7000])
    a, shares = 4.0, []
    for seed in range(300):
        own = groups_of(parts_of("dirichlet", 10, labels, seed, a=a))
        shares.append((labels[own[0]] == 0).mean())
    law = np.random.default_rng(0).beta(0.3 * a, 0.7 * a, size=100_000)
    assert np.mean(shares) == pytest.approx(0.3, abs=0.04)
    assert np.std(shares) == pytest.approx(np.std(law), rel=0.2)


def test_shares_of_classes_have_the_variance_of_their_dirichlet_law():
    a, groups = 0.5, 10
    sizes = np.array(
        [parts_of("dirichlet", groups, np.zeros(5000, int), s, a=a, of="classes").sizes for s in range(400)]
    )
    shares = sizes / 5000
    variance = (groups - 1) / groups**2 / (groups * a + 1)
    assert shares.mean(axis=0) == pytest.approx(0.1, abs=0.03)
    assert shares.var() == pytest.approx(variance, rel=0.15)


def test_targets_are_cut_into_bands_of_nearly_equal_size():
    labels = np.random.default_rng(0).normal(size=103)
    bands = classes_of(labels)
    assert np.ptp(np.bincount(bands)) <= 1
    assert bands.max() == BANDS - 1
    assert (np.diff(bands[labels.argsort()]) >= 0).all()
    assert classes_of(np.array([7, 3, 3])).tolist() == [1, 0, 0]


# --- groups and subsets -----------------------------------------------------------------------------------------------


def cut(name, subsets, groups, seed=0, labels=DIGITS, **options):
    generator = np.random.default_rng(seed)
    return divide(labels, subsets, groups, partial(PARTITIONS[name], generator=generator, **options), generator)


@every
def test_subsets_of_a_group_are_its_examples_at_random(name, options):
    whole, divided = parts_of(name, 6, **options), cut(name, 24, 6, **options)
    assert divided.sizes.shape == (24,)
    assert np.array_equal(divided.sizes.reshape(6, 4).sum(axis=1), whole.sizes)
    assert (np.ptp(divided.sizes.reshape(6, 4), axis=1) <= 1).all()
    for own, subsets in zip(groups_of(whole), np.split(divided.order, whole.sizes.cumsum()[:-1]), strict=True):
        assert set(own) == set(subsets)


def test_without_groups_the_partition_makes_the_subsets():
    for got, want in zip(cut("shards", 20, None), parts_of("shards", 20), strict=True):
        assert np.array_equal(got, want)


def test_heterogeneity_is_between_groups_and_not_between_their_subsets():
    labels = np.repeat(np.arange(10), 1000)
    divided = groups_of(cut("by_label", 40, 5, labels=labels))
    for group in range(5):
        own = [np.bincount(labels[each], minlength=10) / len(each) for each in divided[8 * group : 8 * group + 8]]
        assert (np.ptp(own, axis=0) < 0.2).all()
        assert (np.mean(own, axis=0) > 0).sum() == 2


@pytest.mark.parametrize(
    ("groups", "says"), [(None, "subset 1 of 2 has 0 examples"), (2, "group 1 of 2 has 0 examples")]
)
def test_an_empty_part_is_refused(groups, says):
    def all_in_one(labels, groups):
        return Parts(np.arange(len(labels)), np.array([len(labels), 0]))

    with pytest.raises(KeyedError, match=says):
        divide(DIGITS, 2, groups, all_in_one, np.random.default_rng(0))


def test_a_group_with_fewer_examples_than_subsets_is_refused():
    with pytest.raises(KeyedError, match=r"group \d+ of 50 has \d+ examples, and needs at least 10; allowed: fewer"):
        cut("dirichlet", 500, 50, a=0.1, of="classes")


# --- the option -------------------------------------------------------------------------------------------------------

OPTION = TypeAdapter(Annotated[Any, PartitionChoice(PARTITIONS)])


def plain(value):
    return OPTION.dump_python(OPTION.validate_python(value), mode="json")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("iid", "iid"),
        ({"name": "by_label"}, "by_label"),
        ("shards", {"name": "shards", "k": 2}),
        ({"a": 1}, {"name": "dirichlet", "a": 1.0, "of": "groups"}),
        ({"name": "similarity", "gamma": -0.0}, {"name": "similarity", "gamma": 0.0}),
    ],
)
def test_a_value_has_one_form(given, value):
    assert plain(given) == value
    assert plain(value) == value
    assert str(plain(given)) == str(value)  # 0.0 and not -0.0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("sorted", "unknown partition; allowed: iid"),
        ({"name": "iid", "a": 1}, "iid has no options"),
        ({}, "expected a name"),
        ({"b": 1}, "expected a name"),
        (3, "expected a name"),
        ({"name": []}, "unknown partition"),
        ({"name": "dirichlet", "a": 0}, "greater than or equal to 0.001"),
        ({"name": "shards", "k": True}, "valid integer"),
        ({"name": "shards", "a": 1}, "not permitted"),
    ],
)
def test_other_values_are_refused(given, says):
    with pytest.raises(ValidationError, match=says):
        plain(given)


def test_name_and_options_come_apart():
    assert chosen("iid") == ("iid", {})
    assert chosen({"name": "dirichlet", "a": 2}) == ("dirichlet", {"a": 2})
