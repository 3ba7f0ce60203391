"""What mkdocs calls while it builds the pages (mkdocs.yml): sources, generated tables, formulas as MathML."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import sources
import tables
from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

#: Pages that the navigation names and that need not be there.
OPTIONAL = ("python.md",)

_texts: dict[str, str] = {}
_MATH = re.compile(r'(<(span|div) class="arithmatex">)\\[(\[](.*?)\\[)\]](</\2>)', re.DOTALL)
#: A role of reStructuredText in a docstring, as Markdown shows it.
_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):(<code>)~?(.*?</code>)", re.DOTALL)


def on_config(config: Any) -> Any:
    """Leave an optional page out of the navigation if it is not there."""
    absent = {page for page in OPTIONAL if not (sources.DOCS / page).is_file()}
    config.nav = [_without(entry, absent) for entry in config.nav]
    return config


def _without(entry: Any, absent: set[str]) -> Any:
    if isinstance(entry, dict):
        return {title: _without(listed, absent) for title, listed in entry.items()}
    if isinstance(entry, list):
        return [page for page in entry if page not in absent]
    return entry


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are no file of docs/."""
    _texts.clear()
    _texts.update(sources.pages(tables.expanded))
    for uri in _texts:
        if files.get_file_from_path(uri) is None:
            files.append(File.generated(config, uri, content=_texts[uri]))
    return files


def on_page_read_source(page: Any, config: Any) -> str | None:
    """The text of a page, with its tables and links."""
    return _texts.get(page.file.src_uri)


def on_page_content(content: str, page: Any, config: Any, files: Files) -> str:
    """Formulas as MathML, which browsers show without a script."""
    return _ROLE.sub(r"\1\2", _MATH.sub(_formula, content))


def _formula(found: re.Match[str]) -> str:
    formula = convert(html.unescape(found[3]), display="block" if found[2] == "div" else "inline")
    # Bars of norms as high as they are written: browsers stretch them, each on its own.
    return found[1] + formula.replace("<mo>&#x02016;</mo>", '<mo stretchy="false">&#x02016;</mo>') + found[4]


def on_post_build(config: Any) -> None:
    """Leave out what only a server needs."""
    for name in ("sitemap.xml", "sitemap.xml.gz"):
        Path(config.site_dir, name).unlink(missing_ok=True)
