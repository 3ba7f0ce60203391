"""Identities of code: what changes them and what does not; and what an import of the package costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import byzcode
from byzcode.provenance import code as identity
from byzcode.provenance import compiled, sources, syntax
from byzcode.provenance.code import Code, digest, loaded
from byzcode.provenance.content import canonical, short_hash
from byzcode.specs import parts
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.storage.layout import STAGES

SOURCE = Path(byzcode.__file__).parent

CODE = '''
"""A module."""

import os  # a comment


class C:
    """A class."""

    z: int = Field(1, description="A field.")

    def f(self, x: int = 1) -> int:
        """A function."""
        y = z = x
        del y, z
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
    "description of a field": CODE.replace("A field.", "Another field."),
    "no description of a field": CODE.replace(', description="A field."', ""),
    "brackets around targets": CODE.replace("del y, z", "del (\n            y,\n            z,\n        )"),
}

OTHER = {
    "default of a field": CODE.replace("Field(1", "Field(2"),
    "constant": CODE.replace("x + 1", "x + 2"),
    "type of a constant": CODE.replace("x + 1", "x + 1.0"),
    "name": CODE.replace("def f", "def g"),
    "default": CODE.replace("= 1)", "= 2)"),
    "operator": CODE.replace("x + 1", "x - 1"),
    "string that is no docstring": CODE.replace("return x + 1", 'y = "text"\n        return x + 1'),
    "decorator": CODE.replace("    def f", "    @staticmethod\n    def f"),
    "import": CODE.replace("import os", "import sys"),
    "name of an import": CODE.replace("import os", "import os as system"),
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
    assert compiled.words(SAME_C[name]) == compiled.words(C)


@pytest.mark.parametrize("name", OTHER_C)
def test_code_means_something_in_c(name):
    assert OTHER_C[name] != C
    assert compiled.words(OTHER_C[name]) != compiled.words(C)


def meaning(text):
    return syntax.module(text).whole.meaning


@pytest.mark.parametrize("name", SAME)
def test_layout_comments_and_docstrings_mean_nothing(name):
    assert SAME[name] != CODE
    assert meaning(SAME[name]) == meaning(CODE)


@pytest.mark.parametrize("name", OTHER)
def test_code_means_something(name):
    assert OTHER[name] != CODE
    assert meaning(OTHER[name]) != meaning(CODE)


IMPORTS = """
import a
from b import c, d

def f():
    from g import h
    import i
    return h, i
"""


def test_the_order_of_imports_means_nothing():
    other = IMPORTS.replace("import a\nfrom b import c, d", "from b import d\nfrom b import c\nimport a")
    other = other.replace("    from g import h\n    import i\n", "    import i\n    from g import h\n")
    assert other != IMPORTS
    assert meaning(other) == meaning(IMPORTS)
    assert meaning(IMPORTS.replace("c, d", "c, d as e")) != meaning(IMPORTS)


# --- a package in five files -----------------------------------------------------------------------------------------

TINY = {
    "__init__.py": "",
    "training/loop.py": "from byzcode.attacks import ATTACKS, Attack\nfrom byzcode.kernels.order import total\n",
    "attacks/__init__.py": (
        "from byzcode.attacks.attack import Attack\nfrom byzcode.lazy import Table\n"
        "ATTACKS = Table(__name__, Attack, ('flip',))\n"
    ),
    "attacks/attack.py": "class Attack: ...\nUNUSED = 1\n",
    "attacks/flip.py": (
        "from byzcode.kernels import order\nfrom byzcode.attacks.attack import Attack\n"
        "def flip(x): return helper(order.median(x))\ndef helper(x): return -x\ndef kappa(f): return f\n"
        "ENTRY = Attack(flip, title='Flip', kappa=kappa)\n"
    ),
    "attacks/shift.py": (
        "from byzcode.attacks.attack import Attack\nfrom byzcode.attacks.flip import helper\n"
        "ENTRY = Attack(lambda x: helper(x))\n"
    ),
    "kernels/__init__.py": "",
    "kernels/native.py": "def function(name): ...\n",
    "kernels/order.py": (
        "from byzcode.kernels.native import function\nWIDEST = 3\n"
        "def median(x): return function('statistic')(x, WIDEST)\ndef total(x): return x\ndef other(x): return 2 * x\n"
    ),
    "kernels/statistic.cpp": '#include "vector.h"\nint statistic;\n',
    "kernels/distances.cpp": "int distances;\n",
    "kernels/vector.h": "int vector;\n",
    "figures/__init__.py": "import byzcode.training.loop\n",
}
CORE, FLIP, SHIFT = "byzcode.training.loop", "byzcode.attacks.flip:ENTRY", "byzcode.attacks.shift:ENTRY"


@pytest.mark.parametrize(
    ("file", "old", "new", "concerned"),
    [
        ("attacks/flip.py", "return helper(", "return -helper(", {"flip", "figure"}),
        ("attacks/flip.py", "return -x", "return x", {"flip", "shift", "figure"}),
        ("attacks/flip.py", "return f", "return 2 * f", {"figure"}),
        ("attacks/flip.py", "title='Flip'", "title='Sign flip'", {"figure"}),
        ("attacks/shift.py", "helper(x)", "-helper(x)", {"shift"}),
        ("attacks/attack.py", "...", "x = 1", {"core", "flip", "shift", "figure"}),
        ("attacks/attack.py", "UNUSED = 1", "UNUSED = 2", set()),
        ("attacks/__init__.py", "('flip',)", "('flip', 'shift')", set()),
        ("kernels/order.py", "return x", "return 1 * x", {"core", "flip", "shift"}),
        ("kernels/order.py", "WIDEST = 3", "WIDEST = 4", {"flip", "figure"}),
        ("kernels/order.py", "2 * x", "3 * x", set()),
        ("kernels/native.py", "...", "return name", {"flip", "figure"}),
        ("kernels/statistic.cpp", "int s", "long s", {"flip", "figure"}),
        ("kernels/vector.h", "int v", "long v", {"flip", "figure"}),
        ("kernels/distances.cpp", "int d", "long d", set()),
        ("figures/__init__.py", "loop", "loop as x", set()),
        ("training/loop.py", "import total", "import total\nNEW = 1", {"core", "flip", "shift"}),
    ],
)
def test_an_edit_concerns_what_uses_it(file, old, new, concerned):
    assert old in TINY[file]
    before, after = Code(TINY), Code({**TINY, file: TINY[file].replace(old, new)})
    roots = {"core": [CORE], "flip": [CORE, FLIP], "shift": [CORE, SHIFT], "figure": [f"{FLIP}*"]}
    differ = {name for name, own in roots.items() if before.parts(own) != after.parts(own)}
    assert differ == concerned
    for name in differ:
        assert identity.changed(before.parts(roots[name]), after.parts(roots[name])) == [file]


def test_what_is_gone_is_no_silent_digest():
    with pytest.raises(ModuleNotFoundError):
        Code(TINY).parts(["byzcode.nonsense"])
    with pytest.raises(ModuleNotFoundError):
        Code(TINY).parts(["byzcode.attacks.flip:NOTHING"])


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
def test_an_import_counts_wherever_it_stands(block):
    for line in ("from byzcode import attacks", "import byzcode.attacks.attack, os"):
        code = Code({**TINY, "a.py": block.format(line)})
        named = {"attacks/attack.py"} & code.parts(["byzcode.a"]).keys()
        assert named == {"attacks/attack.py"}


# --- the package itself ----------------------------------------------------------------------------------------------

RUN = {
    "method": "cra_dl",
    "redundancy": 4,
    "devices": 6,
    "problem": {"name": "linear_regression", "subsets": 12, "dimension": 3},
    "aggregation": "median",
    "attack": "sign_flip",
}


DRACO = {"method": "draco_repetition", "redundancy": 6, "aggregation": "mean"}


def roots_of(**changes):
    return (*STAGES["train"].modules, *parts.of_run(RunSpec.parse(RUN | changes, "run")))


def concerns(changes, **run):
    """Whether edits of sources, by name, concern a run."""
    roots, texts = roots_of(**run), dict(sources.loaded())
    for name, (old, new) in changes.items():
        assert old in texts[name], f"{old!r} is not in {name}"
        texts[name] = texts[name].replace(old, new)
    return Code(texts).parts(roots) != loaded().parts(roots)


def test_every_source_that_a_run_needs_counts():
    modules = loaded().modules(*roots_of())
    assert modules == sorted(set(modules))
    for module in (
        "byzcode.training.loop",
        "byzcode.attacks.sign_flip",
        "byzcode.aggregation.median",
        "byzcode.kernels.order",
        "byzcode.allocation.random",
        "byzcode.coding.encoders.uniform",
        "byzcode.problems.linear_regression",
        "byzcode.randomness",
        "byzcode.specs.fields",
        "byzcode.specs.run",
        "byzcode.storage.allocations",
    ):
        assert module in modules
    assert not [m for m in modules if m.startswith(("byzcode.figures", "byzcode.analysis", "byzcode.cli"))]
    assert "byzcode.attacks.alie" not in modules


def test_no_module_is_loaded_by_a_training_that_does_not_count():
    """The walk over import statements is checked against a real training: all it loads counts, or is neutral."""
    module = run_python(
        "import sys\n"
        "from byzcode.specs.run import RunSpec\n"
        "from byzcode.storage import allocations, trajectories\n"
        "from byzcode.training import workers\n"
        f"spec = RunSpec.parse({RUN | {'iterations': 2, 'seeds': 1}}, 'run')\n"
        "workers.train(spec, allocations.draw(spec.allocation_spec))\n"
        "print(*[m for m in sys.modules if m.split('.')[0] == 'byzcode'])"
    ).split()
    counted = set(loaded().modules(*roots_of()))
    rest = {name for name in module if name not in counted and not identity._neutral(name)}
    files = {"/".join(name.split(".")[1:]) + ".py" for name in rest if not name.startswith(identity.BY_DEFINITION)}
    assert files & sources.loaded().keys() == set()  # packages, whose own files hold docstrings, aside


@pytest.mark.parametrize(
    ("run", "file", "old", "new"),
    [
        ({}, "training/loop.py", "from byzcode.lazy", "NEW = 1\nfrom byzcode.lazy"),
        ({}, "kernels/statistic.cpp", "T(0.5)", "T(0.25)"),
        ({}, "kernels/coded.cpp", "sum[k] +=", "sum[k] -="),
        ({"attack": "alie_search"}, "attacks/alie.py", "def mean_and_std(", "def mean_and_std(new, "),
        ({"aggregation": "multi_krum"}, "aggregation/krum.py", "def scores(", "def scores(new, "),
        ({"aggregation": "krum"}, "kernels/distances.cpp", "first * first", "first + first"),
        (DRACO, "coding/decoders/repetition.py", "def prepare(", "def prepare(new, "),
    ],
)
def test_an_edit_concerns_the_runs_that_use_it(run, file, old, new):
    assert concerns({file: (old, new)}, **run)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("attacks/alie.py", "def mean_and_std(", "def mean_and_std(new, "),
        ("aggregation/krum.py", "def scores(", "def scores(new, "),
        ("kernels/distances.cpp", "first * first", "first + first"),
        ("specs/methods.py", 'title="LAD"', 'title="Other"'),
        ("specs/methods.py", 'title="CRA-DL"', 'title="Other"'),
        ("specs/methods.py", "fixed=_UNCOMPRESSED", "fixed={}"),
        ("errors.py", "import", "import sys, "),
        ("storage/layout.py", '"trajectories",', '"runs",'),
    ],
)
def test_an_edit_does_not_concern_other_runs(file, old, new):
    if file == "errors.py":
        old, new = "def short(", "def short_(): ...\ndef short("
    assert not concerns({file: (old, new)})


def test_a_new_component_concerns_no_run_and_no_stage():
    texts = dict(sources.loaded())
    for package, last in (("attacks", '"nan",'), ("aggregation", '"norm_trimming",'), ("compression", '"natural",')):
        assert last in texts[f"{package}/__init__.py"]
        texts[f"{package}/__init__.py"] = texts[f"{package}/__init__.py"].replace(last, f'{last}\n        "new",')
        texts[f"{package}/new.py"] = texts[f"{package}/none.py"] if package == "attacks" else "NEW = 1\n"
    code = Code(texts)
    assert code.parts(roots_of()) == loaded().parts(roots_of())
    for stage in STAGES.values():
        assert code.parts(stage.modules) == loaded().parts(stage.modules), stage.name


def test_runs_have_digests_of_their_own():
    digests = {digest(loaded().parts(roots_of(**run))) for run in ({}, {"attack": "alie"}, {"aggregation": "krum"})}
    assert len(digests) == 3
    assert all(len(value) == 12 and int(value, 16) >= 0 for value in digests)


def test_an_edit_after_the_package_was_loaded_is_noticed(monkeypatch):
    roots = roots_of()
    assert identity.edited(roots) == []
    texts = dict(sources.loaded())
    for text, expected in (
        (texts["randomness.py"] + "\n# A comment.\n", []),
        (texts["randomness.py"] + "\nNEW = 1\n", ["randomness.py"]),
        (texts["randomness.py"] + "\ndef unfinished(:\n", ["randomness.py"]),
    ):
        monkeypatch.setattr(sources, "read", lambda text=text: {**texts, "randomness.py": text})
        assert identity.edited(roots) == expected


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
    waiting, reached = list(tree.body), set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and at_import:
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and at_import:
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            reached |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports are not followed"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            reached |= inner if inner <= MODULES.keys() else {node.module} | inner
        waiting += list(ast.iter_child_nodes(node))
    return {name for name in reached if name in MODULES and name != module}


def cycles(graph):
    """The strongly connected parts of more than one node."""

    def reach(start):
        waiting, reached = list(graph[start]), set()
        while waiting:
            node = waiting.pop()
            if node not in reached:
                reached.add(node)
                waiting += graph[node]
        return reached

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


@pytest.mark.parametrize(
    "problem",
    [
        {},
        {"name": "softmax_regression", "data": "digits", "dimension": None},
        {"name": "least_squares", "data": "diabetes", "dimension": None},
    ],
    ids=["drawn", "digits", "diabetes"],
)
def test_a_training_loads_only_what_it_needs(problem, make_spec, tmp_path):
    """A whole training as the workflow starts it: each of hundreds of jobs pays for what it imports."""
    spec, assigned, out = make_spec(iterations=1, problem=problem), tmp_path / "held.nc", tmp_path / "out.nc"
    allocations.write(spec.allocation_spec, assigned)
    loaded = set(run_python(TRAINING, spec.canonical(), assigned, out).split())
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
