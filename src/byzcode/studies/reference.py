"""The reference of all keys, generated from the models that validate the files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from byzcode.data import PARTITIONS
from byzcode.data.chosen import option_model
from byzcode.errors import component_models
from byzcode.specs.components import Component
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec
from byzcode.specs.settings import Byzantine, Record
from byzcode.studies.alternatives import Alternative, MultiverseConfig, OpenChoice, Selection
from byzcode.studies.claim import Equivalent, Falls, Grows, Law, Lower, Open, OtherKind, Predicted, Side
from byzcode.studies.plots import (
    AllocationPlot,
    BoundsPlot,
    HeatmapPlot,
    PricePlot,
    RatioPlot,
    SweepPlot,
    TrajectoryPlot,
    VariancePlot,
)
from byzcode.studies.study import Choice, Curve, LineStyle, Reading, Study
from byzcode.studies.workflow_config import DataSettings, WorkflowConfig

_SECTIONS: dict[str, type[BaseModel]] = {
    "`config.yaml`: studies and settings": WorkflowConfig,
    "`data` of `config.yaml`": DataSettings,
    "A study": Study,
    "A curve of a study (and any field of a run)": Curve,
    "A plot of kind `trajectories`": TrajectoryPlot,
    "A plot of kind `sweep`": SweepPlot,
    "A plot of kind `heatmap`": HeatmapPlot,
    "A plot of kind `allocation`": AllocationPlot,
    "A plot of kind `ratio`": RatioPlot,
    "A plot of kind `price`": PricePlot,
    "A plot of kind `variance`": VariancePlot,
    "A plot of kind `bounds`": BoundsPlot,
    "A run": RunSpec,
    "`byzantine` of a run": Byzantine,
    "`record` of a run": Record,
    "A reading": Reading,
    "A choice of a reading": Choice,
    "A claim with the test `lower`": Lower,
    "A claim with the test `equivalent`": Equivalent,
    "A claim with the test `falls`": Falls,
    "A claim with the test `grows`": Grows,
    "A claim with the test `law`": Law,
    "A claim with the test `predicted`": Predicted,
    "A claim with the test `open`": Open,
    "A side of a claim": Side,
    "Another kind of a claim at a place": OtherKind,
    "`readings/alternatives.yaml`: an open choice": OpenChoice,
    "One of its alternatives": Alternative,
    "`multiverse.yaml`: claims under other readings": MultiverseConfig,
    "Its claims to test": Selection,
    "A line of `style.yaml`": LineStyle,
}


def reference() -> str:
    """All keys, names and options as Markdown."""
    return "\n".join([*_keys(), *_components(), *_methods()]) + "\n"


def _keys() -> Iterator[str]:
    settled = {key for method in METHODS.values() for key in method.defaults}
    for title, model in _SECTIONS.items():
        yield f"### {title}\n"
        yield "| key | default | meaning |\n|---|---|---|"
        for name, field in model.model_fields.items():
            if not field.is_required():
                default = _shown(field.default)
            else:
                default = "the method's" if name in settled and model is RunSpec else "required"
            yield f"| `{name}` | {default} | {field.description or ''} |"
        yield ""


def _components() -> Iterator[str]:
    yield "### Names and their options\n"
    yield "A component is a name (`median`) or a mapping of name and options (`{name: sign_flip, coefficient: -2}`).\n"
    yield "| key | name | options | |\n|---|---|---|---|"
    for key in COMPONENTS:
        for model in component_models(RunSpec, key):
            yield f"| `{key}` | `{model.__name__}` | {_options(model)} | {model.__doc__} |"
    yield ""
    yield "Problems on data take a partition as an option, such as `partition: {name: dirichlet, a: 0.1}`.\n"
    yield "| partition | options | |\n|---|---|---|"
    for name, entry in PARTITIONS.items():
        yield f"| `{name}` | {_options(option_model(name, entry))} | {option_model(name, entry).__doc__} |"
    yield ""


def _options(model: type[BaseModel]) -> str:
    """The options of a component, with their defaults."""
    fields = {name: field for name, field in model.model_fields.items() if name != "name"}
    return "<br>".join(f"`{name}` ({_shown(field.default)}): {field.description}" for name, field in fields.items())


def _methods() -> Iterator[str]:
    yield "### Methods\n"
    yield "| method | settles | source |\n|---|---|---|"
    for name, method in METHODS.items():
        settled = [f"{key}: {_shown(value)}" for key, value in {**method.defaults, **method.fixed}.items()]
        yield f"| `{name}` | {', '.join(settled)}; server: {method.server} | {method.source} |"


def _shown(value: Any) -> str:
    if isinstance(value, Component):
        return f"`{value.name}`"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, tuple):
        value = list(value)
    return "" if value is None else f"`{json.dumps(value)}`"
