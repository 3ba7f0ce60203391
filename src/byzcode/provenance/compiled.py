"""What the compiled kernels are made of: their sources, the flags of the compiler, and a fingerprint of both.

``setup.py`` runs this file by itself, so it imports nothing of the package. The library carries the fingerprint with
which it was built; :mod:`byzcode.kernels.native` does not use a library of another one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

#: The folder of the sources in the package.
FOLDER = "kernels"

#: No contraction of a * b + c: the same bits as in torch.
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti", "-Wno-psabi")

#: The macro by which the fingerprint is handed to the compiler.
MACRO = "BYZCODE_FINGERPRINT"

_TEXT = r'"(?:\\.|[^"\\])*"|' + r"'(?:\\.|[^'\\\n])+'"
_COMMENT = re.compile(rf"//[^\n]*|/\*.*?\*/|({_TEXT})", re.DOTALL)
_OPERATOR = r"<<=|>>=|->|\+\+|--|<<|>>|&&|\|\||::|[-+*/%&|^<>=!]=|[^\w\s]"
_WORD = re.compile(rf"^[ \t]*#.*|{_TEXT}|\w+|{_OPERATOR}", re.MULTILINE)
_INCLUDED = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def words(source: str) -> list[str]:
    """The words of a source in C++, without comments and blank space; a line of the preprocessor is one word."""
    joined = source.replace("\\\n", "")
    bare = _COMMENT.sub(lambda match: match[1] or " ", joined)  # a text may contain what looks like a comment
    return [" ".join(word.split()) if word.lstrip().startswith("#") else word for word in _WORD.findall(bare)]


def with_included(name: str, sources: Mapping[str, str]) -> list[str]:
    """A source and those of the package that it includes, directly or not."""
    names = [name]
    for each in names:  # grows on the way
        included = [f"{FOLDER}/{inner}" for inner in _INCLUDED.findall(sources[each])]
        names += [inner for inner in included if inner in sources and inner not in names]
    return names


def fingerprint(sources: Mapping[str, str]) -> str:
    """A hash of the compiled sources, by their paths in the package, and of the flags. Comments do not count."""
    compiled = {name: text for name, text in sources.items() if name.endswith((".cpp", ".h"))}
    digest = hashlib.sha256("\n".join(FLAGS).encode())
    for name in sorted(compiled):
        digest.update("\0".join([name, *words(compiled[name])]).encode() + b"\n")
    return digest.hexdigest()[:12]
