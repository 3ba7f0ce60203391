"""Ratios of speed, measured in interleaved rounds on one core and one thread, in CPU time; also `make bench`.

    python benchmarks/run.py [--quick] [--rounds 5] [--only PATTERN] [--out results/benchmarks.csv]

A column of another code says how many times ours it takes; a ~ marks an answer that is not ours to single precision.
``floor``: how many times ours takes what merely reading its bytes takes. Times and ratios are those of the best
rounds; the file has the medians too.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import math
import os
import platform
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from floor import Level
    from timing import Timing

OURS = "byzcode"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="5, or 2 if quick")
    parser.add_argument("--only", default="", metavar="PATTERN", help="cases whose 'family: name' this regex finds")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, iterations and sizes")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks.csv"))
    asked = parser.parse_args()
    rounds = asked.rounds or (2 if asked.quick else 5)

    one_core()
    import digits
    import floor
    import gpu
    import growth
    import kernels
    import models
    import peers
    import rules
    import runs
    import timing
    import torch

    torch.set_num_threads(1)
    begun, load = time.monotonic(), os.getloadavg()
    pattern = re.compile(asked.only)
    chosen = [
        case
        for room in (floor, runs, digits, rules, kernels, models, growth, gpu)
        for case in room.cases(asked.quick, lambda name: bool(pattern.search(name)))
    ]
    timings = timing.interleaved(chosen, rounds, budget=0.5 if asked.quick else 12.0)
    memory = floor.levels(timings)
    facts = {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.platform()}",
        "versions": ", ".join(_version(name) for name in ("byzcode", "torch", "numpy", "byzfl"))
        + f", Python {platform.python_version()}",
        "read": ", ".join(f"{level.name} {level.bandwidth / 1e9:.0f} GB/s" for level in memory),
        "load average before": ", ".join(f"{part:.2f}" for part in load),
        "load average after": ", ".join(f"{part:.2f}" for part in os.getloadavg()),
        "seconds": f"{time.monotonic() - begun:.0f}",
    }
    facts |= {f"growth under {ladder}": law for ladder, law in growth.laws(timings)}
    if peers.byzfl() is None:
        facts["left out"] = "byzfl is not installed: pip install --no-deps byzfl==0.0.11"
    show(timings, memory, facts)
    write(asked.out, timings, memory, facts)
    if not asked.only:
        from picture import save

        print(f"{asked.out}, {save(asked.out)}")


def one_core() -> None:
    """Keep to one core and one thread; before numpy and torch are imported and start theirs."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def show(timings: Sequence[Timing], memory: Sequence[Level], facts: dict[str, str]) -> None:
    """Tables, one a family."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if os.isatty(1) else 140, highlight=False)
    for family in dict.fromkeys(each.case.family for each in timings if each.case.family != "read"):
        of_family = [each for each in timings if each.case.family == family]
        others = [code for code in dict.fromkeys(each.code for each in of_family) if code != OURS]
        table = Table(title=family, title_justify="left")
        table.add_column("")
        for column in (f"{OURS}, us", *(f"{code}, times" for code in others), "floor, times"):
            table.add_column(column, justify="right")
        for ours in (each for each in of_family if each.code == OURS):
            of_case = {each.code: each for each in of_family if each.case is ours.case}
            ratios = [_ratio(of_case[code], ours) if code in of_case else "" for code in others]
            table.add_row(ours.case.name, f"{ours.best * 1e6:,.1f}", *ratios, _number(_over_floor(ours, memory)))
        console.print(table)
    for key, value in facts.items():
        console.print(f"{key}: {value}")


def write(path: Path, timings: Sequence[Timing], memory: Sequence[Level], facts: dict[str, str]) -> None:
    """One row a case and code; the facts as comments above."""
    from byzcode.storage import atomic

    best = {(id(each.case), each.code): each.best for each in timings}
    rows = [
        {
            "family": each.case.family,
            "case": each.case.name,
            "code": each.code,
            "rounds": len(each.seconds),
            "best_us": each.best * 1e6,
            "median_us": each.median * 1e6,
            "plain_over_this": best.get((id(each.case), "plain"), math.nan) / each.best,
            "this_over_byzcode": each.best / best.get((id(each.case), OURS), math.nan),
            "this_over_floor": _over_floor(each, memory),
            "deviation": each.deviation,
        }
        for each in timings
    ]
    with atomic.text(path) as file:
        file.writelines(f"# {key}: {value}\n" for key, value in facts.items())
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def _cell(value: object) -> object:
    return value if not isinstance(value, float) else "" if math.isnan(value) else f"{value:.4g}"


def _over_floor(timing: Timing, memory: Sequence[Level]) -> float:
    import floor

    return timing.best / floor.seconds(timing.case, memory)


def _ratio(timing: Timing, ours: Timing) -> str:
    return _number(timing.best / ours.best) + ("~" if timing.deviation > 1e-5 else "")


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {name}"


if __name__ == "__main__":
    main()
