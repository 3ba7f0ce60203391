import fcntl
from pathlib import Path

from snakemake.exceptions import WorkflowError

from byzcode.errors import UserError
from byzcode.studies import load_plan
from byzcode.studies.identity import stage_digest

try:
    PLAN = load_plan(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

RESULTS = PLAN.config.results
DEVICE = PLAN.config.device
TRAINED = [name for name, planned in PLAN.studies.items() if planned.trained]
FIGURES = list(PLAN.figures)


wildcard_constraints:
    allocation="[0-9a-f]{12}",
    run="[0-9a-f]{12}",
    study="|".join(PLAN.studies),
    figure="|".join(FIGURES),


def code_of(stage):
    # Prefixed, because params are compared as a set of values without their names.
    if PLAN.config.code_tracking == "off":
        return f"{stage}: code not tracked"
    return f"{stage}:{stage_digest(stage)}"


def trajectories_of(runs):
    return [f"{RESULTS}/trajectories/{run}.nc" for run in runs]


def hold_folder():
    # One Snakemake a folder. The system drops this lock with the process, however that ends; Snakemake's own
    # lock outlives a kill -9, so the profile switches it off.
    global folder_lock
    folder_lock = Path(".snakemake/byzcode.lock").open("w")
    try:
        fcntl.flock(folder_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise WorkflowError(
            "another Snakemake is at work in this folder: wait for it, or stop it"
        ) from None
