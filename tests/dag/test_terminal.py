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

BOTH = {name: TINY[name] for name in ("lines", "sweep")}


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A small project without results."""
    return Project.create(tmp_path / "project", BOTH)


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
    said, stopped = b"", False
    while True:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the terminal is closed: Snakemake has ended
            break
        if until and not stopped and until(said):
            stopped = True
            os.write(ours, b"\x03")
    os.close(ours)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), said.decode()


def test_without_a_terminal(fresh: Project) -> None:
    code, lines = snakemake(fresh)

    assert code == 0, lines
    assert re.fullmatch(r"12 jobs; log: \.snakemake/log/\S+\.snakemake\.log", lines[0])
    log = lines[0].partition("log: ")[2]
    assert "Job stats:" in (fresh.root / log).read_text(encoding="utf-8")
    done = [line for line in lines if line.startswith("done: ")]
    assert {line.split()[1] for line in done} == {"lines", "sweep"}
    assert done[-1].endswith("2 of 2 studies)")
    assert re.fullmatch(rf"12 jobs done in .*; log: {re.escape(log)}", lines[-1])
    assert len([line for line in lines if not re.match(r"\d+/12 jobs", line)]) == 4

    code, lines = snakemake(fresh)
    assert code == 0
    assert lines == ["Nothing to be done (all requested files are present and up to date)."]


def test_on_a_terminal_of_forty_columns(fresh: Project) -> None:
    code, said = on_terminal(fresh, columns=40)

    assert code == 0, said
    changing = [part for part in re.split(r"[\r\n]", said) if part.endswith("\x1b[K") and "/12 jobs" in part]
    assert changing
    assert all(len(part.removesuffix("\x1b[K")) < 40 for part in changing)
    assert "\x1b[32mdone: lines" in said
    assert "\x1b[?25" not in said, "the cursor is never hidden"
    assert said.count("\n") < 10


def test_a_terminal_in_ci_and_one_without_colours(fresh: Project) -> None:
    code, said = on_terminal(fresh, "--until", "allocate", CI="true")
    assert code == 0
    assert "\x1b" not in said
    assert "\r" not in said.replace("\r\n", "\n")

    code, said = on_terminal(fresh, NO_COLOR="1")
    assert code == 0
    assert "\x1b[3" not in said
    assert "\x1b[K" in said


def test_a_failed_job_has_the_last_word(fresh: Project) -> None:
    """The allocation of both studies is damaged after it was made."""
    assert snakemake(fresh, "--until", "allocate")[0] == 0
    path = fresh.files("allocations/*.nc")[0]
    fresh.edit("config/studies/lines.yaml", "base", "iterations", to=7)
    fresh.rewrite("src/byzcode/cli/training.py", lambda text: text.replace("def train(", "def train(", 1) + _BREAK)

    code, lines = snakemake(fresh)

    assert code == 1
    assert path.exists()
    assert re.match(r"failed: \w+: .* \(results/logs/train/[0-9a-f]{12}\.log\):", lines[-2])
    assert lines[-1] == "  byzcode: x.yaml: key = 1: allowed: 2"
    [counted] = [line for line in lines if "the same command continues" in line]
    assert re.match(r"\d+ of 12 jobs done, 3 failed; the same command continues; log: ", counted)
    assert "not finished: lines, sweep" in lines
    assert not [line for line in lines if "Traceback" in line or "rule" in line.lower() or "Exception" in line]


_BREAK = """

def _broken(*arguments: object, **options: object) -> None:
    raise UserError("x.yaml: key = 1: allowed: 2")


from byzcode.errors import UserError
from byzcode.execution import batches

batches.alone = _broken
"""


@pytest.mark.parametrize(
    ("keys", "to", "says"),
    [
        (("base", "iteration"), 5, "config/studies/lines.yaml: base.iteration = "),
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


def test_an_interrupt(fresh: Project) -> None:
    code, said = on_terminal(fresh, until=lambda said: b"/12 jobs" in said)

    assert code != 0
    assert re.search(r"\r\n?interrupted: \d+ of 12 jobs done; the same command continues; log: ", said) or (
        "interrupted: " in said
    )
    assert "failed: " not in said
    assert "Traceback" not in said
    assert snakemake(fresh)[0] == 0


def test_snakemake_s_own_output_if_it_is_wanted(project: Project) -> None:
    for arguments in (
        ["--dry-run", "--forceall"],
        ["--printshellcmds", "--forcerun", "summarise"],
        ["--logger-byzcode-show", "snakemake", "--forcerun", "summarise"],
    ):
        code, lines = snakemake(project, *arguments)
        assert code == 0, lines
        assert any(re.match(r"Job \d+: summarise lines", line) for line in lines), lines
        assert not [line for line in lines if line.startswith("done: ")]


def test_quiet(project: Project) -> None:
    code, lines = snakemake(project, "--quiet", "progress", "--forcerun", "summarise")

    assert (code, lines) == (0, [])


def test_a_killed_run_leaves_a_terminal_that_works(fresh: Project) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1"],
        cwd=fresh.root,
        env=environment(fresh),
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith(b"12 jobs"):
            pass
        os.killpg(process.pid, signal.SIGKILL)

    code, lines = snakemake(fresh)
    assert code == 0, lines
    assert lines[-1].startswith(("12 jobs done", "11 jobs done")), lines


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
