"""Files generated from the models that validate input: JSON schemas, and the reference in config/README.md."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from byzcode.specs.run import RunSpec
from byzcode.studies.alternatives import Alternatives, MultiverseConfig
from byzcode.studies.files import read_text
from byzcode.studies.reference import reference
from byzcode.studies.study import Reading, Study
from byzcode.studies.workflow_config import WorkflowConfig

SCHEMAS: dict[str, type[BaseModel]] = {
    "config": WorkflowConfig,
    "study": Study,
    "reading": Reading,
    "run": RunSpec,
    "alternatives": Alternatives,
    "multiverse": MultiverseConfig,
}

#: The line before the reference in config/README.md.
MARK = "<!-- reference -->\n"


def generated(project: Path) -> dict[Path, str]:
    """The generated files of a project folder with their expected content. Raises UserError."""
    readme = project / "config/README.md"
    before, mark, _ = read_text(readme).partition(MARK)
    schemas = {project / f"workflow/schemas/{name}.schema.json": as_text(model) for name, model in SCHEMAS.items()}
    return schemas | {readme: f"{before}{mark}\n{reference()}"}


def as_text(model: type[BaseModel]) -> str:
    """The schema of a file, in which defaults may be left out, as stable JSON."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(mode="validation")}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
