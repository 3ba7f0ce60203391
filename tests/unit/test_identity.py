"""Identities of code: what changes them and what does not; and what an import of the package costs."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import byzcode
from byzcode.provenance import code as identity
from byzcode.provenance.code import STAGES, code_digest, import_closure
from byzcode.provenance.content import canonical, short_hash
from byzcode.storage import allocations, trajectories

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


C = """
#include <math.h>
#define TWICE(x) \\
  ((x) + (x))  /* a macro */
// a comment
void f(double *a, int n) {
  const char *words = "no // comment, no /* comment */";
  for (int i = 0; i < n; ++i) a[i] = a[i] - -1.0 * '"';  // "
}
"""

SAME_C = {
    "comment": C.replace("a comment", "quite // another"),
    "no comment": C.replace("// a comment\n", ""),
    "comment over lines": C.replace("// a comment", '/* one " \n two // */'),
    "comment within": C.replace("int n", "int/* how many */n"),
    "comment of a macro": C.replace("/* a macro */", "// twice"),
    "line breaks": C.replace(") {", ")\n{\n\n"),
    "no blank space": C.replace("i < n", "i<n").replace("a[i] = a[i]", "a[i]=a[i]"),
    "indentation": C.replace("  for", "\tfor").replace("#define", "  #define"),
    "line of a macro": C.replace("\\\n ", ""),
}

OTHER_C = {
    "constant": C.replace("1.0", "1.5"),
    "operator": C.replace("- -1.0", "--1.0"),
    "names run together": C.replace("int n", "intn"),
    "text that looks like a comment": C.replace("// comment,", "// other,"),
    "blank space in a text": C.replace("no //", "no  //"),
    "character": C.replace("'\"'", "'q'"),
    "macro": C.replace("((x) + (x))", "(x + x)"),
    "where a macro ends": C.replace("#include <math.h>\n", "#include <math.h>"),
    "what is included": C.replace("math.h", "tgmath.h"),
}


@pytest.mark.parametrize("name", SAME_C)
def test_layout_and_comments_mean_nothing_in_c(name):
    assert SAME_C[name] != C
    assert identity._words(SAME_C[name]) == identity._words(C)


@pytest.mark.parametrize("name", OTHER_C)
def test_code_means_something_in_c(name):
    assert OTHER_C[name] != C
    assert identity._words(OTHER_C[name]) != identity._words(C)


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
    "module", ["byzcode.attacks.sign_flip", "byzcode.kernels.order", "byzcode.training.loop", "byzcode.coding"]
)
def test_the_engine_digest_follows_the_code_it_runs(module, monkeypatch):
    before = trajectories.engine_digest()
    assert digest_after(monkeypatch, module, lambda text: text) == before
    assert digest_after(monkeypatch, module, lambda text: text + "\n# a comment\n") == before
    assert digest_after(monkeypatch, module, lambda text: text + "\nEXTRA = 1\n") != before


@pytest.mark.parametrize("name", ["loops.c", "loops.cpp", "loops.h"])
def test_the_engine_digest_follows_the_kernels_in_c(name, monkeypatch, tmp_path):
    """In a copy of the package, with a source in C among its kernels."""
    package = shutil.copytree(SOURCE, tmp_path / "byzcode", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    monkeypatch.setattr(identity, "files", lambda _: package)
    monkeypatch.setattr(identity, "_path", identity._path.__wrapped__)

    def digest(folder, text):
        source = package / folder / name
        source.write_text(text)
        found = code_digest.__wrapped__(*STAGES["train"])
        source.unlink()
        return found

    without = code_digest.__wrapped__(*STAGES["train"])
    assert digest("kernels", C) != without
    assert digest("kernels", SAME_C["comment"]) == digest("kernels", C)
    assert digest("kernels", OTHER_C["constant"]) != digest("kernels", C)
    assert digest("figures", C) == without


def test_the_engine_digest_does_not_follow_other_code(monkeypatch):
    before = trajectories.engine_digest()
    for module in ("byzcode.figures", "byzcode.analysis.plateau", "byzcode.errors", "byzcode.cli"):
        assert digest_after(monkeypatch, module, lambda text: text + "\nEXTRA = 1\n") == before


def test_a_digest_tells_modules_and_roots_apart():
    digests = {code_digest(root) for root in ("byzcode.training.loop", "byzcode.kernels", "byzcode.specs.methods")}
    assert len(digests) == 3
    assert all(len(digest) == 12 and int(digest, 16) >= 0 for digest in digests)
    assert code_digest("byzcode.coding", "byzcode.specs.methods") == code_digest(
        "byzcode.specs.methods", "byzcode.coding"
    )


def test_the_closure_of_the_engine():
    found = import_closure("byzcode.training.loop")
    assert found == sorted(set(found))
    for module in (
        "byzcode",
        "byzcode.training.loop",
        "byzcode.attacks",
        "byzcode.attacks.sign_flip",
        "byzcode.aggregation.phocas",
        "byzcode.kernels.order",
        "byzcode.allocation.scheme",
        "byzcode.coding.encoders.replication",
        "byzcode.problems.linear_regression",
        "byzcode.randomness",
        "byzcode.specs.run",
    ):
        assert module in found
    assert not [m for m in found if m.startswith(("byzcode.figures", "byzcode.analysis", "byzcode.cli"))]
    assert "byzcode.storage.allocations" not in found
    assert "byzcode.storage.allocations" in import_closure(*STAGES["train"])


def test_the_closure_has_every_module_that_python_loads():
    """What the walk over import statements finds is checked against a real import."""
    loaded = run_python(
        "import byzcode.training.workers, byzcode.storage.trajectories, byzcode.storage.allocations, sys;"
        "print(*[m for m in sys.modules if m.split('.')[0] == 'byzcode'])"
    ).split()
    assert set(loaded) <= set(import_closure(*STAGES["train"]))


@pytest.mark.parametrize(
    "block",
    [
        "if x:\n  pass\nelse:\n  {}",
        "for x in y:\n  {}",
        "while x:\n  {}",
        "with x:\n  {}",
        "try:\n  {}\nfinally:\n  pass",
        "try:\n  pass\nexcept OSError:\n  {}",
        "try:\n  pass\nfinally:\n  {}",
        "match x:\n  case 1:\n    {}",
        "class A:\n  def f(self):\n    {}",
        "async def f():\n  {}",
    ],
)
def test_an_import_is_found_wherever_it_stands(block):
    assert identity._named(block.format("from byzcode import coding")) == ["byzcode", "byzcode.coding"]
    assert identity._named(block.format("import byzcode.coding, os")) == ["byzcode.coding"]


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


# --- what an import costs --------------------------------------------------------------------------------------------


def run_python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], check=True, capture_output=True, text=True
    ).stdout.strip()


def loaded_by(*names):
    return set(run_python(f"import sys, {', '.join(names)}; print(*sys.modules)").split())


def test_reading_studies_loads_no_heavy_library():
    """Snakemake does it at every start, for every job."""
    loaded = loaded_by("byzcode.studies.plan")
    assert "byzcode.specs.run" in loaded
    assert not {"torch._C", "netCDF4", "pandas", "xarray", "seaborn", "matplotlib", "scipy"} & loaded


TRAINING = """
import contextlib, sys
from byzcode.cli import main
sys.argv = ["byzcode", "train", "--spec", sys.argv[1], "--allocation", sys.argv[2], "--out", sys.argv[3]]
with contextlib.suppress(SystemExit):
    main()
print(*sys.modules)
"""


def test_a_training_loads_only_what_it_needs(make_spec, tmp_path):
    """A whole training as the workflow starts it: each of hundreds of jobs pays for what it imports."""
    spec, held, out = make_spec(iterations=1), tmp_path / "held.nc", tmp_path / "out.nc"
    allocations.write(spec.allocation_spec, held)
    loaded = set(run_python(TRAINING, spec.canonical(), held, out).split())
    assert out.exists()
    needed = loaded_by("torch", "numpy.random", "netCDF4", "pydantic.types", "typer")
    assert third_party(loaded) <= third_party(needed) | {"byzcode"}
    for library in ("torch", "netCDF4"):  # torch alone has hundreds of modules that it leaves for later
        assert {m for m in loaded if m.startswith(f"{library}.")} <= needed
    unneeded = {"rich", "galois", "matplotlib", "numba", "pandas", "scipy", "seaborn", "sklearn", "snakemake", "xarray"}
    assert not (unneeded | {"yaml"}) & loaded
    assert not [m for m in loaded if m.startswith(("byzcode.figures", "byzcode.analysis", "byzcode.studies.plan"))]


def third_party(modules):
    names = {module.split(".")[0] for module in modules} - sys.stdlib_module_names
    return {name for name in names if not name.startswith("_")}


def test_torch_is_loaded_while_the_collector_rests():
    """Searching all that torch makes, again and again, costs a training a third of its time."""
    loaded = run_python(
        "import gc; from byzcode.lazy import torch; full = gc.get_stats()[2]['collections']; torch.zeros;"
        "print(gc.get_stats()[2]['collections'] - full, gc.get_freeze_count() > 100_000, gc.isenabled());"
        "new = [[] for _ in range(1000)]; hasattr(torch, 'no_such_name');"
        "print(len(gc.get_objects()) > 1000)"  # what is made later is not passed over
    )
    assert loaded.split() == ["0", "True", "True", "True"]


def test_torch_is_there_when_it_is_used():
    got = run_python(
        "from byzcode.lazy import torch; print(torch.zeros(2).tolist(), torch.nn.functional.relu.__name__)"
    )
    assert got == "[0.0, 0.0] relu"
