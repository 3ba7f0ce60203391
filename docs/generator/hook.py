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

_texts: dict[str, str] = {}
_MATH = re.compile(r'(<(span|div) class="arithmatex">)\\[(\[](.*?)\\[)\]](</\2>)', re.DOTALL)
#: A role of reStructuredText in a docstring, as Markdown shows it.
_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):(<code>)~?(.*?</code>)", re.DOTALL)


def on_config(config: Any) -> Any:
    """Leave out of the navigation what is not there."""
    there = {path.name for path in sources.DOCS.glob("*.md")} | set(sources.ELSEWHERE)
    config.nav = [_only(entry, there) for entry in config.nav]
    return config


def _only(entry: Any, there: set[str]) -> Any:
    if isinstance(entry, dict):
        return {title: [page for page in listed if page in there] for title, listed in entry.items()}
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
    return found[1] + convert(html.unescape(found[3]), display="block" if found[2] == "div" else "inline") + found[4]


def on_post_build(config: Any) -> None:
    """Leave out what only a server needs."""
    for name in ("sitemap.xml", "sitemap.xml.gz"):
        Path(config.site_dir, name).unlink(missing_ok=True)
