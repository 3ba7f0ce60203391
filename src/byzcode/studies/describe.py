"""A description of a run in words."""

from __future__ import annotations

from byzcode.compression import COMPRESSORS
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.specs.components import Component
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec
from byzcode.studies.fields import in_digits

_SERVER = {
    "rule": "aggregates all messages by {rule}",
    "votes": "votes on the copies of each file ({vote}), and aggregates the results by {rule}",
    "decoder": "decodes the messages",
    "honest_mean": "knows the Byzantine devices and averages the honest messages",
    "true_gradient": "is given the true gradient",
}
_IDENTITIES = {
    "redrawn": "redrawn at each iteration",
    "persistent": "the same throughout",
    "chosen": "chosen against the allocation",
}


_IDENTITIES = {
    "redrawn": "redrawn at each iteration",
    "persistent": "the same throughout",
    "chosen": "those that win many votes, the same throughout",
}


def describe(spec: RunSpec) -> str:
    """Describe a run in a few sentences."""
    method = METHODS[spec.method]
    rule = _words(spec.aggregation)
    if not PRE_AGGREGATORS[spec.pre_aggregation.name].idle:
        rule += f" behind {_words(spec.pre_aggregation)}"
    server = _SERVER[method.server].format(rule=rule, vote=method.vote)
    if spec.assumed_alpha is not None:
        server += f"; it assumes {spec.assumed_f} Byzantine devices (assumed_alpha = {in_digits(spec.assumed_alpha)})"
    if spec.estimates:
        server += f"; it estimates the number of Byzantine devices ({_words(spec.estimation)})"
    if spec.undecodable is not None:
        server += f"; but beyond its radius: {spec.undecodable}. It is trained nevertheless"
    if spec.undefined is not None:
        server += f"; but it is undefined: {spec.undefined}. Only iteration 0 is recorded"
    if spec.f:
        about = f"alpha = {in_digits(spec.byzantine.alpha)}, {_IDENTITIES[spec.byzantine.identities]}"
        attack = f"{spec.f} devices are Byzantine ({about}); attack: {_words(spec.attack)}."
        if not COMPRESSORS[spec.compression.name].lossless:
            attack += f" Their messages are {'also' if spec.byzantine.compressed else 'not'} compressed."
    else:
        attack = "No device is Byzantine."
    if spec.timed:
        attack += f" {spec.absent} of {spec.devices} devices do not answer in an iteration: {_words(spec.absence)}."
    every = "every {}".format if spec.record.spacing == "every" else "log-spaced, {} per decade".format
    return "\n".join(
        [
            f"{method.title}: {method.source}.",
            f"Problem: {_words(spec.problem)}.",
            f"Each of {spec.devices} devices holds {spec.redundancy} of {spec.subsets} subsets, "
            f"by {_words(spec.allocation)} allocation ({spec.assignment}); encoding {_words(spec.encoding)}, "
            f"compression {_words(spec.compression)}.",
            attack,
            f"The server {server}.",
            f"{spec.iterations} steps of size {_step(spec)} from {spec.start}, in {spec.dtype}; "
            f"recorded: {every(spec.record.step)}.",
            f"Seeds: {', '.join(map(str, spec.seeds))}.",
        ]
    )


def _step(spec: RunSpec) -> str:
    """The size of the first step, how it changes, if it does, and the momentum, if there is any."""
    size = f"{in_digits(spec.step_size)} / L" if spec.step_unit == "1/L" else in_digits(spec.step_size)
    changes = [] if spec.step_schedule.name == "constant" else [f"schedule {_words(spec.step_schedule)}"]
    changes += [f"momentum {in_digits(spec.momentum)}"] if spec.momentum else []
    return f"{size} ({', '.join(changes)})" if changes else size


def _words(component: Component) -> str:
    options = ", ".join(f"{name} {value}" for name, value in component.options.items())
    name = component.name.replace("_", " ")
    return f"{name} ({options})" if options else name
