# An empty plan for `snakemake --lint` where byzcode is not installed.

from types import SimpleNamespace

STAGES = ()
PLAN = SimpleNamespace(
    config=SimpleNamespace(results="results", device="cpu", code_tracking="strict"),
    studies={},
    claimed={},
    figures={},
)
