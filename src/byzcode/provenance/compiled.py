"""The recipe of the compiled kernels: their sources, the compiler flags, and a fingerprint of both.

``setup.py`` runs this file on its own, so it imports nothing from the package. The library stores the fingerprint of
its build; :mod:`byzcode.kernels.native` does not use a library with another fingerprint.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

#: The folder in the package that contains the sources.
FOLDER = "kernels"

#: Without contraction of a * b + c the bits are the same as in torch.
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti", "-Wno-psabi")

#: The macro that passes the fingerprint to the compiler.
MACRO = "BYZCODE_FINGERPRINT"

_TEXT = r'"(?:\\.|[^"\\])*"|' + r"'(?:\\.|[^'\\\n])+'"
_COMMENT = re.compile(rf"//[^\n]*|/\*.*?\*/|({_TEXT})", re.DOTALL)
_OPERATOR = r"<<=|>>=|->|\+\+|--|<<|>>|&&|\|\||::|[-+*/%&|^<>=!]=|[^\w\s]"
_WORD = re.compile(rf"^[ \t]*#.*|{_TEXT}|\w+|{_OPERATOR}", re.MULTILINE)
_INCLUDED = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def words(source: str) -> list[str]:
    """The tokens of a C++ source, without comments and white space; a preprocessor line is one token."""
    joined = source.replace("\\\n", "")
    bare = _COMMENT.sub(lambda match: match[1] or " ", joined)  # keep literals, which may look like comments
    return [" ".join(word.split()) if word.lstrip().startswith("#") else word for word in _WORD.findall(bare)]


def with_included(name: str, sources: Mapping[str, str]) -> list[str]:
    """A source, and the sources of the package that it includes directly or indirectly."""
    names = [name]
    for each in names:  # the list grows during the loop
        included = [f"{FOLDER}/{inner}" for inner in _INCLUDED.findall(sources[each])]
        names += [inner for inner in included if inner in sources and inner not in names]
    return names


def fingerprint(sources: Mapping[str, str]) -> str:
    """A hash of the flags and of the compiled sources, given by path in the package. Comments do not count."""
    compiled = {name: text for name, text in sources.items() if name.endswith((".cpp", ".h"))}
    digest = hashlib.sha256("\n".join(FLAGS).encode())
    for name in sorted(compiled):
        digest.update("\0".join([name, *words(compiled[name])]).encode() + b"\n")
    return digest.hexdigest()[:12]
