"""The training loop, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import partial

from byzcode.attacks import Threat
from byzcode.lazy import torch
from byzcode.problems import minibatch
from byzcode.training.arrivals import Arrivals
from byzcode.training.batch import Batch
from byzcode.training.channel import Channel
from byzcode.training.devices import Devices, exclusive, messages, relabelled
from byzcode.training.iterate import Iterate
from byzcode.training.liars import Liars
from byzcode.training.measures import Moment, Recorder
from byzcode.training.momentum import Momentum
from byzcode.training.server import server_of

#: Called with the number of seed-iterations done since the last call.
Progress = Callable[[int], None]


def loop(batch: Batch, advance: Progress, wanted: Container[str] | None = None) -> Recorder:
    """Train R runs. On a GPU the loop never waits for the device; the recorded values stay there until the end.

    Quantities that are not ``wanted`` are not measured; None wants all.
    """
    spec, problem, seeds = batch.spec, batch.problem, batch.seeds
    theta = problem.start()
    devices = Devices(theta, batch.assigned, batch.weights, seeds, spec.subsets, assignment=spec.assignment)
    momentum = Momentum(spec.momentum)
    channel, recorder = Channel(spec, seeds), Recorder(spec, problem, wanted)
    server, liars = server_of(spec, seeds, batch.assigned), Liars(batch, theta.device)
    arrivals, absent = Arrivals(spec, seeds, devices.loads), spec.absent
    for iteration in range(spec.iterations + 1):
        at, codes = Iterate(problem, theta), devices.codes(iteration)
        drawn = minibatch(problem, iteration)
        sampled = at if drawn is problem else Iterate(drawn, theta)
        lying, honest = liars.at(iteration, codes)
        arrival = arrivals.at(iteration, lying, honest, codes.parts[0].devices)
        threat = Threat(
            liars=lying,
            honest=arrival.honest,
            aggregate=partial(server.aggregate, present=arrival.present, iteration=iteration),
            relabelled=partial(relabelled, sampled, codes),
            exclusive=partial(exclusive, sampled, devices, codes, arrival.honest),
            iteration=iteration,
            absent=absent,
        )
        exchange = channel.carry(messages(sampled, codes), threat, iteration, arrival.present)
        moment = Moment(at, sampled, exchange, server.answer(exchange, at), arrival.time)
        if done := recorder.enter(moment):
            advance(len(seeds) * done)
            if recorder.all_ended(iteration):
                advance(len(seeds) * (spec.iterations - iteration))
                break
        recorder.count(moment)
        along = momentum.of(moment.answer.aggregate)
        theta = torch.addcmul(theta, batch.step, along, value=-batch.schedule(iteration))
        del exchange, moment  # so that the next iteration reuses their memory, which is still in the caches
    return recorder
