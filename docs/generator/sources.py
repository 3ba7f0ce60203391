"""The sources of the pages: files of docs/, files elsewhere in the project, and a page for each file that they link to.

A page is Markdown whose links are those of its source file. Here they become links between pages: to the page that a
file is, to a file of docs/, or to a page that shows the file, under ``files/``. What is in none of them stays as it is,
and the build refuses it.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

#: The pages that are files elsewhere in the project, with their titles in the navigation.
ELSEWHERE = {
    "overview.md": ("README.md", "Overview"),
    "first-steps.md": ("examples/first-steps.ipynb", "First steps in Python"),
    "contributing.md": ("CONTRIBUTING.md", "Contributing"),
    "configuration.md": ("config/README.md", "Configuration"),
    "results.md": ("results/README.md", "Files of results"),
}

#: The language of the colours of a file, by its suffix; others have none.
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".cff": "yaml", ".md": "markdown"}
_LANGUAGES |= {".smk": "python", ".cpp": "cpp", ".h": "cpp"}
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)\s#]+)(?=[)#])")
_FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2 *$", re.MULTILINE | re.DOTALL)


def pages(expanded: Callable[[str], str]) -> dict[str, str]:
    """The Markdown of every page, by its path below docs/; ``expanded`` puts in what is generated."""
    origins = {uri: source for uri, (source, _) in ELSEWHERE.items()}
    origins |= {path.name: f"docs/{path.name}" for path in sorted(DOCS.glob("*.md"))}
    texts = {uri: expanded(_markdown(origin)) for uri, origin in origins.items()}
    by_origin = {origin: uri for uri, origin in origins.items()}
    shown: dict[str, str] = {}

    def led(uri: str, text: str) -> str:
        """The text with the links of its pages."""
        folder = posixpath.dirname(origins[uri])

        def link(found: re.Match[str]) -> str:
            target = posixpath.normpath(posixpath.join(folder, found[1]))
            if target in by_origin:
                page = by_origin[target]
            elif target.startswith("docs/"):
                page = target.removeprefix("docs/")
            elif not target.startswith("..") and (ROOT / target).exists():
                page = f"files/{target}.md"
                shown.setdefault(page, target)
            else:
                return found[1]
            return posixpath.relpath(page, posixpath.dirname(uri) or ".")

        return _outside_fences(text, lambda part: _LINK.sub(link, part))

    linked = {uri: _with_title(uri, led(uri, text)) for uri, text in texts.items()}
    return linked | {page: _shown(target) for page, target in sorted(shown.items())}


def _markdown(origin: str) -> str:
    """A page as it is written: a file of Markdown, or a notebook, with its code in fences and without outputs."""
    text = (ROOT / origin).read_text(encoding="utf-8")
    if not origin.endswith(".ipynb"):
        return text
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(own if kind == "markdown" else f"```python\n{own}\n```" for kind, own in cells) + "\n"


def _with_title(uri: str, text: str) -> str:
    return f"---\ntitle: {ELSEWHERE[uri][1]}\n---\n\n{text}" if uri in ELSEWHERE else text


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def _shown(target: str) -> str:
    """A page that shows a file, or what is in a folder; the search leaves it out."""
    path = ROOT / target
    name = posixpath.basename(target)
    head = f"---\ntitle: {name}\nsearch:\n  exclude: true\nhide: [navigation]\n---\n\n# `{target}`\n\n"
    if path.is_dir():
        return head + "\n".join(f"- `{each}`" for each in _within(path)) + "\n"
    text = path.read_text(encoding="utf-8")
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall(r"^ *(`{3,})", text, re.MULTILINE))])
    return f"{head}{fence}{_LANGUAGES.get(path.suffix, 'text')}\n{text.rstrip()}\n{fence}\n"


def _within(folder: Path) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (str((Path(here) / name).relative_to(ROOT)) for name in sorted(files) if not name.endswith(".so"))
