import shutil
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

if INSTALLED:
    from byzcode.execution import command, handlers, noted
    from byzcode.execution.kept import keep, start_again
    from byzcode.multiverse.plan import Multiverse, together
    from byzcode.scorecard import report as filed
    from byzcode.provenance.code import STAGES, stage_digest
    from byzcode.provenance.content import in_ascii, short_hash
    from byzcode.storage.atomic import text as writing
    from byzcode.execution.workplace import Workplace, check_folders, try_folder


def check_results():
    # Snakemake itself ends in a trace where a file is in its way.
    try:
        check_folders(Path(RESULTS))
    except UserError as error:
        raise WorkflowError(in_locale(str(error))) from None


def plan():
    # Of what Snakemake has read; a key that stands twice in a file is noticed here alone.
    files = [*[BASE] * Path(BASE).exists(), *workflow.overwrite_configfiles]
    beside = "--config"
    if workflow.modifier.skip_configfile:
        files, beside = [], f"config of module {__name__}"
    try:
        read = Configuration.of_snakemake(config, files, beside)
        return load_plan(read.values, read.where)
    except UserError as error:
        raise WorkflowError(in_locale(str(error))) from None


def place():
    # Where the results lie: a module may have a prefix, or another one for some paths.
    modify = workflow.modifier.path_modifier.replace_prefix
    found = {str(Path(modify(f"{ROOT}/{name}/x")).parent.parent) for name in FOLDERS}
    if len(found) > 1:
        raise WorkflowError(
            f"replace_prefix of module {__name__}: the results would lie in {', '.join(sorted(found))}; "
            f"allowed: one folder for all that is in {ROOT}"
        )
    return found.pop()


if INSTALLED:
    command.put_in_path()
    PLAN = plan()
else:

    include: "lint.smk"


if INSTALLED and not workflow.remote_exec:
    for said in PLAN.unreadable():
        logger.warning(in_locale(said))


ROOT = PLAN.config.results  # as rules name it
FOLDERS = [
    "allocations",
    "trajectories",
    "summaries",
    "claims",
    "figures",
    "multiverse",
]
RESULTS = place()
if INSTALLED:
    check_results()
DEVICE = PLAN.config.device
TRAINED = [name for name, planned in PLAN.studies.items() if planned.trained]
CLAIMED = list(PLAN.claimed)
FIGURES = list(PLAN.figures)
# A workflow may use this one as a module several times, for results in several folders.
IN_MODULE = not workflow.modifier.is_main_snakefile()
LOCK = Path(".snakemake/byzcode.lock")
REQUESTS = Path(".snakemake/byzcode.requests")
# Characters of a request in a command; Linux bears 128 KiB, quotes included.
LONGEST = 60_000
MULTIVERSE = ["claims", "choices", "tree", "sizes", "stated"]


wildcard_constraints:
    allocation="[0-9a-f]{12}",
    run="[0-9a-f]{12}",
    reading="[0-9a-f]{12}",
    study="|".join(PLAN.studies),
    figure="|".join(FIGURES),


def digests():
    # Without code tracking the code counts as it was when Snakemake last ran here.
    current = {stage: stage_digest(stage) for stage in STAGES}
    if PLAN.config.code_tracking == "off":
        return current | noted.read(NOTED, logger.warning)
    return current


NOTED = Path(".snakemake/byzcode.digests.json")
DIGESTS = digests()


def code_of(stage):
    # Prefixed, because params are compared as a set of values without their names.
    return f"{stage}:{DIGESTS.get(stage)}"


def trajectories_of(runs):
    return [f"{ROOT}/trajectories/{run}.nc" for run in runs]


def with_checksums(tables):
    return [f"{table}.{suffix}" for table in tables for suffix in ("csv", "sha256")]


def named(kind, name, found):
    # A file may be asked for by a name that nothing configured has.
    if name not in found:
        raise WorkflowError(
            f"{kind} {name}: not asked for by the configuration; `byzcode plan` lists the runs that are"
        )
    return found[name]


def allocation_spec(wildcards):
    return named("allocation", wildcards.allocation, PLAN.allocations).canonical()


def run_of(wildcards):
    return named("run", wildcards.run, PLAN.runs)


def run_spec(wildcards):
    return run_of(wildcards).canonical()


def allocation_of(wildcards):
    allocation = run_of(wildcards).allocation_spec.allocation_id
    return f"{ROOT}/allocations/{allocation}.nc"


def memory(wildcards, attempt):
    # In MB. Where a profile says how often a job is tried again, each attempt gets more.
    return 1000 * attempt


def minutes(wildcards, attempt):
    return 60 * attempt


def on_a_cluster():
    # Where jobs are submitted, and in these jobs.
    return not workflow.local_exec or workflow.remote_exec


@cache
def batches():
    # Which batch a run belongs to: on a GPU, runs of one shape in one study are trained side by side. Not on a cluster,
    # where each job has a GPU, and would hold it only to wait for a batch that another trains.
    if DEVICE != "cuda" or on_a_cluster():
        return {}
    from byzcode.training.batch import shape_of

    found = {}
    for name, planned in PLAN.studies.items():
        for member in planned.members if planned.trained else []:
            batch = short_hash(f"{name} {shape_of(member.spec)}")
            found.setdefault(member.spec.run_id, f"{RESULTS}/batches/{batch}.json")
    return found


def device(wildcards, output):
    # A param that takes the output is not tracked: another device does not retrain what is there.
    together = batches().get(wildcards.run)
    return f"{DEVICE} --together {together}" if together else DEVICE


def asked(request):
    # A request for a command, in ASCII, for a locale may have no other letters; or where it is too long for a command,
    # the file that holds it. A param that takes the output is not tracked: the request itself is.
    def argument(wildcards, output):
        text = in_ascii(request(wildcards))
        return text if len(text) <= LONGEST else str(request_file(text))

    return argument


def request_file(text):
    # Written by whoever is to run its job, on a cluster perhaps, and not where Snakemake only looks (a dry run).
    path = REQUESTS / short_hash(RESULTS) / f"{short_hash(text)}.json"
    runs = workflow.executor_plugin is not None and not workflow.dryrun
    if runs and not path.exists():
        with writing(path) as file:
            file.write(text)
    return path


def trajectories_of_study(wildcards):
    return trajectories_of(PLAN.studies[wildcards.study].run_ids())


def summary_request(wildcards):
    return PLAN.studies[wildcards.study].summary_json()


def trajectories_of_claims(wildcards):
    runs = {
        run
        for cell in PLAN.studies[wildcards.study].cells
        for run in cell.request()["runs"] + cell.request()["against"]
    }
    return trajectories_of(sorted(runs))


def claims_request(wildcards):
    return PLAN.studies[wildcards.study].claims_json()


def scorecard_request(wildcards):
    return PLAN.scorecard_json()


@cache
def multiverse():
    # The requests of all readings: seconds of work, so only for targets of that name.
    try:
        found = Multiverse.load(PLAN)
        return {name: found.request(name) for name in found.universes}
    except UserError as error:
        raise WorkflowError(in_locale(str(error))) from None


def readings_of_multiverse(wildcards):
    return with_checksums(
        [f"{ROOT}/multiverse/readings/{name}" for name in multiverse()]
    )


def multiverse_request(wildcards):
    return together(multiverse())


def reading_request(wildcards):
    return named("reading", wildcards.reading, multiverse())


def planned_figure(wildcards):
    return PLAN.figures[wildcards.figure]


def data_of_figure(wildcards):
    planned, plot = planned_figure(wildcards)
    kind = planned.study.plots[plot].kind
    if kind == "allocation":
        return [
            f"{ROOT}/allocations/{name}.nc" for name in planned.allocation_ids(plot)
        ]
    if kind == "sweep":
        return with_checksums([f"{ROOT}/summaries/{planned.study.study}"])
    return trajectories_of(planned.run_ids(plot))


def figure_request(wildcards):
    planned, plot = planned_figure(wildcards)
    return planned.figure_json(plot)


def paper_of_figure(wildcards):
    return filed.category(planned_figure(wildcards)[0].study)


def labels_of_figure(wildcards):
    planned, plot = planned_figure(wildcards)
    return filed.labels(planned.study, plot)


def caption_of_figure(wildcards, output):
    # A param that takes the output is not tracked: the report alone reads it.
    planned, plot = planned_figure(wildcards)
    return filed.caption(planned.study, plot)


def study_of_figure(wildcards):
    return filed.subcategory(planned_figure(wildcards)[0].study)


def stem(wildcards, output):
    return str(Path(output.pdf).with_suffix(""))


def scorecard_stem(wildcards, output):
    return str(Path(output.html).with_suffix(""))


def results_folder(wildcards, output):
    return RESULTS


def hold_folder():
    global workplace
    try:
        workplace = Workplace(LOCK, Path(RESULTS), logger.info)
        noted.write(NOTED, DIGESTS)
    except UserError as error:
        raise WorkflowError(in_locale(str(error))) from None


def whole_of(files):
    from byzcode.verify.current import current

    return current(PLAN, Path(RESULTS), files)


def settle():
    # Jobs of a killed Snakemake are waited for, and what they finished is kept.
    if workflow.touch:
        return
    try:
        ended = join_cluster()
        workplace.wait_for_jobs()
        if keep(workflow, Path(RESULTS), whole_of, logger.info) or ended:
            workplace.release()
            start_again(workflow)
    except UserError as error:
        raise WorkflowError(in_locale(str(error))) from None


def try_results():
    # Told of after all else failed: a log on a full disk stays empty.
    try:
        try_folder(Path(RESULTS))
    except UserError as error:
        raise WorkflowError(in_locale(str(error))) from None


def drop_requests():
    # All but those of the jobs that this Snakemake is about to run.
    needed = {str(job.params.get("asked")) for job in workflow.dag.needrun_jobs()}
    for path in (REQUESTS / short_hash(RESULTS)).glob("*"):
        if str(path) not in needed:
            path.unlink(missing_ok=True)


def list_batches():
    # For the jobs to know what to train together: what this Snakemake is about to train, and no more. Not where it
    # only looks (a dry run).
    if not batches():
        return
    from byzcode.execution.cuda import count
    from byzcode.execution.batches import write_list

    # A workflow that has this one as a module may call its rules by other names.
    needed = workflow.dag.needrun_jobs()
    jobs = [job for job in needed if job.wildcards_dict.get("run") in batches()]
    if jobs and count() == 0:
        raise WorkflowError(
            "device = 'cuda': no CUDA device is here; allowed: cpu, on a machine without one"
        )
    lists = {}
    for job in jobs:
        run = job.wildcards.run
        spec = PLAN.runs[run]
        lists.setdefault(batches()[run], {})[run] = {
            "spec": spec.model_dump(mode="json"),
            "allocation": f"{RESULTS}/allocations/{spec.allocation_spec.allocation_id}.nc",
            "out": f"{RESULTS}/trajectories/{run}.nc",
        }
    for path, listed in lists.items():
        write_list(Path(path), f"{RESULTS}/batches", listed)


def lift_rate_limit():
    # At each of its turns Snakemake 9 sets a timer for one turn more a second later, lest its limit of 100 jobs a
    # second forbids a job; such a turn sets the next. So n finished jobs leave n turns a second, which after 200 jobs
    # take a sixth of a core from the trainings. Where cores, or jobs in a queue, are the limit, no other is needed.
    scheduler = getattr(workflow, "scheduler", None)
    if scheduler is not None and not IN_MODULE:
        scheduler.job_rate_limiter = None
        if not workflow.local_exec:
            # One turn must fill the queue, for the next comes when a job has ended.
            scheduler.subsample = max(scheduler.subsample or 1, workflow.nodes)


def join_cluster():
    # Whether jobs of an earlier Snakemake were in the queue, or ran.
    if workflow.executor_plugin.name != "slurm":
        return False
    from byzcode.execution import slurm

    settings = workflow.executor_settings
    needed = [job.rule for job in workflow.dag.needrun_jobs()]
    submitted = [rule.name for rule in needed if not workflow.is_local(rule)]
    slurm.arrays_fit(settings.array_jobs, submitted, workflow.nodes)
    polling = slurm.polling(
        slurm.configuration(),
        settings.status_command,
        settings.init_seconds_before_status_checks,
        sacct=shutil.which("sacct") is not None,
    )
    settings.status_command = polling.command
    logger.info(polling.said)
    slurm.see_cancelled(sys.modules["snakemake_executor_plugin_slurm"])
    return slurm.settle(Path.cwd(), logger.info)


def started(log=None):
    hold_folder()
    settle()
    drop_requests()
    list_batches()
    lift_rate_limit()


def succeeded(log=None):
    workplace.release()


def failed(log=None):
    workplace.release()
    try_results()


if INSTALLED and any("multiverse" in word for word in sys.argv):
    multiverse()  # here a mistake in its file gives one line, and no trace of where it was noticed

if INSTALLED and IN_MODULE:
    handlers.beside(workflow, "onstart", started)
    handlers.beside(workflow, "onsuccess", succeeded)
    handlers.beside(workflow, "onerror", failed)
