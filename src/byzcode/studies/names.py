"""Names, keys and marks: the words that studies, claims and readings are written with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Key = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)*$")]

#: Whence a value comes: the marks of the project's reading of the papers.
Mark = Literal["stated", "inferred", "unknown", "derived"]

#: What is measured in a training.
Quantity = Literal[
    "loss",
    "excess_loss",
    "aggregation_error",
    "honest_dispersion",
    "coding_bias",
    "heterogeneity",
    "largest_heterogeneity",
    "gradient_norm",
    "distance_to_optimum",
]

#: A bound on the error of the aggregate, by its name in ``byzcode.bounds.bounds``.
BoundName = Literal["rule", "device", "pairs", "allocation", "expected"]
