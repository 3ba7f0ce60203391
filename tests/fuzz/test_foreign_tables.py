"""A table of claims from elsewhere, with markup and commands in every column, is a page of text."""

from __future__ import annotations

import shlex
from html.parser import HTMLParser

import pytest
from unit.fake_claims import VERSIONS, table

from byzcode.scorecard.page import page
from byzcode.scorecard.table import TEXTS

PAGES = {"scorecard.csv", "scorecard.html", "index.html"}

HOSTILE = [
    "<script>reached=1</script>",
    '"><img/src=x/onerror=reached=1>',
    "javascript:reached=1",
    "../../../etc/passwd",
    ";touch${IFS}canary;",
    "$(touch${IFS}canary)",
    "{{7*7}}</style></title><!--",
]


class Read(HTMLParser):
    """The elements of a page, and what its commands say."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.commands: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a command."""
        if self.elements and self.elements[-1][0] == "code" and data.startswith("snakemake "):
            self.commands.append(data)


@pytest.mark.parametrize("column", sorted(set(TEXTS) - {"kind", "mark", "test", "verdict"}))
@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_of_a_table_is_an_element_or_a_command(column: str, hostile: str) -> None:
    rows = table().head(3).assign(**{column: hostile})

    found = Read(page(rows, reading=hostile, versions=VERSIONS | {hostile: hostile}))

    tags = [tag for tag, _ in found.elements]
    assert not {*tags} & {"script", "img", "iframe"}
    assert tags.count("style") == tags.count("title") == 1
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    links = [str(attributes["href"]) for _, attributes in found.elements if "href" in attributes]
    assert all(link.startswith(("#", "figures/", "data:,")) or link in PAGES for link in links), links
    assert not [link for link in links if link.startswith("figures/") and "/" in link.removeprefix("figures/")]
    for command in found.commands:
        words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
        assert not {*words} & {";", "(", ")", "|", "&"}, command
        assert "$" not in "".join(part for part in command.split("'")[::2]), command
