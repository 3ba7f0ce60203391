"""Figures of runs, in the style of the project's figures.

Runs are datasets as ``byzcode.train`` returns them, or the paths of their files: one, a list, or a mapping of labels to
one or several.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byzcode.analysis.summary import _row
from byzcode.errors import KeyedError, UserError, complain, one_of
from byzcode.figures import style
from byzcode.figures.lines import Stored
from byzcode.figures.request import Request
from byzcode.figures.sweep import drawn as draw_sweep
from byzcode.figures.sweep_points import Summary
from byzcode.figures.trajectories import drawn as draw_trajectories
from byzcode.front import drawable
from byzcode.specs import last_part
from byzcode.specs.parsing import parse
from byzcode.specs.quantities import WALL_TIME, lacking
from byzcode.specs.run import RunSpec
from byzcode.studies.expand import lookup
from byzcode.studies.files import DEFAULTS, or_bundled
from byzcode.studies.plain_yaml import read_yaml
from byzcode.studies.plots import AXES, Measure, SweepPlot, TrajectoryPlot

if TYPE_CHECKING:
    import pandas as pd
    import xarray
    from matplotlib.figure import Figure

    from byzcode.figures.page import Drawing

    Source = xarray.Dataset | str | os.PathLike[str]
    Sources = Source | Sequence[Source] | Mapping[str, Source | Sequence[Source]]

_KINDS = ("png", "pdf", "svg", "csv")


@dataclass(frozen=True, repr=False)
class Picture:
    """A figure: ``figure`` of matplotlib, and the numbers that it shows, ``data``. A notebook shows it."""

    figure: Figure
    data: pd.DataFrame
    _png: bytes
    _draw: Callable[[], Drawing]

    @classmethod
    def of(cls, draw: Callable[[], Drawing]) -> Picture:
        """The picture of a drawing, in the project's theme."""
        with style.theme():
            drawing = draw()
            content = io.BytesIO()
            drawing.page.figure.savefig(content, format="png")
        return cls(drawing.page.figure, drawing.data, content.getvalue(), draw)

    def save(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write ``path`` with its suffix png, pdf, svg or csv, or all four if it has none. Raises UserError."""
        given = Path(path)
        kind = given.suffix.removeprefix(".")
        if kind and kind not in _KINDS:
            raise complain(
                "save", "path", str(given), "allowed: the suffixes " + ", ".join(_KINDS) + ", or none for all"
            )
        with style.theme():
            return self._draw().save(given.with_suffix(""), *([kind] if kind else _KINDS))

    def __repr__(self) -> str:
        return f"<Picture of {len(self.data)} points: a notebook shows it, save(path) writes it>"

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = self.figure.get_size_inches()
        return self._png, {"width": round(96 * width), "height": round(96 * height)}


def trajectories(
    runs: Sources, *, y: str | Sequence[str] | None = None, x: str = "iteration", title: str = "", caption: str = ""
) -> Picture:
    """Draw a quantity against iteration, gradients_computed, bits_sent or wall_time: median and quartiles of each run.

    ``y`` is a variable of the runs, or several, each in a row; by default excess_loss, or loss where the optimum is not
    known. Labels are the keys of a mapping, or what the runs differ in. Raises UserError.

    >>> import byzcode as bz
    >>> runs = [bz.train(method="cra_dl", redundancy=r, aggregation="median", iterations=20, seeds=2) for r in (10, 40)]
    >>> sorted(set(bz.plot.trajectories(runs).data["curve"]))
    ['CRA-DL, r = 10', 'CRA-DL, r = 40']
    """
    where = "plot.trajectories"
    labelled = drawable.labelled(drawable.read(runs, where))
    several = [label for label, own in labelled.items() if len(own) > 1]
    if several:
        raise UserError(f"{where}: {several[0]!r} has several runs; allowed: one run for each label")
    flat = {label: own[0] for label, own in labelled.items()}
    specs = [run.spec for run in flat.values()]
    quantity = drawable.quantities(y, specs, where)
    if x not in AXES:
        raise complain(where, "x", x, one_of(AXES, x))
    if x == WALL_TIME and (reasons := [reason for spec in specs if (reason := lacking(spec, x))]):
        raise complain(where, "x", x, reasons[0])
    plot = {"kind": "trajectories", "y": quantity if len(quantity) > 1 else quantity[0], "x": x}
    looks = _looks([[spec] for spec in specs])
    curves = [
        _curve(label, look, [(number, run.spec, {})])
        for number, ((label, run), look) in enumerate(zip(flat.items(), looks, strict=True))
    ]
    request, drawn = _request(plot, curves, title or _title(specs), caption or _caption(specs), where)
    assert isinstance(drawn, TrajectoryPlot)
    datasets = {_id(number): run for number, run in enumerate(flat.values())}

    def stored(run: str, measure: Measure) -> Stored:
        return Stored.of(datasets[run].spec, datasets[run].data, drawn, measure)

    return Picture.of(lambda: draw_trajectories(request, drawn, stored))


def sweep(
    runs: Sources,
    x: str,
    *,
    y: str | None = None,
    columns: str | None = None,
    cost: bool = True,
    title: str = "",
    caption: str = "",
) -> Picture:
    """Draw the plateau of a quantity against a key of the runs, such as redundancy or byzantine.alpha.

    Runs that differ in ``x`` alone are a curve; with a mapping, the runs of a label are. ``columns`` is a key with a
    panel for each of its values. Below stands the ``cost`` of reaching the plateau. Raises UserError.

    >>> import byzcode as bz
    >>> runs = [bz.train(method="cra_dl", redundancy=r, aggregation="median", iterations=80, seeds=2) for r in (10, 40)]
    >>> bz.plot.sweep(runs, x="redundancy").data["x"].tolist()
    [10, 40, 10, 40]
    """
    where = "plot.sweep"
    read = drawable.read(runs, where)
    specs = [run.spec for run in read]
    axes = [x] if columns is None else [x, columns]
    for key, name in zip(axes, ("x", "columns"), strict=False):
        drawable.check_key(key, name, specs, where)
    (quantity,) = drawable.quantities(y, specs, where, most=1)
    for spec in specs:
        if (reason := last_part.lacking(spec.record, spec.iterations)) is not None:
            raise complain(where, "record.step", spec.record.step, reason)
    labelled = drawable.labelled(read, apart=axes)
    plot = {"kind": "sweep", "x": x, "y": quantity, "columns": columns, "cost": cost}
    numbered = {id(run): number for number, run in enumerate(read)}
    looks = _looks([[run.spec for run in own] for own in labelled.values()])
    curves = [
        _curve(
            label, look, [(numbered[id(run)], run.spec, {key: lookup(run.spec, key) for key in axes}) for run in own]
        )
        for (label, own), look in zip(labelled.items(), looks, strict=True)
    ]
    request, drawn = _request(plot, curves, title or _title(specs), caption or _caption(specs), where)
    assert isinstance(drawn, SweepPlot)
    summary = _summary(read)
    return Picture.of(lambda: draw_sweep(request, drawn, summary, list))


# --- the request -----------------------------------------------------------------------------------------------------


def _id(number: int) -> str:
    """What stands for the id of a run: the same run may be drawn twice, from two files."""
    return f"{number:012x}"


def _curve(
    label: str, look: Mapping[str, Any], runs: Sequence[tuple[int, RunSpec, Mapping[str, Any]]]
) -> dict[str, Any]:
    drawn = [
        {"run": _id(number), "allocation": _id(number), "method": spec.method, "point": dict(point)}
        for number, spec, point in runs
    ]
    return {"label": label, "method": runs[0][1].method, "style": dict(look), "runs": drawn}


def _looks(curves: Sequence[Sequence[RunSpec]]) -> list[dict[str, Any]]:
    """A style for each curve: that of its method, or, if another curve has it, one that no curve has yet."""
    styles = read_yaml(or_bundled(DEFAULTS["style"]))
    taken: list[str] = []
    for specs in curves:
        own = specs[0].method
        colors = {styles[name]["color"] for name in taken}
        free = [name for name in (own, *styles) if styles[name]["color"] not in colors]
        taken.append(free[0] if free else list(styles)[len(taken) % len(styles)])
    return [styles[name] for name in taken]


def _title(specs: Sequence[RunSpec]) -> str:
    """What all runs have in common."""
    attacks = list(dict.fromkeys(style.value_words("attack", spec.attack.name) for spec in specs))
    rules = list(dict.fromkeys(style.value_words("aggregation", spec.aggregation.name) for spec in specs))
    said = [rules[0]] if len(rules) == 1 else []
    said += [f"attack: {attacks[0]}"] if len(attacks) == 1 and specs[0].attack.name != "none" else []
    words = ", ".join(said) or "byzcode"
    return words[:1].upper() + words[1:]


def _caption(specs: Sequence[RunSpec]) -> str:
    sizes = list(dict.fromkeys((spec.devices, spec.f) for spec in specs))
    if len(sizes) > 1:
        return "Medians over seeds."
    return f"{sizes[0][0]} devices, of which {sizes[0][1]} are Byzantine."


def _request(
    plot: Mapping[str, Any], curves: Sequence[Any], title: str, caption: str, where: str
) -> tuple[Request, Any]:
    """The request for a figure. Raises UserError."""
    values = {
        "study": "own",
        "title": title,
        "paper": None,
        "plot": {**plot, "caption": caption},
        "curves": list(curves),
    }
    try:
        request = parse(Request, values, where)
    except KeyedError as error:
        raise complain(where, error.key, error.value, error.allowed) from None
    return request, request.plot


def _summary(runs: Sequence[drawable.Run]) -> Summary:
    import pandas as pd

    rows = [{**_row(run.data, run.spec), "run_id": _id(number)} for number, run in enumerate(runs)]
    return Summary(Path("summary"), pd.DataFrame(rows).set_index("run_id"))
