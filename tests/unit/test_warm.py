"""Warm starts: a forked child is what the process of a plain start would be, and ends when it should."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import warm_driver
from dag.groups import members
from patience import wait_for
from warm_driver import Jobs

from byzcode.errors import UserError
from byzcode.execution.warm import launch
from byzcode.execution.warm.request import Home
from byzcode.execution.warm.server import Child, Server
from byzcode.execution.warm.stamp import stamp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm starts are for Linux")

HERE = Path(__file__).parent


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """A server whose jobs run pieces of Python."""
    with serving(tmp_path, monkeypatch) as jobs:
        yield jobs


@contextmanager
def serving(root: Path, monkeypatch: pytest.MonkeyPatch, stamp: str = "first") -> Iterator[Jobs]:
    monkeypatch.chdir(Path.cwd())  # back at the end
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setattr(launch, "command", launch.command)
    monkeypatch.setattr(launch, "_possible", launch._possible)
    with warm_driver.warm(root, stamp) as jobs:
        yield jobs


def plainly(jobs: Jobs, *words: str | bytes, **options: object) -> subprocess.CompletedProcess[bytes]:
    """The same job without a server."""
    environment = {**jobs.environment, "BYZCODE_WARM_DESCRIPTOR": ""}
    return jobs.run(*words, **{"env": environment, **options})


def gone(*processes: int) -> bool:
    """Whether processes have ended, zombies included."""
    return not any(alive(process) for process in processes)


def alive(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def wait_for_pid(path: Path) -> int:
    return int(wait_for(lambda: path.exists() and path.read_text(), f"{path}: not written"))


#: A job that writes its process into a file, and sleeps.
SLEEP = "import os, time; open({!r}, 'w').write(str(os.getpid())); time.sleep(3600)"

SAME = {
    "nothing": "pass",
    "standard files": "import sys; print('out'); print('error', file=sys.stderr)",
    "no newline at the end": "import sys; sys.stdout.write('out'); sys.stderr.write('error')",
    "standard input": "import sys; print(sys.stdin.read().upper())",
    "status": "import sys; sys.exit(7)",
    "status that is a text": "import sys; sys.exit('why')",
    "status above 255": "import sys; sys.exit(259)",
    "at exit": "import atexit; atexit.register(print, 'end')",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "terminated": "import os, signal, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
    "crashed": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "by os._exit": "import os; os._exit(5)",
    "surroundings": "import os; print(os.getcwd(), os.umask(0), os.nice(0), os.getpgrp(), os.sched_getaffinity(0))",
    "environment": "import os; print(sorted((n, v) for n, v in os.environ.items() if n != 'BYZCODE_WARM_DESCRIPTOR'))",
    "temporary folder": "import tempfile; print(tempfile.gettempdir())",
    "signals": "import signal; print([str(signal.getsignal(n)) for n in (1, 2, 3, 10, 12, 13, 15, 17)], "
    "signal.pthread_sigmask(0, []))",
    "streams": "import sys; print([(s.name, s.encoding, s.errors, s.line_buffering) for s in "
    "(sys.stdin, sys.stdout, sys.stderr)])",
    "command line": "import sys; print(sys.argv[1:], sys.argv[0], sys.path[0], sys.flags.inspect)",
    "main module": "import sys; m = sys.modules['__main__']; print(m.__name__, m.__spec__, m.__package__)",
    "collector": "import gc; print(gc.isenabled())",
    "threads": "import threading; print(threading.active_count(), threading.current_thread().name)",
}


@pytest.mark.parametrize("program", SAME.values(), ids=SAME.keys())
def test_a_child_is_what_a_plain_start_is(program: str, jobs: Jobs) -> None:
    warm, plain = jobs.run(program, input=b"given"), plainly(jobs, program, input=b"given")
    assert (warm.returncode, warm.stdout, warm.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert jobs.run("print(FORKED)").stdout == b"True\n"


@pytest.mark.parametrize(
    "program", ["1 / 0", "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"]
)
def test_an_error_has_the_same_traceback_but_for_the_first_file(program: str, jobs: Jobs) -> None:
    warm, plain = jobs.run(program), plainly(jobs, program)
    assert warm.returncode == plain.returncode != 0
    own = [line for line in warm.stderr.splitlines() if b"job.py" in line]
    assert not own
    assert warm.stderr.splitlines()[0] == plain.stderr.splitlines()[0]
    assert warm.stderr.splitlines()[-2:] == plain.stderr.splitlines()[-2:]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written(unbuffered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with serving(tmp_path, monkeypatch) as jobs, Path("/dev/full").open("wb") as full:
        files = {"stdout": full, "stderr": subprocess.DEVNULL}
        status = jobs.start("print(1)", **files).wait()
        plain = {**jobs.environment, "BYZCODE_WARM_DESCRIPTOR": ""}
        assert status == jobs.start("print(1)", **files, env=plain).wait() == (1 if unbuffered else 120)


def test_any_arguments(jobs: Jobs) -> None:
    words = ["", "a b", "é\n'\"", b"\xff\xfe", *["x" * 100_000] * 5]
    program = "import sys; print(ascii(sys.argv[2:]))"
    assert jobs.run(program, *words).stdout == plainly(jobs, program, *words).stdout != b""


def test_other_open_files_are_the_childs_too(jobs: Jobs, tmp_path: Path) -> None:
    """So a lock of Snakemake's, which its jobs inherit, lasts as long as the child."""
    with (tmp_path / "open").open("w") as file:
        program = "import subprocess; subprocess.run('ls -l /proc/self/fd', shell=True, close_fds=False)"
        run = jobs.run(f"print(FORKED, flush=True); {program}", pass_fds=[*jobs.descriptors, file.fileno()])
    assert run.stdout.startswith(b"True\n")
    assert str(tmp_path / "open").encode() in run.stdout


def test_variables_of_a_shell_and_the_temporary_folder_may_differ(jobs: Jobs, tmp_path: Path) -> None:
    other = {**jobs.environment, "TMPDIR": str(tmp_path), "OLDPWD": "/", "_": "x", "SHLVL": "9"}
    assert jobs.run("import tempfile; print(FORKED, tempfile.gettempdir())", env=other).stdout == (
        f"True {tmp_path}\n".encode()
    )


PLAIN = {
    "a variable": {"LANG": "C"},
    "threads": {"OMP_NUM_THREADS": "2"},
    "a path": {"PYTHONPATH": "/"},
}


@pytest.mark.parametrize("changes", PLAIN.values(), ids=PLAIN.keys())
def test_with_another_environment_a_job_starts_plainly(changes: dict[str, str], jobs: Jobs) -> None:
    program = f"import os; print(FORKED, [os.environ[n] for n in {list(changes)}])"
    run = jobs.run(program, env={**jobs.environment, **changes})
    assert run.stdout == f"False {list(changes.values())}\n".encode()


def in_shell(jobs: Jobs, command: str) -> bytes:
    """The output of a job in a shell command."""
    settings = {"env": jobs.environment, "pass_fds": jobs.descriptors, "cwd": jobs.root}
    return subprocess.run(["sh", "-c", command], capture_output=True, check=True, **settings).stdout


def test_the_shell_may_set_the_mask_of_file_modes(jobs: Jobs) -> None:
    assert in_shell(jobs, "umask 027; byzcode 'import os; print(FORKED, os.umask(0))'") == b"True 23\n"


@pytest.mark.parametrize("before", ["nice -n 1", "ulimit -n 200;", "exec <&- ;"])
def test_with_other_surroundings_a_job_starts_plainly(before: str, jobs: Jobs) -> None:
    assert in_shell(jobs, f"{before} byzcode 'print(FORKED)'") == b"False\n"


def test_a_project_folder_of_any_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path.joinpath(*["a folder with a long name, é"] * 12)
    folder.mkdir(parents=True)
    with serving(folder, monkeypatch) as jobs:
        assert jobs.run("print(FORKED)").stdout == b"True\n"


def test_nobody_can_connect_who_does_not_inherit_the_file(jobs: Jobs, tmp_path: Path) -> None:
    """There is no address: no socket in the file system, and no name of one."""
    jobs.run("pass")
    assert not [path for path in tmp_path.rglob("*") if path.is_socket()]
    descriptor = int(os.environ["BYZCODE_WARM_DESCRIPTOR"])
    inode = os.readlink(f"/proc/self/fd/{descriptor}").strip("socket:[]")  # noqa: PTH115 - it is no path
    (line,) = [line for line in Path("/proc/net/unix").read_text().splitlines() if line.split()[6:7] == [inode]]
    assert len(line.split()) == 7  # else an eighth word is its path
    assert jobs.run("print(FORKED)", pass_fds=[]).stdout == b"False\n"


def test_two_servers_do_not_meet(tmp_path: Path) -> None:
    print_server = "import os; open('server', 'w').write(str(os.getppid()))"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    drivers = [driver(tmp_path / name, print_server) for name in ("one", "two")]
    for each, name in zip(drivers, ("one", "two"), strict=True):
        assert json.loads(each.communicate()[0]) == [0]
        assert (tmp_path / name / "server").read_text() == (tmp_path / name / "first.pid").read_text()


# --- edits -----------------------------------------------------------------------------------------------------------


def test_after_an_edit_a_job_starts_plainly_and_the_next_from_a_new_server(jobs: Jobs, tmp_path: Path) -> None:
    assert jobs.run("print(FORKED)").stdout == b"True\n"
    at_work = jobs.start(
        "import sys; open('at-work', 'w').write('1'); sys.stdin.read(); sys.exit(3)", stdin=subprocess.PIPE
    )
    wait_for_pid(tmp_path / "at-work")
    jobs.stamp.write_text("second")
    assert jobs.run("print(FORKED)").stdout == b"False\n"
    assert jobs.run("import os; print(FORKED, os.getppid())").stdout == f"True {jobs.server('second')}\n".encode()
    assert alive(jobs.server("first"))
    at_work.communicate()
    assert at_work.returncode == 3
    wait_for(lambda: gone(jobs.server("first")), "the first server does not end")


def test_the_stamp_changes_with_every_edit_of_a_source(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "module.py").write_text("a")
    (tmp_path / "notes.txt").write_text("a")
    stamps = [stamp(tmp_path)]
    (tmp_path / "notes.txt").write_text("b")
    assert stamp(tmp_path) == stamps[0]
    edits = [
        lambda: (tmp_path / "inner" / "module.py").write_text("b"),
        lambda: (tmp_path / "kernel.so").write_text("c"),
        lambda: (tmp_path / "kernel.so").rename(tmp_path / "other.so"),
        lambda: (tmp_path / "other.so").unlink(),
        lambda: os.utime(tmp_path / "inner" / "module.py", (1, 1)),
    ]
    for edit in edits:
        time.sleep(0.02)  # the clock of a file system has steps
        edit()
        stamps.append(stamp(tmp_path))
    assert len(set(stamps)) >= len(edits)  # the last one but one may have restored the first


# --- ends ------------------------------------------------------------------------------------------------------------

#: A job that waits for a signal, and counts those that come within a second.
COUNT = """
import signal, sys, time
numbers = []
signal.signal({0}, lambda number, _: numbers.append(number))
open("ready", "w").write("1")
while not numbers:
    time.sleep(0.05)
time.sleep(1)
sys.exit(10 + len(numbers))
"""


def passes_on(client: int, number: int) -> bool:
    """Whether a client passes on a signal to its child: it has a handler. Before, the signal ends the client."""
    status = Path(f"/proc/{client}/status").read_text()
    caught = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), 16)
    return bool(caught >> (number - 1) & 1) and "client.py" in Path(f"/proc/{client}/cmdline").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_for_a_client_comes_to_its_child_once(number: int, jobs: Jobs, tmp_path: Path) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("this signal is ignored, as under nohup, and the client leaves it so")
    job = jobs.start(COUNT.format(int(number)))
    wait_for_pid(tmp_path / "ready")
    # It is the last signal for which a client sets its handler.
    wait_for(lambda: passes_on(job.pid, signal.SIGUSR2), "the client does not wait for its child")
    job.send_signal(number)
    assert job.wait() == 11


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_for_all_comes_to_a_child_once(number: int, tmp_path: Path) -> None:
    """As by Ctrl-C."""
    group = driver(tmp_path, COUNT.format(int(number)))
    wait_for_pid(tmp_path / "ready")
    wait_for(lambda: any(passes_on(each, signal.SIGUSR2) for each in members(group.pid)), "no client waits")
    os.killpg(group.pid, number)
    assert json.loads(group.communicate()[0]) == [11]


def test_the_server_passes_on_only_signals_that_it_has_not_got_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two signals that come to a child together look like one, so the test above can miss the second."""
    passed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: passed.append(number))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = Server(ours, Home({}, b""), lambda _: None, lambda: True, lambda: None)
        server._note(signal.SIGINT, None)
        theirs.send(bytes([signal.SIGINT, signal.SIGTERM]))
        server._heed(Child(1, ours))
    assert passed == [signal.SIGTERM]


def test_a_killed_client_ends_its_child(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.start(SLEEP.format("pid"))
    child = wait_for_pid(tmp_path / "pid")
    job.kill()
    wait_for(lambda: gone(child), "the child does not end")
    job.wait()
    assert jobs.run("print(FORKED)").stdout == b"True\n"


def test_a_killed_server_ends_its_children_and_others_start_plainly(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.start(SLEEP.format("pid"), stderr=subprocess.PIPE)
    child = wait_for_pid(tmp_path / "pid")
    os.kill(jobs.server(), signal.SIGKILL)
    assert b"the server of warm starts has ended" in job.communicate()[1]
    assert job.returncode == 1
    wait_for(lambda: gone(child), "the child does not end")
    assert jobs.run("print(FORKED)").stdout == b"False\n"


def test_snakemake_killed_alone_ends_all(tmp_path: Path) -> None:
    snakemake = driver(tmp_path, *(SLEEP.format(f"pid{number}") for number in range(3)))
    children = [wait_for_pid(tmp_path / f"pid{number}") for number in range(3)]
    server = int((tmp_path / "first.pid").read_text())
    os.kill(snakemake.pid, signal.SIGKILL)
    wait_for(lambda: gone(server, *children), "the server or its children do not end")
    snakemake.communicate()  # the clients have the same standard output, and end it


def test_a_server_with_threads_does_not_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, monkeypatch, "threads") as jobs:
        assert jobs.run("print(FORKED)").stdout == b"False\n"


def test_a_job_whose_imports_fail_starts_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, monkeypatch) as jobs:
        assert jobs.run("print(FORKED)", "cannot be imported").stdout == b"False\n"
        assert jobs.run("print(FORKED)").stdout == b"True\n"
    assert "ImportError" in (tmp_path / ".snakemake" / "byzcode.warm.log").read_text()


def test_a_server_keeps_no_files_open(jobs: Jobs) -> None:
    jobs.run("pass")
    before = len(list(Path(f"/proc/{jobs.server()}/fd").iterdir()))
    for _ in range(10):
        jobs.run("pass")
        jobs.run("pass", env={**jobs.environment, "LANG": "C"})
    wait_for(lambda: len(list(Path(f"/proc/{jobs.server()}/fd").iterdir())) <= before, "files stay open")


@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_moments(seed: int, jobs: Jobs, tmp_path: Path) -> None:
    """A job either does its work and says so, or says that it has not; nothing stays, and the server serves on."""
    chance = random.Random(seed)
    program = "import os, sys, time; open(sys.argv[2], 'w').write(str(os.getpid())); time.sleep(0.2); print('done')"
    started = []
    for number in range(20):
        job = jobs.start(program, f"pid{number}", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, 0.15))
        victim = chance.choice(["client", "child", "nobody"])
        with suppress(OSError, ValueError):
            if victim == "client":
                job.send_signal(chance.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM]))
            elif victim == "child":
                os.kill(int((tmp_path / f"pid{number}").read_text()), signal.SIGKILL)
        started.append((job, victim))
    for job, victim in started:
        output = job.communicate()[0]
        assert (job.returncode == 0) <= (output == b"done\n")
        assert victim != "nobody" or job.returncode == 0
    children = [int(path.read_text()) for path in tmp_path.glob("pid*") if path.read_text()]
    wait_for(lambda: gone(*children), "a child does not end")
    assert jobs.run("print(FORKED)").stdout == b"True\n"


@pytest.mark.parametrize("seed", range(3))
def test_all_killed_at_random_moments(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    names = [f"pid{number}" for number in range(4)]
    for how in (os.kill, os.killpg):
        snakemake = driver(tmp_path, *(SLEEP.format(name) for name in names))
        time.sleep(chance.uniform(0.1, 1.0))
        how(snakemake.pid, signal.SIGKILL)
        snakemake.communicate()
        wait_for(lambda group=snakemake.pid: not members(group), "some processes do not end")


@pytest.mark.parametrize("reaped", [True, False])
def test_a_job_that_comes_after_snakemake_does_not_start(reaped: bool, jobs: Jobs, tmp_path: Path) -> None:
    """Its server has ended with Snakemake, so it is not one of those that must start plainly."""
    snakemake = subprocess.Popen(["true"])
    wait_for(lambda: Path(f"/proc/{snakemake.pid}/stat").read_text().split()[2] == "Z", "it does not end")
    if reaped:
        snakemake.wait()
    late = {**jobs.environment, "BYZCODE_WARM_OWNER": str(snakemake.pid)}
    done = jobs.run("open('late', 'w')", env=late, pass_fds=[])
    snakemake.wait()
    assert done.returncode == 1
    assert b"start Snakemake again" in done.stderr
    assert not (tmp_path / "late").exists()


def _heed_signals() -> None:
    """As from a terminal: what a script runs in the background ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def driver(folder: Path, *programs: str) -> subprocess.Popen[str]:
    """Start programs as jobs of another process, which plays Snakemake, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "warm_driver.py"), *programs],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_signals,
    )


# --- the switch ------------------------------------------------------------------------------------------------------


def test_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch.wanted()
    monkeypatch.setenv(launch.SWITCH, "off")
    assert not launch.wanted()
    monkeypatch.setenv(launch.SWITCH, "no")
    with pytest.raises(UserError, match=r"BYZCODE_WARM_STARTS = 'no': allowed: on, off"):
        launch.wanted()
