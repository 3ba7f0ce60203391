"""Identities of code: what changes them and what does not; and what an import of the package costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import byzcode
from byzcode import trajectory
from byzcode.studies import identity
from byzcode.studies.identity import STAGES, canonical, code_digest, import_closure, short_hash

SOURCE = Path(byzcode.__file__).parent

CODE = '''
"""A module."""

import os  # a comment


class C:
    """A class."""

    def f(self, x: int = 1) -> int:
        """A function."""
        return x + 1
'''

SAME = {
    "comment": CODE.replace("# a comment", "# quite another comment"),
    "module docstring": CODE.replace("A module.", "Another."),
    "no module docstring": CODE.replace('"""A module."""\n', ""),
    "class docstring": CODE.replace('    """A class."""\n', '    """Line one.\n\n    Line two."""\n'),
    "no function docstring": CODE.replace('        """A function."""\n', ""),
    "blank lines": CODE.replace("\n\n", "\n\n\n\n"),
    "line break": CODE.replace("x + 1", "(\n            x\n            + 1)"),
    "indentation": CODE.replace("        ", "            ").replace("    def", "    def"),
}

OTHER = {
    "constant": CODE.replace("x + 1", "x + 2"),
    "type of a constant": CODE.replace("x + 1", "x + 1.0"),
    "name": CODE.replace("def f", "def g"),
    "default": CODE.replace("= 1)", "= 2)"),
    "operator": CODE.replace("x + 1", "x - 1"),
    "string that is no docstring": CODE.replace("return x + 1", 'y = "text"\n        return x + 1'),
    "decorator": CODE.replace("    def f", "    @staticmethod\n    def f"),
    "import": CODE.replace("import os", "import sys"),
    "annotation": CODE.replace("x: int", "x: float"),  # components read their options from these
}


@pytest.mark.parametrize("name", SAME)
def test_layout_comments_and_docstrings_mean_nothing(name):
    assert SAME[name] != CODE
    assert identity._meaning(SAME[name]) == identity._meaning(CODE)


@pytest.mark.parametrize("name", OTHER)
def test_code_means_something(name):
    assert OTHER[name] != CODE
    assert identity._meaning(OTHER[name]) != identity._meaning(CODE)


def digest_after(monkeypatch, module, change):
    """The digest of the engine were the source of one module another."""
    source = identity._source
    monkeypatch.setattr(identity, "_source", lambda name: change(source(name)) if name == module else source(name))
    return code_digest.__wrapped__(*STAGES["train"])


@pytest.mark.parametrize(
    "module", ["byzcode.attacks.sign_flip", "byzcode.kernels.order", "byzcode.engine", "byzcode.coding"]
)
def test_the_engine_digest_follows_the_code_it_runs(module, monkeypatch):
    before = trajectory.engine_digest()
    assert digest_after(monkeypatch, module, lambda text: text) == before
    assert digest_after(monkeypatch, module, lambda text: text + "\n# a comment\n") == before
    assert digest_after(monkeypatch, module, lambda text: text + "\nEXTRA = 1\n") != before


def test_the_engine_digest_does_not_follow_other_code(monkeypatch):
    before = trajectory.engine_digest()
    for module in ("byzcode.figures", "byzcode.analysis.plateau", "byzcode.errors", "byzcode.cli"):
        assert digest_after(monkeypatch, module, lambda text: text + "\nEXTRA = 1\n") == before


def test_a_digest_tells_modules_and_roots_apart():
    digests = {code_digest(root) for root in ("byzcode.engine", "byzcode.kernels", "byzcode.methods")}
    assert len(digests) == 3
    assert all(len(digest) == 12 and int(digest, 16) >= 0 for digest in digests)
    assert code_digest("byzcode.coding", "byzcode.methods") == code_digest("byzcode.methods", "byzcode.coding")


def test_the_closure_of_the_engine():
    found = import_closure("byzcode.engine")
    assert found == sorted(set(found))
    for module in (
        "byzcode",
        "byzcode.engine",
        "byzcode.attacks",
        "byzcode.attacks.sign_flip",
        "byzcode.aggregation.phocas",
        "byzcode.kernels.order",
        "byzcode.allocation.scheme",
        "byzcode.coding.replication",
        "byzcode.problems.linear_regression",
        "byzcode.randomness",
        "byzcode.studies.spec",
    ):
        assert module in found
    assert not [m for m in found if m.startswith(("byzcode.figures", "byzcode.analysis", "byzcode.cli"))]
    assert "byzcode.allocation.file" not in found
    assert "byzcode.allocation.file" in import_closure(*STAGES["train"])


def test_the_closure_has_every_module_that_python_loads():
    """What the walk over import statements finds is checked against a real import."""
    loaded = run_python(
        "import byzcode.engine, byzcode.trajectory, byzcode.allocation.file, sys;"
        "print(*[m for m in sys.modules if m.split('.')[0] == 'byzcode'])"
    ).split()
    assert set(loaded) <= set(import_closure(*STAGES["train"]))


def test_an_unknown_module_is_no_silent_digest():
    with pytest.raises(ModuleNotFoundError):
        import_closure("byzcode.nonsense")


def test_canonical_json():
    assert canonical({"b": 1, "a": [1.0, None, "é"]}) == '{"a":[1.0,null,"é"],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))
    assert short_hash("") == "e3b0c44298fc"
    assert short_hash("a") != short_hash("b")


# --- the shape of the package ----------------------------------------------------------------------------------------


def modules():
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imported(module, *, at_import):
    """The modules of the package that a module imports; with ``at_import`` only those that loading it loads."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    waiting, found = list(tree.body), set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and at_import:
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and at_import:
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports are not followed by import_closure"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner if inner <= MODULES.keys() else {node.module} | inner
        waiting += list(ast.iter_child_nodes(node))
    return {name for name in found if name in MODULES and name != module}


def cycles(graph):
    """The strongly connected parts of more than one node."""

    def reach(start):
        waiting, found = list(graph[start]), set()
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += graph[node]
        return found

    reached = {node: reach(node) for node in graph}
    return {frozenset(b for b in reached[a] if a in reached[b]) for a in graph if a in reached[a]}


def test_cycles_are_found():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": set()}) == set()
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == {frozenset("bc")}


def test_no_module_imports_itself_in_a_circle():
    assert cycles({module: imported(module, at_import=True) for module in MODULES}) == set()


#: allocation.file stores allocations and needs AllocationSpec; studies.spec needs the table of allocations.
KNOWN = {("byzcode.allocation.file", "byzcode.studies.spec")}


def test_the_rooms_do_not_import_each_other_in_a_circle():
    def room(module):
        return [*module.split("."), "byzcode"][1]

    graph = {room(module): set() for module in MODULES}
    for module in MODULES:
        for other in imported(module, at_import=True):
            if (module, other) not in KNOWN and room(other) != room(module):
                graph[room(module)].add(room(other))
    assert cycles(graph) == set()


# --- what an import costs --------------------------------------------------------------------------------------------


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def loaded_by(*names):
    return set(run_python(f"import sys, {', '.join(names)}; print(*sys.modules)").split())


def test_reading_studies_loads_no_heavy_library():
    """Snakemake does it at every start, for every job."""
    loaded = loaded_by("byzcode.studies.plan")
    assert "byzcode.studies.spec" in loaded
    assert not {"torch._C", "netCDF4", "pandas", "xarray", "seaborn", "matplotlib", "scipy"} & loaded


def test_training_loads_no_library_of_analysis():
    loaded = loaded_by("byzcode.engine", "byzcode.trajectory", "byzcode.allocation.file")
    assert "netCDF4" in loaded
    assert not {"pandas", "xarray", "seaborn", "matplotlib"} & loaded


def test_torch_is_there_when_it_is_used():
    got = run_python(
        "from byzcode.lazy import torch; print(torch.zeros(2).tolist(), torch.nn.functional.relu.__name__)"
    )
    assert got == "[0.0, 0.0] relu"
