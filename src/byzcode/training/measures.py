"""The measurements at a recorded iteration, in one table, and the counts that accumulate over all iterations."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, cast

from byzcode.kernels.distances import lengths
from byzcode.lazy import torch
from byzcode.problems import Metric, Problem, Solved
from byzcode.specs.quantities import WALL_TIME, constants_of, counts_of, quantities_of
from byzcode.specs.run import RunSpec
from byzcode.training.channel import Exchange
from byzcode.training.iterate import Iterate
from byzcode.training.records import Book, Measurements
from byzcode.training.server import Answer

if TYPE_CHECKING:
    from torch import Tensor

#: Relative tolerance for counting a decoded gradient as exact; the scale is heterogeneity plus gradient norm.
EXACT = 1e-6


class Moment:
    """An iteration: the iterate, the messages and the server's answer.

    ``sampled`` has the gradients that the devices combine: those of the minibatch, or of all samples (``at``). ``time``
    (R,) is how long the server waits, if that is modelled.
    """

    def __init__(
        self, at: Iterate, sampled: Iterate, exchange: Exchange, answer: Answer, time: Tensor | None = None
    ) -> None:
        self.at, self.sampled, self.exchange, self.answer, self.time = at, sampled, exchange, answer, time

    @cached_property
    def dispersion(self) -> tuple[Tensor, Tensor]:
        """The dispersion of honest messages, and the distance of their mean from the gradient, both (R,)."""
        return dispersion(self.exchange.honest, self.at.gradient)


def _solved(at: Iterate) -> Solved:
    return cast(Solved, at.problem)


#: The function that measures each quantity, (R,).
MEASURES: Mapping[str, Callable[[Moment], Tensor]] = {
    "loss": lambda moment: moment.at.loss,
    "excess_loss": lambda moment: _solved(moment.at).excess_loss(moment.at.forward),
    "aggregation_error": lambda moment: lengths(moment.answer.aggregate - moment.at.gradient),
    "honest_dispersion": lambda moment: moment.dispersion[0],
    "coding_bias": lambda moment: moment.dispersion[1],
    "heterogeneity": lambda moment: moment.at.heterogeneity,
    "largest_heterogeneity": lambda moment: moment.at.problem.largest_heterogeneity(
        moment.at.forward, moment.at.gradient
    ),
    "gradient_norm": lambda moment: moment.at.gradient_norm,
    "distance_to_optimum": lambda moment: lengths(moment.at.theta - _solved(moment.at).optimum),
    "estimated_f": lambda moment: cast("Tensor", moment.answer.estimated),
}


class Recorder:
    """Measures and records a batch of runs: the loss, the counts, and those of its quantities that are ``wanted``."""

    def __init__(self, spec: RunSpec, problem: Problem, wanted: Container[str] | None = None) -> None:
        theta, metrics = problem.start(), spec.problem_kind.metrics
        self._on_cpu, self._undefined = theta.device.type == "cpu", bool(spec.undefined)
        self._rows = spec.answering * spec.vectors
        self._measures = {
            name: MEASURES[name] if name in MEASURES else _of_problem(name, metrics)
            for name in quantities_of(spec)
            if wanted is None or name == "loss" or name in wanted
        }
        self._ledger = Ledger(theta)
        self._book = Book(
            theta,
            spec.record.iterations(spec.iterations),
            spec.diverged_at,
            {name: getattr(problem, name) for name in constants_of(spec)},
            names=(*self._measures, *counts_of(spec)),
            undefined=self._undefined,
        )

    def enter(self, moment: Moment) -> int:
        """Record the iteration if the spec says so. Return the number of iterations since the last record, else 0."""
        iteration = moment.exchange.iteration
        if not self._book.wants(iteration):
            return 0
        if iteration == 0 and (lies := moment.exchange.lies) is not None:
            self._book.begin(lies, moment.answer.aggregate)
        measured = {name: measure(moment) for name, measure in self._measures.items()}
        self._book.enter(iteration, **measured, **self._ledger.totals())
        return self._book.since_last(iteration)

    def all_ended(self, iteration: int) -> bool:
        """Whether all runs are known to have ended. On a GPU this would have to wait, so only undefined runs count."""
        return self._undefined or (self._on_cpu and self._book.all_ended(iteration))

    def count(self, moment: Moment) -> None:
        """Add an iteration to the counts: bits, time, and failures and errors if the server decodes."""
        if moment.answer.failed is not None:
            at = moment.sampled  # a decoder is exact if it returns the gradient of what the devices computed with
            self._ledger.decoded(moment.answer, at.gradient, at.heterogeneity + at.gradient_norm)
        self._ledger.sent(moment.exchange.bits, self._rows)
        if moment.time is not None:
            self._ledger.waited(moment.time)

    def close(self) -> Measurements:
        """Return all measurements."""
        return self._book.close()


def _of_problem(name: str, metrics: Mapping[str, Metric]) -> Callable[[Moment], Tensor]:
    """The function that measures a quantity of a problem."""
    if other := metrics[name].one_minus:
        return lambda moment: 1 - moment.at.metric(other, metrics[other])
    return lambda moment: moment.at.metric(name, metrics[name])


class Ledger:
    """Counts since the start, (R,): bits sent, iterations not decoded or decoded wrongly, and the time they took."""

    def __init__(self, theta: Tensor) -> None:
        self._same = 0  # bits of messages whose length does not depend on their content
        self._bits = torch.zeros(len(theta), dtype=torch.float64, device=theta.device)
        self._failed, self._wrong, self._time = (torch.zeros_like(self._bits) for _ in range(3))

    def waited(self, time: Tensor) -> None:
        """Add the time of an iteration."""
        self._time = self._time + time

    def sent(self, bits: int | Tensor, rows: int) -> None:
        """Count the bits of all vectors that came in an iteration."""
        if isinstance(bits, int):
            self._same += bits * rows
        else:
            self._bits = self._bits + bits.sum(dim=-1)

    def decoded(self, answer: Answer, gradient: Tensor, scale: Tensor) -> None:
        """Count the failures that the decoder reports, and the wrong results, reported or not."""
        assert answer.failed is not None
        self._failed = self._failed + answer.failed
        self._wrong = self._wrong + ~(lengths(answer.aggregate - gradient) <= EXACT * scale)

    def totals(self) -> dict[str, Tensor]:
        """The counts, by their names in a trajectory file."""
        return {
            "bits_sent": self._bits + self._same,
            "decoding_failures": self._failed,
            "decoding_errors": self._wrong,
            WALL_TIME: self._time,
        }


def dispersion(among: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The root mean squared distance of honest messages (R, H, D) from their mean, and of that mean from the gradient.

    Both are (R,), and NaN if the messages are codewords, which have another length than the gradient.
    """
    if among.shape[-1] != gradient.shape[-1]:
        nothing = torch.full_like(gradient[:, 0], torch.nan)
        return nothing, nothing
    centre = among.mean(dim=-2)
    away = (among - centre.unsqueeze(-2)).flatten(-2)
    return lengths(away) / among.shape[-2] ** 0.5, lengths(centre - gradient)
