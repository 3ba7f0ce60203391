# What the rules ask (`jobs`), and what happens at the start and the end (`lifecycle`): see byzcode.workflow.

if INSTALLED:
    jobs, lifecycle = begin(workflow, config, __name__)
else:

    include: "lint.smk"


ROOT = jobs.root
TRAINED = jobs.trained
CLAIMED = list(jobs.plan.claimed)
FIGURES = list(jobs.plan.figures)
HELD_OUT = jobs.plan.held_out


wildcard_constraints:
    data="[a-z0-9_]+",
    allocation="[0-9a-f]{12}",
    run="[0-9a-f]{12}",
    reading="[0-9a-f]{12}",
    study="|".join(jobs.plan.studies),
    figure="|".join(FIGURES),
