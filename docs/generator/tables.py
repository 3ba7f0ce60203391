"""What the pages say of the code and of the stored results, as Markdown: made from these whenever the pages are built.

``<!-- generated: NAME -->`` in a page stands for the table :data:`TABLES` [NAME]. Links are those of a file in docs/.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import inspect
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from byzcode.absence import ABSENCES
from byzcode.aggregation import RULES
from byzcode.allocation import ALLOCATIONS
from byzcode.attacks import ATTACKS
from byzcode.coding import DECODERS, ENCODERS, VOTES
from byzcode.compression import COMPRESSORS
from byzcode.estimation import ESTIMATORS
from byzcode.lazy import Table
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.problems import PROBLEMS
from byzcode.schedules import SCHEDULES
from byzcode.specs.methods import METHODS
from byzcode.storage import allocations, trajectories
from byzcode.storage.layout import STAGES
from byzcode.storage.netcdf import Variable
from byzcode.studies.papers import OURS, group, label
from byzcode.studies.plan import Plan, load_plan_file
from byzcode.studies.planned import PlannedStudy
from byzcode.verify import reference

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference"
#: The formulas of components, in TeX. A component without one shows its docstring alone.
FORMULAS: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_name("formulas.yaml").read_text("utf-8"))
#: The size at which constants are shown: that of the papers, with a fifth of liars.
N, F, D = 100, 20, 100

_MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
_ARXIV = re.compile(r"(?<![\w./])(?:arXiv )?(\d{4}\.\d{5})\b")


def expanded(text: str) -> str:
    """A page with its generated tables."""
    return _MARK.sub(lambda found: "\n".join(TABLES[found[1]]()), text)


def _table(*rows: Iterable[str]) -> Iterator[str]:
    head, *rest = (list(row) for row in rows)
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from (f"| {' | '.join(row)} |" for row in rest)


def _cell(text: str) -> str:
    """Plain text of the code for a cell of a table: no sign of it means anything to Markdown but its code."""
    parts = re.split(r"(``.+?``|`.+?`)", " ".join(text.split()))
    parts[::2] = [re.sub(r":\w+:$", "", part) for part in parts[::2]]
    plain = (re.sub(r"[*_\\<]", r"\\\g<0>", part).replace("|", "&#124;") for part in parts[::2])
    codes = [
        f"`{part.strip('`').rpartition('.')[2] if part.startswith('`~') else part.strip('`')}`" for part in parts[1::2]
    ]
    return _ARXIV.sub(r"[\1](https://arxiv.org/abs/\1)", "".join(_interleaved(list(plain), codes)))


def _interleaved(outer: list[str], inner: list[str]) -> Iterator[str]:
    for before, after in zip(outer, [*inner, ""], strict=True):
        yield from (before, after)


def _file(module: str) -> str:
    """The path of a module's source, as a page of docs/ links to it."""
    path = inspect.getsourcefile(importlib.import_module(module))
    assert path is not None
    return f"../{Path(path).resolve().relative_to(ROOT)}"


# --- methods ----------------------------------------------------------------------------------------------------------


def methods() -> Iterator[str]:
    """The named methods: what each combines."""
    link = _file("byzcode.specs.methods")
    rows = []
    for name, method in METHODS.items():
        fields = {**method.defaults, **method.fixed}
        shown = (f"{key}: `{value}`" for key, value in fields.items() if isinstance(value, str) and value != "none")
        votes = f"vote `{method.vote}`, then the rule"
        server = {"rule": "the rule", "decoder": f"decoder `{method.decoder}`", "votes": votes}.get(
            method.server, method.server.replace("_", " ")
        )
        rows.append([f"[{method.title}]({link})<br>`{name}`", _cell(method.source), "<br>".join(shown), server])
    yield from _table(["method", "what it is", "settles", "server"], *rows)


def _components(kind: str, table: Mapping[str, Any], about: Callable[[Any], Iterable[str]]) -> Iterator[str]:
    """A row for each component: its file and source, formula and meaning, and what its entry says."""
    assert isinstance(table, Table)
    formulas = FORMULAS.get(kind, {})
    if unknown := set(formulas) - set(table):
        raise KeyError(f"formulas.yaml, {kind}: no component {sorted(unknown)}")
    rows = []
    for name, entry in table.items():
        module = importlib.import_module(table.module(name))
        source = (inspect.getdoc(module) or "").partition("\n\n")[0].rstrip(".")
        words = inspect.getdoc(getattr(entry, "function", module)) or ""
        formula = [f"${formulas[name]}$"] if name in formulas else []
        meaning = "<br>".join([*formula, _cell(words.partition("\n\n")[0])])
        rows.append([f"[`{name}`]({_file(module.__name__)})<br>{_cell(source)}", meaning, "<br>".join(about(entry))])
    yield from _table([kind, "formula and meaning", "its entry says"], *rows)


def _defaults(entry: Any) -> dict[str, Any]:
    parameters = inspect.signature(entry.function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def _rule(entry: Any) -> Iterator[str]:
    yield f"f ≤ {min(entry.most_liars(N), N)}" if entry.kappa or entry.most_liars(N) < N else "promises nothing"
    least = entry.least_kappa(N, F) if entry.most_liars(N) >= F else None
    yield "no κ known" if least is None else f"κ = {least:.3g}"


def _pre_aggregator(entry: Any) -> Iterator[str]:
    left = entry.left(N, **_defaults(entry))
    yield f"{left} messages left"
    median = RULES["median"].least_kappa(N, F)
    if entry.kappa is not None and median is not None:
        yield f"κ = {entry.kappa(median, N, F):.3g} with the median behind it"


def _attack(entry: Any) -> Iterator[str]:
    yield "knows " + (", ".join(sorted(entry.knows)) or "nothing")


def _compressor(entry: Any) -> Iterator[str]:
    options = _defaults(entry)
    yield "unbiased" if entry.unbiased else "biased"
    yield f"δ = {entry.delta(D, **options):.3g}"
    yield f"{entry.bits(D, 32, **options)} bits" if entry.bits else "bits vary"


def _scheme(entry: Any) -> Iterator[str]:
    yield "drawn at random" if entry.drawn else "not drawn"
    yield from ["every pair of devices shares as many subsets"] if entry.pairwise else []


def _decoder(entry: Any) -> Iterator[str]:
    """At the least redundancy at which it is exact with F of N devices lying and as many subsets as devices."""
    for copies in entry.redundancies(N, N):
        if not entry.refuses(N, N, copies) and entry.most_liars(N, N, copies) >= F:
            yield f"r = {copies} for {F} liars, M = N = {N}"
            return


def _vote(entry: Any) -> Iterator[str]:
    """In groups of five devices of N, of which F lie."""
    yield f"{entry.files_lost(N // 5, 1, 5, F)} of {N // 5} groups of 5 lost to {F} liars, at most"
    yield from ["any two devices must share a file"] if entry.pairwise else []


def _nothing(entry: Any) -> Iterator[str]:
    yield ""


def _problem(entry: Any) -> Iterator[str]:
    yield "knows " + (", ".join(sorted(entry.knows)) or "no constants")
    yield from ["measures " + ", ".join(f"`{name}`" for name in entry.metrics)] if entry.metrics else []


# --- the papers' figures ----------------------------------------------------------------------------------------------


def _plan() -> Plan:
    with contextlib.chdir(ROOT):
        return load_plan_file()


def reproduced() -> Iterator[str]:
    """A row for each figure of the papers: how it is made, what it takes, and what became of the claims."""
    minutes = dict(
        re.findall(r"^\| ([\w-]+): [^|]*\|[^|]*\| (\d+) \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    )
    rows = [
        [*_study(planned)[:2], minutes[label(planned.study)], *_study(planned)[2:]]
        for planned in _plan().studies.values()
        if group(planned.study) != OURS and planned.trained
    ]
    head = ["figure", "command: `snakemake --cores 2` and", "minutes", "MB", "tolerance", "stated claims", "all tests"]
    yield from _table(head, *rows)


def ours() -> Iterator[str]:
    """The same of the studies that no paper has."""
    rows = [_study(planned) for planned in _plan().studies.values() if group(planned.study) == OURS and planned.trained]
    head = ["study", "command: `snakemake --cores 2` and", "MB", "tolerance", "stated claims", "all tests"]
    yield from _table(head, *rows)


def _study(planned: PlannedStudy) -> list[str]:
    name = planned.study.study
    files = "<br>".join(f"`results/figures/{name}-{plot}.png`" for plot in planned.study.plots)
    rows = [row for row in _rows(REFERENCE / "scorecard.csv") if row["study"] == name]
    stated = [row for row in rows if row["mark"] == "stated" and row["kind"] != "identity"]
    title = f"[{label(planned.study)}](../{planned.path}): {_cell(planned.study.title)}"
    return [title, files, f"{_bytes(planned) / 1e6:.0f}", _tolerance(name), _verdicts(stated), _verdicts(rows)]


def _bytes(planned: PlannedStudy) -> int:
    """The bytes of the numbers in the trajectories of a study, each run once, before their compression."""
    total = 0
    for spec in {member.spec.run_id: member.spec for member in planned.members}.values():
        length = {"seed": len(spec.seeds), "iteration": len(spec.record.iterations(spec.iterations))}
        for variable in trajectories.variables_of(spec).values():
            size = int(variable.dtype[1:])
            for dimension in variable.dimensions:
                size *= length[dimension]
            total += size
    return total


def _tolerance(study: str) -> str:
    path = REFERENCE / "summaries" / f"{study}.csv"
    if not path.is_file():
        return "nothing kept"
    rows = _rows(path)
    chaotic = sum(
        row["aggregation"] in reference.CHAOTIC and float(row["redundancy"]) <= reference.LITTLE for row in rows
    )
    strict = f"{len(rows) - chaotic} runs strict"
    return f"{strict}, {chaotic} chaotic" if chaotic else strict


def _verdicts(rows: list[dict[str, str]]) -> str:
    count = Counter(row["verdict"] or "not tested" for row in rows)
    return (
        ", ".join(
            f"{number} {verdict}" for verdict, number in sorted(count.items(), key=lambda item: _ORDER.index(item[0]))
        )
        or "none"
    )


_ORDER = ["supported", "refuted", "undecided", "open", "not tested"]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tolerances() -> Iterator[str]:
    """How far a table may be from the one that the repository keeps."""
    rows = [
        [
            _cell(table.kind),
            _cell(quantity.name),
            _number(quantity.relative),
            _number(quantity.absolute),
            _number(quantity.typical),
        ]
        for table in reference.TABLES
        for quantity in table.quantities
    ]
    yield from _table(["table", "quantity", "relative", "absolute", "relative, median row"], *rows)


def _number(value: float) -> str:
    return "" if value in (0, float("inf")) else f"{value:g}"


def readings() -> Iterator[str]:
    """Our value of each choice that the papers leave open."""
    choices = _plan().reading.choices
    rows = [[f"`{choice.key}`", f"`{_plain(choice.value)}`", choice.mark, _cell(choice.reason)] for choice in choices]
    yield from _table(["choice", "our value", "mark", "reason"], *rows)


def _plain(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=200).removesuffix("...\n").strip()


# --- files ------------------------------------------------------------------------------------------------------------


def _variables(of: Mapping[str, Variable]) -> Iterator[str]:
    rows = [
        [
            f"`{name}`",
            ", ".join(each.dimensions),
            each.dtype,
            each.units,
            _cell(f"{each.long_name}{f': {each.comment}' if each.comment else ''}"),
        ]
        for name, each in of.items()
    ]
    yield from _table(["variable", "dimensions", "type", "units", "meaning"], *rows)


def metrics() -> Iterator[str]:
    """What only some problems measure."""
    rows = [
        [
            f"`{metric}`",
            f"`{name}`",
            own.units or "1",
            _cell(f"{own.long_name}{f': {own.comment}' if own.comment else ''}"),
        ]
        for name, kind in PROBLEMS.items()
        for metric, own in kind.metrics.items()
    ]
    yield from _table(["variable", "problem", "units", "meaning"], *rows)


def stages() -> Iterator[str]:
    """The stages of the workflow, and the code that counts in the identity of their files."""
    rows = [
        [
            f"`{name}`",
            f"`{stage.folder or '.'}/`",
            ", ".join(stage.suffixes),
            "<br>".join(f"`{each}`" for each in stage.modules),
        ]
        for name, stage in STAGES.items()
    ]
    yield from _table(
        ["stage: rule and command", "folder in `results/`", "suffixes", "its code, with all that it imports"], *rows
    )


# --- the package ------------------------------------------------------------------------------------------------------


def layers() -> Iterator[str]:
    """The layers of the package, the highest first, as import-linter checks them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    listed = next(contract["layers"] for contract in contracts if contract["id"] == "layers")
    rows = []
    for number, layer in enumerate(reversed(listed), start=1):
        for name in layer.split(" | "):
            path = ROOT / "src" / "byzcode" / name
            source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            words = _first_sentence(source)
            modules = sum(1 for _ in path.rglob("*.py")) if path.is_dir() else 1
            target = path if path.is_dir() else source
            rows.append([str(number), f"[`{name}`](../{target.relative_to(ROOT)})", str(modules), _cell(words)])
    yield from _table(["layer", "package", "files", "what it is"], *reversed(rows))


def _first_sentence(source: Path) -> str:
    found = re.match(r'"""(.*?)(?:\n\n|""")', source.read_text(encoding="utf-8"), re.DOTALL)
    return found[1] if found else ""


#: The modules of the API page, with all that a component needs, and the adapters.
PUBLIC = (
    *("storage.trajectories", "specs.fields", "specs.run", "specs.methods"),
    *(
        "aggregation.rule",
        "pre_aggregation.pre_aggregator",
        "attacks.attack",
        "attacks.threat",
        "compression.compressor",
    ),
    *(
        "allocation.scheme",
        "coding.encoder",
        "coding.decoder",
        "coding.vote",
        "problems.problem",
        "data.data_set",
        "data.partition",
    ),
    *("schedules.schedule", "randomness", "theory.constants", "theory.bounds", "errors"),
    *("adapters.byzfl", "adapters.flower", "adapters.server"),
)


def api() -> Iterator[str]:
    """The directives of mkdocstrings: the front door, if the package has one, and the modules above."""
    front = getattr(sys.modules["byzcode"], "_OFFERED", {})
    if front:
        yield "## `byzcode`\n"
    for name, module in sorted(front.items()):
        yield f"::: byzcode.{module}.{name}\n"
    yield "## Modules\n"
    for module in PUBLIC:
        yield f"::: byzcode.{module}\n"


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "methods": methods,
    "rules": lambda: _components("rule", RULES, _rule),
    "pre_aggregators": lambda: _components("pre-aggregator", PRE_AGGREGATORS, _pre_aggregator),
    "estimators": lambda: _components("estimator", ESTIMATORS, _nothing),
    "absences": lambda: _components("absence", ABSENCES, _nothing),
    "attacks": lambda: _components("attack", ATTACKS, _attack),
    "compressors": lambda: _components("compressor", COMPRESSORS, _compressor),
    "allocations": lambda: _components("allocation", ALLOCATIONS, _scheme),
    "encoders": lambda: _components("encoder", ENCODERS, _nothing),
    "decoders": lambda: _components("decoder", DECODERS, _decoder),
    "votes": lambda: _components("vote", VOTES, _vote),
    "problems": lambda: _components("problem", PROBLEMS, _problem),
    "schedules": lambda: _components("schedule", SCHEDULES, _nothing),
    "reproduced": reproduced,
    "ours": ours,
    "tolerances": tolerances,
    "readings": readings,
    "trajectory": lambda: _variables(trajectories.VARIABLES),
    "allocation": lambda: _variables(allocations.VARIABLES),
    "metrics": metrics,
    "stages": stages,
    "layers": layers,
    "api": api,
}
