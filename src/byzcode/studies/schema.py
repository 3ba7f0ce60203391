"""The JSON schemas that editors and other tools read, from the same models that check the files."""

from __future__ import annotations

import json

from pydantic import BaseModel

from byzcode.studies.spec import RunSpec
from byzcode.studies.study import Reading, Study, WorkflowConfig

SCHEMAS: dict[str, type[BaseModel]] = {
    "config": WorkflowConfig,
    "study": Study,
    "reading": Reading,
    "run": RunSpec,
}


def as_text(model: type[BaseModel]) -> str:
    """The schema of what may be written (defaults left out), as stable JSON."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(mode="validation")}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
