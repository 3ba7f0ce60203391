# In place of byzcode where it is not installed, for `snakemake --lint`: rules without a plan.

from types import SimpleNamespace

STAGES = ()
PLAN = SimpleNamespace(
    config=SimpleNamespace(results="results", device="cpu", code_tracking="strict"),
    studies={},
    claimed={},
    figures={},
)
