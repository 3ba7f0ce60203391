"""What a real Snakemake shows of this workflow: on a terminal and without one, and when something goes wrong."""

from __future__ import annotations

import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

import pytest
from dag.project import SHOW, TINY, Project

pytestmark = pytest.mark.slow

#: One training and one figure: with the allocation, the summary and the target, five jobs.
_LINES = TINY["lines"]
SMALL = {"lines": {**_LINES, "curves": _LINES["curves"][:1], "plots": {"loss": _LINES["plots"]["loss"]}}}
#: One job on a project with results.
AGAIN = ("--forcerun", "summarise", "--", "results/summaries/lines.csv")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A small project without results."""
    return Project.create(tmp_path / "project", SMALL)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[str]]:
    """A small project with results, and what Snakemake showed."""
    made = Project.create(tmp_path_factory.mktemp("made") / "project", SMALL)
    code, lines = snakemake(made)
    assert code == 0, lines
    return made, lines


@pytest.fixture
def done(first: tuple[Project, list[str]], tmp_path: Path) -> Project:
    """A copy of the project with results."""
    return first[0].copy(tmp_path / "done")


def environment(project: Project, **more: str) -> dict[str, str]:
    """As a user's: nothing chooses the output."""
    kept = {name: value for name, value in project.environment.items() if name not in (SHOW, "CI", "NO_COLOR")}
    return {**kept, "TERM": "xterm", **more}


def snakemake(project: Project, *arguments: str, **more: str) -> tuple[int, list[str]]:
    """The exit code and the lines of a Snakemake without a terminal."""
    ended = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=project.root,
        env=environment(project, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert b"\r" not in ended.stdout
    assert b"\x1b" not in ended.stdout
    lines = ended.stdout.decode().splitlines()
    return ended.returncode, [line for line in lines if not line.startswith("Using workflow specific profile")]


def on_terminal(
    project: Project, *arguments: str, columns: int = 100, until: Callable[[bytes], bool] | None = None, **more: str
) -> tuple[int, str]:
    """The same on a terminal, with Ctrl-C as soon as ``until`` says so of the bytes so far."""
    process, ours = pty.fork()
    if process == 0:
        os.chdir(project.root)
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        os.execve(command[0], command, environment(project, **more))
    ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    output, stopped = b"", False
    while True:
        try:
            output += os.read(ours, 65536)
        except OSError:  # the terminal is closed: Snakemake has ended
            break
        if until and not stopped and until(output):
            stopped = True
            os.write(ours, b"\x03")
    os.close(ours)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), output.decode()


def test_without_a_terminal(first: tuple[Project, list[str]]) -> None:
    project, lines = first

    assert re.fullmatch(r"5 jobs; log: \.snakemake/log/\S+\.snakemake\.log", lines[0])
    log = lines[0].partition("log: ")[2]
    assert "Job stats:" in (project.root / log).read_text(encoding="utf-8")
    own = [line for line in lines if not re.match(r"\d/5 jobs", line)]
    assert own[1] == "done: lines - Three curves (1 training, 1 figure, 1 of 1 studies)"
    assert re.fullmatch(rf"5 jobs done in .*; log: {re.escape(log)}", own[2])
    assert len(own) == 3


def test_nothing_to_be_done(done: Project) -> None:
    nothing = ["Nothing to be done (all requested files are present and up to date)."]
    assert snakemake(done) == (0, nothing)


def test_on_a_terminal_of_forty_columns(done: Project) -> None:
    code, output = on_terminal(done, *AGAIN, columns=40)

    assert code == 0, output
    changing = [part for part in re.split(r"[\r\n]", output) if part.endswith("\x1b[K") and "/1 jobs" in part]
    assert changing
    assert all(len(part.removesuffix("\x1b[K")) < 40 for part in changing)
    assert "\x1b[32mdone: lines" in output
    assert "\x1b[?25" not in output, "the cursor is never hidden"
    assert output.count("\n") == 4, "the profile, the log, the study, the end"


def test_a_terminal_in_ci(done: Project) -> None:
    code, output = on_terminal(done, *AGAIN, CI="true")

    assert code == 0
    assert "\x1b" not in output
    assert "\r" not in output.replace("\r\n", "\n")


def test_a_terminal_without_colours(done: Project) -> None:
    code, output = on_terminal(done, *AGAIN, NO_COLOR="1")

    assert code == 0
    assert "\x1b[3" not in output
    assert "\x1b[K" in output


def test_a_failed_job_has_the_last_word(done: Project) -> None:
    done.rewrite("src/byzcode/cli/tables.py", lambda text: text.replace("    from", _BREAK, 1))

    code, lines = snakemake(done, *AGAIN)

    assert code == 1
    assert lines[-2:] == [
        "failed: lines: summarise (results/logs/summarise/lines.log):",
        "  byzcode: x.yaml: key = 1: allowed: 2",
    ]
    assert lines[1:3] == lines[-2:]
    assert re.match(r"0 of 1 job done, 1 failed; the same command continues; log: ", lines[3])
    assert lines[4] == "not finished: lines"
    assert len(lines) == 7


_BREAK = """    from byzcode.errors import UserError

    raise UserError("x.yaml: key = 1: allowed: 2")
    from"""


@pytest.mark.parametrize(
    ("keys", "to", "says"),
    [
        (
            ("base", "iteration"),
            5,
            "config/studies/lines.yaml: curve 'RBA-DL': iteration = 5: unknown key; did you mean",
        ),
        (("base", "iterations"), -1, "config/studies/lines.yaml: "),
    ],
)
def test_a_mistake_is_one_line(fresh: Project, keys: tuple[str, ...], to: object, says: str) -> None:
    fresh.edit("config/studies/lines.yaml", *keys, to=to)

    code, lines = snakemake(fresh)
    assert code == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith(says)

    code, again = snakemake(fresh, "--dry-run")
    assert code == 1
    assert again == lines


def test_an_unknown_study_is_one_line(fresh: Project) -> None:
    code, lines = snakemake(fresh, "--config", "studies=[none.yaml]")

    assert code == 1
    assert len(lines) == 1, lines
    assert "none.yaml" in lines[0]


def test_a_run_that_nobody_asks_for(fresh: Project) -> None:
    code, lines = snakemake(fresh, "--", "results/trajectories/0123456789ab.nc")

    assert code == 1
    assert [line for line in lines if "Exception" not in line] == [
        "run 0123456789ab: not requested by the configuration; `byzcode plan --runs` lists the runs that are"
    ]


def test_an_unknown_target_is_one_line(fresh: Project) -> None:
    assert snakemake(fresh, "results/figures/none-loss.svg") == (
        1,
        ["results/figures/none-loss.svg: no rule makes this; `byzcode plan` lists the studies"],
    )


def test_an_interrupt(done: Project) -> None:
    """While a job is at work, which waits for ever."""
    done.rewrite("src/byzcode/cli/tables.py", lambda text: text.replace("    from", _WAIT, 1))

    code, output = on_terminal(done, *AGAIN, until=lambda output: b"0/1 jobs" in output)

    assert code != 0
    assert "interrupted: 0 of 1 job done; the same command continues; log: " in output
    assert output.endswith("not finished: lines\r\n")
    assert "failed: " not in output
    assert "Traceback" not in output


_WAIT = """    import signal

    signal.pause()
    from"""


def test_a_killed_run_is_continued(done: Project) -> None:
    done.rewrite("src/byzcode/cli/tables.py", lambda text: text.replace("    from", _WAIT, 1))
    with subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", *AGAIN],
        cwd=done.root,
        env=environment(done),
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith(b"1 job;"):
            pass
        os.killpg(process.pid, signal.SIGKILL)
    done.rewrite("src/byzcode/cli/tables.py", lambda text: text.replace(_WAIT, "    from", 1))

    code, lines = snakemake(done, *AGAIN)

    assert code == 0, lines
    assert [line for line in lines if line.startswith("1 job done in")]


@pytest.mark.parametrize(
    "arguments", [["--dry-run"], ["--printshellcmds"], ["--logger-byzcode-show", "snakemake"], ["--verbose"]], ids=str
)
def test_snakemake_s_own_output_if_it_is_wanted(done: Project, arguments: list[str]) -> None:
    code, lines = snakemake(done, *arguments, *AGAIN)

    assert code == 0, lines
    assert any(re.match(r"Job \d+: summarise lines", line) for line in lines), lines
    assert not [line for line in lines if line.startswith("done: ")]


def test_quiet(done: Project) -> None:
    assert snakemake(done, "--quiet", "progress", *AGAIN) == (0, [])


def test_another_program_s_environment_is_not_touched_by_the_plugin(tmp_path: Path) -> None:
    """Every Snakemake of this environment imports the plugin; without the profile it changes nothing."""
    (tmp_path / "Snakefile").write_text('rule all:\n    shell: "true"\n', encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0
    assert "1 of 1 steps (100%) done" in ended.stderr
    code = (
        "import sys, snakemake_logger_plugin_byzcode; sys.exit(any(name.startswith('byzcode') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
