"""Run by the Python of roc-validator: ``python crate_validator.py FOLDER LEVEL`` prints the crate's issues as JSON.

The validator reads the context of RO-Crate from a network. Here it gets the part of that context (of RO-Crate 1.1) that
follows, so that it needs none; and it refuses every term that is not in this table.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from rocrate_validator import services
from rocrate_validator.models import Severity
from rocrate_validator.utils.http import HttpRequester

CONTEXT = "https://w3id.org/ro/crate/1.1/context"

#: Names that RO-Crate 1.1 takes from schema.org.
SCHEMA = """
    about actionStatus additionalType author citation codeRepository contentSize datePublished description
    encodingFormat endTime exampleOfWork familyName givenName hasPart identifier instrument isPartOf license mainEntity
    mentions name object pagination programmingLanguage propertyID result softwareRequirements softwareVersion startTime
    url value version volumeNumber workExample
    ComputerLanguage CreateAction CreativeWork Dataset Organization Periodical Person PropertyValue PublicationVolume
    ScholarlyArticle SoftwareApplication SoftwareSourceCode
"""
#: Its other names.
OTHERS = {
    "File": "http://schema.org/MediaObject",
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}


class Answer:
    """The context, as an answer of a server."""

    status_code = 200
    headers = {"Content-Type": "application/ld+json"}

    def __init__(self) -> None:
        named = {name: f"http://schema.org/{name}" for name in SCHEMA.split()}
        self.text = json.dumps({"@context": named | OTHERS})
        self.content = self.text.encode()

    def json(self) -> Any:
        return json.loads(self.text)


def answer(url: str, *_: object, **__: object) -> Answer:
    """The context; the test fails if the validator wants anything else."""
    if url != CONTEXT:
        raise ConnectionError(f"the validator asks for {url}")
    return Answer()


def main(folder: str, level: str) -> None:
    requester = HttpRequester()
    requester.get = requester.fetch_fresh = answer
    settings = services.ValidationSettings(
        rocrate_uri=folder,
        profile_identifier="workflow-run-crate",
        requirement_severity=getattr(Severity, level),
        no_cache=True,
    )
    issues = services.validate(settings).get_issues()
    print(json.dumps([[issue.check.identifier, issue.message, str(issue.violatingEntity)] for issue in issues]))


if __name__ == "__main__":
    main(*sys.argv[1:])
