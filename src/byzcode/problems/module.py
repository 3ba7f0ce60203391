"""Classification by the user's own torch module, named as ``package.module:factory``, on a data set.

``factory(features, classes)`` returns a :class:`torch.nn.Module` that maps examples (n, features) to scores
(n, classes); ``torch.nn:Linear`` is such a factory. Images are flattened rows, which ``torch.nn.Unflatten`` restores.
If the module has a method ``loss(scores, labels)``, it returns the losses (n,) of examples with labels (n,) from 0 to
classes - 1; otherwise the loss is the cross entropy. F averages over examples. theta has the parameters that need a
gradient, in the module's order; all else, such as buffers, is constant and must be the same for all seeds.

The gradients of the subsets are computed by ``torch.func.vmap`` of ``torch.func.grad``, some subsets at a time. If
those of a run have at most KEPT numbers, they are computed once per iteration; otherwise each use computes them again,
and never are more than a block of them in memory.

The factory is called once per seed, with torch's random numbers seeded by that seed, so the first parameters are the
same for all methods. A module is refused if the scores of an example depend on more than this example and the
parameters (:mod:`byzcode.problems.module_trial`): if it has state that changes (batch norm) or draws random numbers
(dropout). F is not assumed to be convex. Neither its optimum nor its smoothness is known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from byzcode.data import DATA_SETS
from byzcode.errors import complain
from byzcode.problems import users_module
from byzcode.problems.labelled import METRICS, placed, tensors_of
from byzcode.problems.module_problem import BLOCK, KEPT, ModuleProblem
from byzcode.problems.module_trial import outline
from byzcode.problems.on_data import (
    LABELS,
    TABLES,
    Chosen,
    Data,
    Divided,
    Evaluated,
    Groups,
    Minibatch,
    Subsets,
    available,
    count_examples,
    divisions,
)
from byzcode.problems.problem import ProblemKind, Sizes

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def _is_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("allowed: package.module:factory, the name of a function or class in a Python module")
    return value


Name = Annotated[
    str,
    Field(
        max_length=200,
        description=(
            "package.module:factory, where factory(features, classes) returns a torch.nn.Module that maps examples "
            "(n, features) to scores (n, classes), and may have a method loss(scores, labels)."
        ),
    ),
    AfterValidator(_is_name),
]


def module(
    seeds: Sequence[int],
    device: str,
    dtype: str,
    *,
    module: Name = "torch.nn:Linear",
    data: Data = "digits",
    subsets: Subsets = 100,
    partition: Divided = "iid",
    examples: Chosen = None,
    groups: Groups = None,
    minibatch: Minibatch = None,
    evaluate: Evaluated = "test",
) -> ModuleProblem:
    """Classification by a torch module of the user. The seed also determines the first parameters."""
    known = DATA_SETS[data]
    of_data = (module, known.features, known.classes)
    sizes = outline(*of_data)
    divided = divisions(
        seeds, data=data, subsets=subsets, partition=partition, examples=examples, groups=groups, evaluate=evaluate
    )
    drawn = tensors_of(divided, seeds, known.classes)
    drawn["first"] = users_module.first(*of_data, seeds)
    for place, seed in enumerate(seeds):
        own = {name: each[place : place + 1] for name, each in drawn.items()}
        model = users_module.model(*of_data, "cpu", dtype)
        _check_first(seed, ModuleProblem(model=model, kept=sizes.kept, minibatch=None, **placed(own, "cpu", dtype)))
    made = users_module.model(*of_data, device, dtype)
    return ModuleProblem(model=made, kept=sizes.kept, minibatch=minibatch, **placed(drawn, device, dtype))


def _check_first(seed: int, problem: ModuleProblem) -> None:
    """Raise UserError if the loss or its gradient at the first parameters is not finite."""
    forward = problem.forward(problem.start())
    for what, values in (("the loss", problem.loss(forward)), ("its gradient", problem.gradient(forward))):
        if not values.isfinite().all():
            reason = f"{what} at the first parameters is NaN or infinite"
            raise complain(f"seed {seed}", f"problem.{users_module.KEY}", problem.model.name, reason)


def _sizes(*, module: str, data: str, subsets: int, evaluate: str = "test", **division: Any) -> Sizes:
    known, (_, tests) = DATA_SETS[data], available(data, evaluate)
    samples = count_examples(data=data, subsets=subsets, evaluate=evaluate, **division)
    dimension, kept = outline(module, known.features, known.classes)
    gradients = subsets * dimension
    return Sizes(
        subsets=subsets,
        samples=samples,
        dimension=dimension,
        data=samples * known.features,
        memory=2 * (samples + tests) * (known.features + known.classes)
        + (2 * gradients if gradients <= KEPT else 0)
        + 3 * min(gradients, max(BLOCK, dimension))
        + 3 * min(max(samples, tests) * kept, max(BLOCK, kept))
        + 2 * dimension,
    )


ENTRY = ProblemKind(
    module,
    sizes=_sizes,
    title="module",
    tables=TABLES,
    modules=("module",),
    labels=LABELS,
    knows=frozenset(),
    metrics=METRICS,
)
