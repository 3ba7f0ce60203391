"""What is asked: run specifications, studies, plans, identities. Reads and checks; computes nothing."""

from byzcode.studies.plan import Plan, load_plan, load_plan_file
from byzcode.studies.spec import AllocationSpec, RunSpec
from byzcode.studies.study import Reading, Study, WorkflowConfig

__all__ = ["AllocationSpec", "Plan", "Reading", "RunSpec", "Study", "WorkflowConfig", "load_plan", "load_plan_file"]
