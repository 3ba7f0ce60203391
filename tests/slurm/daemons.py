"""A SLURM of one node on the loopback interface, run by hand: no systemd, no cgroups, everything in one folder.

munged, slurmctld and slurmd; with accounting also mariadbd and slurmdbd. The configuration is linked from /etc/slurm,
where the job steps of Snakemake's plugin look for it, so one of these runs on a machine at a time, as root.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from patience import wait_for

LINKED = Path("/etc/slurm")

#: What must be installed: Debian's slurm-wlm, munge, slurm-client; slurmdbd, slurm-wlm-mysql-plugin, mariadb-server.
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
PROGRAMS_OF_ACCOUNTING = ("slurmdbd", "sacct", "sacctmgr", "mariadbd", "mariadb", "mariadb-install-db")

#: A job that is queued again waits for cred_expire seconds, lest its old credentials serve.
_CONFIGURATION = """
ClusterName=testcluster
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket,cred_expire=20
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.log
SlurmctldDebug=info
SlurmdDebug=info
ReturnToService=2
SlurmdTimeout=20
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=100000
DefMemPerCPU=200
# Without cgroups, memory is looked at each second, and a step that is over its limit is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
KillWait=2
MinJobAge=300
GresTypes=gpu
{accounting}
NodeName={host} NodeAddr=127.0.0.1 NodeHostname={host} CPUs={cpus} RealMemory=16000 Gres=gpu:fake:1 State=UNKNOWN
PartitionName=batch Nodes={host} Default=YES MaxTime=1-00:00:00 State=UP
PartitionName=gpu Nodes={host} MaxTime=1-00:00:00 State=UP
"""

_NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none"

#: The link to slurmdbd does not use AuthInfo: it takes munge's socket from AccountingStoragePass.
_ACCOUNTING = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={database}
AccountingStoragePass={root}/munge/socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
"""

_DATABASE = """
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={database}
CommunicationParameters=NoInAddrAny
SlurmUser=root
PidFile={root}/run/slurmdbd.pid
LogFile={root}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={storage}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""

#: Newest first.
_PIDS = ("slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged")


@dataclass(frozen=True)
class Cluster:
    """A running cluster, what can be asked of it and what can be done to it."""

    root: Path
    accounting: bool

    def ask(self, *command: str) -> str:
        """What a client program says."""
        return _run(*command)

    def queue(self, *arguments: str) -> list[str]:
        """The jobs that wait, run or just end, one line each."""
        return self.ask("squeue", "--noheader", "--array", *arguments).splitlines()

    def node(self, **values: str) -> None:
        """Set values of the one node."""
        self.ask("scontrol", "update", f"NodeName={_host()}", *(f"{key}={value}" for key, value in values.items()))

    def node_state(self) -> str:
        """The state of the node: idle, mixed, down*, ..."""
        return self.ask("sinfo", "--noheader", "--nodes", _host(), "--format=%T").split("\n")[0].strip()

    def cancel_all(self) -> None:
        """Cancel all jobs and wait until they are gone."""
        self.ask("scancel", "--user=root")
        wait_for(lambda: not self.queue(), "the queue is not empty")

    def kill_node(self, *, jobs: bool) -> None:
        """Kill slurmd, and with ``jobs`` all that it had started, as when a machine loses its power."""
        victims = [_pid(self.root, "slurmd")] if not jobs else [_pid(self.root, "slurmd"), *_children_of_steps()]
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start_node(self) -> None:
        """Start slurmd, and wait until the controller knows it."""
        _run("slurmd")
        wait_for(lambda: self.node_state() in ("idle", "mixed", "allocated"), "the node does not come up")


def missing(*, accounting: bool = True) -> str:
    """Why no cluster can be started here; nothing where one can."""
    if os.getuid() != 0:
        return "a SLURM for tests is started as root"
    wanted = [*PROGRAMS, *(PROGRAMS_OF_ACCOUNTING if accounting else ())]
    absent = [name for name in wanted if shutil.which(name, path=_path()) is None]
    if absent:
        return f"no {', '.join(absent)} here (Debian: apt-get install {' '.join(PACKAGES)})"
    configuration = LINKED / "slurm.conf"
    if configuration.exists() and not configuration.is_symlink():
        return f"{configuration}: this machine has a SLURM of its own"
    return ""


PACKAGES = ("slurm-wlm", "munge", "slurm-client", "slurmdbd", "slurm-wlm-mysql-plugin", "mariadb-server")


@contextmanager
def running(root: Path, *, accounting: bool, cpus: int) -> Iterator[Cluster]:
    """A cluster, which ends with the block."""
    _stop_earlier()
    for folder in ("munge", "state", "spool", "log", "run", "db"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder in (root, *root.parents):  # munge's clients pass through, whoever they are
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    try:
        yield _start(root, accounting, cpus)
    finally:
        _stop(root)


def _start(root: Path, accounting: bool, cpus: int) -> Cluster:
    names = ("controller", "node", "database", "storage")
    values = {"root": root, "host": _host(), "cpus": cpus, **dict(zip(names, _ports(len(names)), strict=True))}
    values["accounting"] = (_ACCOUNTING if accounting else _NO_ACCOUNTING).format(**values)
    (root / "slurm.conf").write_text(_CONFIGURATION.format(**values), encoding="utf-8")
    device = root / "gpu0"  # must be a device, and one for each GPU
    os.mknod(device, 0o20666, os.makedev(1, 3))
    gpu = f"NodeName={_host()} Name=gpu Type=fake Flags=nvidia_gpu_env File={device}\n"
    (root / "gres.conf").write_text(gpu, encoding="utf-8")
    LINKED.mkdir(exist_ok=True)
    for name in ("slurm.conf", "gres.conf", *(("slurmdbd.conf",) if accounting else ())):
        (LINKED / name).symlink_to(root / name)
    _start_munge(root / "munge", root / "run" / "munged.pid")
    if accounting:
        _start_database(root, values)
    _run("slurmctld", "-i")
    wait_for(lambda: "UP" in _answer("scontrol", "ping"), "slurmctld does not answer")
    cluster = Cluster(root, accounting)
    cluster.start_node()
    return cluster


def _start_munge(folder: Path, pid: Path) -> None:
    key = folder / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    folder.chmod(0o711)
    files = {"key-file": key, "socket": folder / "socket", "log-file": folder / "log", "seed-file": folder / "seed"}
    _run("munged", f"--pid-file={pid}", *(f"--{name}={file}" for name, file in files.items()))


def _start_database(root: Path, values: dict[str, object]) -> None:
    data, its_socket = root / "db" / "data", root / "db" / "socket"
    fresh = ("--auth-root-authentication-method=socket", "--skip-test-db", "--user=root")
    _run("mariadb-install-db", "--no-defaults", f"--datadir={data}", *fresh)
    settings = ("--user=root", "--bind-address=127.0.0.1", f"--port={values['storage']}", "--skip-name-resolve")
    quick = ("--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0")
    files = (f"--datadir={data}", f"--socket={its_socket}", f"--pid-file={root}/run/mariadbd.pid")
    with (root / "log" / "mariadbd.log").open("w") as log:
        subprocess.Popen(
            ["mariadbd", "--no-defaults", *files, *settings, *quick],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PATH": _path()},
        )
    client = ("mariadb", "--no-defaults", f"--socket={its_socket}")
    wait_for(lambda: "1" in _answer(*client, "--execute=select 1"), "mariadbd does not answer")
    user = "'slurm'@'127.0.0.1'"
    grant = f"create database slurm; create user {user} identified by 'slurm'; grant all on slurm.* to {user};"
    _run(*client, f"--execute={grant}")
    configuration = root / "slurmdbd.conf"
    configuration.touch(0o600)
    configuration.write_text(_DATABASE.format(**values), encoding="utf-8")
    _run("slurmdbd")
    wait_for(lambda: "Cluster" in _answer("sacctmgr", "list", "cluster"), "slurmdbd does not answer")
    # An account, as most clusters ask for one.
    for words in ("cluster testcluster", "account lab cluster=testcluster", "user root account=lab"):
        _run("sacctmgr", "--immediate", "add", *words.split())


def _stop(root: Path) -> None:
    """End what runs under a folder, by the pids that the daemons wrote there, and the steps of its jobs."""
    if _alive(_pid(root, "slurmctld")):
        _answer("scancel", "--user=root")
        with suppress(AssertionError):
            wait_for(lambda: not _answer("squeue", "--noheader").strip(), "jobs are left", looks=200)
    for name in _PIDS:
        pid = _pid(root, name)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, AssertionError):
                if _alive(pid):
                    os.kill(pid, number)
                    wait_for(lambda pid=pid: not _alive(pid), f"{name} does not end", looks=200)
    for link in LINKED.glob("*.conf"):
        if link.is_symlink() and link.readlink().parent == root:
            link.unlink()


def _stop_earlier() -> None:
    """End what an earlier run of the tests left, should it have been killed."""
    for link in LINKED.glob("*.conf"):
        if link.is_symlink():
            _stop(link.readlink().parent)


def _pid(root: Path, name: str) -> int:
    """The process of a daemon; 0 if there is none."""
    file = root / "run" / f"{name}.pid"
    pid = int(file.read_text() or 0) if file.exists() else 0
    with suppress(OSError):
        if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return 0


def _children_of_steps() -> list[int]:
    """slurmstepd and all its descendants."""
    parents: dict[int, int] = {}
    steps: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, name, rest = int(status.parent.name), *_named(status.read_text())
            parents[pid] = int(rest.split()[1])
            if name == "slurmstepd":
                steps.add(pid)

    def from_step(pid: int) -> bool:
        while pid in parents and pid not in steps:
            pid = parents[pid]
        return pid in steps

    return [pid for pid in parents if from_step(pid)]


def _named(stat: str) -> tuple[str, str]:
    """The name of a process, and what follows it."""
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return name, rest


def _alive(pid: int) -> bool:
    """Whether a process runs; one that ended and is not yet awaited does not."""
    if not pid:
        return False
    with suppress(OSError):
        return _named(Path(f"/proc/{pid}/stat").read_text())[1].split()[0] != "Z"
    return False


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def _ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in with_ports]
    for each in with_ports:
        each.close()
    return ports


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "PATH": _path()},
    )


def _run(*command: str) -> str:
    ended = _call(*command)
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def _answer(*command: str) -> str:
    """What a program says; nothing if it fails."""
    ended = _call(*command)
    return ended.stdout if ended.returncode == 0 else ""
