# Before all else: whether byzcode is installed; and before Snakemake reads the configuration, whether it is plain, for
# Snakemake runs what a file calls code (__use_yte__), and makes objects and dates.

from pathlib import Path

from snakemake.exceptions import WorkflowError

try:
    from byzcode.errors import UserError, in_locale
    from byzcode.studies.configuration import BASE, Configuration
    from byzcode.studies.plain_yaml import read_yaml
    from byzcode.studies.plan import load_plan

    INSTALLED = True
except ImportError as error:
    if (
        workflow.check_envvars
    ):  # all but `snakemake --lint`, which looks at the rules alone
        raise WorkflowError(
            f"byzcode is not installed where Snakemake runs ({error}); in its folder, `make setup` or "
            "`pip install -e '.[workflow]'` installs it"
        ) from None
    INSTALLED = False

# A module may be given its configuration; then the file is another workflow's.
if INSTALLED and not workflow.modifier.skip_configfile and Path(BASE).exists():
    try:
        read_yaml(BASE)
    except UserError as error:
        raise WorkflowError(in_locale(str(error))) from None
