"""Hostile inputs: values of the wrong kind, structures taken apart, text with bytes in it that no editor writes."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from hypothesis import strategies as st

# fmt: off
WORDS = [
    "", " ", "\n", "a\nb", "\t", "\x00", "\x1b[2J", "\ud800", "\u202egnihton", "\u2028", "\xa0", "\ufdfa",
    "\u05e9\u05dc", "\U0001f600", "e\u0301", "../x", "/etc/passwd", "~", "~root/x", "..", "-rf", "--help", "con",
    "a/b", "a b", "'", '"', ";", "$(touch canary)", "`touch canary`", "'; touch canary; '", "{wildcards.run}",
    "{input}", "{{0}}", "{", "%s", "%(x)s", "\\", "\\N{BULLET}", "$x^2$", "$", "$\\frac{1}$",
    "<script>alert(1)</script>", "&amp;", "]]>", "-->", "on", "__use_yte__", ".nan", "null", "x" * 61, "x" * 300,
    "\u00e9" * 5000, "a." * 400 + "a", "a" * 100_000, "median", "*", "cra_dl", "problem.subsets", "name",
    "config/config.yaml", "config", "**", "[", "config/../../x", "0", "1e9", "0x10", "1_000", "NaN", "Infinity",
]
NUMBERS = [
    0, -1, 1, 2, 3, 7, 10**4 + 1, 10**6, 10**9, 10**12, 10**15, 2**31, 2**63 - 1, 2**63, 2**64, -(10**30), 10**5000,
    0.0, -0.0, 0.1, 0.5, 0.999999, 1.5, -2.5, 5e-324, 1e-300, 1e-9, 1e9, 1e300, 1.7e308, float("inf"), float("nan"),
]
# fmt: on


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


# fmt: off
OTHERS: list[Any] = [
    None, True, False, [], {}, [[]], [{}], {"": ""}, {"name": None}, {"name": []}, {"name": "median", "x": 1}, [1, 1],
    [0.1, "a", None], ["a"] * 1000, {"a": {"b": {"c": {}}}}, {"name": "krum", "neighbours": 3}, nested(18), nested(30),
    list(range(3000)), {str(number): number for number in range(300)}, {"curve": "x", "where": {}},
]
#: What may well be right somewhere.
PLAUSIBLE: list[Any] = [
    *range(1, 13), 20, 0.05, 0.25, 0.3, 1.0, -3, 100, True, False, "mean", "krum", "trimmed_mean", "ma", "lad",
    "cra_dl", "draco_cyclic", "sgc_dl", "nnm", "bucketing", "ipm", "alie", "nan", "infinite", "mimic", "top_k", "qsgd",
    "cyclic", "random", "log", "redrawn", "persistent", "float32", "excess_loss", "aggregation_error", "iteration",
    "bits_sent", "redundancy", "attack", "seeds", "solid", "#000000", "Wörter: $x$ & <b>; {input}", "שלום 😀", "%s\\",
    "`x` *y* _z_ |a|", [4, 6], [1, 2, 3], ["median", "mean"], {"name": "sign_flip", "coefficient": -1e308},
    {"name": "constant", "value": 1e300}, {"spacing": "log", "step": 3},
]
# fmt: on
HOSTILE = [*WORDS, *NUMBERS, *OTHERS]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a structure, but for the whole of it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, each in inner for place in ((*at, key), *places(each, (*at, key)))]


def _reach(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


_TAKEN_APART = ["drop", "double", "rename", "move", "wrap"]


@st.composite
def structures(draw: st.DrawFn, value: Any, most: int = 3) -> Any:
    """A structure with one to ``most`` changes: a part of it dropped, doubled, renamed, moved, or replaced."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.sampled_from([1, 1, 1, *range(1, most + 1)]))):
        found = places(value)
        if not found:
            return draw(st.sampled_from(HOSTILE))
        *where, key = draw(st.sampled_from(found))
        parent = _reach(value, tuple(where))
        change = draw(st.sampled_from(["suit", "suit", "nudge", "replace"] * 3 + _TAKEN_APART))
        if change == "suit":
            alike = [each for each in PLAUSIBLE if type(each) is type(parent[key])]
            parent[key] = copy.deepcopy(draw(st.sampled_from(alike or PLAUSIBLE)))
        elif change == "replace":
            parent[key] = copy.deepcopy(draw(st.sampled_from(HOSTILE)))
        elif change == "nudge":
            parent[key] = _nudged(draw, parent[key])
        elif change == "drop":
            del parent[key]
        elif change == "double" and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif change == "move":
            parent[key] = copy.deepcopy(_reach(value, draw(st.sampled_from(found)))) if found == places(value) else None
        elif change == "wrap":
            parent[key] = draw(st.sampled_from([[parent[key]], {"name": parent[key]}, {str(key): parent[key]}]))
        elif isinstance(parent, dict):
            parent[draw(st.sampled_from([*WORDS, f"{key}s", 3, True, None]))] = parent.pop(key)
    return value


def _nudged(draw: st.DrawFn, value: Any) -> Any:
    """Something near a value: what a slip of the finger makes of it."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return draw(st.sampled_from([value + 1, value - 1, -value, value * 10, value * 1000, value / 3, str(value)]))
    if isinstance(value, str):
        at = draw(st.integers(0, len(value)))
        return draw(st.sampled_from([value[:at], value[:at] + "x" + value[at:], value.upper(), value + "\n", [value]]))
    if isinstance(value, list):
        return draw(st.sampled_from([value[1:], value * 2, value * 500, value[::-1]]))
    return draw(st.sampled_from([list(value), list(value.items()), dict.fromkeys(value), str(value)[:200]]))


def laughs(levels: int = 12) -> str:
    """Ten times ten times ten ...: some lines that stand for more than any memory holds."""
    lines = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "\n".join(["a0: &a0 [1, 2]", *lines]) + "\n"


def merges(levels: int = 12) -> str:
    """The same by merge keys."""
    lines = [f"b{level}: &b{level} {{<<: [{', '.join([f'*b{level - 1}'] * 10)}]}}" for level in range(1, levels)]
    return "\n".join(["b0: &b0 {x: 1}", *lines]) + "\n"


# fmt: off
#: What is put between the lines of a file.
LINES = [
    laughs(), merges(), "x: &x [*x]\n", "? [a]\n: b\n", "!!python/object/apply:os.system ['touch canary']\n", "=: =\n",
    "y: !!python/object/new:os.system ['touch canary']\n", "y: !!python/name:os.system\n", "y: !!binary aGVsbG8=\n",
    "y: !!set {a, b}\n", "y: !!timestamp 2020-01-01\n", "y: 2020-13-45\n", "y: !!int six\n", "y: !!float x\n",
    "\ufeff", "y: !!bool x\n", "__use_yte__: true\n", "?__import__('os').system('touch canary')\n", "<<: {a: 1}\n",
    "<<: 3\n", "#", "---\n", "...\n", "%YAML 9.9\n", "\ty: 1\n", "y: '\n", "y: {\n", "- y\n", "y: |\n",
    "y: *nothing\n", "y: !local 1\n", f"y: 0x{'f' * 6000}\n", f"y: {'9' * 6000}\n", f"y: {'[' * 2000}{']' * 2000}\n",
    f"y: {'{a: ' * 400}1{'}' * 400}\n", "y: 1:30\n", "y: 0o17\n", "y: 017\n", "y: yes\n", "y: ~\n", "y: .inf\n",
    'y: "\\ud800"\n', 'y: "\\0"\n', "\r\n", "\x85",
]
BYTES = [
    b"\x00", b"\xff", b"\xfe\xff", b"\xc3", b"\xed\xa0\x80", b"\x1b", b"\r", b"\t", b":", b"-", b"{", b"[", b"'", b'"',
    b"&a ", b"*a", b"!", b"%", b"#", b"|",
]
CHANGES = [
    "line", "line", "line", "byte", "byte", "byte", "cut", "drop", "twice", "swap", "returns", "mark",
]
# fmt: on


@st.composite
def texts(draw: st.DrawFn, text: str) -> bytes:
    """The bytes of a file with one to three changes of its lines or of its bytes."""
    raw = text.encode()
    for _ in range(draw(st.integers(1, 3))):
        lines = raw.splitlines(keepends=True) or [b""]
        line, at = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(raw)))
        change = draw(st.sampled_from(CHANGES))
        if change == "line":
            lines.insert(line, draw(st.sampled_from(LINES)).encode(errors="surrogatepass"))
        elif change == "drop":
            del lines[line]
        elif change == "twice":
            lines.insert(line, lines[line])
        elif change == "swap":
            lines[0], lines[line] = lines[line], lines[0]
        raw = b"".join(lines)
        if change == "byte":
            raw = raw[:at] + draw(st.sampled_from(BYTES)) + raw[at + draw(st.integers(0, 2)) :]
        elif change == "cut":
            raw = raw[:at]
        elif change == "returns":
            raw = raw.replace(b"\n", b"\r\n")
        elif change == "mark":
            raw = b"\xef\xbb\xbf" + raw
    return raw


def as_yaml(value: Any) -> bytes:
    """A structure as a file; lone surrogates, which YAML does not write, as they would lie on a disk."""
    try:
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode(errors="surrogatepass")
    except ValueError:  # a whole number of more digits than Python writes
        return b"y: 0x" + b"f" * 6000 + b"\n"
