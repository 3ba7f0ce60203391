"""What is shown of a Snakemake run: from streams of events that a real Snakemake logged, and from made-up ones."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import struct
import termios
from collections.abc import Iterator
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byzcode.execution.display import display as shown
from byzcode.execution.display.display import PAUSE, Display
from byzcode.execution.display.state import State
from byzcode.execution.display.terminal import Terminal, has_colours, is_live
from byzcode.execution.display.work import Again, Needed, Pages, Task, Work, work_of
from byzcode.studies.plan import load_plan_file

RECORDED = Path(__file__).parent / "recorded"

#: The jobs of the recorded streams.
TASKS = {
    **{number: Task("allocate", "x", ("holding", "sweep"), "allocate", "allocate") for number in (5, 7)},
    3: Task("allocate", "x", ("lines",), "allocate", "allocate"),
    2: Task("train", "bd7f9dd52a9a", ("lines",), "RBA-DL", "rba", 10.0),
    4: Task("train", "ca7ea108c0f5", ("lines", "sweep"), "CRA-DL, r = 4", "cra", 10.0),
    6: Task("train", "eb84842099a9", ("sweep",), "CRA-DL", "cra", 10.0),
    1: Task("summarise", "lines", ("lines",), kind="summarise"),
    8: Task("summarise", "sweep", ("sweep",), kind="summarise"),
    9: Task("figure", "holding-balance", ("holding",), kind="figure"),
    10: Task("figure", "lines-loss", ("lines",), kind="figure"),
    11: Task("figure", "lines-excess", ("lines",), kind="figure"),
    12: Task("figure", "sweep-plateau", ("sweep",), kind="figure"),
    0: Task("all", ""),
}
WORK = Work(TASKS, {"lines": "Loss"}, log=".snakemake/log/x.log")


class Shown:
    """A display with a clock that is set by hand, and what it has written."""

    def __init__(self, **options: Any) -> None:
        self.now, self.written, self.theirs = 0.0, io.StringIO(), []
        terminal = Terminal(self.written, live=options.pop("live", False), colours=False)
        self.display = Display(terminal, self.theirs.append, clock=lambda: self.now, **options)

    def log(self, message: str | None = None, level: int = logging.INFO, **fields: Any) -> None:
        record = logging.LogRecord("snakemake", level, "x.py", 1, message, (), None)
        record.__dict__.update(fields)
        self.display.take(record)

    def play(self, name: str, work: Work = WORK, **pages: str) -> list[str]:
        """Show a recorded stream, and return the lines."""
        own = {"Work": work, "Pages": Pages(lambda: pages), True: True}
        for line in (RECORDED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            output = json.loads(line)
            self.now = output.pop("at")
            if "byzcode" in output:
                output["byzcode"] = own[output["byzcode"]]
            self.log(output.pop("msg"), **output)
        self.display.close()
        return self.lines

    def log_job(self, number: int, **fields: Any) -> None:
        known = {"rule_name": "train", "wildcards": {"run": "x"}, "log": []}
        self.log(event="job_info", jobid=number, **{**known, **fields})

    @property
    def lines(self) -> list[str]:
        return self.written.getvalue().removesuffix("\n").split("\n") if self.written.getvalue() else []


@pytest.fixture(autouse=True)
def _no_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "mistakes", [])


# --- whole runs -----------------------------------------------------------------------------------------------------


def test_a_finished_run_is_a_line_per_study_and_the_pages_last() -> None:
    lines = Shown().play("finished", scorecard="results/scorecard.html", index="results/index.html")

    assert lines[0] == "13 jobs; log: .snakemake/log/x.log"
    assert sorted(lines[1:4]) == [
        "done: holding (1 figure, 1 of 3 studies)",
        *sorted(
            line for line in lines if line.startswith(("done: lines - Loss (2 trainings, 2 figures", "done: sweep"))
        ),
    ]
    assert lines[4].startswith("13 jobs done in ")
    assert lines[4].endswith("; log: .snakemake/log/x.log")
    assert lines[5:] == ["scorecard: results/scorecard.html", "index: results/index.html"]


def test_a_failed_run_ends_with_the_message_of_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "results/logs/figure/sweep-plateau.log"
    log.parent.mkdir(parents=True)
    log.write_text("Traceback\n  x\nbyzcode: results/x.nc: damaged\n\n", encoding="utf-8")

    lines = Shown().play("failed", scorecard="results/scorecard.html")

    assert lines[-2:] == [
        "failed: sweep: figure plateau (results/logs/figure/sweep-plateau.log):",
        "  byzcode: results/x.nc: damaged",
    ]
    assert "0 of 5 jobs done, 4 failed; the same command continues; log: .snakemake/log/x.log" in lines
    assert not [line for line in lines if "Exception" in line or "Command" in line or "At least" in line]
    assert not [line for line in lines if line.startswith("scorecard")], "the pages are not up to date"


def test_an_interrupted_run_blames_no_job() -> None:
    lines = Shown().play("interrupted")

    assert lines[1:] == [
        "interrupted: 0 of 5 jobs done; the same command continues; log: .snakemake/log/x.log",
        f"not finished: {', '.join(WORK.studies())}",
    ]


def test_where_nothing_is_known_of_the_jobs_the_rules_name_them() -> None:
    lines = Shown().play("failed", Work({}))

    assert "failed: figure lines-loss (results/logs/figure/lines-loss.log):" in lines


def test_a_quiet_run_says_only_what_went_wrong() -> None:
    assert Shown(quiet=True).play("finished") == []
    assert [line for line in Shown(quiet=True).play("failed") if line.startswith("failed: sweep")]


def test_a_user_s_mistake_is_its_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "mistakes", ["config/config.yaml: x = 1: unknown key"])
    for as_theirs in (True, False):
        run = Shown(as_theirs=as_theirs)
        run.log("Config file config/config.yaml is extended")
        run.log("WorkflowError in file x, line 4:\nconfig/config.yaml: x = 1: unknown key\n  File x", logging.ERROR)
        run.log("WorkflowError:\nconfig/config.yaml: x = 1: unknown key", logging.ERROR)
        run.display.close()

        assert run.lines == ["config/config.yaml: x = 1: unknown key"]
        assert run.theirs == []


def test_a_mistake_beside_failed_jobs_leaves_them_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk."""
    monkeypatch.setattr(shown, "mistakes", ["results: cannot be written: No space left on device"])
    run = Shown()
    run.log(event="workflow_started")
    run.log_job(2)
    run.log(event="run_info", stats={"total": 3})
    run.log(event="job_error", level=logging.ERROR, jobid=2, rule_name="train", log=["none.log"])
    run.log("WorkflowError:\nresults: cannot be written: No space left on device", logging.ERROR)
    run.display.close()

    assert run.lines[2] == "results: cannot be written: No space left on device"
    assert run.lines[-2:] == ["failed: train x (none.log):", "  it has no log"]


def test_another_error_is_shown_in_full() -> None:
    run = Shown()
    run.log("MissingOutputException in rule x:\nMissing y", logging.ERROR, event="error")
    run.log(
        "MissingRuleException:\nNo rule to produce z (if you use input functions ...).", logging.ERROR, event="error"
    )
    run.display.close()

    assert run.lines == [
        "MissingOutputException in rule x:",
        "Missing y",
        "z: no rule makes this; `byzcode plan` lists the studies",
    ]


def test_without_jobs_snakemake_speaks_for_itself() -> None:
    run = Shown()
    for line in ("Assuming unrestricted", "Building DAG of jobs...", "Report created"):
        run.log(line)
    run.display.close()

    assert [record.msg for record in run.theirs] == [
        "Assuming unrestricted",
        "Building DAG of jobs...",
        "Report created",
    ]
    assert run.lines == []


def test_what_it_was_asked_to_show_in_full_is_shown_in_full() -> None:
    run = Shown(as_theirs=True)
    lines = run.play("finished")

    recorded = (RECORDED / "finished.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(run.theirs) == len(recorded)
    assert lines == []


def test_nothing_to_be_done_names_the_pages_too() -> None:
    run = Shown()
    run.log(byzcode=Pages(lambda: {"scorecard": "results/scorecard.html"}))
    run.log(event="workflow_started")
    run.log("Nothing to be done (all requested files are present and up to date).")
    run.display.close()

    assert run.lines == [
        "Nothing to be done (all requested files are present and up to date).",
        "scorecard: results/scorecard.html",
    ]


def test_a_snakemake_that_starts_again_has_not_ended() -> None:
    run = Shown()
    run.log(event="workflow_started")
    run.log(event="run_info", stats={"total": 3})
    run.log("2 jobs of an earlier Snakemake have finished", byzcode=True)
    run.log("", byzcode=Again())
    run.display.close()

    assert run.lines == ["2 jobs of an earlier Snakemake have finished"]


def test_it_ends_once() -> None:
    run = Shown()
    before = list(run.play("finished"))
    run.display.close()

    assert run.lines == before


# --- the line that changes ------------------------------------------------------------------------------------------


def at_work(**options: Any) -> Shown:
    """A run with one job done after 10 s, and one at work since."""
    run = Shown(**options)
    run.log(event="workflow_started")
    run.log(event="run_info", stats={"total": len(TASKS)})
    run.log("", byzcode=WORK)
    run.log_job(6)
    run.now = 10.0
    run.log(event="job_finished", job_id=6)
    run.log(event="progress", done=1, total=len(TASKS))
    run.log_job(4)
    return run


def test_the_line_has_jobs_time_and_methods() -> None:
    run = at_work(live=True)
    run.display.tick()

    # Ten seconds per job so far, so 12 jobs take 120 s.
    assert run.lines[-1] == "\r1/13 jobs | 2 min left | lines: CRA-DL, r = 4\x1b[K"
    run.display.close()


def test_a_failure_is_counted_and_a_second_attempt_is_not_one() -> None:
    run = at_work(live=True)
    run.log(event="job_error", jobid=4, rule_name="train", log=["none.log"], level=logging.ERROR)
    run.display.tick()
    assert " | 1 failed" in run.lines[-1]

    run.log_job(4)
    run.display.tick()
    assert "failed" not in run.lines[-1].split("\r")[-1]
    run.display.close()


def test_without_a_terminal_a_line_appears_from_time_to_time() -> None:
    run = at_work()
    for seconds in range(int(PAUSE) * 3):
        run.now = 10.0 + seconds
        run.display.tick()
    run.display.close()

    assert len([line for line in run.lines if line.startswith("1/13 jobs")]) == 3
    assert "\r" not in run.written.getvalue()
    assert "\x1b" not in run.written.getvalue()


# --- the time left --------------------------------------------------------------------------------------------------


def test_a_kind_has_a_rate_of_its_own() -> None:
    state = State()
    tasks = {0: Task("train", "a", kind="slow", units=10.0), 1: Task("train", "b", kind="fast", units=10.0)}
    later = {2: Task("train", "c", kind="slow", units=20.0), 3: Task("train", "d", kind="new", units=10.0)}
    state.begin(Work({**tasks, **later}))
    assert state.left(0.0) is None
    for number, (start, end) in enumerate([(0.0, 8.0), (8.0, 10.0)]):
        state.started(number, tasks[number], start)
        state.finished(number, end)

    # slow: 0.8 s per unit, 20 units; new: the mean of the trainings, 0.5 s per unit, 10 units.
    assert state.left(10.0) == pytest.approx(16.0 + 5.0)


def test_jobs_side_by_side_take_less_time_but_never_less_than_the_longest() -> None:
    tasks = {number: Task("train", str(number), kind="k") for number in range(8)}
    state = State()
    state.begin(Work(tasks))
    for number in range(4):
        state.started(number, tasks[number], 0.0)
    for number in range(4):
        state.finished(number, 10.0)
    assert state.left(10.0) == pytest.approx(10.0)
    state.started(4, tasks[4], 10.0)
    assert state.left(13.0) >= 7.0


def test_the_first_job_of_a_batch_does_the_work_of_all() -> None:
    tasks = {number: Task("train", str(number), kind="k", units=10.0, batch="b") for number in range(3)}
    state = State()
    state.begin(Work({**tasks, 3: Task("train", "3", kind="k", units=10.0)}))
    state.started(0, tasks[0], 0.0)
    state.finished(0, 30.0)

    # 30 units in 30 s; the other two of the batch find their work done, and the last has 10 units.
    assert state.left(30.0) == pytest.approx(10.0)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["start", "finish", "fail"])), max_size=40))
def test_any_order_of_events_is_counted(events: list[tuple[int, str]]) -> None:
    """Retries, and jobs of which nothing was announced."""
    tasks = {
        number: Task("train", str(number), (f"s{number % 2}",), kind="k", batch="b" * (number % 2))
        for number in range(5)
    }
    state = State()
    state.begin(Work(tasks))
    done: set[int] = set()
    for now, (number, event) in enumerate(events):
        task = tasks.get(number, Task("other", ""))
        if event == "start":
            state.started(number, task, float(now))
        elif event == "finish":
            ended = state.finished(number, float(now))
            done |= {number}
            assert all(jobs <= done for name, jobs in state.work.studies().items() if name in ended)
        else:
            state.fail(number, task, "")
        left = state.left(float(now))
        assert left is None or left >= 0
    assert set(state.unfinished) == {name for name, jobs in state.work.studies().items() if not jobs <= done}


# --- terminals ------------------------------------------------------------------------------------------------------


@pytest.fixture
def narrow() -> Iterator[tuple[Any, int]]:
    """A terminal of 40 columns: the stream to write to, and the end to read from."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        yield stream, ours
    os.close(ours)


def received(terminal: int, size: int) -> bytes:
    """What was written to a terminal: at least ``size`` bytes, in however many parts they come."""
    output = b""
    while len(output) < size:
        output += os.read(terminal, 4096)
    return output


@pytest.mark.parametrize("word", ["x" * 200, "größe " * 40, "字" * 60])
def test_the_line_never_wraps(narrow: tuple[Any, int], word: str) -> None:
    from rich.cells import cell_len

    stream, ours = narrow
    Terminal(stream, live=True, colours=False).show(word)

    line = received(ours, 40).decode().removeprefix("\r").removesuffix("\x1b[K")
    assert 30 < cell_len(line) < 40
    assert line.endswith("...")


def test_a_line_that_stays_is_above_the_one_that_changes(narrow: tuple[Any, int]) -> None:
    stream, ours = narrow
    terminal = Terminal(stream, live=True, colours=True)
    terminal.show("1/3 jobs")
    terminal.say("done", "green")
    terminal.clear()

    expected = b"\r1/3 jobs\x1b[K" + b"\r\x1b[K\x1b[32mdone\x1b[0m\r\n1/3 jobs" + b"\r\x1b[K"
    assert received(ours, len(expected)) == expected


@pytest.mark.parametrize(
    ("environment", "live", "colours"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"CI": "true"}, False, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_what_a_terminal_may_show(
    narrow: tuple[Any, int], environment: dict[str, str], live: bool, colours: bool
) -> None:
    assert (is_live(narrow[0], environment), has_colours(narrow[0], environment)) == (live, colours)
    assert not is_live(io.StringIO(), environment)


def test_nobody_listens(tmp_path: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        terminal = Terminal(full, live=False, colours=False)
        terminal.say("x" * 100_000)
    reading, writing = os.pipe()
    os.close(reading)
    closed = os.fdopen(writing, "w", encoding="ascii")
    Terminal(closed, live=False, colours=False).say("größe")
    with suppress(BrokenPipeError):
        closed.close()


def test_a_log_on_a_full_disk_is_one_line(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    from byzcode.execution.snakemake import Snakemake

    class Workflow:
        modifier = type("Modifier", (), {"is_main_snakefile": lambda self: True})()

    handler = logging.FileHandler("/dev/full")
    Workflow.logger_manager = type("Manager", (), {"logfile_handlers": {handler: "/dev/full"}})
    Snakemake(Workflow, "x").survive_a_full_log()
    with caplog.at_level(logging.INFO, "snakemake.logging"):
        for _ in range(3):
            handler.handle(logging.makeLogRecord({"msg": "x"}))

    assert [record.message for record in caplog.records] == [
        "/dev/full: the log cannot be written any more: [Errno 28] No space left on device"
    ]
    assert capsys.readouterr().err == ""
    handler.stream = None  # its buffer can never be written


# --- the words of the jobs ------------------------------------------------------------------------------------------


def test_the_plan_names_the_jobs() -> None:
    plan = load_plan_file("config/quick/config.yaml")
    planned = plan.studies["cra-d"]
    run = planned.run_ids()[1]
    allocation = plan.runs[run].allocation_spec.allocation_id
    wildcards = [{"run": run}, {"allocation": allocation}, {"figure": "cra-d-plateau"}, {"study": "cra-d"}, {}]
    rules = ["byz_train", "byz_allocate", "byz_figure", "summarise", "all"]
    jobs = [Needed(number, rule, names) for number, (rule, names) in enumerate(zip(rules, wildcards, strict=True))]

    work = work_of(
        plan, [*jobs, Needed(9, "reading", {"reading": "0123456789ab"})], {run: Path("b")}, log="", submits=True
    )

    train = work.tasks[0]
    assert (train.stage, train.batch, train.label) == ("train", "b", "CRA-DL")
    assert train.units == len(plan.runs[run].seeds) * plan.runs[run].iterations
    assert all("cra-d" in work.tasks[number].studies for number in range(4))
    assert work.tasks[2].words == "cra-d: byz_figure plateau"
    assert work.tasks[3].words == "cra-d: summarise"
    assert (work.tasks[4].studies, work.tasks[9].words) == ((), "multiverse: reading")


@pytest.mark.parametrize("installed", [True, False])
def test_the_profile_names_the_plugin_where_it_is_installed(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Snakemake would end with its usage, before it can say that byzcode is not installed."""
    from snakemake.profiles import ProfileConfigFileParser

    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    with Path("profiles/default/profile.yaml").open(encoding="utf-8") as file:
        settings = ProfileConfigFileParser().parse(file)

    assert settings.get("logger") == (["byzcode"] if installed else None)
    assert settings["scheduler"] == "greedy"
