# Check first that byzcode is installed, and that the configuration is plain YAML before Snakemake reads it: Snakemake
# would run code in it (__use_yte__) and create objects and dates.

from pathlib import Path

from snakemake.exceptions import WorkflowError

try:
    from byzcode.errors import UserError, in_locale
    from byzcode.studies.configuration import BASE, Configuration
    from byzcode.studies.plain_yaml import read_yaml
    from byzcode.studies.plan import load_plan

    INSTALLED = True
except ImportError as error:
    # `snakemake --lint` only reads the rules and does not need byzcode.
    if workflow.check_envvars:
        raise WorkflowError(
            f"byzcode is not installed where Snakemake runs ({error}); in its folder, `make setup` or "
            "`pip install -e '.[workflow]'` installs it"
        ) from None
    INSTALLED = False

# Used as a module, the workflow may get its configuration from its user; the file then belongs to another workflow.
if INSTALLED and not workflow.modifier.skip_configfile and Path(BASE).exists():
    try:
        read_yaml(BASE)
    except UserError as error:
        raise WorkflowError(in_locale(str(error))) from None
