# Check first that byzcode is installed and that the configuration is plain YAML.

from snakemake.exceptions import WorkflowError

try:
    from byzcode.workflow.begin import begin, refuse_code

    INSTALLED = True
    refuse_code(workflow)
except ImportError as error:
    # `snakemake --lint` only reads the rules and does not need byzcode.
    if workflow.check_envvars:
        raise WorkflowError(
            f"byzcode is not installed where Snakemake runs ({error}); in its folder, `make setup` or "
            "`pip install -e '.[workflow]'` installs it"
        ) from None
    INSTALLED = False
