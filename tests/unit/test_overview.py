"""``byzcode plan``: a row per study with its runs and minutes, and the reasons in a few lines."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from byzcode.execution import forecast
from byzcode.execution.forecast import Rate
from byzcode.studies.plan import Plan, load_plan_file
from byzcode.verify.overview import overview
from byzcode.verify.states import State, brief_notes


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan_file("config/quick/config.yaml")


@pytest.fixture(autouse=True)
def rates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run takes a minute, and its process starts at once."""
    monkeypatch.setattr(forecast, "start_seconds", lambda: 0.0)
    monkeypatch.setattr(forecast, "_stored", lambda folder, kinds: {})
    monkeypatch.setattr(
        forecast, "measure", lambda spec: Rate(0.0, 60.0 / len(spec.seeds) / spec.iterations, stored=False)
    )


def table(plan: Plan, states: dict[str, State]) -> tuple[dict[str, list[str]], str]:
    """The cells of each row by its study, and all that is printed."""
    written = io.StringIO()
    for part in overview(plan, states):
        Console(file=written, width=120).print(part)
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in written.getvalue().splitlines()]
    return {cells[0]: cells[1:] for cells in rows if cells}, written.getvalue()


def with_words(plan: Plan, word: Callable[[int], str]) -> dict[str, State]:
    return {run: State(word(number)) for number, run in enumerate(plan.runs)}


def test_all_current_leaves_no_minutes(plan: Plan) -> None:
    rows, output = table(plan, with_words(plan, lambda _: "current"))

    assert rows["cra-d"] == ["4", "4"]
    assert rows["each run once"] == [str(len(plan.runs))] * 2
    assert "CPU minutes" not in output


def test_a_row_counts_the_runs_of_a_study(plan: Plan) -> None:
    words = ["current", "of another engine", "unreadable", "missing"]
    own = dict(zip(plan.studies["cra-d"].run_ids(), words, strict=True))
    states = {run: State(own.get(run, "current")) for run in plan.runs}

    rows, output = table(plan, states)

    assert rows["cra-d"] == ["4", "1", "2", "1", "3.0"]
    assert rows["each run once"] == [str(len(plan.runs)), str(len(plan.runs) - 3), "2", "1", "3.0"]
    assert "by measured rates\n" in output


def test_it_fits_a_screen(plan: Plan) -> None:
    _, output = table(plan, with_words(plan, lambda _: "missing"))

    assert len(output.splitlines()) <= len(plan.studies) + 7
    assert max(map(len, output.splitlines())) <= 80


def test_measuring_ends_with_its_budget(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds with the most work are measured; the others take the mean."""
    clock = iter(range(1000))
    monkeypatch.setattr(forecast.time, "process_time", lambda: float(next(clock)))
    measured: list[float] = []

    def measure(spec: object) -> Rate:
        measured.append(len(spec.seeds) * spec.iterations)  # type: ignore[attr-defined]
        return Rate(0.0, 1.0, stored=False)

    monkeypatch.setattr(forecast, "measure", measure)
    sized = forecast.size(plan.runs, Path("none"), 2.0)

    assert len(measured) == 2
    assert measured[0] == max(len(spec.seeds) * spec.iterations for spec in plan.runs.values())
    assert sized.guessed > 0
    assert sized.seconds == {run: len(spec.seeds) * spec.iterations for run, spec in plan.runs.items()}
    assert forecast.size(plan.runs, Path("none")).guessed == 0


def test_a_kind_without_a_rate_takes_the_mean_of_problems_of_its_size(plan: Plan) -> None:
    """Two kinds have a rate: one of digits, with 100 times the cost of an iteration, and one of linear regression."""
    of_digits = {run: spec.problem.name == "softmax_regression" for run, spec in plan.runs.items()}
    known = [next(run for run, is_digits in of_digits.items() if is_digits is kind) for kind in (True, False)]
    cost = {run: 100.0 if of_digits[run] else 1.0 for run in known}
    rates = {forecast.kind_of(plan.runs[run]): Rate(0.0, each, stored=False) for run, each in cost.items()}

    guesses = forecast._guesses(list(plan.runs.values()), plan.runs.values(), rates)

    of_size = {forecast._size_of(plan.runs[run]): each for run, each in cost.items()}
    for spec in plan.runs.values():
        assert guesses[forecast.kind_of(spec)].iteration == of_size.get(forecast._size_of(spec), 50.5)
    assert {1.0, 50.5, 100.0} == {guess.iteration for guess in guesses.values()}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            [("a.py",), ("a.py", "b.py")],
            ["a.py changed since 2 runs were trained", "b.py changed since 1 run was trained"],
        ),
        (
            [("a.py", "b.py", "c.py", "d.py", "e.py"), ("c.py",)],
            ["c.py, a.py, b.py, d.py and 1 more changed since 2 runs were trained"],
        ),
    ],
)
def test_why_in_a_line_or_two(changed: list[tuple[str, ...]], says: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("byzcode.kernels.native.unused", lambda: "")
    states = {str(number): State("of another engine", sources) for number, sources in enumerate(changed)}

    assert list(brief_notes(states)) == says
