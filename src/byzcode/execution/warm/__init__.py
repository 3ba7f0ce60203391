"""Warm starts: local jobs start as forks of a process that has imported what they need.

A job of the workflow is short, and most of its start is imports (torch, pandas, matplotlib). So a local Snakemake run
starts a *server* (``server``), which imports all that once, when the first job needs it, and forks a child per job.

The rules stay as they are: while the server runs, the folder ``bin`` is first in PATH, and its ``byzcode`` is a thin
*client* (``client``). The client sends its arguments, environment, folder and open files to the server, waits for the
child to end, and ends in the same way: with its exit status, or by the same signal. The child (``job``) does what the
process of a plain start does, with the client's open files, so logs and exit codes are the same.

**Connection.** Client and server have no address. The server has one end of a socket pair; jobs inherit the other end
from Snakemake as an open file. So no other user and no other workflow can connect, there is no socket in the file
system whose path could be too long or whose mode could be wrong, and a kill leaves nothing behind. A client sends one
message with one end of a socket pair of its own, which then connects it to the server.

**Plain starts.** The server answers that it has *accepted* a job, or that the job must start *plainly*; then the client
becomes the next ``byzcode`` in PATH. It also does so if there is no server any more. The server refuses a job whose
environment differs from its own (variables that libraries may read when they are imported, limits, processors), and
every job after an edit of the sources. On a cluster, in a container, with ``--sdm``, for few jobs, and with
``BYZCODE_WARM_STARTS=off`` there is no server.

**Code.** The state of all sources (``stamp``) is taken before the server starts, and compared before each fork. If it
has changed, the server starts a successor, which imports the new sources, and takes no more jobs.

**Ends.** The server ends, with all its jobs, as soon as Snakemake ends, however that happens: its standard input is a
pipe that only Snakemake has open. A job ends if its client is killed (the server sees the end of the connection) or if
the server is killed (the kernel kills the child). All are in Snakemake's process group, so Ctrl-C and kills of the
group reach every process as in a plain start. A signal for a client alone is passed on to its child.

**Threads.** A fork copies only the thread that forks. So the server has one thread and computes nothing with torch,
whose thread pool would not survive in a child; with more threads it lets all jobs start plainly.
"""
